"""What the HTML page and the workbook show: a report, and all that belongs to it."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from connector import __version__
from connector.core.errors import NothingFound
from connector.core.model import Movement, SegmentValue
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.benchmarks import Benchmarks
from connector.metrics.contributions import Causes
from connector.metrics.exchange_rates import MissingRate
from connector.reports.benchmarks import benchmarks
from connector.reports.churn import ChurnReport, ChurnRequest, churn_report
from connector.reports.cohorts import CohortReport, cohort_reports
from connector.reports.coverage import CoverageReport, coverage_report
from connector.reports.explained.window_customers import (
    CustomerInWindow,
    window_customers,
)
from connector.reports.figures.asked_books import books_of
from connector.reports.figures.currency_books import CurrencyBooks
from connector.reports.ledger import TOTAL, Ledger, is_total
from connector.reports.model import (
    LISTED,
    CurrencyReport,
    Report,
    WindowRow,
    code_of,
    label,
    last_over,
    split,
)
from connector.reports.movements import each_movement
from connector.reports.report import ReportRequest, causes_in, make_report
from connector.reports.risks.at_risk import at_risk_reports
from connector.reports.risks.model import AtRiskReport, AtRiskReports
from connector.store.ledger import customers, queries
from connector.store.ledger.queries import Wanted

NamedMovements = tuple[str, list[Movement]]  # the name of their window, and they


class PageContents(Struct, frozen=True, kw_only=True):
    """What a page shows beside the report's figures, by currency where there is any.

    What is of all in one is by ``total eur``.

    The report's rows have trailing-12 windows and others; the ``largest`` movements are
    those of the last period that is over, and of the headline's twelve months, whose
    losses ``churn`` tells by reason.
    ``labels`` are what customers are called, by id; ``failed`` are left out of what is at
    risk, and why.
    """

    report: Report
    cohorts: Mapping[str, CohortReport]
    largest: Mapping[str, Sequence[NamedMovements]]
    churn: Mapping[str, ChurnReport]
    outlooks: Mapping[str, AtRiskReport]
    benchmarks: Benchmarks
    labels: Mapping[str, str]
    locale: str
    version: str
    failed: Mapping[str, str]


class WindowBook(Struct, frozen=True, kw_only=True):
    """One window of one currency (or of all in one) with everybody who paid in it.

    ``causes`` None: of all in one, causes are not told.
    """

    part: CurrencyReport
    row: WindowRow
    customers: Sequence[CustomerInWindow]
    causes: Causes | None


class WorkbookContents(Struct, frozen=True, kw_only=True):
    """What a workbook has: ``windows`` are one and the same of each part of the report.

    ``movements`` are those of that window, ``moved`` at most, to be gone through once while
    the ledger is open; ``labels`` are what customers are called, by id. ``at_risk`` and
    ``coverage`` are None as of a past moment, of which they are not kept; coverage also
    where it was not derived, and of some segments alone, as cohorts are empty then.
    """

    report: Report
    windows: Sequence[WindowBook]
    movements: Iterable[Movement]
    moved: int
    labels: Mapping[str, str]
    cohorts: Sequence[CohortReport]
    at_risk: AtRiskReports | None
    coverage: CoverageReport | None
    locale: str
    version: str


NOBODY = AtRiskReports(currencies=(), labels={}, failed={})
MOST = 10  # movements that are listed by name


def make_page(ledger: Ledger, asked: ReportRequest) -> PageContents:
    """All that the page shows; what is at risk only as of now, as it is not kept."""
    report = make_report(ledger, asked)
    cohorts = _cohorts(ledger, report, asked)
    at_risk = NOBODY
    if asked.as_of is None and report.parts:
        has_total = report.total is not None
        with suppress(NothingFound):  # none of these customers pays any more
            at_risk = at_risk_reports(
                ledger,
                asked.currency,
                with_total=has_total,
                only=asked.only,
                most=LISTED,
            )
    largest = {
        part.currency: _largest(ledger, part, asked) for part in report.currencies
    }
    return PageContents(
        report=report,
        cohorts={code_of(x.currency, is_total=x.is_total): x for x in cohorts},
        largest=largest,
        churn={
            part.currency: _churn(ledger, part, asked) for part in report.currencies
        },
        outlooks={
            code_of(x.currency, is_total=x.is_total): x for x in at_risk.currencies
        },
        benchmarks=benchmarks(ledger.config),
        labels=_labels(ledger.connection, report, largest.values(), at_risk.currencies),
        locale=ledger.config.locale,
        version=__version__,
        failed=at_risk.failed,
    )


def make_workbook(
    ledger: Ledger, asked: ReportRequest, window: Window | None = None
) -> WorkbookContents:
    """All that a workbook has; by customer the ``window`` given, else the headline.

    Where the report is asked for of a kind of windows, the last of these that is over.
    """
    report = make_report(ledger, asked._replace(trend=True, causes=False))
    chosen = window or _window_of(report, asked.kind)
    books = [_window_book(ledger, report, part, chosen, asked) for part in report.parts]
    months = (chosen.start, chosen.end)
    at_risk = coverage = None
    if asked.as_of is None and report.parts:
        has_total, at_risk = report.total is not None, NOBODY
        with suppress(NothingFound):  # none of these customers pays any more
            at_risk = at_risk_reports(
                ledger, asked.currency, with_total=has_total, only=asked.only
            )
    if at_risk is not None and not asked.only:
        with suppress(NothingFound):  # nothing invoiced, or not derived by this version
            own = None if is_total(asked.currency) else asked.currency
            coverage = coverage_report(ledger, None, own)
    wanted = Wanted(None, *months, None, asked.currency, asked.as_of)
    counted = wanted._replace(currency=None) if is_total(asked.currency) else wanted
    numbers = queries.counted(ledger.connection, counted).values()
    return WorkbookContents(
        report=report,
        windows=books,
        movements=each_movement(ledger, wanted, asked.only),
        moved=sum(number for number, _ in numbers),
        labels=customers.labels(ledger.connection),
        cohorts=_cohorts(ledger, report, asked),
        at_risk=at_risk,
        coverage=coverage,
        locale=ledger.config.locale,
        version=__version__,
    )


def _window_of(report: Report, kind: WindowKind | None) -> Window:
    """The last that is over, of a currency's rows or of none at all."""
    if not report.parts:
        month = report.today.replace(day=1)
        return windows(kind or WindowKind.TRAILING_12, month, month)[0]
    wanted = kind or WindowKind.TRAILING_12
    own = [x for x in report.parts[0].rows if x.measured.window.kind is wanted]
    over = [row for row in own if row.is_over] or own
    return over[-1].measured.window


def _window_book(
    ledger: Ledger,
    report: Report,
    part: CurrencyReport,
    window: Window,
    asked: ReportRequest,
) -> WindowBook:
    currency = TOTAL if part.is_total else part.currency
    found = window_customers(ledger, window, currency, asked.as_of)
    if asked.only:
        own = books_of(ledger, currency, asked.as_of).members(window, asked.only)
        found = [each for each in found if each.key in own]
    [row] = [each for each in part.rows if each.measured.window == window]
    return WindowBook(
        part=part,
        row=row,
        customers=[_a_year(each) for each in found] if report.is_annual else found,
        causes=None
        if part.is_total
        else causes_in(ledger, currency, window, asked.as_of, asked.only),
    )


def _a_year(each: CustomerInWindow) -> CustomerInWindow:
    return each._replace(
        opening_minor=each.opening_minor * 12,
        closing_minor=each.closing_minor * 12,
        moved_minor={kind: minor * 12 for kind, minor in each.moved_minor.items()},
    )


def _cohorts(
    ledger: Ledger, report: Report, asked: ReportRequest
) -> list[CohortReport]:
    """Those of each part of the report; of a total only where it has all rates."""
    found: list[CohortReport] = []
    if report.only:
        return found  # whose customers change; a cohort's are always the same
    if report.currencies:
        found += cohort_reports(ledger, None, asked.currency, asked.as_of)
    if report.total is not None:
        with suppress(MissingRate):  # of a currency that is no more: the others stand
            found += cohort_reports(ledger, None, TOTAL, asked.as_of)
    return found


def _churn(ledger: Ledger, part: CurrencyReport, asked: ReportRequest) -> ChurnReport:
    """Of the headline's twelve months."""
    trailing, _ = split(part.rows)
    window = (last_over(trailing) or trailing[-1]).measured.window
    wanted = ChurnRequest(as_of=asked.as_of, only=asked.only, most=LISTED)
    return churn_report(ledger, part.currency, window, wanted)


def _largest(
    ledger: Ledger, part: CurrencyReport, asked: ReportRequest
) -> list[NamedMovements]:
    both = [[row for row in rows if row.is_over] or rows for rows in split(part.rows)]
    trailing, periods = both
    of_some = asked.as_of, asked.only
    return [
        (label(row), largest_movements(ledger, part.currency, window, MOST, *of_some))
        for row in (periods[-1], trailing[-1])
        for window in [row.measured.window]
    ]


def largest_movements(
    ledger: Ledger,
    currency: str,
    window: Window,
    count: int,
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> list[Movement]:
    """What changed most in a window; with ``only``, of those with these segments in it."""
    own = CurrencyBooks(ledger, currency, as_of).members(window, only) if only else None
    return queries.largest(ledger.connection, currency, window, count, as_of, own)


def _labels(
    connection: sqlite3.Connection,
    report: Report,
    found: Iterable[Sequence[NamedMovements]],
    outlooks: Iterable[AtRiskReport],
) -> dict[str, str]:
    """What those who are named are called."""
    named = {m.customer for each in found for _, moved in each for m in moved}
    for outlook in outlooks:
        named |= {each.customer for each in outlook.customers}
        named |= {each.customer for each in outlook.scheduled}
    named |= {each.customer for each in report.outside}
    return customers.labels_of(connection, named)
