"""The sums that the standard windows are read from: kept up to date, never recounted.

Changed in the transaction that changes the movements they are sums of. ``WHOLE`` is the
setting that says whether they have been kept from the ledger's first movement on.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

from connector.core.figures import SUMMED, RollupDelta
from connector.core.windows import Window, WindowKind
from connector.store.database import scalars

# The setting that says that they have been kept from the first movement on, and how.
WHOLE, FORMAT = "window_sums", "1"

_ADD = f"""
    INSERT INTO window_sums (currency, kind, start, "end", {", ".join(SUMMED)})
    VALUES (?, ?, ?, ?, {", ".join("?" * len(SUMMED))})
    ON CONFLICT (currency, kind, start) DO UPDATE SET
    {", ".join(f"{name} = {name} + excluded.{name}" for name in SUMMED)}
"""  # noqa: S608


def add(
    connection: sqlite3.Connection, changes: Mapping[str, Iterable[RollupDelta]]
) -> None:
    """Add what has changed, by currency, to the sums; in the caller's transaction."""
    connection.executemany(
        _ADD,
        [
            (currency, kind.value, str(start), str(end), *sums)
            for currency, own in changes.items()
            for (kind, start, end), sums in own
        ],
    )


_ALL = f"""
    SELECT currency, kind, start, "end", {", ".join(SUMMED)} FROM window_sums
"""  # noqa: S608


def add_all(connection: sqlite3.Connection, other: sqlite3.Connection) -> None:
    """Add another ledger's sums to these."""
    connection.executemany(_ADD, other.execute(_ALL))


_SPANS = """
    SELECT currency, min(day), max(day)
    FROM (SELECT currency, day FROM live_movements
          UNION ALL SELECT currency, day FROM terms)
    GROUP BY currency
"""


def spans(connection: sqlite3.Connection) -> list[tuple[str, date, date]]:
    """Each currency, and the first and the last day on which anything is booked in it."""
    rows = connection.execute(_SPANS).fetchall()
    return [(code, date.fromisoformat(a), date.fromisoformat(b)) for code, a, b in rows]


def clear(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM window_sums")


_READ = f"""
    SELECT kind, start, "end", {", ".join(SUMMED)} FROM window_sums
    WHERE currency = ? AND start <= ? ORDER BY start
"""  # noqa: S608


def deltas(
    connection: sqlite3.Connection, currency: str, wanted: Iterable[Window]
) -> Iterator[RollupDelta]:
    """All that the figures of the windows wanted are sums of, by start."""
    kinds = {kind.value: kind for kind in WindowKind}
    last = max(window.start for window in wanted)
    for kind, start, end, *sums in connection.execute(_READ, [currency, str(last)]):
        window = Window(kinds[kind], date.fromisoformat(start), date.fromisoformat(end))
        yield RollupDelta(window, tuple(sums))


_CURRENCIES = """
    SELECT currency FROM window_sums WHERE kind = 'month'
    GROUP BY currency ORDER BY sum(paying) DESC, currency
"""


def currencies(connection: sqlite3.Connection) -> list[str]:
    """The ledger's currencies, the one with most paying customers first."""
    return scalars(connection, _CURRENCIES)
