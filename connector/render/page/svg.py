"""Values → coordinates of a chart, as its SVG template places them.

Across, everything is per cent of the width that there is, or thousandths of it (``WIDE``)
inside a drawing that is stretched, so that a chart fits a phone and a sheet of paper alike
while its texts keep their size. Down, it is pixels from the top. Coordinates alone are
floats; money and ratios stay exact until then.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import NamedTuple

WIDE = 1000
GAP = 0.28  # of a column, between it and the next
STEPS = (Fraction(1), Fraction(2), Fraction(5, 2), Fraction(5), Fraction(10))


class Scale(NamedTuple):
    """From ``low`` at the bottom to ``high`` at the top of ``height`` pixels.

    ``ticks`` are round values on it, the lowest first, both ends included.
    """

    low: Fraction
    high: Fraction
    height: int
    ticks: tuple[Fraction, ...]

    def y(self, value: Fraction | int) -> float:
        return _px(self.height * (self.high - value) / (self.high - self.low))


def scale(low: Fraction | int, high: Fraction | int, height: int, most: int) -> Scale:
    """Round ends around ``low`` and ``high`` with at most ``most`` steps between."""
    span = Fraction(high) - low or Fraction(1)
    step = _round_step(span / most)
    while ceil(high / step) - floor(low / step) > most:
        step = _round_step(step * Fraction(11, 10))
    first, last = floor(low / step), ceil(high / step)
    last += first == last
    ticks = tuple(step * at for at in range(first, last + 1))
    return Scale(ticks[0], ticks[-1], height, ticks)


def _round_step(at_least: Fraction) -> Fraction:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below it."""
    power = Fraction(1)
    while power * 10 <= at_least:
        power *= 10
    while power > at_least:
        power /= 10
    return next(power * each for each in STEPS if power * each >= at_least)


# The waterfall: a row a step, the bars side by side from left to right


class WaterfallBar(NamedTuple):
    """A bar from ``x`` for ``width``; ``end_x`` is where the next one starts."""

    x: float
    width: float
    end_x: float


def waterfall(levels: Sequence[tuple[int, int]], base: int = 0) -> list[WaterfallBar]:
    """A rung for each (before, after); a total goes from 0 to its amount.

    ``base`` is at the left edge; what of a bar is below it is cut off.
    """
    peak = max((max(pair) for pair in levels), default=0)
    span = (peak - base) if peak > base else 1
    rungs = []
    for before, after in levels:
        low, high = sorted(Fraction(max(at - base, 0), span) for at in (before, after))
        end_x = _px(Fraction(max(after - base, 0), span) * 100)
        rungs.append(WaterfallBar(_px(low * 100), _px((high - low) * 100), end_x))
    return rungs


# Movements: a column a period, gains piled up from zero, losses down from it


def stacks(
    columns: Sequence[Sequence[int]], height: int
) -> tuple[Scale, list[list[str]]]:
    """``columns[c][s]`` is the signed amount of series ``s`` in column ``c``.

    With the outline of each bar, in the same order; "" where there is none.
    """
    highest = max((sum(v for v in column if v > 0) for column in columns), default=0)
    lowest = min((sum(v for v in column if v < 0) for column in columns), default=0)
    ruler = scale(lowest, highest, height, 8)
    outlines: list[list[str]] = []
    for place, column in enumerate(columns):
        x, width = _column(place, len(columns))
        reached = {True: 0, False: 0}
        boxes = []
        for value in column:
            start = reached[value > 0]
            reached[value > 0] = end = start + value
            box = _box(x, width, ruler.y(start), ruler.y(end)) if value else ""
            boxes.append(box)
        outlines.append(boxes)
    return ruler, outlines


def _column(place: int, of: int) -> tuple[float, float]:
    """Where a column's bar starts and how wide it is, in thousandths."""
    whole = Fraction(WIDE, of)
    return _px(whole * place + whole * Fraction(GAP) / 2), _px(
        whole * (1 - Fraction(GAP))
    )


def _box(x: float, width: float, y: float, end_y: float) -> str:
    return f"M{x:g} {y:g}h{width:g}V{end_y:g}h{-width:g}z"


def middle(place: int, of: int) -> float:
    """The middle of a column, in per cent."""
    return _px(Fraction(100, of) * (place + Fraction(1, 2)))


# Lines over the same columns


class Dot(NamedTuple):
    """A value: ``x`` in per cent, ``y`` in pixels."""

    place: int
    x: float
    y: float


def dots(values: Sequence[Fraction | int | None], ruler: Scale) -> list[Dot]:
    """One for each value that there is."""
    found = enumerate(values)
    return [
        Dot(place, middle(place, len(values)), ruler.y(value))
        for place, value in found
        if value is not None
    ]


def line(points: Sequence[Dot]) -> str:
    """The path through neighbouring dots, in thousandths; broken where one is missing."""
    return "".join(_strokes(points))


def _strokes(points: Sequence[Dot]) -> Iterator[str]:
    for point in points[:1]:
        yield f"M{point.x * 10:g} {point.y:g}"
    for before, point in pairwise(points):
        joined = point.place == before.place + 1
        yield f"{'L' if joined else 'M'}{point.x * 10:g} {point.y:g}"


def _px(value: Fraction | float) -> float:
    return round(float(value), 2)
