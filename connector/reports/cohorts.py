"""Cohorts of each currency: how the customers of a month or quarter stayed and grew."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.windows import Window, WindowKind
from connector.metrics.cohorts import Cohort, CohortPeriod, in_minor_of
from connector.reports.ledger import Ledger, is_total
from connector.store.ledger import columns, queries


class CohortReport(NamedTuple):
    """One currency's cohorts, oldest first, each ``period`` long."""

    currency: str
    period: CohortPeriod
    cohorts: Sequence[Cohort]
    is_total: bool = False


MANY_MONTHS = 24  # of history: from here on, cohorts are quarters


def cohort_reports(
    ledger: Ledger,
    period: CohortPeriod | None = CohortPeriod.MONTH,
    currency: str | None = None,
    as_of: datetime | None = None,
) -> list[CohortReport]:
    """Of each currency. Without a period by month, of a long history by quarter."""
    if is_total(currency):
        return [_of_total(ledger, period, as_of)]
    from connector.metrics.wide.cohort_counts import cohorts
    from connector.metrics.wide.columns import columns_of

    connection, today = ledger.connection, ledger.state(as_of).today
    found = []
    for code in ledger.currencies(currency, as_of):
        size = period or _period_of_page(
            queries.first_day(connection, code, as_of), today
        )
        parts = map(columns_of, columns.blocks(connection, code, as_of))
        found.append(CohortReport(code, size, cohorts(parts, size, today)))
    return found


def _of_total(
    ledger: Ledger, period: CohortPeriod | None, as_of: datetime | None
) -> CohortReport:
    """All currencies in one, at the rates of the last known day."""
    from connector.metrics.wide.cohort_counts import cohorts
    from connector.reports.figures.currency_total import CurrencyTotal

    total = CurrencyTotal(ledger, as_of)
    always = Window(WindowKind.YEAR, date.min, date.max)
    at = total.conversion(always)
    days = (queries.first_day(ledger.connection, code, as_of) for code in total.codes)
    first = min((day for day in days if day is not None), default=None)
    size = period or _period_of_page(first, total.today)
    counted = cohorts(total.columns(always, at), size, total.today)
    rounded = [in_minor_of(each, at.scale) for each in counted]
    return CohortReport(total.currency, size, rounded, is_total=True)


def _period_of_page(first: date | None, today: date) -> CohortPeriod:
    """So long that a page has room for all of them."""
    long = add_months(first or today, MANY_MONTHS) < today
    return CohortPeriod.QUARTER if long else CohortPeriod.MONTH
