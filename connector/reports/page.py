"""What the HTML page shows: a report, cohorts, movements and risks."""

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from connector import __version__
from connector.config import Config, rules_of
from connector.core.model import Movement
from connector.metrics.benchmarks import Benchmarks
from connector.reports.at_risk import AtRiskReport, at_risk_reports
from connector.reports.benchmarks import benchmarks
from connector.reports.cohorts import CohortReport, cohort_reports
from connector.reports.ledger_state import ledger_state
from connector.reports.model import CurrencyReport, Report, WindowRow, split
from connector.reports.report import ReportRequest, make_report, uncollected
from connector.store.ledger import customers, queries


class Largest(Struct, frozen=True, kw_only=True):
    """The largest movements of the last period, and of the trailing twelve months."""

    period: list[Movement]
    trailing: list[Movement]


class PageContents(Struct, frozen=True, kw_only=True):
    """What a page shows beside the report's figures, by currency where there is any.

    The report's lines have trailing-12 windows and others. ``labels`` are what customers
    are called, by id.
    """

    report: Report
    cohorts: Mapping[str, CohortReport]
    largest: Mapping[str, Largest]
    outlooks: Mapping[str, AtRiskReport]
    benchmarks: Benchmarks
    labels: Mapping[str, str]
    locale: str
    version: str


MOST = 10  # movements that are listed by name


def make_page(
    connection: sqlite3.Connection, config: Config, now: datetime, asked: ReportRequest
) -> PageContents:
    """All that the page shows; what is at risk only as of now, as it is not kept."""
    report = make_report(connection, config, now, asked)
    known = ledger_state(connection, config, now, asked.as_of)
    codes = [part.currency for part in report.currencies]
    with uncollected():
        found = {
            code: cohort_reports(connection, code, known, asked.as_of) for code in codes
        }
        outlooks: list[AtRiskReport] = []
        if asked.as_of is None:
            outlooks = at_risk_reports(connection, rules_of(config), known, codes)
    largest = {
        part.currency: _largest(connection, part, asked.as_of)
        for part in report.currencies
    }
    return PageContents(
        report=report,
        cohorts=found,
        largest=largest,
        outlooks={each.currency: each for each in outlooks},
        benchmarks=benchmarks(config),
        labels=_labels(connection, largest.values(), outlooks),
        locale=config.locale,
        version=__version__,
    )


def _largest(
    connection: sqlite3.Connection, part: CurrencyReport, as_of: datetime | None
) -> Largest:
    trailing, periods = split(part.lines)

    def of(line: WindowRow) -> list[Movement]:
        window = line.measured.window
        return queries.largest(connection, part.currency, window, MOST, as_of)

    return Largest(period=of(periods[-1]), trailing=of(trailing[-1]))


def _labels(
    connection: sqlite3.Connection,
    found: Iterable[Largest],
    outlooks: Iterable[AtRiskReport],
) -> dict[str, str]:
    """What those who are named are called."""
    named = {m.customer for each in found for m in (*each.period, *each.trailing)}
    for outlook in outlooks:
        named |= {risk.customer for risk in outlook.risks}
        named |= {each.customer for each in outlook.scheduled}
    labels = customers.labels(connection)
    return {customer: labels[customer] for customer in named if customer in labels}
