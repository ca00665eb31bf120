"""Close a month: its figures, recorded as reported, and worked out as of then again."""

import sqlite3
from collections.abc import Iterator
from datetime import date, datetime

from connector import __version__
from connector.config import Config
from connector.core.dates import add_months
from connector.core.errors import NothingFound, NotOverYet
from connector.core.figures import WindowFigures
from connector.core.windows import ending_with
from connector.metrics.retention import measure
from connector.reports.ledger_state import ledger_state
from connector.store.ledger import closings, queries
from connector.store.ledger.closings import Closing, ReportedFigures


def close_month(
    connection: sqlite3.Connection,
    config: Config,
    now: datetime,
    moment: datetime,
    month: date,
) -> Closing:
    """Record it, dated ``moment``; inside the caller's transaction."""
    known = ledger_state(connection, config, now)
    if known.synced_at is None:
        raise NothingFound(
            "the ledger is empty: there is nothing to close",
            fix="run `stripe-nrr sync`",
        )
    end = add_months(month, 1)
    if known.today < end:
        raise NotOverYet(
            f"{month:%Y-%m} is not over: the ledger knows the days to {known.today}",
            fix=f"run `stripe-nrr sync` on {end} or later, then close it",
        )
    return closings.close(
        connection,
        month,
        figures_to_close(connection, month),
        policy=known.rules,
        code_version=__version__,
        now=moment,
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
    for month, (currency, reported) in closings.figures(connection):
        flows = queries.flows(connection, currency, closed_at[month])
        [now] = measure(flows, [reported.window])
        yield currency, reported, now
