"""Figures → what the page's charts are drawn from: values with their coordinates."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

from connector.core.figures import Waterfall, WindowFigures
from connector.core.language import _, month_name, month_text
from connector.core.model import MovementKind
from connector.core.windows import Window, WindowKind
from connector.metrics.benchmarks import Band, Typical
from connector.render.page.svg import (
    Dot,
    Scale,
    WaterfallBar,
    dots,
    line,
    middle,
    scale,
    stacks,
    waterfall,
)
from connector.reports.model import WindowRow, last_over

STACKED = (
    MovementKind.NEW,
    MovementKind.EXPANSION,
    MovementKind.REACTIVATION,
    MovementKind.CONTRACTION,
    MovementKind.CHURN,
)
BARS_HEIGHT = 230
TREND_HEIGHT = 190
SPARK_HEIGHT = 28
MAJOR_MONTHS, MAJOR_QUARTERS = {1, 4, 7, 10}, {1, 3}


class WaterfallRow(NamedTuple):
    """A row of the waterfall; ``kind`` is how it is drawn, ``whole`` at both ends.

    ``reported_minor`` is what the window was closed with, ``amount_minor`` if never.
    """

    name: str
    kind: str
    amount_minor: int
    reported_minor: int
    bar: WaterfallBar


class Mark(NamedTuple):
    """A column's label; the ``minor`` ones are left out where there is little room."""

    x: float
    text: str
    year: str
    minor: bool


class Bars(NamedTuple):
    """``paths`` are the outlines of all bars of a kind, ``running`` those not over."""

    scale: Scale
    paths: Sequence[tuple[MovementKind, str]]
    running: Sequence[tuple[MovementKind, str]]
    marks: Sequence[Mark]

    @property
    def kinds(self) -> Sequence[MovementKind]:
        drawn = {kind for kind, _ in (*self.paths, *self.running)}
        return [kind for kind in STACKED if kind in drawn]


class Zone(NamedTuple):
    """A benchmark's band: ``y`` and ``height`` of what is seen of it, if anything."""

    band: Band
    y: float
    height: float
    is_here: bool


class Trend(NamedTuple):
    """A ratio over time; ``reported`` are those that closed windows had before.

    ``value`` and the last of ``points`` are the headline's; what is ``running`` is drawn
    beside them, and judged by nothing. ``norms`` are what others reach, with ``y`` where
    a line can show it; ``goal`` is what is to be reached, at ``goal_y``.
    """

    metric: str
    value: Fraction | None
    scale: Scale
    decimals: int  # of the scale's ticks, in per cent
    points: Sequence[Dot]
    running: Sequence[Dot]
    reported: Sequence[Dot]
    path: str
    zones: Sequence[Zone]
    norms: Sequence[tuple[Typical, float | None]]
    goal: Fraction | None
    goal_y: float


def spark(levels: Sequence[int]) -> str:
    if len(levels) < 2:
        return ""
    return line(dots(levels, scale(0, max(levels), SPARK_HEIGHT, 2)))


def _flows(flow: Waterfall) -> list[int]:
    """Each kind's signed amount, in the order in which they are drawn."""
    return [flow.signed[f"{kind}_minor"] for kind in STACKED]


def steps(row: WindowRow, revenue: str, *, has_fx: bool) -> list[WaterfallRow]:
    """``revenue`` is what the amounts are called."""
    window = row.measured.window
    names = [
        (f"{revenue} {_month_before(window.start)}", "whole"),
        *((_(kind.capitalize()), kind.value) for kind in STACKED),
        *([("FX", "fx")] if has_fx else ()),
        (f"{revenue} {_month_before(window.end)}", "whole"),
    ]
    now, reported = (
        _step_amounts(each.waterfall, has_fx=has_fx)
        for each in (row.measured, row.reported or row.measured)
    )
    moved = pairwise(accumulate(now[:-1]))
    placed = waterfall([(0, now[0]), *moved, (0, now[-1])])
    return [
        WaterfallRow(name, kind, amount_minor, reported_minor, bar)
        for (name, kind), amount_minor, reported_minor, bar in zip(
            names, now, reported, placed, strict=True
        )
    ]


def _month_before(day: date) -> str:
    """The month whose end the beginning of ``day`` is."""
    return month_text(day - timedelta(days=1))


def _step_amounts(flow: Waterfall, *, has_fx: bool) -> list[int]:
    moved = [*_flows(flow), *([flow.fx_minor] if has_fx else ())]
    return [flow.opening_minor, *moved, flow.closing_minor]


def bars(rows: Sequence[WindowRow]) -> Bars:
    columns = [_flows(each.measured.waterfall) for each in rows]
    ruler, outlines = stacks(columns, BARS_HEIGHT)
    paths: dict[bool, list[tuple[MovementKind, str]]] = {True: [], False: []}
    for is_over, named in paths.items():
        for place, kind in enumerate(STACKED):
            drawn = zip(rows, outlines, strict=True)
            path = "".join(own[place] for row, own in drawn if row.is_over is is_over)
            if path:
                named.append((kind, path))
    return Bars(ruler, paths[True], paths[False], marks([x.measured for x in rows]))


def marks(measured: Sequence[WindowFigures]) -> list[Mark]:
    """``Jan`` with the year below it; at the first one too, if the next is not near."""
    columns = [_column(each.window) for each in measured]
    new_year = next((i for i, each in enumerate(columns) if each.starts_year), 99)
    found = []
    for place, (text, year, starts_year, is_major) in enumerate(columns):
        starts = starts_year or (place == 0 and new_year > 2)
        found.append(
            Mark(
                middle(place, len(columns)),
                text or year,
                year if starts and text else "",
                minor=bool(text) and not is_major and not starts,
            )
        )
    return found


class _Column(NamedTuple):
    text: str  # "" of a year
    year: str
    starts_year: bool
    is_major: bool


def _column(window: Window) -> _Column:
    last = window.end - timedelta(days=1)
    year, quarter = f"{last.year}", (last.month + 2) // 3
    match window.kind:
        case WindowKind.YEAR:
            return _Column("", year, starts_year=False, is_major=False)
        case WindowKind.QUARTER:
            is_major = quarter in MAJOR_QUARTERS
            return _Column(f"Q{quarter}", year, quarter == 1, is_major)
        case WindowKind.MONTH | WindowKind.TRAILING_12:
            is_major = last.month in MAJOR_MONTHS
            return _Column(month_name(last), year, last.month == 1, is_major)


def trend(
    metric: str,
    trailing: Sequence[WindowRow],
    bands: Sequence[Band],
    typical: Sequence[Typical],
    goal: Fraction | None = None,
) -> Trend:
    values = [getattr(x.measured.retention, metric) for x in trailing]
    over = [v if x.is_over else None for v, x in zip(values, trailing, strict=True)]
    running = [None if x.is_over else v for v, x in zip(values, trailing, strict=True)]
    headline = last_over(trailing)
    value = None if headline is None else getattr(headline.measured.retention, metric)
    before = [
        None if x.reported is None else getattr(x.reported.retention, metric)
        for x in trailing
    ]
    known = [value for value in (*values, *before) if value is not None]
    norms = [each for each in typical if each.metric == metric]
    medians = [each.low for each in norms if each.low == each.high]
    aims = [] if goal is None else [goal]
    seen = [*known, *((*medians, *aims) if known else ()), Fraction(1)]
    ruler = scale(min(seen), max(seen), TREND_HEIGHT, 5)
    points = dots(over, ruler)
    return Trend(
        metric=metric,
        value=value,
        scale=ruler,
        decimals=0 if all((at * 100).denominator == 1 for at in ruler.ticks) else 1,
        points=points,
        running=dots(running, ruler),
        reported=dots(before, ruler),
        path=line(points),
        zones=[_zone(band, ruler, value) for band in bands if band.metric == metric],
        norms=[(each, _norm_y(each, ruler)) for each in norms],
        goal=goal if known else None,
        goal_y=ruler.y(goal) if known and goal is not None else 0,
    )


def _zone(band: Band, ruler: Scale, value: Fraction | None) -> Zone:
    top = ruler.y(ruler.high if band.high is None else min(band.high, ruler.high))
    bottom = ruler.y(ruler.low if band.low is None else max(band.low, ruler.low))
    return Zone(
        band,
        top,
        max(round(bottom - top, 2), 0),
        value is not None and band.holds(value),
    )


def _norm_y(typical: Typical, ruler: Scale) -> float | None:
    is_seen = ruler.low <= typical.low == typical.high <= ruler.high
    return ruler.y(typical.low) if is_seen else None
