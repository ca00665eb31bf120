"""Ranges of creation that a long list is cut into, so that many can read it at once.

Accounts grow unevenly and nobody knows how many objects lie where. So a list begins as
one range, and whoever has nothing to do takes the older half of the range with the most
left in it, as far as its newer end tells.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector.stripe_api.paging import (
    TOP,
    CreatedRange,
    ListPage,
    PageCursor,
    times_of,
)

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
