"""Cohorts of each currency: how the customers of a month or quarter stayed and grew."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.windows import Window, WindowKind
from connector.metrics.cohorts import Cohort, CohortPeriod, in_minor_of
from connector.reports.figures.asked_books import books_asked
from connector.reports.figures.currency_books import CurrencyBooks
from connector.reports.ledger import Ledger


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
    return [_of(each, period) for each in books_asked(ledger, currency, as_of)]


def _of(books: CurrencyBooks, period: CohortPeriod | None) -> CohortReport:
    """Of all currencies in one, at the rates of the last known day."""
    from connector.metrics.wide.cohort_counts import cohorts

    always = Window(WindowKind.YEAR, date.min, date.max)
    at = books.conversion(always)
    size = period or _period_of_page(books.first_day(), books.today)
    counted = cohorts(books.columns(always, at), size, books.today)
    rounded = [in_minor_of(each, at.scale) for each in counted]
    return CohortReport(books.currency, size, rounded, books.is_total)


def _period_of_page(first: date | None, today: date) -> CohortPeriod:
    """So long that a page has room for all of them."""
    long = add_months(first or today, MANY_MONTHS) < today
    return CohortPeriod.QUARTER if long else CohortPeriod.MONTH
