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
    work = _Work(connection, source, keeping, walk, result)
    for kind in LISTINGS:
        work.walk_through(kind, progress)
    if result.resumed:
        work.look_at_the_newest()
    work.catch_up()
    with transaction(connection):
        mirror.drop_unseen(connection, "invoice_items", walk.started_us)
        walks.finish_walk(connection, walk, now_us())
    return result


@dataclass(frozen=True, slots=True)
class _Work:
    """One run of a walk: where from, where to, and what it has met."""

    connection: sqlite3.Connection
    source: Source
    keeping: Keeping
    walk: Walk
    result: Synced

    @property
    def since_s(self) -> int:
        """From when on something may have changed behind the walk's back."""
        return self.walk.started_us // 1_000_000 - OVERLAP_S

    def keep(
        self,
        kind: str,
        things: Iterable[Any],
        asked_us: int,
        reached: Cursor | None = None,
    ) -> None:
        """Store objects, and the cursor that comes after them, in one transaction."""
        stored = list(_stored(things, self.keeping, self.result))
        with transaction(self.connection):
            self.result.changed += mirror.put(
                self.connection, TABLES[kind], stored, asked_us
            )
            if reached is not None:
                walks.set_cursor(self.connection, self.walk, kind, reached)

    def walk_through(self, kind: str, progress: Progress) -> None:
        """All objects of a kind, from where an earlier run stopped."""
        reached = walks.cursor(self.connection, self.walk, kind)
        seen = self.result.seen
        seen.setdefault(kind, 0)
        if reached.done:
            return
        for page in self._pages_after(kind, reached):
            after = page.data[-1].id if page.data else reached.after
            cursor = Cursor(after, done=not page.has_more)
            self.keep(kind, page.data, page.asked_us, cursor)
            seen[kind] += len(page.data)
            log.debug("sync.page kind=%s seen=%d after=%s", kind, seen[kind], after)
            progress(kind, seen[kind])

    def _pages_after(self, kind: str, reached: Cursor) -> Iterator[Page]:
        """The pages after the cursor; all of them where its object has vanished."""
        try:
            yield from self.source.pages(kind, reached.after)
        except StripeRefused as error:
            if error.code != "resource_missing":
                raise
            log.warning("sync.cursor_gone kind=%s after=%s", kind, reached.after)
            self.keep(kind, [], 0, Cursor(None, done=False))
            yield from self.source.pages(kind)

    def look_at_the_newest(self) -> None:
        """Fetch what was created after a walk began: it stands before the cursor."""
        for kind in _NEWEST:
            extra = [("created[gte]", str(self.since_s))]
            for page in self.source.pages(kind, extra=extra):
                self.keep(kind, page.data, page.asked_us)

    def catch_up(self) -> None:
        """Fetch anew, once each, what events name that is newer than our copy.

        An event is a hint: the object is fetched at the pinned version.
        """
        newest: dict[tuple[str, str], int] = {}
        touched = mirror.touched_since(self.connection, self.since_s, _kind_of)
        for kind, key, at_s in touched:
            newest[kind, key] = max(at_s, newest.get((kind, key), 0))
        for (kind, key), at_s in sorted(newest.items()):
            fetched_us = mirror.fetched_us(self.connection, TABLES[kind], key)
            if fetched_us // 1_000_000 <= at_s:
                self._fetch(kind, key)

    def _fetch(self, kind: str, key: str) -> None:
        found = self.source.one(kind, key)
        if found is not None:
            thing, asked_us = found
            self.keep(kind, [thing], asked_us)
        elif kind == "invoice items":  # all else keeps its worth as evidence
            with transaction(self.connection):
                mirror.drop(self.connection, TABLES[kind], key)


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
