"""Which rules a ledger is derived under, and how others come into force.

A change of rules is everybody's: all are marked, and derived under one run of its own.
"""

import json
import sqlite3

from connector.core.errors import RulesDiffer
from connector.core.policy import Rules, differences
from connector.store.database import put_setting, setting, transaction
from connector.store.mirror import dirty_customers

# The setting that tells which change of the rules is not derived for everybody yet.
ADOPTING = "adopting"
# Raise it when a rule of the derivation changes: every ledger is then derived anew.
DERIVATION = "2"


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
        return "this version derives some histories differently"
    was, now = json.loads(before), json.loads(wanted)
    return "policy change: " + ", ".join(differences(was, now))


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
