"""Stretches of time with the evidence of both their ends, and how they are cut."""

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


def without(life: Interval, gaps: Iterable[Interval]) -> list[Interval]:
    """``life`` minus the gaps; ends of gaps are beginnings of what counts."""
    counted = [life]
    for gap in sorted(gaps, key=lambda gap: gap.start_s):
        counted = [part for span in counted for part in _cut(span, gap)]
    assert all(
        a.end_s is not None and a.end_s <= b.start_s for a, b in pairwise(counted)
    )
    return counted


def _cut(span: Interval, gap: Interval) -> list[Interval]:
    gap_end_s = gap.end_s
    if span.end_s is not None and gap.start_s >= span.end_s:
        return [span]
    if gap_end_s is not None and gap_end_s <= span.start_s:
        return [span]
    parts = []
    if gap.start_s > span.start_s:
        parts.append(Interval(span.start_s, gap.start_s, span.began, gap.began))
    if gap_end_s is not None and (span.end_s is None or gap_end_s < span.end_s):
        parts.append(Interval(gap_end_s, span.end_s, gap.ended, span.ended))
    return parts
