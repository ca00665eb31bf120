"""Close a month: its figures, recorded as reported."""

from datetime import date
from typing import NamedTuple

from connector import __version__
from connector.core.dates import add_months
from connector.core.errors import NothingFound, NotOverYet
from connector.reports.ledger import Ledger
from connector.store.ledger import closings
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
        policy=known.rules,
        code_version=__version__,
        now=ledger.moment,
    )
