"""Figures → what the page's charts are drawn from: texts with their coordinates."""

from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from connector.core.figures import Waterfall, WindowFigures
from connector.core.model import MovementKind
from connector.core.money import format_minor, format_ratio, format_short
from connector.core.windows import name_of
from connector.metrics.benchmarks import Band, Benchmarks, Typical
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
from connector.reports.model import CurrencyReport, Report, WindowRow, label

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
TRAILING = "12 months to "
YEAR_STARTS = {"Jan", "Q1"}
MAJOR = {"Jan", "Apr", "Jul", "Oct", "Q1", "Q3"}


class AmountStyle(NamedTuple):
    """How a view's amounts are written."""

    report: Report
    part: CurrencyReport
    locale: str

    @property
    def revenue(self) -> str:
        return "ARR" if self.report.is_annual else "MRR"

    def whole(self, amount_minor: int, *, signed: bool = False) -> str:
        code = self.part.currency
        return format_minor(amount_minor, code, self.locale, signed=signed, whole=True)

    def exact(self, amount_minor: int, *, signed: bool = False) -> str:
        return format_minor(
            amount_minor, self.part.currency, self.locale, signed=signed
        )


def month_of(of: WindowRow) -> str:
    """With which a trailing-12 line ends, with a star while it is not over."""
    return label(of).removeprefix(TRAILING)


class WaterfallRow(NamedTuple):
    """A row of the waterfall; ``kind`` is how it is drawn."""

    name: str
    text: str
    kind: str
    rung: WaterfallBar


class Tick(NamedTuple):
    y: float
    text: str
    is_base: bool


class Mark(NamedTuple):
    """A column's label; the ``minor`` ones are left out where there is little room."""

    x: float
    text: str
    year: str
    minor: bool


class Bars(NamedTuple):
    ticks: Sequence[Tick]
    paths: Sequence[tuple[str, str]]  # kind, outline
    marks: Sequence[Mark]


class Zone(NamedTuple):
    """A benchmark's band: ``y`` and ``height`` of what is seen of it, if anything."""

    span: str
    says: str
    origin: str
    y: float
    height: float
    is_here: bool


class Norm(NamedTuple):
    """What others reach: ``y`` where a line can show it."""

    text: str
    origin: str
    y: float | None


class Trend(NamedTuple):
    """A ratio over time; ``reported`` are those that closed windows had before."""

    name: str
    now: str
    ticks: Sequence[Tick]
    points: Sequence[Dot]
    reported: Sequence[Dot]
    path: str
    zones: Sequence[Zone]
    norms: Sequence[Norm]
    origin: str  # of all zones, "" where each has another


def spark(levels: Sequence[int]) -> str:
    if len(levels) < 2:
        return ""
    return line(dots(levels, scale(0, max(levels), SPARK_HEIGHT, 2)))


def _flows(flow: Waterfall) -> dict[MovementKind, int]:
    """Each kind's signed amount, in the order in which they are drawn."""
    amounts = (
        *(flow.new_minor, flow.expansion_minor, flow.reactivation_minor),
        *(-flow.contraction_minor, -flow.churn_minor),
    )
    return dict(zip(STACKED, amounts, strict=True))


def steps(told: AmountStyle, measured: WindowFigures) -> list[WaterfallRow]:
    flow = measured.waterfall
    moves = [(kind.capitalize(), kind.value, n) for kind, n in _flows(flow).items()]
    if told.part.is_total:
        moves.append(("Exchange rates", "fx", flow.fx_minor))
    levels = [(0, flow.opening_minor)]
    for _, _, moved_minor in moves:
        before = levels[-1][1]
        levels.append((before, before + moved_minor))
    levels.append((0, flow.closing_minor))
    opened, closed = _eve(measured.window.start), _eve(measured.window.end)
    names = [
        (f"{told.revenue} {opened}", "whole", told.whole(flow.opening_minor)),
        *((name, kind, told.whole(n, signed=True)) for name, kind, n in moves),
        (f"{told.revenue} {closed}", "whole", told.whole(flow.closing_minor)),
    ]
    rungs = waterfall(levels)
    return [
        WaterfallRow(name, text, kind, rung)
        for (name, kind, text), rung in zip(names, rungs, strict=True)
    ]


def _eve(day: date) -> str:
    """The month whose end the beginning of ``day`` is."""
    return f"{day - timedelta(days=1):%b %Y}"


def bars(told: AmountStyle, measured: Sequence[WindowFigures]) -> Bars:
    columns = [_flows(each.waterfall) for each in measured]
    series = [[column[kind] for column in columns] for kind in STACKED]
    drawn = stacks(series, BARS_HEIGHT)
    code, locale = told.part.currency, told.locale
    ticks = [
        Tick(drawn.scale.y(at), format_short(at, code, locale), at == 0)
        for at in drawn.scale.ticks
    ]
    paths = [
        (k.value, path) for k, path in zip(STACKED, drawn.paths, strict=True) if path
    ]
    return Bars(ticks, paths, marks(measured))


def marks(measured: Sequence[WindowFigures]) -> list[Mark]:
    """``Jan`` with the year below it; at the first one too, if the next is not near."""
    names = [name_of(each.window).removeprefix(TRAILING) for each in measured]
    texts = [name.rpartition(" ")[0] for name in names]
    new_year = next((i for i, text in enumerate(texts) if text in YEAR_STARTS), 99)
    found = []
    for place, (text, name) in enumerate(zip(texts, names, strict=True)):
        starts = text in YEAR_STARTS or (place == 0 and new_year > 2)
        year = name.rpartition(" ")[2]
        found.append(
            Mark(
                middle(place, len(names)),
                text or year,
                year if starts and text else "",
                minor=bool(text) and text not in MAJOR and not starts,
            )
        )
    return found


def trend(metric: str, trailing: Sequence[WindowRow], published: Benchmarks) -> Trend:
    values = [getattr(x.measured.retention, metric) for x in trailing]
    before = [
        None if x.reported is None else getattr(x.reported.retention, metric)
        for x in trailing
    ]
    known = [value for value in (*values, *before) if value is not None]
    bands = [band for band in published.bands if band.metric == metric]
    norms = [each for each in published.typical if each.metric == metric]
    medians = [each.low for each in norms if each.low == each.high]
    seen = [*known, *(medians if known else ()), Fraction(1)]
    ruler = scale(min(seen), max(seen), TREND_HEIGHT, 5)
    points = dots(values, ruler)
    origins = {f"{band.source}, {band.year}" for band in bands}
    return Trend(
        name=metric.upper(),
        now=format_ratio(values[-1]),
        ticks=[
            Tick(ruler.y(at), format_ratio(at, _decimals(ruler)), at == 1)
            for at in ruler.ticks
        ],
        points=points,
        reported=dots(before, ruler),
        path=line(points),
        zones=[_zone(band, ruler, values[-1]) for band in bands],
        norms=[_norm(each, ruler) for each in norms],
        origin=origins.pop() if len(origins) == 1 else "",
    )


def _decimals(ruler: Scale) -> int:
    return 0 if all((at * 100).denominator == 1 for at in ruler.ticks) else 1


def _zone(band: Band, ruler: Scale, value: Fraction | None) -> Zone:
    top = ruler.y(ruler.high if band.high is None else min(band.high, ruler.high))
    bottom = ruler.y(ruler.low if band.low is None else max(band.low, ruler.low))
    return Zone(
        _span(band),
        band.says,
        f"{band.source}, {band.year}",
        top,
        max(round(bottom - top, 2), 0),
        value is not None and band.holds(value),
    )


def _span(band: Band) -> str:
    low, high = (
        None if e is None else format_ratio(e, 0) for e in (band.low, band.high)
    )
    if low is None or high is None:
        return f"under {high}" if low is None else f"{low} and more"
    return f"{low} to {high}"


def _norm(typical: Typical, ruler: Scale) -> Norm:
    low, high = format_ratio(typical.low, 0), format_ratio(typical.high, 0)
    one = typical.low == typical.high
    shown = one and ruler.low <= typical.low <= ruler.high
    text = f"{typical.who} {low}" if one else f"{typical.who}: {low} to {high}"
    y = ruler.y(typical.low) if shown else None
    return Norm(text, f"{typical.source}, {typical.year}", y)
