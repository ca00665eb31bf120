"""Where reading a list begins, goes on and ends; and how many can read it at once.

Accounts grow unevenly and nobody knows how many objects lie where. So a list begins as
one range, and whoever has nothing to do takes the older half of the range with the most
left in it, as far as its newer end tells.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

from connector.stripe_api.decoding import Base, created_at, ref
from connector.stripe_api.unfit import NAMELESS

STRIPE_BEGAN_S = 1_262_304_000  # nothing at Stripe was created before 2010
PAGE = 100  # the most Stripe gives, and what its read allowance counts on
# A page that brings so many objects of those wanted is the cheaper way to fetch them.
WORTH_LISTING = 4


class CreatedRange(NamedTuple):
    """Objects created in [from_s, to_s); None: however new."""

    from_s: int = 0
    to_s: int | None = None

    @property
    def params(self) -> list[tuple[str, str]]:
        low = [("created[gte]", str(self.from_s))] if self.from_s else []
        high = [] if self.to_s is None else [("created[lt]", str(self.to_s))]
        return low + high


class PageCursor(NamedTuple):
    """Where reading a list goes on: after the object ``after``; None at its top.

    ``met`` are the ids shown last and ``oldest_s`` is the oldest creation met so far: a
    page must lead beyond them.
    """

    after: str | None = None
    met: frozenset[str] = frozenset()
    oldest_s: int | None = None

    def by_time(self, span: CreatedRange) -> "tuple[CreatedRange, PageCursor]":
        """The same place without its object: from the oldest second met, once more."""
        if self.oldest_s is None:
            return span, PageCursor()
        return CreatedRange(span.from_s, self.oldest_s + 1), PageCursor(
            oldest_s=self.oldest_s
        )


class ListPage(NamedTuple):
    """``asked_us`` is when its request began: what it shows is at least as new.

    ``place`` is where the next one begins.
    """

    data: list[Any]
    has_more: bool
    asked_us: int
    place: PageCursor = PageCursor()


EVERYTHING = CreatedRange()
TOP = PageCursor()


def going_on(after: str | None, oldest_s: int | None = None) -> PageCursor:
    """The place of somebody who remembers only the last object."""
    return PageCursor(after, frozenset(() if after is None else (after,)), oldest_s)


def beyond(things: Sequence[Base], place: PageCursor) -> PageCursor:
    """Where reading goes on after these; an empty page leads nowhere.

    Only what stands as far down as the oldest can be met again by reading on, so what
    has to be remembered does not grow with the list.
    """
    if not things:
        return TOP
    ids = frozenset(map(ref, things))
    oldest_s = min(times_of(things), default=place.oldest_s)
    before_s = place.oldest_s
    stays = before_s is not None and oldest_s is not None and oldest_s >= before_s
    named = [key for key in map(ref, things) if NAMELESS not in key]
    return PageCursor(
        after=named[-1] if named else place.after,
        met=ids | place.met if stays or place.oldest_s is None else ids,
        oldest_s=place.oldest_s if stays else oldest_s,
    )


def page_by_page(read: Callable[[PageCursor], ListPage]) -> Iterator[ListPage]:
    """A list from its top to its end."""
    page = read(TOP)
    yield page
    while page.has_more:
        page = read(page.place)
        yield page


def leads_on(page: ListPage, place: PageCursor) -> bool:
    """Whether it shows something new that is not newer than all that was met."""
    if all(ref(thing) in place.met for thing in page.data):
        return False
    if place.oldest_s is None:
        return True
    times = times_of(page.data)
    return not times or min(times) <= place.oldest_s


def times_of(things: Sequence[Base]) -> list[int]:
    """When they were created, but for those that cannot have been then."""
    return [at_s for at_s in map(created_at, things) if at_s >= STRIPE_BEGAN_S]


# --- objects whose ids are known, looked for in their list ---


class Lookup(NamedTuple):
    """Objects of a kind wanted from its list, by id.

    ``created_s`` is None where nobody knows it; none of these is newer than ``latest_s``.
    """

    kind: str
    created_s: Mapping[str, int | None]
    latest_s: int

    def found(self, read: Callable[[CreatedRange], ListPage]) -> Iterator[ListPage]:
        """Pages in which they stand, without all others; not all need be found.

        Each page begins where at least one of them should stand, and only while as many
        lie as close to each other as pays: so there are no more pages than objects.
        """
        unknown = {key for key, at_s in self.created_s.items() if at_s is None}
        left = {
            key: self.latest_s if at_s is None else at_s
            for key, at_s in self.created_s.items()
        }
        page_s = inf
        while (start_s := _crowd_s(left.values(), page_s)) is not None:
            page = read(CreatedRange(to_s=start_s + 1))
            found = [thing for thing in page.data if ref(thing) in left]
            yield page._replace(data=found)
            if not page.has_more:
                return
            oldest_s = min(times_of(page.data), default=start_s)
            page_s = start_s - oldest_s
            pays = len(found) >= WORTH_LISTING
            for key in map(ref, found):
                del left[key]
            left = {
                key: min(at_s, oldest_s)
                for key, at_s in left.items()
                if at_s < oldest_s or (pays and (key in unknown or at_s == oldest_s))
            }


def _crowd_s(times_s: Collection[int], page_s: float) -> int | None:
    """The newest of these from which on enough lie within a page; None where none do."""
    newest_first = sorted(times_s, reverse=True)
    ahead = newest_first[WORTH_LISTING - 1 :]
    pairs = zip(newest_first, ahead, strict=False)
    return next((at_s for at_s, last_s in pairs if at_s - last_s <= page_s), None)


# --- ranges of creation that a long list is cut into, so that many can read it at once ---

# Below so many objects a range is read to its end by the one who has begun it.
WORTH_CUTTING = 200


@dataclass(slots=True)
class Partition:
    """Objects of a kind created in [from_s, to_s), read newest first.

    ``row`` is where the ledger keeps it, None for one that is not kept. ``per_s`` is how
    many objects a second its surroundings hold, None while nobody knows.
    """

    kind: str
    from_s: int = 0
    to_s: int | None = None
    place: PageCursor = TOP
    done: bool = False
    row: int | None = None
    top_s: int | None = None  # the newest creation met by this reader
    seen: int = 0
    per_s: float | None = None

    @property
    def span(self) -> CreatedRange:
        return CreatedRange(self.from_s, self.to_s)

    def went_on(self, page: ListPage) -> None:
        """Count a page in, and know the density of what was read."""
        times = times_of(page.data)
        if page.data:
            self.place = page.place
        if times:
            self.top_s = max(times) if self.top_s is None else self.top_s
            self.seen += len(times)
            self.per_s = self.seen / max(self.top_s - min(times), 1)
        self.done = not page.has_more or self._is_past_its_end

    @property
    def _is_past_its_end(self) -> bool:
        """A range cut while a page was under way may have been overtaken by it."""
        oldest_s = self.place.oldest_s
        return oldest_s is not None and oldest_s < self.from_s

    def left(self, oldest_s: int, newest_s: int) -> float:
        """About how many objects are still to come; 0 while nobody knows.

        The account's objects lie in [oldest_s, newest_s].
        """
        if self.done or self.per_s is None:
            return 0
        return self.per_s * max(self._end_s(newest_s) - self._begin_s(oldest_s), 0)

    def cut(self, oldest_s: int, newest_s: int) -> "Partition":
        """Keep the newer half of what is left and return the older.

        Of a single second nothing is kept: then nothing is left that could be cut again.
        """
        end_s = self._end_s(newest_s)
        middle_s = end_s - (end_s - self._begin_s(oldest_s)) // 2
        older = Partition(self.kind, self.from_s, middle_s, per_s=self.per_s)
        self.from_s = middle_s
        return older

    def _begin_s(self, oldest_s: int) -> int:
        return max(self.from_s, oldest_s)

    def _end_s(self, newest_s: int) -> int:
        if self.place.oldest_s is not None:
            return self.place.oldest_s
        return newest_s if self.to_s is None else min(self.to_s, newest_s)


def worth_cutting(
    ranges: Iterable[Partition], limits: Mapping[str, tuple[int, int]]
) -> Partition | None:
    """The range with the most left in it; None where no cut would pay.

    One that nobody has looked into stays whole: pages under way would reach into many.
    ``limits`` are the seconds between which each kind's objects lie.
    """

    def left(each: Partition) -> float:
        return each.left(*limits[each.kind])

    fullest = max((each for each in ranges if each.seen), key=left, default=None)
    return fullest if fullest is not None and left(fullest) >= WORTH_CUTTING else None
