"""Another tool's figures, in a database of their own that is gone when it is closed.

Lines come in as files have them and go out by customer, in order of their ids, however
many there are: SQLite sorts them on disk.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

CACHE_KIB = 32_768  # of its pages in memory, whatever the files' size

_SCHEMA = (
    f"PRAGMA cache_size = -{CACHE_KIB}",
    "PRAGMA temp_store = FILE",
    "PRAGMA journal_mode = OFF",
    """
    CREATE TABLE lines (
        customer TEXT NOT NULL, currency TEXT NOT NULL, day INTEGER NOT NULL,
        file INTEGER NOT NULL, mark INTEGER NOT NULL, amount INTEGER NOT NULL)
    """,
)


class ExternalLine(NamedTuple):
    """``day`` is an ordinal; ``mark`` the same of lines that are alike in all they say."""

    customer: str
    currency: str
    day: int
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
            "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?)", lines
        )
        self.connection.execute("COMMIT")

    def by_customer(
        self, *, as_parts: bool
    ) -> Iterator[tuple[str, list[ExternalFigure]]]:
        """Every customer's figures, by the customers' ids, then currency and day.

        ``as_parts``: the files are parts of one, number 0; what is in several of them
        counts once.
        """
        query = _OF_PARTS if as_parts else _OF_EACH_FILE
        rows = map(_figure, self.connection.execute(query))
        for customer, own in groupby(rows, key=itemgetter(0)):
            yield customer, list(own)


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
