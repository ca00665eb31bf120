"""Who is one customer in several accounts, and in which account customers pay most."""

import sqlite3
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime
from typing import NamedTuple

from connector.core.model import Movement
from connector.store.database import json_array, scalar
from connector.store.joined.database import Source
from connector.store.ledger.as_of import ORDINAL
from connector.store.ledger.posting import LedgerRun
from connector.store.ledger.queries import components_of, movement_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KnownRun(LedgerRun):
    """One that was copied from an account's ledger."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        super().__init__(connection, EPOCH, "", "", "", number)

    def id(self) -> int:
        assert self._id is not None
        return self._id


class PostedMovement(NamedTuple):
    """A movement as it was posted by a run, and when it was retracted by which, if ever.

    Runs are by their numbers in the joined ledger.
    """

    movement: Movement
    posted_at: str
    posted_by: int
    retracted_at: str | None
    retracted_by: int | None

    @property
    def runs(self) -> list[tuple[str, int]]:
        """When it was posted, and retracted, by which."""
        later = self.retracted_at, self.retracted_by
        gone = [(at, number) for at, number in [later] if at and number]
        return [(self.posted_at, self.posted_by), *gone]

    def is_live(self, at: str = "~") -> bool:  # after every moment that can be written
        """Whether it is, or was at a moment, as the ledger has it."""
        return self.posted_at <= at < (self.retracted_at or "~~")


_POSTED = """
    SELECT movements.id, customers.id, currency, day, kind, amount_minor, before_minor,
           after_minor, runs.started_at, runs.id + :run, later.started_at, later.id + :run
    FROM movements JOIN customers ON customers.key = movements.customer
    JOIN runs ON runs.id = movements.run
    LEFT JOIN retractions ON retractions.movement = movements.id
    LEFT JOIN runs AS later ON later.id = retractions.run
    WHERE movements.customer = :key ORDER BY movements.id
"""


def posted(source: Source, key: int) -> list[PostedMovement]:
    """All that was ever posted of one customer of an account."""
    asked = {"key": key, "run": source.place.run}
    rows = source.connection.execute(_POSTED, asked).fetchall()
    parts = components_of(source.connection, [row[0] for row in rows])
    return [
        PostedMovement(movement_of(row[:8], parts.get(row[0], ())), *row[8:])
        for row in rows
    ]


def put_customer(
    target: sqlite3.Connection, name: str, shown: tuple[str | None, str | None]
) -> int:
    """Its key in the joined ledger; the label and country that it is shown with."""
    query = "INSERT INTO customers (id, label, country) VALUES (?, ?, ?) RETURNING key"
    return int(scalar(target, query, [name, *shown]))


def shown_as(source: Source, key: int) -> tuple[str | None, str | None]:
    row = source.connection.execute(
        "SELECT label, country FROM customers WHERE key = ?", [key]
    ).fetchone()
    return row[0], row[1]


_OF_ALL = """
    SELECT DISTINCT customer + :customer, currency FROM movements
    WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""


def put_accounts_of_all(
    target: sqlite3.Connection, source: Source, *, but: Collection[int]
) -> None:
    """Who is in one account is always in that one."""
    asked = {**source.place._asdict(), "but": json_array(but)}
    rows = source.connection.execute(_OF_ALL, asked)
    target.executemany(
        "INSERT INTO account_by_day VALUES (?, ?, ?, ?)",
        ((*row, str(date.min), source.account) for row in rows),
    )


def put_accounts(
    target: sqlite3.Connection, rows: Iterable[tuple[int, str, date, str]]
) -> None:
    """In which account customers pay most of a currency, from days on."""
    target.executemany(
        "INSERT INTO account_by_day VALUES (?, ?, ?, ?)",
        [(key, code, str(day), account) for key, code, day, account in rows],
    )


_BY_DAY = f"""
    SELECT account, customer, {ORDINAL} FROM account_by_day WHERE currency = ?
"""  # noqa: S608


def accounts_by_day(
    connection: sqlite3.Connection, currency: str
) -> dict[str, tuple[list[int], list[int]]]:
    """Whose MRR is mostly in which account, and since which day, by its ordinal."""
    found: dict[str, tuple[list[int], list[int]]] = {}
    for account, key, day in connection.execute(_BY_DAY, [currency]):
        own = found.setdefault(account, ([], []))
        own[0].append(key)
        own[1].append(day)
    return found
