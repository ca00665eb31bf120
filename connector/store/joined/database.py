"""The file without a name, filled when it is first asked, and where each ledger's keys are.

A ledger's keys begin where the one before ends.
"""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

from connector.store.database import LedgerConnection, scalar, scalars
from connector.store.schema import CHUNK_BITS, MIGRATIONS, statements

MOVED = re.compile(
    r"\b(movements|live_movements|retractions|runs|terms|plans|invoiced|customers"
    r"|companies|packed_columns|account_by_day|stripe_\w+|mrr_by_\w+|nrr_\w+)\b"
)
EXPLAINED = re.compile(r"\bcomponents\b")


class JoinedConnection(LedgerConnection):
    """A connection that has itself filled before what it is asked of is read."""

    waiting: Sequence[tuple[re.Pattern[str], Callable[[], None]]] = ()

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        while any(named.search(sql) for named, _ in self.waiting):
            (_, fill), *others = self.waiting
            self.waiting = ()  # what fills it asks for what is there
            fill()
            self.waiting = others
        return super().execute(sql, parameters)


FILES = 3  # that an open ledger has: itself, its log, and the index of that
OTHERS = 100  # that the process may have open


def room_for(ledgers: int) -> None:
    """Have so many files open, where the system lets a process ask for that."""
    try:
        import resource
    except ImportError:
        return
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ledgers * FILES + OTHERS
    if least < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), most))


@contextmanager
def joined_database() -> Iterator[JoinedConnection]:
    """An empty one, gone at the end; what guards a ledger against edits is left out."""
    with closing(
        sqlite3.connect("", isolation_level=None, factory=JoinedConnection)
    ) as connection:
        connection.execute("PRAGMA journal_mode = OFF").fetchone()
        connection.execute("PRAGMA synchronous = OFF")
        for migration in MIGRATIONS:
            for statement in statements(migration):
                connection.execute(statement)
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for name in scalars(connection, guards):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(_ACCOUNT_BY_DAY)
        yield connection


# In which account a customer pays most, from a day on.
_ACCOUNT_BY_DAY = """
    CREATE TABLE account_by_day (
        customer INTEGER NOT NULL,
        currency TEXT    NOT NULL,
        day      TEXT    NOT NULL,
        account  TEXT    NOT NULL
    ) STRICT
"""


class Place(NamedTuple):
    """Where an account's own keys begin in the joined ledger."""

    customer: int = 0
    movement: int = 0
    run: int = 0
    note: int = 0


class Source(NamedTuple):
    """An account's open ledger, and where its rows go."""

    account: str
    connection: sqlite3.Connection
    place: Place


def sources(ledgers: Iterable[tuple[str, sqlite3.Connection]]) -> list[Source]:
    found, place = [], Place()
    for account, connection in ledgers:
        found.append(Source(account, connection, place))
        place = Place(*map(sum, zip(place, _used(connection), strict=True)))
    return found


def _used(connection: sqlite3.Connection) -> Place:
    tables = ("customers", "movements", "runs", "notes")
    lasts = (_last(connection, table) for table in tables)
    customer, movement, run, note = lasts
    chunks = (customer >> CHUNK_BITS) + 1  # whole ones: they are packed together
    return Place(chunks << CHUNK_BITS, movement, run, note)


def _last(connection: sqlite3.Connection, table: str) -> int:
    return int(scalar(connection, f"SELECT coalesce(max(rowid), 0) FROM {table}"))  # noqa: S608
