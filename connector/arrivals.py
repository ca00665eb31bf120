"""From the inbox to the ledger: fetch what events name, once each, and derive who changed.

An event is done once its objects are in the mirror and its customers are derived; until
then it stays. So a crash at any instant costs work, never a change: the mirror keeps the
newest copy, and settling the ledger twice is settling it once.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec

from connector import inbox, mirror, walks
from connector.database import transaction
from connector.errors import (
    ConnectorError,
    RulesDiffer,
    StripeRefused,
    StripeUnavailable,
    UnknownStripeShape,
)
from connector.inbox import Waiting
from connector.recompute import check_rules, recompute
from connector.rules import Rules
from connector.stripe_objects import Base, Customer, StripeEvent, labelled, trimmed
from connector.sync import TABLES, Keeping

log = logging.getLogger(__name__)

BATCH = 100
# What an object or a history that nobody foresaw can raise, here or in the derivation.
POISON = (
    ConnectorError,
    msgspec.MsgspecError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    sqlite3.IntegrityError,
)
Name = tuple[str, str]  # a kind in LISTINGS, and an id


class Stopping(Exception):
    """Raised by the source's wait when the process is to end."""


class Source(Protocol):
    """Where objects come from: ``StripeApi``, or a test's."""

    def one(self, kind: str, key: str) -> tuple[Any, int] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a batch needs.

    ``count`` is told each event's type and outcome, ``timed`` the seconds of a derivation.
    """

    source: Source
    keeping: Keeping
    now_us: Callable[[], int]
    stopping: Callable[[], bool] = lambda: False
    count: Callable[[str, str], None] = lambda _type, _outcome: None
    timed: Callable[[float], None] = lambda _seconds: None


@dataclass(slots=True)
class _Met:
    """What became of the names of a batch; a name in none of these was not asked for."""

    owners: dict[Name, set[str]] = field(default_factory=dict)  # fetched, and kept
    wrong: dict[Name, str] = field(default_factory=dict)
    absent: dict[Name, str] = field(default_factory=dict)  # Stripe did not answer


def hindrance(connection: sqlite3.Connection, rules: Rules) -> str | None:
    """Why events must wait, in words; None where nothing is in the way.

    Before the first complete walk every history is half a history. Under other rules
    than the ledger's nobody may derive.
    """
    if walks.last_synced_us(connection) is None:
        return "no sync has finished yet: run `stripe-nrr sync`"
    try:
        check_rules(connection, rules)
    except RulesDiffer as error:
        return f"{error.problem}: {error.fix}"
    return None


def work_off(connection: sqlite3.Connection, rules: Rules, work: Work) -> int:
    """Take a batch from the inbox to the ledger; return how many events it had.

    Raises ``RulesDiffer`` where the rules have changed meanwhile: the batch stays.
    """
    events = inbox.due(connection, work.now_us(), BATCH)
    if not events:
        return 0
    met = _fetched(connection, events, work)
    began_s = time.monotonic()
    owners = set().union(*met.owners.values())
    underivable = _derived(connection, rules, owners, work.now_us())
    if owners:
        work.timed(time.monotonic() - began_s)
    outcomes = [(event, _outcome(event, met, underivable)) for event in events]
    _settled(connection, outcomes, work)
    return len(events)


def _fetched(
    connection: sqlite3.Connection, events: Iterable[Waiting], work: Work
) -> _Met:
    """Each object once, however many events name it, into the mirror.

    Where Stripe does not answer, the rest is left for the next batch: what could not be
    had stands behind it then.
    """
    met = _Met()
    for name in dict.fromkeys(name for event in events for name in event.names):
        if work.stopping():
            break
        try:
            met.owners[name] = _refreshed(connection, name, work)
        except Stopping:
            break
        except StripeUnavailable as error:
            met.absent[name] = error.problem
            break
        except POISON as error:
            if isinstance(error, StripeRefused) and error.status == 401:
                met.absent[name] = error.problem  # the key's fault, not the event's
                break
            met.wrong[name] = _told(error)
    return met


def _refreshed(connection: sqlite3.Connection, name: Name, work: Work) -> set[str]:
    """Bring one object of the mirror up to date; return the customers it concerns."""
    kind, key = name
    table = TABLES[kind]
    found = work.source.one(kind, key)
    with transaction(connection):
        if found is None:
            if table != "invoice_items":  # all else keeps its worth as evidence
                return set()
            owner = mirror.owner(connection, table, key)
            mirror.drop(connection, table, key)
            return {owner} if owner else set()
        things, asked_us = list(_as_kept(found[0], work.keeping)), found[1]
        mirror.put(connection, table, things, asked_us)
        return mirror.touched(connection, table, things)


def _as_kept(thing: Any, keeping: Keeping) -> Iterator[Base]:
    """The object as the mirror keeps it; nothing of an event in a shape of long ago."""
    if isinstance(thing, Customer):
        yield labelled(thing, keeping.label, keeping.metadata_keys)
    elif isinstance(thing, StripeEvent):
        try:
            yield trimmed(thing)
        except (UnknownStripeShape, msgspec.DecodeError):
            log.warning("arrivals.unreadable event=%s", thing.id)
    else:
        yield thing


def _derived(
    connection: sqlite3.Connection, rules: Rules, customers: set[str], now_us: int
) -> Mapping[str, str]:
    """Derive who is marked of them; return who could not be, and why.

    One after the other where together they fail, so that one holds up no other.
    """

    def derive(some: Iterable[str]) -> None:
        now = datetime.fromtimestamp(now_us / 1_000_000, tz=UTC)
        recompute(connection, rules, cause="webhook", now=now, only=some)

    try:
        derive(customers)
    except RulesDiffer:
        raise
    except POISON:
        log.warning("arrivals.one_by_one customers=%d", len(customers))
    else:
        return {}
    failed = {}
    for customer in sorted(customers):
        try:
            derive([customer])
        except RulesDiffer:
            raise
        except POISON as error:
            failed[customer] = f"{customer}: {_told(error)}"
    return failed


def _told(error: Exception) -> str:
    if isinstance(error, ConnectorError):
        return f"{error.problem}; {error.fix}"
    return f"{type(error).__name__}: {error}"


class _Outcome(NamedTuple):
    kind: str  # done, failed, postponed; "" where it was not its turn
    error: str = ""


def _outcome(event: Waiting, met: _Met, underivable: Mapping[str, str]) -> _Outcome:
    for name in event.names:
        if name in met.wrong:
            return _Outcome("failed", met.wrong[name])
    for name in event.names:
        if name in met.absent:
            return _Outcome("postponed", met.absent[name])
    if any(name not in met.owners for name in event.names):
        return _Outcome("")
    owners = {owner for name in event.names for owner in met.owners[name]}
    for owner in sorted(owners & underivable.keys()):
        return _Outcome("failed", underivable[owner])
    return _Outcome("done")


def _settled(
    connection: sqlite3.Connection,
    outcomes: Iterable[tuple[Waiting, _Outcome]],
    work: Work,
) -> None:
    """Write down what became of each event."""
    now_us = work.now_us()
    told = []
    with transaction(connection):
        for event, (kind, error) in outcomes:
            said = kind
            if kind == "done":
                inbox.done(connection, event, now_us)
            elif kind == "postponed":
                inbox.put_off(connection, event, error, now_us)
            elif kind == "failed" and inbox.failed(connection, event, error, now_us):
                said = "dead"
            told.append((event, said, error))
    for event, said, error in told:
        if said:
            work.count(event.type, said)
        if error:
            log.warning("arrivals.%s event=%s %s", said, event.event, error)
