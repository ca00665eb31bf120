"""What the HTML page shows: a report, cohorts, movements and risks."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from msgspec import Struct

from connector import __version__
from connector.core.exchange_rates import MissingRate
from connector.core.model import Movement
from connector.metrics.benchmarks import Benchmarks
from connector.reports.at_risk import AtRiskReport, AtRiskReports, at_risk_reports
from connector.reports.churn import ChurnReport, ChurnRequest, churn_report
from connector.reports.cohorts import CohortReport, cohort_reports
from connector.reports.ledger import TOTAL, Ledger
from connector.reports.model import (
    CurrencyReport,
    Report,
    benchmarks,
    code_of,
    label,
    last_over,
    split,
)
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import customers, queries

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


NOBODY = AtRiskReports(currencies=(), labels={}, failed={})
MOST = 10  # movements that are listed by name


def make_page(ledger: Ledger, asked: ReportRequest) -> PageContents:
    """All that the page shows; what is at risk only as of now, as it is not kept."""
    report = make_report(ledger, asked)
    cohorts = []
    if report.currencies:
        cohorts += cohort_reports(ledger, None, asked.currency, asked.as_of)
    if report.total is not None:
        with suppress(MissingRate):  # of a currency that is no more: the others stand
            cohorts += cohort_reports(ledger, None, TOTAL, asked.as_of)
    at_risk = NOBODY
    if asked.as_of is None and report.parts:
        has_total = report.total is not None
        at_risk = at_risk_reports(ledger, asked.currency, with_total=has_total)
    largest = {
        part.currency: _largest(ledger.connection, part, asked.as_of)
        for part in report.currencies
    }
    return PageContents(
        report=report,
        cohorts={code_of(x.currency, is_total=x.is_total): x for x in cohorts},
        largest=largest,
        churn={
            part.currency: _churn(ledger, part, asked.as_of)
            for part in report.currencies
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


def _churn(ledger: Ledger, part: CurrencyReport, as_of: datetime | None) -> ChurnReport:
    """Of the headline's twelve months."""
    trailing, _ = split(part.rows)
    window = (last_over(trailing) or trailing[-1]).measured.window
    return churn_report(ledger, part.currency, window, ChurnRequest(as_of=as_of))


def _largest(
    connection: sqlite3.Connection, part: CurrencyReport, as_of: datetime | None
) -> list[NamedMovements]:
    both = [[row for row in rows if row.is_over] or rows for rows in split(part.rows)]
    trailing, periods = both
    return [
        (label(row), queries.largest(connection, part.currency, window, MOST, as_of))
        for row in (periods[-1], trailing[-1])
        for window in [row.measured.window]
    ]


def _labels(
    connection: sqlite3.Connection,
    report: Report,
    found: Iterable[Sequence[NamedMovements]],
    outlooks: Iterable[AtRiskReport],
) -> dict[str, str]:
    """What those who are named are called."""
    named = {m.customer for each in found for _, moved in each for m in moved}
    for outlook in outlooks:
        named |= {risk.customer for risk in outlook.risks}
        named |= {each.customer for each in outlook.scheduled}
    named |= {each.customer for each in report.outside}
    labels = customers.labels(connection)
    return {customer: labels[customer] for customer in named if customer in labels}
