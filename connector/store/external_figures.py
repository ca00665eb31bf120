"""Another tool's figures, in a database of their own that is gone when it is closed.

Lines come in as files have them and go out by customer, in order of their ids, however
many there are: SQLite sorts them on disk, once.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

CACHE_KIB = 16_384  # of its pages in memory, and of each sort, whatever the files' size

_SCHEMA = (
    f"PRAGMA cache_size = -{CACHE_KIB}",
    "PRAGMA temp_store = FILE",
    "PRAGMA journal_mode = OFF",
    """
    CREATE TABLE lines (
        customer TEXT NOT NULL, currency TEXT NOT NULL, day INTEGER NOT NULL,
        on_day INTEGER NOT NULL, file INTEGER NOT NULL, mark INTEGER NOT NULL,
        amount INTEGER NOT NULL)
    """,
    """
    CREATE TABLE figures (
        customer TEXT NOT NULL, currency TEXT NOT NULL, day INTEGER NOT NULL,
        file INTEGER NOT NULL, amount INTEGER NOT NULL, repeated INTEGER NOT NULL)
    """,
    "CREATE TABLE names (label TEXT NOT NULL, id TEXT NOT NULL)",
    "CREATE TABLE called (name TEXT PRIMARY KEY, id TEXT NOT NULL, times INTEGER)",
)


class ExternalLine(NamedTuple):
    """``day`` and ``on_day`` are ordinals: of the cell, and of the day that is written.

    ``mark`` is the same of lines that are alike in all they say.
    """

    customer: str
    currency: str
    day: int
    on_day: int
    file: int
    mark: int
    amount: int


class ExternalFigure(NamedTuple):
    """A customer's lines of a day in one file, added up.

    ``repeated`` is what lines add to it that are there more than once.
    """

    customer: str
    currency: str
    day: date
    file: int
    amount: int
    repeated: int


class DaysWithin(NamedTuple):
    """A month's first day as ordinal, and who has lines of it: customers by currency.

    ``days`` are how many days each has lines of, added up; ``several`` have more than
    one, such as ``customer``, the first in order.
    """

    month: int
    customers: int
    days: int
    several: int
    customer: str | None


class CalledName(NamedTuple):
    """A name in the files that is a label of ``times`` customers, ``id`` one of them."""

    name: str
    id: str
    times: int


@contextmanager
def external_figures() -> Iterator["ExternalFigures"]:
    connection = sqlite3.connect("", isolation_level=None)  # on disk, without a name
    try:
        for statement in _SCHEMA:
            connection.execute(statement)
        yield ExternalFigures(connection)
    finally:
        connection.close()


class ExternalFigures:
    """Made by ``external_figures``."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def add(self, lines: Iterable[ExternalLine]) -> None:
        self.connection.execute("BEGIN")
        self.connection.executemany(
            "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?)", lines
        )
        self.connection.execute("COMMIT")

    def days_within(self, file: int) -> list[DaysWithin]:
        """How often customers have lines of several days of a month, by month."""
        rows = self.connection.execute(_DAYS_WITHIN, [file]).fetchall()
        return [DaysWithin(*row) for row in rows]

    def keep_days(self, file: int, on_days: Iterable[int]) -> None:
        """Forget a file's lines of all other days."""
        kept = ", ".join(str(int(day)) for day in on_days)
        query = f"DELETE FROM lines WHERE file = ? AND on_day NOT IN ({kept})"  # noqa: S608 - numbers alone
        self.connection.execute(query, [file])

    def call_by_id(self, ours: Iterable[tuple[str, str]]) -> list[CalledName]:
        """Whoever is named by a label of ``ours`` (label, id) gets the id, if one has it.

        Every such name comes back, also those of several customers.
        """
        run = self.connection.execute
        run("BEGIN")
        self.connection.executemany("INSERT INTO names VALUES (?, ?)", ours)
        run("CREATE INDEX by_label ON names (label)")
        run(_CALLED)
        run(_CALL_BY_ID)
        run("COMMIT")
        rows = run("SELECT name, id, times FROM called ORDER BY name").fetchall()
        return [CalledName(*row) for row in rows]

    def put_in_order(self, *, as_parts: bool) -> None:
        """Add up every customer's lines of a day; afterwards no line is there any more.

        ``as_parts``: the files are parts of one, number 0; what is in several of them
        counts once.
        """
        query = _OF_PARTS if as_parts else _OF_EACH_FILE
        self.connection.execute("BEGIN")
        self.connection.execute(f"INSERT INTO figures {query}")
        self.connection.execute("DROP TABLE lines")
        self.connection.execute("COMMIT")

    def has(self, customer: str) -> bool:
        query = "SELECT 1 FROM figures WHERE customer = ? LIMIT 1"
        return self.connection.execute(query, [customer]).fetchone() is not None

    def by_customer(self) -> Iterator[tuple[str, list[ExternalFigure]]]:
        """Every customer's figures, by the customers' ids, then currency and day."""
        rows = map(_figure, self.connection.execute(_IN_ORDER))
        for customer, own in groupby(rows, key=itemgetter(0)):
            yield customer, list(own)


_IN_ORDER = """
    SELECT customer, currency, day, file, amount, repeated FROM figures ORDER BY rowid
"""
_DAYS_WITHIN = """
    SELECT day, count(*), sum(days), sum(days > 1),
        min(CASE WHEN days > 1 THEN customer END)
    FROM (SELECT customer, day, count(DISTINCT on_day) AS days FROM lines
          WHERE file = ? GROUP BY customer, currency, day)
    GROUP BY day ORDER BY day
"""
_CALLED = """
    INSERT INTO called
    SELECT customer, min(id), count(*)
    FROM (SELECT DISTINCT customer FROM lines
          WHERE customer NOT IN (SELECT id FROM names))
    JOIN names ON label = customer GROUP BY customer
"""
_CALL_BY_ID = """
    UPDATE lines SET customer = (SELECT id FROM called WHERE name = customer)
    WHERE customer IN (SELECT name FROM called WHERE times = 1)
"""
_ALIKE = """
    SELECT customer, currency, day, file, mark, amount, count(*) AS times
    FROM lines GROUP BY customer, currency, day, file, mark, amount
"""
_OF_EACH_FILE = f"""
    SELECT customer, currency, day, file, sum(amount * times), sum(amount * (times - 1))
    FROM ({_ALIKE}) GROUP BY customer, currency, day, file
    ORDER BY customer, currency, day, file
"""  # noqa: S608
_OF_PARTS = f"""
    SELECT customer, currency, day, 0, sum(amount * times), sum(amount * (times - 1))
    FROM (SELECT customer, currency, day, mark, amount, max(times) AS times
          FROM ({_ALIKE}) GROUP BY customer, currency, day, mark, amount)
    GROUP BY customer, currency, day ORDER BY customer, currency, day
"""  # noqa: S608


def _figure(row: tuple[str, str, int, int, int, int]) -> ExternalFigure:
    customer, currency, day, file, amount, repeated = row
    return ExternalFigure(
        customer, currency, date.fromordinal(day), file, amount, repeated
    )
