"""From the inbox to the ledger: fetch what events name, once each, and derive who changed.

An event is done once its objects are in the mirror and its customers are derived; until
then it stays. So a crash at any instant costs work, never a change: the mirror keeps the
newest copy, and settling the ledger twice is settling it once.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from msgspec import Struct, field

from connector.core.errors import (
    NotStripe,
    RulesDiffer,
    Stopped,
    StripeRefused,
    StripeUnavailable,
)
from connector.core.policy import Rules
from connector.pipeline.ingest import Ingest
from connector.pipeline.policy_change import check_rules, is_adopting
from connector.pipeline.quarantine import EVERYBODYS, in_words
from connector.pipeline.recompute import SharedCatalogue, recompute
from connector.pipeline.refresh import CLOCK_S, refresh
from connector.store import inbox
from connector.store.database import replaced, transaction
from connector.store.inbox import WaitingEvent
from connector.store.mirror import dirty_customers, event_feed, unfit_objects
from connector.store.mirror.objects import TABLES
from connector.stripe_api.events import NamedObject

log = logging.getLogger(__name__)

# Enough that lists of 100 pay, few enough that nobody waits for long.
BATCH = 250


class EventBatch(Struct, frozen=True, kw_only=True):
    """What a batch needs.

    ``ingest`` brings objects into the mirror behind a connection; ``count`` is told each
    event's type and outcome, ``timed`` the seconds of a derivation. ``spent`` says how
    many requests were made since it was last asked.
    """

    ingest: Callable[[sqlite3.Connection], Ingest]
    now_us: Callable[[], int]
    count: Callable[[str, str], None] = lambda _type, _outcome: None
    timed: Callable[[float], None] = lambda _seconds: None
    shared: SharedCatalogue = field(default_factory=SharedCatalogue)
    spent: Callable[[], int] = lambda: 0


class _Found(Struct):
    """What became of the names of a batch; a name in none of these was not asked for.

    ``owners`` are of what was fetched and kept; of the ``absent`` Stripe did not answer.
    """

    owners: dict[NamedObject, set[str]] = field(default_factory=dict)
    wrong: dict[NamedObject, str] = field(default_factory=dict)
    absent: dict[NamedObject, str] = field(default_factory=dict)


def hindrance(connection: sqlite3.Connection, rules: Rules) -> str | None:
    """Why events must wait, in words; None where nothing is in the way.

    Before the first complete walk every history is half a history. Under other rules
    than the ledger's nobody may derive. A ledger that was replaced is another's.
    """
    if (why := replaced(connection)) is not None:
        return why
    if event_feed.last_synced_us(connection) is None:
        return "no sync has finished yet: run `stripe-nrr sync`"
    try:
        check_rules(connection, rules)
    except RulesDiffer as error:
        return f"{error.problem}: {error.fix}"
    if is_adopting(connection):
        return "a change of policy is not derived yet: run `stripe-nrr sync`"
    return None


def apply_events(connection: sqlite3.Connection, rules: Rules, work: EventBatch) -> int:
    """Take a batch from the inbox to the ledger; return how many events it had.

    Raises ``RulesDiffer`` where the rules have changed meanwhile: the batch stays.
    """
    events = inbox.due(connection, work.now_us(), BATCH)
    if not events:
        return 0
    met = _fetched(connection, events, work)
    met.wrong |= _set_aside(connection, met.owners)
    began_s = time.monotonic()
    owners = set().union(*met.owners.values())
    underivable = _derived(connection, rules, owners, work)
    if owners:
        work.timed(time.monotonic() - began_s)
    outcomes = [(event, _outcome(event, met, underivable)) for event in events]
    _settled(connection, outcomes, work)
    return len(events)


def _fetched(
    connection: sqlite3.Connection, events: Iterable[WaitingEvent], work: EventBatch
) -> _Found:
    """Each object once, however many events name it, into the mirror.

    All together, or apart where together they fail, so that one holds up no other. Where
    Stripe does not answer, the rest is left for the next batch.
    """
    ingest = work.ingest(connection)
    names = list(dict.fromkeys(name for event in events for name in event.names))
    newest_us = max((event.received_us for event in events), default=0)
    latest_us = ingest.now_us() - (work.now_us() - newest_us)
    met = _Found()
    _fetch(ingest, names, latest_us // 1_000_000 + CLOCK_S, met)
    return met


def _fetch(
    ingest: Ingest, names: Sequence[NamedObject], until_s: int, met: _Found
) -> bool:
    """Together or, where that fails, in halves; whether others may be asked for.

    Where Stripe is away that is tried with one after the other at once: each try is long.
    """
    try:
        met.owners |= _refreshed(ingest, names, until_s)
    except Stopped:
        return False
    except EVERYBODYS:
        raise
    except Exception as error:  # noqa: BLE001 - told of whom it is, below
        if len(names) == 1:
            return _goes_on(met, names[0], error)
        log.warning("apply_events.apart names=%d %s", len(names), error)
        size = 1 if isinstance(error, StripeUnavailable) else -(-len(names) // 2)
        parts = (names[at : at + size] for at in range(0, len(names), size))
        return all(_fetch(ingest, part, until_s, met) for part in parts)
    return True


def _goes_on(met: _Found, name: NamedObject, error: Exception) -> bool:
    """Note why this one could not be had; whether others may be asked for."""
    if isinstance(error, StripeUnavailable):
        is_away = bool(met.absent)  # a second one: it is Stripe, not the object
        met.absent[name] = error.problem
        return not is_away or isinstance(error, NotStripe)  # which may dislike a name
    if isinstance(error, StripeRefused) and error.status == 401:
        met.absent[name] = error.problem  # the key's fault, not the event's
        return False
    met.wrong[name] = in_words(error)
    return True


def _set_aside(
    connection: sqlite3.Connection, names: Iterable[NamedObject]
) -> dict[NamedObject, str]:
    """Which of these do not fit, and why: they are asked for again, as they may by then."""
    whys = {n: unfit_objects.why(connection, TABLES[n.kind], n.id) for n in names}
    return {name: why for name, why in whys.items() if why is not None}


def _refreshed(
    ingest: Ingest, names: Sequence[NamedObject], until_s: int
) -> dict[NamedObject, set[str]]:
    """Bring these objects up to date; return the customers each concerns, or concerned."""
    connection = ingest.connection

    def concerned() -> list[set[str]]:
        return [
            dirty_customers.concerned(connection, TABLES[n.kind], n.id) for n in names
        ]

    before = concerned()
    refresh(ingest, names, until_s)
    return {
        name: was | now
        for name, was, now in zip(names, before, concerned(), strict=True)
    }


def _derived(
    connection: sqlite3.Connection, rules: Rules, customers: set[str], work: EventBatch
) -> Mapping[str, str]:
    """Derive who is marked of them; return who could not be, and why.

    All together, or where that fails in a way that nobody foresaw, one by one.
    """
    now = _utc(work.now_us())
    derive = partial(
        recompute, connection, rules, cause="webhook", now=now, shared=work.shared
    )
    try:
        failed = derive(only=customers).failed
    except EVERYBODYS:
        raise
    except Exception as error:
        log.exception("apply_events.underivable customers=%d", len(customers))
        if len(customers) == 1:
            return dict.fromkeys(customers, in_words(error))
        each_alone = [_derived(connection, rules, {one}, work) for one in customers]
        return {who: why for failed in each_alone for who, why in failed.items()}
    return {
        customer: f"{each}: {failed[each]}"
        for customer in customers
        for each in work.shared.companies(connection, rules).affected([customer])
        if each in failed
    }


def _utc(now_us: int) -> datetime:
    return datetime.fromtimestamp(now_us / 1_000_000, tz=UTC)


class _EventOutcome(NamedTuple):
    kind: str  # done, failed, postponed; "" where it was not its turn
    error: str = ""


def _outcome(
    event: WaitingEvent, met: _Found, underivable: Mapping[str, str]
) -> _EventOutcome:
    for name in event.names:
        if name in met.wrong:
            return _EventOutcome("failed", met.wrong[name])
    for name in event.names:
        if name in met.absent:
            return _EventOutcome("postponed", met.absent[name])
    if any(name not in met.owners for name in event.names):
        return _EventOutcome("")
    owners = {owner for name in event.names for owner in met.owners[name]}
    for owner in sorted(owners & underivable.keys()):
        return _EventOutcome("failed", underivable[owner])
    return _EventOutcome("done")


def _settled(
    connection: sqlite3.Connection,
    outcomes: Iterable[tuple[WaitingEvent, _EventOutcome]],
    work: EventBatch,
) -> None:
    """Write down what became of each event, and what it cost."""
    now_us = work.now_us()
    said_of = []
    with transaction(connection):
        event_feed.count_reads(connection, _utc(now_us).date(), work.spent())
        for event, (kind, error) in outcomes:
            said = kind
            if kind == "done":
                inbox.done(connection, event, now_us)
            elif kind == "postponed":
                inbox.put_off(connection, event, error, now_us)
            elif kind == "failed" and inbox.failed(connection, event, error, now_us):
                said = "dead"
            said_of.append((event, said, error))
    for event, said, error in said_of:
        if said:
            work.count(event.type, said)
        if error:
            log.warning("apply_events.%s stripe_event=%s %s", said, event.event, error)
