"""Close a month: its figures, recorded as reported."""

import sqlite3
from datetime import date, datetime

from connector import __version__
from connector.config import Config
from connector.core.dates import add_months
from connector.core.errors import NothingFound, NotOverYet
from connector.reports.ledger_state import ledger_state
from connector.store.ledger import closings
from connector.store.ledger.closings import Closing


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
        policy=known.rules,
        code_version=__version__,
        now=moment,
    )
