"""The worker: walk the account into the mirror, catch up on what changed meanwhile.

Pages come in as an argument. A page and its cursor are stored together, and no
transaction is open while Stripe is asked; so it may stop anywhere and go on later.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from connector import mirror, walks
from connector.database import transaction
from connector.errors import StripeRefused, UnknownStripeShape
from connector.listings import LISTINGS
from connector.stripe_objects import Base, Customer, StripeEvent, labelled, trimmed
from connector.walks import Cursor, Walk

log = logging.getLogger(__name__)

# Where each listing's objects are kept.
TABLES = {
    "products": "products",
    "prices": "prices",
    "archived prices": "prices",
    "coupons": "coupons",
    "customers": "customers",
    "subscriptions": "subscriptions",
    "invoices": "invoices",
    "invoice items": "invoice_items",
    "events": "events",
}
# Objects were seen to become visible some time after their creation.
OVERLAP_S = 600
# Stripe keeps events for 30 days. A walk taken up again later could not learn what has
# changed since it began; a day is left for the walk itself.
RESUMABLE_US = 29 * 86_400 * 1_000_000
# What is asked for again when a walk is taken up; these can be asked for by creation.
_NEWEST = (
    "prices",
    "customers",
    "subscriptions",
    "invoices",
    "invoice items",
    "events",
)
# Which objects an event may have left out of date.
_EVENT_KINDS = {
    "customer.subscription.": "subscriptions",
    "invoice.": "invoices",
    "customer.discount.": "",
    "invoiceitem.": "invoice items",
    "customer.": "customers",
}


class Page(Protocol):
    @property
    def data(self) -> Sequence[Any]: ...
    @property
    def has_more(self) -> bool: ...
    @property
    def asked_us(self) -> int: ...


class Source(Protocol):
    """Where pages come from: ``StripeApi``, or a test's."""

    def pages(
        self, kind: str, after: str | None = None, extra: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Page]: ...

    def one(self, kind: str, key: str) -> tuple[Any, int] | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What may be stored of a customer: which label, which metadata."""

    label: str = "name"
    metadata_keys: tuple[str, ...] = ()


@dataclass(slots=True)
class Synced:
    """What a run met. ``unreadable`` names events that could not be read."""

    seen: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    resumed: bool = False
    unreadable: list[str] = field(default_factory=list)


Progress = Callable[[str, int], None]


def full_walk(
    connection: sqlite3.Connection,
    source: Source,
    keeping: Keeping,
    *,
    now_us: Callable[[], int],
    progress: Progress = lambda _kind, _seen: None,
) -> Synced:
    """Copy the whole account, going on where an interrupted walk stopped.

    ``progress`` is told how many objects of a kind have been seen, after each page.
    """
    walk = walks.unfinished_walk(connection)
    if walk is not None and now_us() - walk.started_us > RESUMABLE_US:
        log.warning("sync.walk_too_old started_us=%d", walk.started_us)
        with transaction(connection):
            walks.abandon_walk(connection, walk)
        walk = None
    result = Synced(resumed=walk is not None)
    if walk is None:
        with transaction(connection):
            walk = walks.begin_walk(connection, now_us())
    for kind in LISTINGS:
        _walk_kind(connection, source, keeping, walk, kind, result, progress)
    if result.resumed:
        _look_at_the_newest(connection, source, keeping, walk, result)
    _catch_up(connection, source, keeping, walk, result)
    with transaction(connection):
        mirror.drop_unseen(connection, "invoice_items", walk.started_us)
        walks.finish_walk(connection, walk, now_us())
    return result


def _walk_kind(
    connection: sqlite3.Connection,
    source: Source,
    keeping: Keeping,
    walk: Walk,
    kind: str,
    result: Synced,
    progress: Progress,
) -> None:
    reached = walks.cursor(connection, walk, kind)
    result.seen.setdefault(kind, 0)
    if reached.done:
        return
    for page in _from(connection, source, walk, kind, reached):
        stored = list(_stored(page.data, keeping, result))
        after = page.data[-1].id if page.data else reached.after
        with transaction(connection):
            result.changed += mirror.put(
                connection, TABLES[kind], stored, page.asked_us
            )
            cursor = Cursor(after, done=not page.has_more)
            walks.set_cursor(connection, walk, kind, cursor)
        result.seen[kind] += len(page.data)
        log.debug("sync.page kind=%s seen=%d after=%s", kind, result.seen[kind], after)
        progress(kind, result.seen[kind])


def _from(
    connection: sqlite3.Connection,
    source: Source,
    walk: Walk,
    kind: str,
    reached: Cursor,
) -> Iterator[Page]:
    """The pages after the cursor; all of them where its object has vanished."""
    try:
        yield from source.pages(kind, reached.after)
    except StripeRefused as error:
        if error.code != "resource_missing":
            raise
        log.warning("sync.cursor_gone kind=%s after=%s", kind, reached.after)
        with transaction(connection):
            walks.set_cursor(connection, walk, kind, Cursor(None, done=False))
        yield from source.pages(kind)


def _look_at_the_newest(
    connection: sqlite3.Connection,
    source: Source,
    keeping: Keeping,
    walk: Walk,
    result: Synced,
) -> None:
    """Fetch what was created after a walk began: it stands before the cursor."""
    since_s = walk.started_us // 1_000_000 - OVERLAP_S
    for kind in _NEWEST:
        for page in source.pages(kind, extra=[("created[gte]", str(since_s))]):
            stored = list(_stored(page.data, keeping, result))
            with transaction(connection):
                result.changed += mirror.put(
                    connection, TABLES[kind], stored, page.asked_us
                )


def _catch_up(
    connection: sqlite3.Connection,
    source: Source,
    keeping: Keeping,
    walk: Walk,
    result: Synced,
) -> None:
    """Fetch anew, once each, what events name that is newer than our copy.

    An event is a hint: the object is fetched at the pinned version.
    """
    since_s = walk.started_us // 1_000_000 - OVERLAP_S
    newest: dict[tuple[str, str], int] = {}
    for kind, key, at_s in mirror.touched_since(connection, since_s, _kind_of):
        newest[kind, key] = max(at_s, newest.get((kind, key), 0))
    for (kind, key), at_s in sorted(newest.items()):
        if mirror.fetched_us(connection, TABLES[kind], key) // 1_000_000 > at_s:
            continue
        found = source.one(kind, key)
        if found is None:
            if kind == "invoice items":  # all else keeps its worth as evidence
                with transaction(connection):
                    mirror.drop(connection, TABLES[kind], key)
            continue
        thing, asked_us = found
        stored = list(_stored([thing], keeping, result))
        with transaction(connection):
            result.changed += mirror.put(connection, TABLES[kind], stored, asked_us)


def _kind_of(event_type: str) -> str:
    for prefix, kind in _EVENT_KINDS.items():
        if event_type.startswith(prefix):
            return kind
    return ""


def _stored(things: Iterable[Any], keeping: Keeping, result: Synced) -> Iterator[Base]:
    """The objects as the mirror keeps them."""
    for thing in things:
        if isinstance(thing, Customer):
            yield labelled(thing, keeping.label, keeping.metadata_keys)
        elif isinstance(thing, StripeEvent):
            try:
                yield trimmed(thing)
            except (UnknownStripeShape, msgspec.DecodeError):
                result.unreadable.append(thing.id)
        else:
            yield thing
