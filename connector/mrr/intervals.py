"""Intervals of time with the evidence of both their ends, and one without others."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from connector.core.model import Evidence


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


def without(whole: Interval, gaps: Iterable[Interval]) -> list[Interval]:
    """What is left of ``whole`` beside the gaps; where a gap ends, a part begins."""
    parts = [whole]
    for gap in sorted(gaps, key=lambda gap: gap.start_s):
        parts = [left for part in parts for left in _cut(part, gap)]
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
