"""What is told of a currency before its first twelve months are over."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from connector.core.dates import add_months
from connector.core.figures import Retention
from connector.core.windows import Window, WindowKind
from connector.reports.figures.windows import figures
from connector.reports.ledger import Ledger
from connector.reports.model import FirstYear, WindowRow, last_over
from connector.store.ledger import queries

TRAILING_MONTHS = 12


def first_year_of(
    ledger: Ledger, currency: str, rows: Sequence[WindowRow], as_of: datetime | None
) -> FirstYear | None:
    return first_year(
        rows,
        lambda: queries.first_day(ledger.connection, currency, as_of),
        lambda window: figures(ledger, currency, [window], as_of)[0].retention,
    )


def first_year(
    rows: Sequence[WindowRow],
    first_day: Callable[[], date | None],
    kept_in: Callable[[Window], Retention],
) -> FirstYear | None:
    """Where the headline opens before anybody paid; by its first whole month."""
    headline = last_over(rows)
    if headline is None or headline.measured.retention.opening_minor:
        return None
    first, end = first_day(), headline.measured.window.end
    if first is None or first >= end:
        return None
    since = add_months(first.replace(day=1), 1)
    months = (end.year - since.year) * 12 + end.month - since.month
    if months >= TRAILING_MONTHS:  # everybody of then has left since
        return None
    kept = kept_in(Window(WindowKind.TRAILING_12, since, end)) if months else None
    ends_on = add_months(since, TRAILING_MONTHS) - timedelta(days=1)
    return FirstYear(since, months, kept, ends_on)
