"""Intervals of time with the evidence of both their ends, and one without others."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from math import inf
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from connector.core.model import Evidence

Thing = TypeVar("Thing")


class Interval(NamedTuple):
    """``end_s`` None goes on. ``began`` and ``ended`` prove the two instants."""

    start_s: int
    end_s: int | None
    began: tuple[Evidence, ...]
    ended: tuple[Evidence, ...]

    def covers(self, at_s: int) -> bool:
        return self.start_s <= at_s and (self.end_s is None or at_s < self.end_s)

    def holds(self, at_s: int) -> bool:
        """Whether it has begun before, and goes on after."""
        return self.start_s < at_s and self.covers(at_s)


class Instants:
    """Instants in order, to ask which of them are in some time."""

    def __init__(self, at_s: Iterable[int]) -> None:
        self._at_s = sorted(at_s)

    def last_before(self, at_s: int) -> int:
        """0 where there is none."""
        place = bisect_left(self._at_s, at_s)
        return self._at_s[place - 1] if place else 0

    def first_after(self, at_s: int) -> int | None:
        place = bisect_right(self._at_s, at_s)
        return self._at_s[place] if place < len(self._at_s) else None

    def any_in(self, since_s: int, before_s: int | None) -> bool:
        """``before_s`` None: at any time from ``since_s`` on."""
        first = self.first_after(since_s - 1)
        return first is not None and (before_s is None or first < before_s)


class CoveredTime:
    """The time that any of some intervals covers, to ask of many instants."""

    def __init__(self, intervals: Iterable[Interval]) -> None:
        self._starts_s: list[int] = []
        self._ends_s: list[float] = []
        for start_s, end_s, *_ in sorted(intervals, key=lambda each: each.start_s):
            until_s = inf if end_s is None else end_s
            if self._ends_s and start_s <= self._ends_s[-1]:
                self._ends_s[-1] = max(self._ends_s[-1], until_s)
            else:
                self._starts_s.append(start_s)
                self._ends_s.append(until_s)

    def covers(self, at_s: int) -> bool:
        place = bisect_right(self._starts_s, at_s) - 1
        return place >= 0 and at_s < self._ends_s[place]


class InForce(Generic[Thing]):
    """What is in force at an instant, of things that each last for some intervals."""

    def __init__(self, lasting: Iterable[tuple[Thing, Iterable[Interval]]]) -> None:
        things, bounds = [], []
        for place, (thing, intervals) in enumerate(lasting):
            things.append(thing)
            for start_s, end_s, *_ in intervals:
                until_s = inf if end_s is None else end_s
                if start_s < until_s:
                    bounds += [(start_s, place, 1), (until_s, place, -1)]
        self._since_s: list[float] = []
        self._there: list[Sequence[Thing]] = []
        lasts: defaultdict[int, int] = defaultdict(int)
        for at_s, here in groupby(sorted(bounds), key=itemgetter(0)):
            for _, place, change in here:
                lasts[place] += change
                if not lasts[place]:
                    del lasts[place]
            self._since_s.append(at_s)
            self._there.append([things[place] for place in sorted(lasts)])

    def at(self, at_s: int) -> Sequence[Thing]:
        """In the order in which they were given."""
        place = bisect_right(self._since_s, at_s)
        return self._there[place - 1] if place else ()


def without(whole: Interval, gaps: Iterable[Interval]) -> list[Interval]:
    """What is left of ``whole`` beside the gaps; where a gap ends, a part begins."""
    parts = [whole]
    for gap in sorted(gaps, key=lambda gap: gap.start_s):
        parts[-1:] = (
            _cut(parts[-1], gap) if parts else ()
        )  # none begins before the last
    assert all(a.end_s is not None and a.end_s <= b.start_s for a, b in pairwise(parts))
    return parts


def _cut(interval: Interval, gap: Interval) -> list[Interval]:
    gap_end_s = gap.end_s
    if interval.end_s is not None and gap.start_s >= interval.end_s:
        return [interval]
    if gap_end_s is not None and gap_end_s <= interval.start_s:
        return [interval]
    parts = []
    if gap.start_s > interval.start_s:
        parts.append(Interval(interval.start_s, gap.start_s, interval.began, gap.began))
    if gap_end_s is not None and (interval.end_s is None or gap_end_s < interval.end_s):
        parts.append(Interval(gap_end_s, interval.end_s, gap.ended, interval.ended))
    return parts
