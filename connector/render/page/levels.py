"""What stands at moments → the lines, steps and scales that a dashboard draws of it."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from connector.core.dates import add_months, months
from connector.core.figures import Retention
from connector.core.language import month_name
from connector.metrics.benchmarks import Band, Typical
from connector.render.page.charts import Mark, WaterfallRow
from connector.render.page.svg import Dot, Scale, dots, line, scale, waterfall

# A figure at the end of each period


class Levels(NamedTuple):
    """``path`` joins what is over, ``area`` is what is below it.

    ``ahead`` joins the last of them with those that are ``running``.
    """

    scale: Scale
    points: Sequence[Dot]
    running: Sequence[Dot]
    path: str
    area: str
    ahead: str


def levels(
    values: Sequence[int | Fraction | None], is_over: Sequence[bool], height: int
) -> Levels:
    """Of each period its value, None where it has none, and whether it is over."""
    known = [value for value in values if value is not None]
    ruler = scale(0, max(known, default=0), height, 4 if height > 100 else 2)
    pairs = list(zip(values, is_over, strict=True))
    points = dots([v if over else None for v, over in pairs], ruler)
    running = dots([None if over else v for v, over in pairs], ruler)
    path = line(points)
    area = f"{path}V{height}H{points[0].x * 10:g}z" if len(points) > 1 else ""
    return Levels(ruler, points, running, path, area, line([*points[-1:], *running]))


# One customer's MRR: steps by day


class StepDot(NamedTuple):
    """Where a step was reached; ``place`` is which one."""

    place: int
    x: float
    y: float


class StepChart(NamedTuple):
    """``path`` until today, ``area`` below it, ``ahead`` what is scheduled.

    It begins with ``start`` and is so many ``days`` wide.
    """

    start: date
    days: int
    scale: Scale
    path: str
    area: str
    ahead: str
    dots: Sequence[StepDot]
    ahead_dots: Sequence[StepDot]
    marks: Sequence[Mark]
    today_x: float

    def x(self, day: date) -> float:
        """Where a day is, in per cent."""
        return _x(day, self.start, self.days)


def _x(day: date, start: date, days: int) -> float:
    return round((day - start).days * 100 / days, 2)


Step = tuple[date, int]  # from a day on, so much
MARKS = 7  # at most, below the steps


def step_chart(
    steps: Sequence[Step], ahead: Sequence[Step], today: date, height: int
) -> StepChart:
    """``steps`` and ``ahead`` are in order of days, the former at least one."""
    first = steps[0][0]
    end = max(today, *(day for day, _ in ahead)) if ahead else today
    pad = timedelta(days=max((end - first).days // 30, 3))
    start, days = first - pad, (end - first + 2 * pad).days
    highest = max(minor for _, minor in (*steps, *ahead))
    ruler = scale(0, highest, height, 4)

    def x(day: date) -> float:
        return _x(day, start, days)

    def placed(of: Sequence[Step]) -> list[StepDot]:
        return [StepDot(n, x(day), ruler.y(minor)) for n, (day, minor) in enumerate(of)]

    reached, to_come = placed(steps), placed(ahead)
    path = "".join(_stairs(reached, x(today), height))
    bottom = f"V{height}H{reached[0].x * 10:g}z"
    now = StepDot(0, x(today), reached[-1].y)
    coming = "".join(f"H{dot.x * 10:g}V{dot.y:g}" for dot in to_come)
    return StepChart(
        start=start,
        days=days,
        scale=ruler,
        path=path,
        area=f"{path}{bottom}",
        ahead=f"M{now.x * 10:g} {now.y:g}{coming}" if to_come else "",
        dots=reached,
        ahead_dots=to_come,
        marks=[*_month_marks(first, end, x)],
        today_x=now.x,
    )


def _stairs(reached: Sequence[StepDot], until_x: float, height: int) -> Iterator[str]:
    yield f"M{reached[0].x * 10:g} {height}V{reached[0].y:g}"
    for _before, dot in pairwise(reached):
        yield f"H{dot.x * 10:g}V{dot.y:g}"
    yield f"H{until_x * 10:g}"


def _month_marks(first: date, end: date, x: Callable[[date], float]) -> Iterator[Mark]:
    """First days of months, so many apart that there is room for them."""
    every = [*months(add_months(first, 1), add_months(end, 1))]
    apart = next(n for n in (1, 2, 3, 6, 12, 24, 60, 600) if len(every) / n <= MARKS)
    named = [m for m in every if (m.year * 12 + m.month - 1) % apart == 0]
    for place, month in enumerate(named):
        has_year = month.month == 1 or place == 0
        year = f"{month.year}" if has_year else ""
        yield Mark(x(month), month_name(month), year, minor=place % 2 == 1)


# A ratio between published bands


class BandPart(NamedTuple):
    x: float
    width: float
    is_here: bool


class BandScale(NamedTuple):
    """In per cent of its width: the bands, where the value is, and what others reach."""

    parts: Sequence[BandPart]
    x: float
    norms: Sequence[float]


BEYOND = Fraction(1, 10)  # what is shown of a band without an end


def band_scale(
    value: Fraction, bands: Sequence[Band], norms: Sequence[Typical]
) -> BandScale | None:
    """None where no band is published."""
    edges = [e for band in bands for e in (band.low, band.high) if e is not None]
    if not edges:
        return None
    low, high = min(edges) - BEYOND, max(edges) + BEYOND

    def x(ratio: Fraction) -> float:
        return round(float((min(max(ratio, low), high) - low) / (high - low)) * 100, 2)

    parts = []
    for band in bands:
        start, end = x(band.low or low), x(high if band.high is None else band.high)
        parts.append(BandPart(start, round(end - start, 2), band.holds(value)))
    medians = [each.low for each in norms if each.low == each.high]
    return BandScale(parts, x(value), [x(each) for each in medians])


# What NRR and GRR are made of, as bars


def retention_steps(kept: Retention) -> list[WaterfallRow]:
    """The opening, what was lost and kept of it, what was gained, and the closing."""
    opening, lost = kept.opening_minor, kept.contraction_minor + kept.churn_minor
    after_churn = opening - kept.churn_minor
    grr_minor = opening - lost
    rows = (
        ("opening", "whole", opening, (0, opening)),
        ("churn", "churn", -kept.churn_minor, (opening, after_churn)),
        (
            "contraction",
            "contraction",
            -kept.contraction_minor,
            (after_churn, grr_minor),
        ),
        ("kept", "whole", grr_minor, (0, grr_minor)),
        (
            "expansion",
            "expansion",
            kept.expansion_minor,
            (grr_minor, kept.closing_minor),
        ),
        ("closing", "whole", kept.closing_minor, (0, kept.closing_minor)),
    )
    placed = waterfall([each for *_, each in rows])
    return [
        WaterfallRow(name, kind, minor, minor, bar)
        for (name, kind, minor, _), bar in zip(rows, placed, strict=True)
    ]
