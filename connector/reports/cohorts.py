"""Cohorts of each currency: how the customers of a month or quarter stayed and grew."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from connector.core.dates import add_months
from connector.metrics.cohorts import Cohort, CohortPeriod, cohorts
from connector.reports.ledger_state import LedgerState
from connector.store.ledger import queries


class CohortReport(NamedTuple):
    """One currency's cohorts, oldest first, each ``period`` long."""

    currency: str
    period: CohortPeriod
    cohorts: Sequence[Cohort]


MANY_MONTHS = 24  # of history: from here on, cohorts are quarters


def cohort_reports(
    connection: sqlite3.Connection,
    currency: str,
    known: LedgerState,
    as_of: datetime | None,
) -> CohortReport:
    """By month; of a long history by quarter, so that a page has room for it."""
    first = queries.first_day(connection, currency, as_of) or known.today
    long = add_months(first, MANY_MONTHS) < known.today
    period = CohortPeriod.QUARTER if long else CohortPeriod.MONTH
    moved = queries.changes(connection, currency, as_of)
    return CohortReport(currency, period, cohorts(moved, period, known.today))
