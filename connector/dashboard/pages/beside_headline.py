"""What the overview tells beside its headline: plans, coverage, movements, yardsticks."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from connector.core.errors import NothingFound
from connector.core.figures import Retention, WindowFigures
from connector.dashboard.answer import PageRequest
from connector.dashboard.filters import without_price
from connector.dashboard.pages.coverage import coverage_of
from connector.render.page.figures import View
from connector.render.page.levels import band_scale
from connector.render.report.segment_names import segment_name
from connector.reports.benchmarks import benchmarks
from connector.reports.coverage import CoveredWindow
from connector.reports.figures.windows import figures_by_segment
from connector.reports.model import CurrencyReport
from connector.reports.page import largest_movements
from connector.store.ledger import customers

LARGEST = 8


PLAN, MOST_PLANS = "plan", 8


MOST_COUNTED = 5_000  # customers, who are counted for every overview


def covered(asked: PageRequest, part: CurrencyReport) -> CoveredWindow | None:
    """Where the headline's invoiced amounts belong; None where that is not told."""
    if part.is_total or asked.only or asked.as_of is not None:
        return None
    with suppress(NothingFound):  # nothing invoiced, or derived by another version
        found = coverage_of(asked, None, part.currency)
        return found.currencies[0].headline
    return None


class PlanRetention(NamedTuple):
    """``name`` is the segment's own, ``shown`` what of it tells it from the others."""

    name: str
    shown: str
    kept: Retention


def by_plan(
    asked: PageRequest, part: CurrencyReport, headline: WindowFigures
) -> Sequence[PlanRetention]:
    """The headline's plans with the largest openings; none where more is told of them.

    Nor of many customers: those have no kept sums, and are counted where they are asked.
    """
    window = headline.window
    if headline.retention.customers > MOST_COUNTED:
        return ()
    is_told = asked.by is not None or any(each.by == PLAN for each in asked.only)
    if part.is_total or is_told:
        return ()
    of_some = asked.as_of, asked.only
    [found] = asked.reading.keep(
        ("by plan", part.currency, window, *of_some),
        lambda: figures_by_segment(
            asked.ledger, part.currency, [window], PLAN, *of_some
        ),
    )
    kept = [(name, x.retention) for name, x in found.items() if x.retention.customers]
    kept.sort(key=lambda pair: (-pair[1].opening_minor, pair[0]))
    if len(kept) < 2:
        return ()
    short = Counter(without_price(segment_name(name)) for name, _ in kept)
    return [
        PlanRetention(name, title if short[title] == 1 else segment_name(name), own)
        for name, own in kept[:MOST_PLANS]
        for title in [without_price(segment_name(name))]
    ]


def yardsticks(asked: PageRequest, shown: View) -> dict[str, Any]:
    published = benchmarks(asked.config)
    typical = [each for judged in shown.assessments for each in judged.typical]
    found = {}
    for name, value in shown.headline.measured.retention.ratios.items():
        if value is not None:
            bands = [band for band in published.bands if band.metric == name]
            norms = [each for each in typical if each.metric == name]
            found[name] = band_scale(value, bands, norms)
    return found


def largest(asked: PageRequest, part: CurrencyReport, shown: View) -> Any:
    """The largest movements of the last whole period, with their customers' names."""
    if part.is_total:
        return ()
    connection, window = asked.ledger.connection, shown.recent.measured.window
    found = asked.reading.keep(
        ("largest", part.currency, window, asked.as_of, asked.only),
        lambda: largest_movements(
            asked.ledger, part.currency, window, LARGEST, asked.as_of, asked.only
        ),
    )
    named = customers.labels_of(connection, {each.customer for each in found})
    return [(each, named.get(each.customer, each.customer)) for each in found]
