"""Stripe's answers come in over many threads and are stored by one.

Where they come from is an argument. Pages are stored together with how far their ranges
have come, and no transaction waits for Stripe; so it may stop anywhere.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from msgspec import Struct, field

from connector.config import Config
from connector.pipeline.kept_objects import fitting, stored
from connector.pipeline.source import Found, ObjectSource, looked_up, page_after
from connector.pipeline.thread_pool import FinishedTask, ThreadPool, drive
from connector.store.database import transaction
from connector.store.mirror import freshness, objects, unfit_objects, walks
from connector.store.mirror.objects import TABLES
from connector.store.mirror.walks import Walk
from connector.stripe_api.decoding import ref
from connector.stripe_api.events import NamedObject
from connector.stripe_api.paging import ListPage, Lookup, Partition, worth_cutting
from connector.stripe_api.unfit import UnfitObject

log = logging.getLogger(__name__)


OF_EVENTS = "objects of events"


class SyncResult(Struct):
    """What a run met. ``mode`` is ``full`` or ``events``; ``why``, if it was not asked.

    ``seen`` counts objects by kind, each once, however many answers showed it.
    ``unreadable_events`` names events that could not be read, ``unreadable`` says why.
    """

    mode: str = "full"
    why: str = ""
    seen: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    resumed: bool = False
    unreadable_events: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def cannot_read(self, event: str, why: str) -> None:
        if event not in self.unreadable_events:
            self.unreadable_events.append(event)
            self.unreadable[event] = why


# Told a kind, how many objects of it were seen, and about how many there are.
Progress = Callable[[str, int, int | None], None]


def since_last(total: Callable[[], int]) -> Callable[[], int]:
    """What was added to a total since it was last asked for, by one thread."""
    before = total()

    def added() -> int:
        nonlocal before
        now = total()
        more, before = now - before, now
        return more

    return added


class Ingest(Struct, kw_only=True):
    """One run: where answers come from, where they go, and what was met.

    ``config`` says what may be stored of a customer. ``count_reads`` takes down what was
    asked for since it was last called, in the transaction that stores the answers.
    """

    connection: sqlite3.Connection
    source: ObjectSource
    threads: ThreadPool[Any]
    config: Config
    now_us: Callable[[], int]
    met: SyncResult = field(default_factory=SyncResult)
    progress: Progress = lambda _kind, _seen, _whole: None
    stopping: Callable[[], bool] = lambda: False
    count_reads: Callable[[], None] = lambda: None

    def keep(self, kind: str, things: Iterable[Any], asked_us: int) -> None:
        """Store objects as they may be kept; runs inside the caller's transaction."""
        table, met = TABLES[kind], self.met
        shown = [fitting(self.connection, thing) for thing in things]
        kept = list(stored(shown, self.config, met.cannot_read))
        met.changed += objects.put(self.connection, table, kept, asked_us)
        for thing in shown:
            if not isinstance(thing, UnfitObject):
                continue
            if table == "events":
                met.cannot_read(thing.id, f"{thing.field} is {thing.value}")
            else:
                log.warning(
                    "ingest.set_aside id=%s field=%s", thing.id[:60], thing.field
                )
                met.changed += unfit_objects.put(
                    self.connection, table, thing, asked_us
                )

    def read(self, ranges: list[Partition], walk: Walk | None = None) -> int:
        """Read lists to their end; return when the first of these requests began.

        Ranges of ``walk`` are kept, so that another run can go on with them.
        """
        reading = _Reading(self, ranges, walk)
        self._drive(reading.more, reading.store, reading.came)
        return reading.began_us

    @property
    def _drive(self) -> Callable[..., None]:
        return partial(drive, self.threads, self.stopping)

    def fetch(
        self, names: Iterable[NamedObject], lookups: Iterable[Lookup] = ()
    ) -> list[Any]:
        """Fetch each object and keep it; return those that are there.

        Those of the lookups are looked for in lists first, the rest asked for by itself.
        One that is gone keeps its last copy, as evidence; but a pending invoice item
        that is gone, or is on an invoice by now, is pending no more.
        """
        jobs = deque[tuple[Any, Callable[[], Any]]]()
        listed = set[NamedObject]()
        for each in lookups:
            jobs.append((each, partial(looked_up, self.source, each)))
            listed |= {NamedObject(each.kind, key) for key in each.created_s}
        one = self.source.one
        jobs += ((name, partial(one, *name)) for name in names if name not in listed)
        there: list[Any] = []

        def came(ended: Sequence[FinishedTask[Any]]) -> None:
            for about, pages, _ in ended:
                if isinstance(about, Lookup):
                    met = {ref(thing) for page in pages for thing in page.data}
                    rest = [key for key in about.created_s if key not in met]
                    jobs.extend(
                        (NamedObject(about.kind, key), partial(one, about.kind, key))
                        for key in rest
                    )

        def store(ended: Sequence[FinishedTask[Any]]) -> None:
            answers = list(chain.from_iterable(map(_answers, ended)))
            with transaction(self.connection):
                self.count_reads()
                there.extend(it for each in answers if (it := self._taken(*each)))
            seen = self.met.seen
            seen[OF_EVENTS] = seen.get(OF_EVENTS, 0) + len(answers)

        self._drive(lambda: jobs.popleft() if jobs else None, store, came)
        return there

    def _taken(self, name: NamedObject, found: Found) -> Any:
        """What was asked for by name, kept; None where it is not there any more."""
        thing, asked_us = found or (None, 0)
        waits = getattr(thing, "invoice", None) is None
        if name.kind == "invoice items" and not (thing and waits):
            objects.drop_pending(self.connection, name.id, self.now_us())
        elif thing is not None:
            self.keep(name.kind, [thing], asked_us)
            return thing
        else:
            table, now_us = TABLES[name.kind], self.now_us()
            unfit_objects.fits(self.connection, table, [name.id], now_us)
        return None

    def read_pending_of(self, customers: Iterable[str]) -> None:
        """Read these customers' pending invoice items anew; forget those that are not."""

        def pages_of(customer: str) -> list[ListPage]:
            extra = [("customer", customer)]
            return list(self.source.pages("invoice items", extra=extra))

        jobs = ((customer, partial(pages_of, customer)) for customer in customers)

        def store(ended: Sequence[FinishedTask[str]]) -> None:
            with transaction(self.connection):
                self.count_reads()
                for customer, pages, _ in ended:
                    for page in pages:
                        self.keep("invoice items", page.data, page.asked_us)
                    began_us = min(page.asked_us for page in pages)
                    objects.drop_unseen_pending(self.connection, began_us, customer)

        self._drive(partial(next, jobs, None), store)


class _Reading:
    """Some lists on their way in, cut into ranges as it pays."""

    def __init__(
        self, ingest: Ingest, ranges: list[Partition], walk: Walk | None
    ) -> None:
        self.ingest, self.ranges, self.walk = ingest, ranges, walk
        self.waiting = deque(each for each in ranges if not each.done)
        for each in ranges:
            ingest.met.seen.setdefault(each.kind, 0)
        self.began_us = ingest.now_us()
        now_s = self.began_us // 1_000_000
        self.limits = {
            kind: (freshness.oldest_s(ingest.connection, TABLES[kind], now_s), now_s)
            for kind in {each.kind for each in ranges}
        }
        self.whole: Container[str] = ()
        is_kept = walk is not None and walks.lines_are_whole(ingest.connection)
        if is_kept and "invoices" in self.limits:
            self.whole = freshness.settled_long_invoices(ingest.connection, now_s)

    def more(self) -> tuple[Partition, Callable[[], ListPage]] | None:
        """The next page to ask for; the fullest range is halved where none waits."""
        if not self.waiting:
            fullest = worth_cutting(self.ranges, self.limits)
            if fullest is None:
                return None
            older = fullest.cut(*self.limits[fullest.kind])
            log.debug("ingest.cut kind=%s at=%d", older.kind, fullest.from_s)
            self.ranges.append(older)
            self.waiting.append(older)
        each = self.waiting.popleft()
        ask = partial(page_after, self.ingest.source, each.kind, self.whole)
        return each, partial(ask, each.span, each.place)

    def came(self, ended: Sequence[FinishedTask[Partition]]) -> None:
        for each, page, _ in ended:
            each.went_on(page)
            if not each.done:
                self.waiting.appendleft(each)

    def store(self, ended: Sequence[FinishedTask[Partition]]) -> None:
        ingest = self.ingest
        seen = ingest.met.seen
        with transaction(ingest.connection):
            ingest.count_reads()
            for each, page, _ in ended:
                # The first answers may have shown that our clock is ahead of Stripe's.
                self.began_us = min(self.began_us, page.asked_us)
                seen[each.kind] += len(page.data) - self._again(each.kind, page)
                ingest.keep(each.kind, page.data, page.asked_us)
            if self.walk is not None:
                walks.keep_ranges(ingest.connection, self.walk, self.ranges)
        for kind in dict.fromkeys(done.about.kind for done in ended):
            log.debug("ingest.page kind=%s seen=%d", kind, seen[kind])
            own = [each for each in self.ranges if each.kind == kind]
            left = sum(each.left(*self.limits[kind]) for each in own)
            ingest.progress(kind, seen[kind], seen[kind] + int(left))

    def _again(self, kind: str, page: ListPage) -> int:
        """How many were in a page before: one under way reaches over a cut."""
        ids = [ref(thing) for thing in page.data]
        connection, table = self.ingest.connection, TABLES[kind]
        return freshness.count_since(connection, table, ids, self.began_us)


def _answers(ended: FinishedTask[Any]) -> Iterator[tuple[NamedObject, Found]]:
    """What one request said of which object; those of a list that it does not show: not."""
    about, result, _ = ended
    if not isinstance(about, Lookup):
        yield about, result
        return
    for page in result:
        for thing in page.data:
            yield NamedObject(about.kind, ref(thing)), (thing, page.asked_us)
