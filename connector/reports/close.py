"""Close a month: its figures, recorded as reported, and worked out as of then again."""

import sqlite3
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import NamedTuple

from connector import __version__
from connector.core.dates import add_months
from connector.core.errors import NothingFound, NotOverYet
from connector.core.figures import WindowFigures
from connector.core.windows import ending_with
from connector.metrics.retention import measure
from connector.reports.ledger import Ledger
from connector.store.ledger import closings, queries
from connector.store.ledger.closings import Closing, ReportedFigures
from connector.store.mirror import dirty_customers


class ClosedMonth(NamedTuple):
    """A closed month. ``waiting`` customers were not yet derived when it was closed."""

    closing: Closing
    figures: list[ReportedFigures]
    was_closed: bool
    waiting: int = 0


def close_month(ledger: Ledger, month: date) -> ClosedMonth:
    """Record what is reported of a month; one that is closed stays as it is.

    Writes, inside the caller's transaction. Raises ``NotOverYet`` or ``NothingFound``.
    """
    connection = ledger.connection
    closed = {each.month: each for each in closings.known(connection)}
    was_closed, waiting = month in closed, 0
    if not was_closed:
        closed[month] = _close(ledger, month)
        waiting = dirty_customers.behind(connection)
    kept = [each for of, each in closings.figures(connection) if of == month]
    return ClosedMonth(closed[month], kept, was_closed, waiting)


def _close(ledger: Ledger, month: date) -> Closing:
    known, end = ledger.state(), add_months(month, 1)
    if known.synced_at is None:
        raise NothingFound(
            "the ledger is empty: there is nothing to close",
            fix="run `stripe-nrr sync`",
        )
    if known.today < end:
        raise NotOverYet(
            f"{month:%Y-%m} is not over: the ledger knows the days to {known.today}",
            fix=f"run `stripe-nrr sync` on {end} or later, then close it",
        )
    return closings.close(
        ledger.connection,
        month,
        figures_to_close(ledger.connection, month),
        policy=known.rules,
        code_version=__version__,
        now=ledger.moment,
    )


def figures_to_close(
    connection: sqlite3.Connection, month: date
) -> Iterator[ReportedFigures]:
    """Of every currency, those of the windows that end with the month, as they are now."""
    for currency in queries.currencies(connection):
        flows = queries.flows(connection, currency)
        for measured in measure(flows, ending_with(month)):
            yield ReportedFigures(currency, measured)


def measured_again(
    connection: sqlite3.Connection,
) -> Iterator[tuple[str, WindowFigures, WindowFigures]]:
    """Each closed window as it was reported, and as the ledger gives it as of then."""
    closed_at = {each.month: each.closed_at for each in closings.known(connection)}
    figures = closings.figures(connection)
    for (month, currency), of_both in groupby(
        figures, lambda it: (it[0], it[1].currency)
    ):
        reported = [each.measured for _, each in of_both]
        end = add_months(month, 1)
        flows = queries.flows(connection, currency, closed_at[month], until=end)
        found = measure(flows, [each.window for each in reported])
        for was, now in zip(reported, found, strict=True):
            yield currency, was, now
