"""One currency's or segment's figures → what the page's cards and charts show.

Every amount comes from the ``Report``; here it only gets a text and a place.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from connector.benchmarks import Benchmarks
from connector.model import Retention, WindowKind
from connector.money import format_ratio
from connector.page_charts import (
    Bars,
    Mark,
    Step,
    Told,
    Trend,
    bars,
    marks,
    month_of,
    spark,
    steps,
    trend,
)
from connector.periods import add_months
from connector.report import CurrencyReport, Line, label
from connector.retention import Measured, measure
from connector.tables import MORE_HEADINGS, cells, headings, more_cells


class Table(NamedTuple):
    """The first column of ``rows`` names them."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


class Card(NamedTuple):
    name: str
    value: str
    notes: Sequence[str]
    spark: str = ""  # a path


class View(Struct, frozen=True, kw_only=True):
    """Everything that is shown of one currency, or of one of its segments.

    ``segment`` is "" for all customers. ``headline`` is the last trailing-12 line, which
    ends with ``month``; ``period`` is what the bars are by.
    """

    segment: str
    month: str
    period: str
    headline: Line
    cards: Sequence[Card]
    metrics: Sequence[tuple[str, str]]
    sums: Sequence[tuple[str, str]]  # of NRR and GRR, and what they come to
    steps: Sequence[Step]
    bars: Bars
    periods: Table
    marks: Sequence[Mark]
    trends: Sequence[Trend]
    trailing: Table


def split(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The trailing-12 lines and the others, without those before the first customer."""
    trailing = [x for x in lines if x.measured.window.kind is WindowKind.TRAILING_12]
    others = [x for x in lines if x.measured.window.kind is not WindowKind.TRAILING_12]
    return _since_first(trailing), _since_first(others)


def _since_first(lines: list[Line]) -> list[Line]:
    alive = [
        bool(flow.closing_minor or flow.opening_minor)
        for flow in (x.measured.waterfall for x in lines)
    ]
    return lines[alive.index(True) :] if any(alive) else lines[-1:]


def segment_names(part: CurrencyReport) -> list[str]:
    """The headline's segments, the one with the largest closing first."""
    *_, headline = (
        x for x in part.lines if x.measured.window.kind is WindowKind.TRAILING_12
    )
    found = sorted(
        headline.segments, key=lambda s: (-s.measured.waterfall.closing_minor, s.name)
    )
    return [each.name for each in found]


def of_segment(lines: Sequence[Line], name: str) -> list[Line]:
    """The same lines of one segment; all zero where it had nobody."""
    found = []
    for each in lines:
        own = {s.name: s.measured for s in each.segments}
        measured = own.get(name) or measure((), [each.measured.window])[0]
        found.append(Line(measured=measured, complete=each.complete))
    return found


def view(
    told: Told, lines: Sequence[Line], published: Benchmarks, segment: str = ""
) -> View:
    trailing, periods = split(lines)
    headline = trailing[-1]
    measured = [x.measured for x in periods]
    return View(
        segment=segment,
        month=month_of(headline),
        period=periods[-1].measured.window.kind.value,
        headline=headline,
        cards=_cards(told, trailing, periods),
        metrics=_metrics(told, headline.measured),
        sums=list(_sums(told, headline.measured.retention)),
        steps=steps(told, headline.measured),
        bars=bars(told, measured),
        periods=Table(
            ["", *headings(told.part)],
            [[label(x), *cells(x.measured, told.part, told.locale)] for x in periods],
        ),
        marks=marks([x.measured for x in trailing]),
        trends=[trend(name, trailing, published) for name in ("nrr", "grr")],
        trailing=Table(
            ["12 months to", "NRR", "GRR", "CRR", f"Opening {told.revenue}"],
            [_trailing_row(told, x) for x in trailing],
        ),
    )


# In words and numbers


def _cards(told: Told, trailing: Sequence[Line], periods: Sequence[Line]) -> list[Card]:
    headline = trailing[-1].measured
    flow, kept = headline.waterfall, headline.retention
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
            told.whole(flow.closing_minor),
            [f"{told.whole(gained, signed=True)} in {when}"],
            spark(levels),
        ),
        Card(
            "NRR, trailing 12 months",
            format_ratio(kept.nrr),
            [
                f"of {told.whole(kept.opening_minor)}, {kept.customers:,} customers",
                *_year_before(trailing, "nrr"),
            ],
        ),
        Card(
            "GRR, trailing 12 months",
            format_ratio(kept.grr),
            ["growth left out", *_year_before(trailing, "grr")],
        ),
        Card(
            f"Churn in {when}",
            told.whole(-moved.churn_minor),
            [churned],
        ),
    ]


def _year_before(trailing: Sequence[Line], metric: str) -> list[str]:
    first, last = (x.measured for x in (trailing[0], trailing[-1]))
    ratio = getattr(first.retention, metric)
    if ratio is None or add_months(first.window.end, 12) != last.window.end:
        return []
    return [f"{format_ratio(ratio)} a year before"]


def _metrics(told: Told, measured: Measured) -> list[tuple[str, str]]:
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


def _sums(told: Told, kept: Retention) -> Iterator[tuple[str, str]]:
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


def _trailing_row(told: Told, of: Line) -> list[str]:
    kept = of.measured.retention
    ratios = [format_ratio(ratio) for ratio in (kept.nrr, kept.grr, kept.crr)]
    return [month_of(of), *ratios, told.exact(kept.opening_minor)]
