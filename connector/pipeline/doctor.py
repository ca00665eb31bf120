"""What may stand in the way of a sync: a verdict for each fact, and what to do about it.

The command gathers the facts (``symptoms``); here each is judged for itself. What could
not be learned because something else failed says so, and counts as a hint.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeVar

from connector.pipeline.doctor_facts import (
    ConfigFacts,
    DiskFacts,
    Facts,
    KeyFacts,
    LedgerContents,
    LedgerFacts,
    NotChecked,
    StripeFacts,
    Trouble,
    after,
    lasting,
    sized,
)

T = TypeVar("T")

LEAST_FREE_BYTES = 200_000_000
SECOND_US = 1_000_000
# From here on the signatures of webhooks are refused as too old or too new.
SKEW_FAULT_US = 300 * SECOND_US
STALE_US = 2 * 86_400 * SECOND_US  # who syncs every night has missed one
ON_THE_DASHBOARD = "in Stripe's Dashboard, under Developers, API keys"
ELSEWHERE = "or set `database` in config.toml to another place"


class Verdict(NamedTuple):
    """``fix`` is empty where all is well, and only there."""

    mark: Literal["ok", "hint", "fault"]
    said: str
    fix: str = ""


class Check(NamedTuple):
    name: str
    verdict: Verdict


def ok(said: str) -> Verdict:
    return Verdict("ok", said)


def hint(said: str, fix: str) -> Verdict:
    return Verdict("hint", said, fix)


def fault(said: str, fix: str) -> Verdict:
    return Verdict("fault", said, fix)


def not_checked(reason: NotChecked) -> Verdict:
    return hint(f"not checked: {reason.why}", reason.fix)


def examine(facts: Facts) -> list[Check]:
    """Every check, whatever the others found, in the order in which they depend."""
    return [
        *_judged(facts.settings, {"configuration": _configuration}),
        *_judged(facts.variables, {"environment": _environment}),
        *_judged(facts.key, KEY),
        *_judged(facts.stripe, STRIPE),
        *_judged(facts.disk, DISK),
        *_judged(facts.ledger, LEDGER),
        *_judged(facts.contents, CONTENTS),
    ]


def _judged(
    known: T | Trouble | NotChecked, checks: Mapping[str, Callable[[T], Verdict]]
) -> Iterator[Check]:
    """The first check tells a trouble; those after it could not be made."""
    for name, judge in checks.items():
        if isinstance(known, Trouble):
            yield Check(name, fault(*known))
            known = after(name)
        elif isinstance(known, NotChecked):
            yield Check(name, not_checked(known))
        else:
            yield Check(name, judge(known))


def _configuration(settings: ConfigFacts) -> Verdict:
    if settings.source is None:
        return ok("there is no file, so every setting has its default")
    return ok(f"{settings.source} is in use")


def _environment(names: tuple[str, ...]) -> Verdict:
    return ok(
        f"set: {', '.join(names)}" if names else "nothing is set that matters here"
    )


# --- the key ---


def _kind(key: KeyFacts) -> Verdict:
    make = f"make a restricted key that may only read, {ON_THE_DASHBOARD}"
    match key.kind:
        case "rk":
            return ok(f"{key.shown} is a restricted key")
        case "sk":
            said = "is a secret key: it works, but whoever has it may do everything"
            return hint(f"{key.shown} {said}", make)
        case "pk":
            return fault(
                f"{key.shown} is a publishable key, and may read nothing", make
            )
        case "whsec":
            return fault(f"{key.shown} is a webhook's secret and no API key", make)
    return hint(
        f"{key.shown} does not begin like a key of Stripe's (rk_live_, rk_test_)",
        "if Stripe refuses it, copy it again",
    )


def _mode(key: KeyFacts) -> Verdict:
    if key.mode == "live":
        return ok("it is a live key")
    if key.mode == "test":
        return hint(
            "it is a test key: figures will be the sandbox's, not the business's",
            "for the business's own, set a live key, and a `database` of its own",
        )
    return hint("it does not say whether it is live or test", "see “key”")


def _key_file(key: KeyFacts) -> Verdict:
    if key.file_mode is None:
        return ok("none: the key is in STRIPE_API_KEY itself")
    if key.file_mode & 0o077:
        return hint(
            f"others than its owner may open it (mode {key.file_mode:04o})",
            'run `chmod 600 "$STRIPE_API_KEY_FILE"`',
        )
    return ok("only its owner may open it")


KEY: Mapping[str, Callable[[KeyFacts], Verdict]] = {
    "key": _kind,
    "key mode": _mode,
    "key file": _key_file,
}


# --- Stripe ---


def _answers(stripe: StripeFacts) -> Verdict:
    if stripe.trouble is not None:
        return fault(*stripe.trouble)
    return ok("it answers, and knows the key")


def _permissions(stripe: StripeFacts) -> Verdict:
    if stripe.missing:
        lacking = f"{len(stripe.missing)} of {stripe.needed} read permissions"
        return fault(
            f"the key lacks {lacking}: {', '.join(stripe.missing)}",
            f"edit the key {ON_THE_DASHBOARD}, and give it each of these",
        )
    if stripe.trouble is not None:
        return not_checked(after("Stripe"))
    return ok(f"the key has all {stripe.needed} that are needed")


def _clock(stripe: StripeFacts) -> Verdict:
    if stripe.skew_us is None:
        return not_checked(
            NotChecked("no good answer came with a date", "see “Stripe”")
        )
    if stripe.skew_us == 0:
        return ok("it agrees with Stripe's")
    way = "behind" if stripe.skew_us > 0 else "ahead of"
    said = f"this machine's is {lasting(abs(stripe.skew_us))} {way} Stripe's"
    fix = "let the system keep its clock right, such as by `timedatectl set-ntp true`"
    is_far = abs(stripe.skew_us) > SKEW_FAULT_US
    return fault(said, fix) if is_far else hint(said, fix)


def _version(stripe: StripeFacts) -> Verdict:
    asked = f"{stripe.pinned} was asked for"
    if stripe.answered is None:
        return hint(
            f"{asked}, and the answer does not say which one it is",
            "if a proxy stands between, let the header Stripe-Version pass",
        )
    if stripe.answered != stripe.pinned:
        return fault(
            f"{asked}, but {stripe.answered} answered",
            "upgrade with `pip install --upgrade stripe-nrr`",
        )
    return ok(f"{stripe.pinned}, as asked for")


def _zone(stripe: StripeFacts) -> Verdict:
    shown = stripe.account_zone
    by_hand = (
        f"compare it by hand: `timezone` is {stripe.zone}, the account's stands in "
    )
    by_hand += "the settings of Stripe's Dashboard"
    if isinstance(shown, NotChecked):
        return not_checked(NotChecked(shown.why, shown.fix or by_hand))
    if shown is None:
        return hint("Stripe does not show the account's", by_hand)
    if not stripe.zones_agree:
        return fault(
            f"the account's is {shown}, but `timezone` is {stripe.zone}",
            f'set timezone = "{shown}" in config.toml, then run `stripe-nrr recompute` '
            "if there is a ledger",
        )
    same = "" if shown == stripe.zone else f", whose days are those of {stripe.zone}"
    return ok(f"the account's is {shown}{same}")


STRIPE: Mapping[str, Callable[[StripeFacts], Verdict]] = {
    "Stripe": _answers,
    "permissions": _permissions,
    "clock": _clock,
    "API version": _version,
    "time zone": _zone,
}


# --- the disk, and the ledger on it ---


def _folder(disk: DiskFacts) -> Verdict:
    if disk.free_bytes is None:
        return fault(f"{disk.folder} does not exist", f"create it, {ELSEWHERE}")
    if not disk.is_writable:
        return fault(
            f"{disk.folder}, or the ledger in it, cannot be written",
            f"make it writable for this user, {ELSEWHERE}",
        )
    return ok(f"{disk.folder} can be written")


def _space(disk: DiskFacts) -> Verdict:
    if disk.free_bytes is None:
        return not_checked(after("folder"))
    wanted = max(2 * disk.ledger_bytes, LEAST_FREE_BYTES)
    free = f"{sized(disk.free_bytes)} free"
    if disk.free_bytes < wanted:
        return fault(f"only {free}", f"make room: {sized(wanted)} should be free")
    return ok(free)


DISK: Mapping[str, Callable[[DiskFacts], Verdict]] = {"folder": _folder, "disk": _space}


def _ledger(ledger: LedgerFacts) -> Verdict:
    if ledger.account == "demo":
        return hint(
            f"{ledger.path} holds the demo's account, which no sync may touch",
            "set `database` in config.toml to a file of its own",
        )
    return ok(f"{ledger.path} opens")


def _schema(ledger: LedgerFacts) -> Verdict:
    if ledger.pending:
        return hint(
            f"it lacks {', '.join(ledger.pending)}",
            "run `stripe-nrr sync`: whatever uses the ledger next adds it",
        )
    return ok("it is up to date")


def _integrity(ledger: LedgerFacts) -> Verdict:
    if ledger.damage:
        return fault(
            f"SQLite finds damage: {'; '.join(ledger.damage)}",
            "restore the file from a backup; or move it away and sync anew, which makes "
            "the figures again, but not what was reported before",
        )
    return ok("SQLite finds the file whole")


def _lock(ledger: LedgerFacts) -> Verdict:
    if isinstance(ledger.held_by, Trouble):
        return fault(*ledger.held_by)
    if ledger.held_by is not None:
        return ok(f"{ledger.held_by} is at work; a second one would exit with 75")
    return ok("no sync holds the ledger")


LEDGER: Mapping[str, Callable[[LedgerFacts], Verdict]] = {
    "ledger": _ledger,
    "schema": _schema,
    "integrity": _integrity,
    "lock": _lock,
}


def _last_sync(contents: LedgerContents) -> Verdict:
    if contents.synced_ago_us is None:
        return hint("none has come to its end yet", "run `stripe-nrr sync`")
    said = f"all is known until {lasting(contents.synced_ago_us)} ago"
    if contents.synced_ago_us > STALE_US:
        return hint(said, "run `stripe-nrr sync`, or see why its schedule does not")
    return ok(said)


def _unfinished(contents: LedgerContents) -> Verdict:
    if contents.walk_begun_ago_us is None:
        return ok("no sync was interrupted")
    begun = f"one began {lasting(contents.walk_begun_ago_us)} ago"
    if contents.is_syncing:
        return ok(f"{begun}, and is at work right now")
    fix = "run `stripe-nrr sync`: it goes on where that one stopped"
    return hint(f"{begun}, and was interrupted", fix)


def _waiting(contents: LedgerContents) -> Verdict:
    if not contents.waiting:
        return ok("no customer waits to be derived")
    said = f"{contents.waiting:,} to be derived"
    if contents.is_syncing:
        return ok(f"{said} by the sync that is at work")
    return hint(said, "run `stripe-nrr recompute`; the next sync does it too")


CONTENTS: Mapping[str, Callable[[LedgerContents], Verdict]] = {
    "last sync": _last_sync,
    "unfinished sync": _unfinished,
    "customers waiting": _waiting,
}
