"""What a report is asked for and the ledger → the page's HTML."""

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from connector import __version__, customers, ledger
from connector.cli import rules_of
from connector.cli_at_risk import outlooks
from connector.cli_benchmarks import benchmarks
from connector.cli_figures import (
    Asked,
    Known,
    known_ledger,
    make_report,
    uncollected,
)
from connector.cohort_tables import CohortReport
from connector.cohorts import Period, cohorts
from connector.config import Config
from connector.model import Movement
from connector.outlook import Outlook
from connector.page import Largest, Page, to_html
from connector.page_figures import split
from connector.periods import add_months
from connector.report import CurrencyReport, Line

MANY_MONTHS = 24  # of history: from here on, cohorts are quarters
MOST = 10  # movements that are listed by name


def make_page(
    connection: sqlite3.Connection, config: Config, now: datetime, asked: Asked
) -> str:
    """The whole page; what is at risk only as of now, as it is not kept."""
    report = make_report(connection, config, now, asked)
    known = known_ledger(connection, config, now, asked.as_of)
    codes = [part.currency for part in report.currencies]
    with uncollected():
        found = {code: _cohorts(connection, code, known, asked.as_of) for code in codes}
        ahead: list[Outlook] = []
        if asked.as_of is None:
            ahead = outlooks(connection, rules_of(config), known, codes)
    largest = {
        part.currency: _largest(connection, part, asked.as_of)
        for part in report.currencies
    }
    page = Page(
        report=report,
        cohorts=found,
        largest=largest,
        outlooks={each.currency: each for each in ahead},
        benchmarks=benchmarks(config),
        labels=_labels(connection, largest.values(), ahead),
        locale=config.locale,
        version=__version__,
    )
    return to_html(page)


def _cohorts(
    connection: sqlite3.Connection, currency: str, known: Known, as_of: datetime | None
) -> CohortReport:
    """By month; of a long history by quarter, so that a page has room for it."""
    first = ledger.first_day(connection, currency, as_of) or known.today
    long = add_months(first, MANY_MONTHS) < known.today
    period = Period.QUARTER if long else Period.MONTH
    moved = ledger.changes(connection, currency, as_of)
    return CohortReport(currency, period, cohorts(moved, period, known.today))


def _largest(
    connection: sqlite3.Connection, part: CurrencyReport, as_of: datetime | None
) -> Largest:
    trailing, periods = split(part.lines)

    def of(line: Line) -> list[Movement]:
        window = line.measured.window
        return ledger.largest(connection, part.currency, window, MOST, as_of)

    return Largest(period=of(periods[-1]), trailing=of(trailing[-1]))


def _labels(
    connection: sqlite3.Connection, found: Iterable[Largest], ahead: Iterable[Outlook]
) -> dict[str, str]:
    """What those who are named are called."""
    named = {m.customer for each in found for m in (*each.period, *each.trailing)}
    for outlook in ahead:
        named |= {risk.customer for risk in outlook.risks}
        named |= {each.customer for each in outlook.scheduled}
    labels = customers.labels(connection)
    return {customer: labels[customer] for customer in named if customer in labels}
