"""Which rules a ledger is derived under, and how others come into force.

A change of rules is everybody's: all are marked, and derived under one run of its own.
The time zone is one of them: the ledger's own, unless the configuration names another.
"""

import json
import sqlite3
from importlib.resources import files
from itertools import islice
from zoneinfo import ZoneInfo

from connector.config import Config, rules_of
from connector.core.errors import NoTimeZone, RulesDiffer
from connector.core.language import message
from connector.core.policy import Rules, differences, zone_in
from connector.store.database import put_setting, setting, transaction
from connector.store.mirror import dirty_customers
from connector.stripe_api.decoding import StripeAccount

# The setting that tells which change of the rules is not derived for everybody yet.
ADOPTING = "adopting"
# Raise it when a rule of the derivation changes: every ledger is then derived anew.
DERIVATION = "2"
EXAMPLES = ("Europe/Berlin", "America/New_York", "UTC")


def adopt(connection: sqlite3.Connection, rules: Rules) -> str | None:
    """Put the rules in force; mark everybody where they are not the ones before.

    Returns what changed, in words, or None. Also where it changed before and not
    everybody is derived by it yet, so that what is left belongs to the same cause.
    """
    wanted = _as_settings(rules)
    if _in_force(connection) == wanted:
        return setting(connection, ADOPTING) or None
    with transaction(connection):
        before = _in_force(connection)  # another process may have been here just now
        if before == wanted:
            return setting(connection, ADOPTING) or None
        for name, value in wanted.items():
            put_setting(connection, name, value)
        dirty_customers.mark_all(connection)
        change = _in_words(before["rules"], wanted["rules"])
        put_setting(connection, ADOPTING, change)
    return change or None


def _in_words(before: str | None, wanted: str) -> str:
    """What has changed, in words; "" where there were no rules before."""
    if before is None:
        return ""
    if before == wanted:
        return message("this version derives some histories differently")
    was, now = json.loads(before), json.loads(wanted)
    changed = ", ".join(differences(was, now))
    return message(f"policy change: {changed}")


def is_adopting(connection: sqlite3.Connection) -> bool:
    """Whether a change of the rules is not derived for everybody yet."""
    return bool(setting(connection, ADOPTING))


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether everybody was derived by this version's rules, as far as synced."""
    derived = setting(connection, "derivation")
    return derived in (None, DERIVATION) and not is_adopting(connection)


def _as_settings(rules: Rules) -> dict[str, str]:
    return {"rules": rules.as_json(), "derivation": DERIVATION}


def _in_force(connection: sqlite3.Connection) -> dict[str, str | None]:
    return {name: setting(connection, name) for name in ("rules", "derivation")}


def zone_in_force(connection: sqlite3.Connection) -> ZoneInfo | None:
    """The zone that the ledger's days are in; None before its first sync."""
    return zone_in(setting(connection, "rules"))


def configured_rules(connection: sqlite3.Connection, config: Config) -> Rules:
    """What the configuration asks for; in the ledger's zone, where it names none."""
    return rules_of(config, zone_in_force(connection))


def zone_of(account: StripeAccount) -> ZoneInfo:
    """The account's own, as Stripe shows it; ``NoTimeZone`` where it does not."""
    try:
        return ZoneInfo(account.timezone or "")
    except (ValueError, KeyError, OSError) as error:  # what ZoneInfo does not know
        why = message("the key may not read the account's own")
        if account.timezone is not None:
            why = f"the account's own, {account.timezone!r}, is not known here"
        elif account.id is not None:
            why = "Stripe does not show the account's own"
        examples = ", ".join(_zones_in(account.country) or EXAMPLES)
        raise NoTimeZone(
            [f"no time zone is configured, and {why}"],
            fix='write timezone = "…" into config.toml, as the settings of Stripe\'s '
            f"Dashboard show it: {examples} or another",
        ) from error


def _zones_in(country: str | None) -> list[str]:
    """Some zones of a country, the largest first; by the time zone database."""
    table = (files("tzdata.zoneinfo") / "zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines())
    return list(islice((row[2] for row in rows if row[0] == country), 5))


def check_rules(connection: sqlite3.Connection, rules: Rules) -> None:
    """``RulesDiffer`` where the ledger is derived under other rules than these."""
    in_force = _in_force(connection)
    if in_force["rules"] is not None and in_force != _as_settings(rules):
        raise RulesDiffer(
            "the ledger is derived under other rules than this configuration's, or by "
            "another version of stripe-nrr",
            fix="give every process the same config.toml and version, "
            "then run `stripe-nrr recompute`",
        )


def adopted(connection: sqlite3.Connection) -> None:
    """The change of the rules is derived for everybody."""
    if is_adopting(connection):
        with transaction(connection):
            put_setting(connection, ADOPTING, "")
