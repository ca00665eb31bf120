"""One currency's or segment's figures → what the page's cards and charts show.

Every amount comes from the ``Report``; here it only gets a text and a place.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from connector.core.dates import add_months
from connector.core.figures import Retention, WindowFigures
from connector.core.money import format_ratio
from connector.core.windows import WindowKind
from connector.metrics.benchmarks import Benchmarks
from connector.metrics.retention import measure
from connector.render.page.charts import (
    TRAILING,
    AmountStyle,
    Bars,
    Mark,
    Trend,
    WaterfallRow,
    bars,
    marks,
    month_of,
    spark,
    steps,
    trend,
)
from connector.render.report_tables import MORE_HEADINGS, cells, headings, more_cells
from connector.reports.model import (
    AS_REPORTED,
    CurrencyReport,
    WindowRow,
    label,
    shown,
    split,
)


class PageTable(NamedTuple):
    """The first column of ``rows`` names them.

    The rows ``reported`` have what the window above them was closed with.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    reported: frozenset[int]


class Card(NamedTuple):
    """``reported`` is the value a restated window was closed with, "" for others."""

    name: str
    value: str
    reported: str
    notes: Sequence[str]
    spark: str = ""  # a path


class MetricRow(NamedTuple):
    """``reported`` as a card's, but only where it is known and reads differently."""

    name: str
    value: str
    reported: str


class View(Struct, frozen=True, kw_only=True):
    """Everything that is shown of one currency, or of one of its segments.

    ``segment`` is "" for all customers. ``headline`` is the last trailing-12 line, which
    ends with ``month``; ``period`` is what the bars are by. ``restated`` is how many
    windows were closed with other figures than they have now.
    """

    segment: str
    month: str
    period: str
    headline: WindowRow
    restated: int
    cards: Sequence[Card]
    metrics: Sequence[MetricRow]
    sums: Sequence[tuple[str, str]]  # of NRR and GRR, and what they come to
    steps: Sequence[WaterfallRow]
    reported_steps: Sequence[WaterfallRow]  # those that read differently
    bars: Bars
    periods: PageTable
    marks: Sequence[Mark]
    trends: Sequence[Trend]
    trailing: PageTable


def segment_names(part: CurrencyReport) -> list[str]:
    """The headline's segments, the one with the largest closing first."""
    *_, headline = (
        x for x in part.lines if x.measured.window.kind is WindowKind.TRAILING_12
    )
    found = sorted(
        headline.segments, key=lambda s: (-s.measured.waterfall.closing_minor, s.name)
    )
    return [each.name for each in found]


def of_segment(lines: Sequence[WindowRow], name: str) -> list[WindowRow]:
    """The same lines of one segment; all zero where it had nobody."""
    found = []
    for each in lines:
        own = {s.name: s.measured for s in each.segments}
        measured = own.get(name) or measure((), [each.measured.window])[0]
        found.append(WindowRow(measured=measured, complete=each.complete))
    return found


def view(
    told: AmountStyle,
    lines: Sequence[WindowRow],
    published: Benchmarks,
    segment: str = "",
) -> View:
    trailing, periods = split(lines)
    headline = trailing[-1]
    measured = [x.measured for x in periods]
    drawn = steps(told, headline.measured)
    reported = steps(told, headline.reported or headline.measured)
    return View(
        segment=segment,
        month=month_of(headline),
        period=periods[-1].measured.window.kind.value,
        headline=headline,
        restated=sum(x.reported is not None for x in (*trailing, *periods)),
        cards=_cards(told, trailing, periods),
        metrics=_metrics(told, headline),
        sums=list(_sums(told, headline.measured.retention)),
        steps=drawn,
        reported_steps=[
            was
            for was, now in zip(reported, drawn, strict=True)
            if was.text != now.text
        ],
        bars=bars(told, measured),
        periods=_table(
            ["", *headings(told.part)],
            periods,
            lambda measured: cells(measured, told.part, told.locale),
        ),
        marks=marks([x.measured for x in trailing]),
        trends=[trend(name, trailing, published) for name in ("nrr", "grr")],
        trailing=_table(
            ["12 months to", "NRR", "GRR", "CRR", f"Opening {told.revenue}"],
            trailing,
            lambda measured: _trailing_cells(told, measured.retention),
        ),
    )


def _table(
    heads: Sequence[str],
    lines: Sequence[WindowRow],
    tell: Callable[[WindowFigures], Sequence[str]],
) -> PageTable:
    named = shown(lines)
    rows = [
        [name.strip().removeprefix(TRAILING), *tell(measured)]
        for name, measured in named
    ]
    reported = (at for at, (name, _) in enumerate(named) if name == AS_REPORTED)
    return PageTable(heads, rows, frozenset(reported))


# In words and numbers


def _cards(
    told: AmountStyle, trailing: Sequence[WindowRow], periods: Sequence[WindowRow]
) -> list[Card]:
    headline = trailing[-1]
    kept = headline.measured.retention
    recent = periods[-1]
    moved = recent.measured.waterfall
    when = label(recent)
    levels = [x.measured.waterfall.closing_minor for x in periods]
    gained = moved.closing_minor - moved.opening_minor
    lost = recent.measured.retention.of_opening(moved.churn_minor)
    churned = "–" if lost is None else f"{format_ratio(lost)} of the opening"
    return [
        Card(
            f"{told.revenue} at close",
            *_both(headline, lambda x: told.whole(x.waterfall.closing_minor)),
            [f"{told.whole(gained, signed=True)} in {when}"],
            spark(levels),
        ),
        Card(
            "NRR, trailing 12 months",
            *_both(headline, lambda x: format_ratio(x.retention.nrr)),
            [
                f"of {told.whole(kept.opening_minor)}, {kept.customers:,} customers",
                *_year_before(trailing, "nrr"),
            ],
        ),
        Card(
            "GRR, trailing 12 months",
            *_both(headline, lambda x: format_ratio(x.retention.grr)),
            ["growth left out", *_year_before(trailing, "grr")],
        ),
        Card(
            f"Churn in {when}",
            *_both(recent, lambda x: told.whole(-x.waterfall.churn_minor)),
            [churned],
        ),
    ]


def _both(line: WindowRow, tell: Callable[[WindowFigures], str]) -> tuple[str, str]:
    """What a window's figures come to now, and as it was closed with, if restated."""
    return tell(line.measured), "" if line.reported is None else tell(line.reported)


def _year_before(trailing: Sequence[WindowRow], metric: str) -> list[str]:
    first, last = (x.measured for x in (trailing[0], trailing[-1]))
    ratio = getattr(first.retention, metric)
    if ratio is None or add_months(first.window.end, 12) != last.window.end:
        return []
    return [f"{format_ratio(ratio)} a year before"]


def _metrics(told: AmountStyle, headline: WindowRow) -> list[MetricRow]:
    now = _measured(told, headline.measured)
    before = now if headline.reported is None else _measured(told, headline.reported)
    return [
        MetricRow(name, value, "" if was in (value, "–") else was)
        for (name, value), (_, was) in zip(now, before, strict=True)
    ]


def _measured(told: AmountStyle, measured: WindowFigures) -> list[tuple[str, str]]:
    kept = measured.retention
    texts = more_cells(measured, told.part, told.report, told.locale)
    named = dict(zip(MORE_HEADINGS, texts, strict=True))
    closing_minor = measured.waterfall.closing_minor
    other = (
        ("MRR", told.whole(round(closing_minor / 12)))
        if told.report.is_annual
        else ("ARR", told.whole(closing_minor * 12))
    )
    return [
        other,
        ("CRR", format_ratio(kept.crr)),
        ("Paying customers", named["Paying"]),
        ("ARPA", named["ARPA"]),
        ("LTV", named["LTV"]),
        ("Quick ratio", named["Quick ratio"]),
        ("Renewed", named["Renewed"]),
        ("Renewed MRR", named["Renewed MRR"]),
    ]


def _sums(told: AmountStyle, kept: Retention) -> Iterator[tuple[str, str]]:
    """NRR and GRR as the sums they are, in exact amounts."""
    opening = told.exact(kept.opening_minor)
    lost = (
        f"− {told.exact(kept.contraction_minor)} contraction "
        f"− {told.exact(kept.churn_minor)} churn"
    )
    grown = f"+ {told.exact(kept.expansion_minor)} expansion"
    if kept.opening_minor:
        nrr, grr = format_ratio(kept.nrr), format_ratio(kept.grr)
        yield f"NRR = ({opening} {grown} {lost}) ÷ {opening}", nrr
        yield f"GRR = ({opening} {lost}) ÷ {opening}", grr


def _trailing_cells(told: AmountStyle, kept: Retention) -> list[str]:
    ratios = [format_ratio(ratio) for ratio in (kept.nrr, kept.grr, kept.crr)]
    return [*ratios, told.exact(kept.opening_minor)]
