"""What may stand in the way of a sync: a check each, and what to do about it.

A check looks at the installation and judges what it sees. What could not be learned
because something else failed, or before the first sync, is for later, and counts as
nothing. No secret is told: a key is its kind and its last characters.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from connector.config import Config
from connector.core.account import USE_ITS_OWN
from connector.core.errors import ConnectorError, StripeRefused
from connector.core.language import message
from connector.pipeline import policy_change
from connector.pipeline.doctor import ledger_checks
from connector.pipeline.doctor.installation import (
    KINDS,
    Installation,
    NotChecked,
    Opened,
    Verdict,
    after,
    fault,
    hint,
    lasting,
    ok,
    value_of,
)
from connector.stripe_api.credentials import shown
from connector.stripe_api.decoding import StripeAccount

# What this program, httpx and OpenSSL look at, httpx's also in lower case.
NETWORK = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
VARIABLES = (
    *("STRIPE_API_KEY", "STRIPE_API_KEY_FILE", "STRIPE_API_BASE"),
    *(*NETWORK, *map(str.lower, NETWORK)),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
ON_THE_DASHBOARD = "in Stripe's Dashboard, under Developers, API keys"
# From here on the signatures of webhooks are refused as too old or too new.
SKEW_FAULT_US = 300 * 1_000_000
# The days from Stripe's first year to 2037, as far as zones are written out.
FIRST_NOON, DAYS = datetime(2011, 1, 1, 12, tzinfo=UTC), 9_862


def examine(at: Installation) -> dict[str, Verdict]:
    """Every check, whatever the others found, in the order in which they depend."""
    return {name: _verdict(check, at) for name, check in CHECKS.items()}


def _verdict(check: Callable[[Installation], Verdict], at: Installation) -> Verdict:
    try:
        return check(at)
    except NotChecked as reason:
        return Verdict("later", f"not checked: {reason.why}", reason.fix)
    except ConnectorError as error:
        return fault(error.problem, error.fix)


def configuration(at: Installation) -> Verdict:
    source = value_of(at.config).source
    if source is None:
        return ok("there is no file, so every setting has its default")
    return ok(f"{source} is in use")


def environment(at: Installation) -> Verdict:
    """The names of those that are set; never what is in them."""
    names = ", ".join(name for name in VARIABLES if at.environ.get(name))
    return ok(
        f"these are set: {names}" if names else "nothing is set that matters here"
    )


# --- the key ---

MAKE_ONE = f"make a restricted key that may only read, {ON_THE_DASHBOARD}"
KEY_KINDS = {
    "rk": ok("{key} is a restricted key"),
    "sk": hint(
        "{key} is a secret key: it works, but whoever has it may do everything",
        MAKE_ONE,
    ),
    "sk_org": ok("{key} is an organization's key"),
    "pk": fault("{key} is a publishable key, and may read nothing", MAKE_ONE),
    "whsec": fault("{key} is a webhook's secret and no API key", MAKE_ONE),
    "": hint(
        "{key} does not begin like a key of Stripe's (rk_live_, rk_test_)",
        "if Stripe refuses it, copy it again",
    ),
}
KEY_MODES = {
    "live": ok("it is a live key"),
    "test": hint(
        "it is a test key: figures will be the sandbox's, not the business's",
        "for the business's own, set a live key, and a `database` of its own",
    ),
    "": hint("it does not say whether it is live or test", "see “key”"),
}


def _kind_and_mode(key: str) -> tuple[str, str]:
    match = re.match(r"(sk_org|sk|rk|pk|whsec)_(?:(live|test)_)?", key)
    return (match[1], match[2] or "") if match else ("", "")


def key_kind(at: Installation) -> Verdict:
    key = value_of(at.key)
    kind, _ = _kind_and_mode(key)
    verdict = KEY_KINDS[kind]
    return verdict._replace(said=verdict.said.format(key=shown(key)))


def key_mode(at: Installation) -> Verdict:
    _, mode = _kind_and_mode(value_of(at.key, "key"))
    return KEY_MODES[mode]


def key_file(at: Installation) -> Verdict:
    value_of(at.key, "key")
    file = at.config.key_file if isinstance(at.config, Config) else None
    shell_name = str(file)
    if file is None:
        if at.environ.get("STRIPE_API_KEY", "").strip():
            return ok("none: the key is in STRIPE_API_KEY itself")
        shell_name = "$STRIPE_API_KEY_FILE"
        file = Path(at.environ["STRIPE_API_KEY_FILE"]).expanduser()
    file_mode = file.stat().st_mode & 0o777
    if file_mode & 0o077:
        return hint(
            f"others than its owner may open it (mode {file_mode:04o})",
            f'run `chmod 600 "{shell_name}"`',
        )
    return ok("only its owner may open it")


# --- Stripe ---


def stripe(at: Installation) -> Verdict:
    refusal = value_of(at.stripe).refusal
    if refusal is not None:
        raise refusal
    return ok("it answers, and knows the key")


def permissions(at: Installation) -> Verdict:
    _, missing, refusal, _ = value_of(at.stripe, "Stripe")
    if missing:
        lacking = f"{len(missing)} of {len(KINDS)} read permissions"
        return fault(
            f"the key lacks {lacking}: {', '.join(missing)}",
            f"edit the key {ON_THE_DASHBOARD}, and give it each of these",
        )
    if refusal is not None:
        raise after("Stripe") from refusal
    return ok(f"the key has all {len(KINDS)} that are needed")


def clock(at: Installation) -> Verdict:
    skew_us = value_of(at.stripe, "Stripe").api.clock.skew_us
    if skew_us is None:
        raise NotChecked("no good answer came with a date", "see “Stripe”")
    if skew_us == 0:
        return ok("it agrees with Stripe's")
    by = lasting(abs(skew_us))
    said = (
        f"this machine's is {by} behind Stripe's"
        if skew_us > 0
        else f"this machine's is {by} ahead of Stripe's"
    )
    fix = "let the system keep its clock right, such as by `timedatectl set-ntp true`"
    return fault(said, fix) if abs(skew_us) > SKEW_FAULT_US else hint(said, fix)


def version(at: Installation) -> Verdict:
    answered = value_of(at.stripe, "Stripe").api.answered_version
    from connector.stripe_api.http import api_version

    pinned = api_version()
    asked = f"{pinned} was asked for"
    if answered is None:
        return hint(
            f"{asked}, and the answer does not say which one it is",
            "if a proxy stands between, let the header Stripe-Version pass",
        )
    if answered != pinned:
        return fault(
            f"{asked}, but {answered} answered",
            "upgrade with `pip install --upgrade stripe-nrr`",
        )
    return ok(f"{pinned}, as asked for")


def _is_hidden(account: object) -> bool:
    return isinstance(account, StripeRefused) and account.status in (403, 404)


def _shown(account: Opened[StripeAccount]) -> StripeAccount:
    """One of which nothing is known where the key may not read it."""
    return StripeAccount() if _is_hidden(account) else value_of(account)


def account(at: Installation) -> Verdict:
    """Whose the key is, and whether the ledger is the same one's."""
    reads = value_of(at.stripe, "Stripe")
    if isinstance(reads.account, ConnectorError) and not _is_hidden(reads.account):
        return hint(f"not checked: {reads.account.problem}", reads.account.fix)
    key = reads.api.identity_of(_shown(reads.account))
    said = f"the key is of {key.shown}"
    ledger = ledger_checks.account_of(at)
    if ledger is None:
        return ok(f"{said}; the ledger does not say yet whose it is")
    if key.is_other(ledger):
        return fault(f"{said}, and the ledger of {ledger.shown}", USE_ITS_OWN)
    if key.id is None or ledger.id is None:
        return ok(f"{said}; the mode alone is compared, and is the ledger's")
    return ok(f"{said}, and so is the ledger")


def time_zone(at: Installation) -> Verdict:
    named = value_of(at.config, "configuration").zone
    account = value_of(at.stripe, "Stripe").account
    is_hidden = _is_hidden(account)
    if isinstance(account, ConnectorError) and not is_hidden:
        raise after("account") from account
    found = _shown(account)
    zone = named or ledger_checks.zone_of(at)
    if zone is None:
        own = policy_change.zone_of(found).key
        return ok(f"none is configured; the first sync takes the account's own, {own}")
    whose = "`timezone`" if named else "the ledger's"
    ours = f"{whose} is {zone.key}"
    return _compared(found.timezone, zone, ours, is_hidden=is_hidden)


def _compared(
    shown: str | None, zone: ZoneInfo, ours: str, *, is_hidden: bool
) -> Verdict:
    """The account's zone and ours, as a sentence names it."""
    if shown is None:
        why = "Stripe does not show the account's"
        if is_hidden:
            why = "not compared: the key may not read the account, and need not"
        place = "the account's stands in the settings of Stripe's Dashboard"
        return hint(why, f"compare it by hand: {ours}, {place}")
    if not _agree(shown, zone):
        return fault(
            f"the account's is {shown}, but {ours}",
            f'set timezone = "{shown}" in config.toml, then run `stripe-nrr recompute` '
            "if there is a ledger",
        )
    if shown == zone.key:
        return ok(f"the account's is {shown}")
    return ok(f"the account's is {shown}, whose days are those of {zone.key}")


def _agree(shown: str, zone: ZoneInfo) -> bool:
    try:
        return shown == zone.key or same_days(ZoneInfo(shown), zone)
    except (ValueError, KeyError, OSError):  # what ZoneInfo does not know
        return False


def same_days(one: tzinfo, other: tzinfo) -> bool:
    """Whether two zones share all their days, as one zone by two names does."""
    noons = (FIRST_NOON + timedelta(days=n) for n in range(DAYS))
    return all(
        noon.astimezone(one).utcoffset() == noon.astimezone(other).utcoffset()
        for noon in noons
    )


CHECKS: Mapping[str, Callable[[Installation], Verdict]] = {
    message("configuration"): configuration,
    message("environment"): environment,
    message("SQLite"): ledger_checks.sqlite,
    message("key"): key_kind,
    message("key mode"): key_mode,
    message("key file"): key_file,
    message("Stripe"): stripe,
    message("permissions"): permissions,
    message("clock"): clock,
    message("API version"): version,
    message("account"): account,
    message("time zone"): time_zone,
    message("folder"): ledger_checks.folder,
    message("disk"): ledger_checks.disk,
    message("ledger"): ledger_checks.ledger,
    message("schema"): ledger_checks.schema,
    message("integrity"): ledger_checks.integrity,
    message("lock"): ledger_checks.lock,
    message("last sync"): ledger_checks.last_sync,
    message("unfinished sync"): ledger_checks.unfinished_sync,
    message("customers waiting"): ledger_checks.customers_waiting,
}
