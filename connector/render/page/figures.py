"""The page's contents → one currency's panels: its windows, and what is drawn of them.

Nothing is worked out here: every figure is the ``Report``'s own value, and the templates
write it down.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from msgspec import Struct

from connector.core.dates import add_months
from connector.core.figures import RATIOS, Retention, WindowFigures
from connector.core.windows import trailing_prefix
from connector.metrics.benchmarks import Assessment, Benchmarks
from connector.metrics.retention import measure
from connector.render.page.charts import (
    Bars,
    Mark,
    Trend,
    WaterfallRow,
    bars,
    marks,
    spark,
    steps,
    trend,
)
from connector.render.report.footnotes import despite_notes
from connector.render.report.tables import by_segment
from connector.reports.benchmarks import assessed
from connector.reports.churn import ChurnReport
from connector.reports.cohorts import CohortReport
from connector.reports.model import (
    CurrencyReport,
    WindowRow,
    as_reported,
    code_of,
    label,
    last_over,
    shown,
    split,
)
from connector.reports.page import NamedMovements, PageContents
from connector.reports.risks.model import AtRiskReport

NO_GOALS: Mapping[str, Fraction] = {}
MOST_SEGMENTS = 12  # that can be looked at by themselves; the table has all


class View(Struct, frozen=True, kw_only=True):
    """What is shown of one currency's windows, or of one of its segments'.

    ``segment`` is "" for all customers. ``steps`` are those of the headline, as are the
    ``assessments``. There is a trend of NRR, of GRR, and of CRR where it has a goal.
    """

    segment: str
    trailing: Sequence[WindowRow]
    periods: Sequence[WindowRow]
    spark: str  # a path
    steps: Sequence[WaterfallRow]
    bars: Bars
    marks: Sequence[Mark]
    trends: Sequence[Trend]
    assessments: Sequence[Assessment]

    @property
    def headline(self) -> WindowRow:
        """The last that is over; else the running one."""
        return last_over(self.trailing) or self.trailing[-1]

    @property
    def recent(self) -> WindowRow:
        """The last period that is over; else the running one."""
        over = [row for row in self.periods if row.is_over]
        return (over or self.periods)[-1]

    @property
    def month(self) -> str:
        """With which the headline ends, with a star while it is not over."""
        return label(self.headline).removeprefix(trailing_prefix())

    @property
    def restated(self) -> int:
        """How many windows were closed with other figures than they have now."""
        return sum(x.reported is not None for x in (*self.trailing, *self.periods))

    @property
    def despite(self) -> list[str]:
        """Of each month that was closed although something lacked."""
        return despite_notes([*self.trailing, *self.periods])

    @property
    def year_before(self) -> Retention | None:
        end = add_months(self.headline.measured.window.end, -12)
        found = (x.measured for x in self.trailing if x.measured.window.end == end)
        return next((each.retention for each in found), None)


def view(
    part: CurrencyReport,
    rows: Sequence[WindowRow],
    published: Benchmarks,
    revenue: str,
    segment: str = "",
    goals: Mapping[str, Fraction] = NO_GOALS,
) -> View:
    trailing, periods = split(rows)
    headline = last_over(trailing) or trailing[-1]
    judged = assessed(rows, published, part.currency)
    typical = [each for own in judged for each in own.typical]
    if not judged:
        typical = [each for each in published.typical if each.contract is None]
    return View(
        segment=segment,
        trailing=trailing,
        periods=periods,
        spark=spark([x.measured.waterfall.closing_minor for x in periods]),
        steps=steps(headline, revenue, has_fx=part.is_total),
        bars=bars(periods),
        marks=marks([x.measured for x in trailing]),
        trends=[
            trend(name, trailing, published.bands, typical, goals.get(name))
            for name in RATIOS
            if name in ("nrr", "grr") or name in goals
        ],
        assessments=judged,
    )


class CurrencyPanels(Struct, frozen=True, kw_only=True):
    """One currency on the page; None or empty where the page has nothing of it.

    ``views`` are of all customers, then of the largest segments. ``largest`` are
    movements by the name of their window.
    """

    key: str
    figures: CurrencyReport
    views: Sequence[View]
    cohorts: CohortReport | None
    largest: Sequence[NamedMovements]
    churn: ChurnReport | None
    outlook: AtRiskReport | None


def panels(page: PageContents, part: CurrencyReport, revenue: str) -> CurrencyPanels:
    code = part.currency
    published = page.benchmarks
    whole = view(part, part.rows, published, revenue, goals=page.report.goals)
    segments = (
        view(part, of_segment(part.rows, name), published, revenue, name)
        for name in _segments(whole)[:MOST_SEGMENTS]
    )
    own = code_of(code, is_total=part.is_total)
    return CurrencyPanels(
        key=f"total-{code}" if part.is_total else code,
        figures=part,
        views=[whole, *segments],
        cohorts=page.cohorts.get(own),
        largest=page.largest.get(own, ()),
        churn=page.churn.get(own),
        outlook=page.outlooks.get(own),
    )


def _segments(whole: View) -> list[str]:
    """The headline's segments if any, the one with the largest closing first."""
    found = sorted(
        whole.headline.segments,
        key=lambda s: (-s.measured.waterfall.closing_minor, s.name),
    )
    return [each.name for each in found]


def of_segment(rows: Sequence[WindowRow], name: str) -> list[WindowRow]:
    """The same rows of one segment; all zero where it had nobody."""
    found = []
    for each in rows:
        own = {s.name: s.measured for s in each.segments}
        measured = own.get(name) or measure((), [each.measured.window])[0]
        row = WindowRow(measured=measured, is_over=each.is_over, complete=each.complete)
        found.append(row)
    return found


# The rows of a table: a name, the figures, and the row's CSS class


def window_rows(rows: Sequence[WindowRow]) -> Iterator[tuple[str, WindowFigures, str]]:
    """Below each window that was closed with other figures stand these."""
    for name, measured in shown(rows):
        kind = "was" if name.startswith(as_reported()) else ""
        yield name.strip().removeprefix(trailing_prefix()), measured, kind


def segment_rows(row: WindowRow) -> Iterator[tuple[str, WindowFigures, str]]:
    """All of them together below the segments."""
    kinds = [""] * len(row.segments) + ["total", "was"]
    for (name, measured), kind in zip(by_segment(row), kinds, strict=False):
        yield name.strip(), measured, kind
