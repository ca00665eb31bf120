"""The sums that the standard windows are read from: kept up to date, never recounted.

Changed in the transaction that changes the movements they are sums of. ``WHOLE`` is the
setting that says whether they have been kept from the ledger's first movement on.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from connector.core.figures import SUMMED, RollupDelta, WindowFigures
from connector.core.windows import Window, WindowKind
from connector.metrics.rollups import CustomerBooks, differences, figures_of

# The setting that says that they have been kept from the first movement on, and how.
WHOLE, FORMAT = "window_sums", "1"

_ADD = f"""
    INSERT INTO window_sums (currency, kind, start, "end", {", ".join(SUMMED)})
    VALUES (?, ?, ?, ?, {", ".join("?" * len(SUMMED))})
    ON CONFLICT (currency, kind, start) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in SUMMED)}
"""  # noqa: S608


def replace(
    connection: sqlite3.Connection,
    before: Iterable[CustomerBooks],
    after: Iterable[CustomerBooks],
) -> None:
    """Take out what customers were, put in what they are; in the caller's transaction."""
    connection.executemany(
        _ADD,
        [
            (currency, kind.value, str(start), str(end), *sums)
            for currency, changes in differences(before, after).items()
            for (kind, start, end), sums in changes
        ],
    )


def clear(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM window_sums")


_READ = f"""
    SELECT kind, start, "end", {", ".join(SUMMED)} FROM window_sums
    WHERE currency = ? AND start <= ? ORDER BY start
"""  # noqa: S608


def measured(
    connection: sqlite3.Connection, currency: str, wanted: Sequence[Window]
) -> list[WindowFigures]:
    """The figures of the windows wanted, in their order."""
    last = max(window.start for window in wanted)
    return figures_of(_read(connection, currency, last), wanted)


_CURRENCIES = """
    SELECT currency FROM window_sums WHERE kind = 'month'
    GROUP BY currency ORDER BY sum(paying) DESC, currency
"""


def currencies(connection: sqlite3.Connection) -> list[str]:
    """The ledger's currencies, the one with most paying customers first."""
    return [currency for (currency,) in connection.execute(_CURRENCIES)]


def _read(
    connection: sqlite3.Connection, currency: str, last: date
) -> Iterator[RollupDelta]:
    kinds = {kind.value: kind for kind in WindowKind}
    for kind, start, end, *rest in connection.execute(_READ, [currency, str(last)]):
        window = Window(kinds[kind], date.fromisoformat(start), date.fromisoformat(end))
        yield RollupDelta(window, tuple(rest))
