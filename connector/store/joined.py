"""Several ledgers' rows in one file without a name, under keys of their own.

A ledger's keys begin where the one before ends. What a report reads of everybody is
copied when it is first asked for, and the components, which are most of it, only when
they are: sums alone cost some milliseconds a ledger. Nothing is written anywhere else.
"""

import json
import re
import sqlite3
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from connector.core.dates import Days
from connector.core.model import Movement
from connector.store.database import LedgerConnection
from connector.store.ledger.posting import LedgerRun
from connector.store.ledger.queries import components_of, movement_of
from connector.store.mirror import catalogue
from connector.store.schema import CHUNK_BITS, MIGRATIONS, statements
from connector.stripe_api.decoding import body
from connector.stripe_api.objects import Price, Product

NOTHING: Mapping[str, str] = {}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
        for (name,) in connection.execute(guards).fetchall():
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
    [found] = connection.execute(
        f"SELECT coalesce(max(rowid), 0) FROM {table}"  # noqa: S608
    ).fetchone()
    return int(found)


# The sums


def put_notes(target: sqlite3.Connection, source: Source) -> None:
    _copy(target, source, "notes", _NOTES)
    _copy(target, source, "note_withdrawals", _WITHDRAWN)


_NOTES = "SELECT id + :note, month, noted_at, customer, text, url FROM notes"
_WITHDRAWN = "SELECT note + :note, withdrawn_at FROM note_withdrawals"


# Everybody


def put_customers(
    target: sqlite3.Connection,
    source: Source,
    named: Mapping[str, str],
    *,
    but: Collection[int],
) -> None:
    """All but those who are also in another account; ``named`` otherwise than there."""
    shift = source.place.customer
    query = "SELECT key, id, label, country FROM customers"
    rows = (
        (key + shift, named.get(name, name), label, country)
        for key, name, label, country in source.connection.execute(query)
        if key not in but
    )
    target.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
    query = "SELECT id, created_s, fetched_us, seen_s, body FROM stripe_customers"
    mirrored = (
        (named.get(name, name), named.get(name, name), *rest)
        for name, *rest in source.connection.execute(query)
    )
    target.executemany(
        "INSERT OR IGNORE INTO stripe_customers VALUES (?, ?, ?, ?, ?, ?)", mirrored
    )


_RUNS = """
    SELECT id + :run, started_at, cause, code_version, policy FROM runs
"""
_MOVEMENTS = """
    SELECT id + :movement, customer + :customer, currency, day, kind, amount_minor,
           before_minor, after_minor, run + :run
    FROM movements WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""
_RETRACTIONS = """
    SELECT movement + :movement, run + :run, reason FROM retractions
    WHERE movement NOT IN (SELECT id FROM movements
                           WHERE customer IN (SELECT value FROM json_each(:but)))
"""
_TERMS = """
    SELECT customer + :customer, subscription, day, currency, before_minor, after_minor
    FROM terms WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""
_INVOICED = """
    SELECT customer + :customer, sums FROM invoiced
    WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""


def put_movements(
    target: sqlite3.Connection, source: Source, *, but: Collection[int]
) -> None:
    """All that was ever posted or retracted of everybody but those."""
    _copy(target, source, "runs", _RUNS)
    for table, query in (
        ("movements", _MOVEMENTS),
        ("retractions", _RETRACTIONS),
        ("terms", _TERMS),
        ("invoiced", _INVOICED),
    ):
        _copy(target, source, table, query, but)


_PLANS = """
    SELECT customer + :customer, currency, day, price, interval FROM plans
    WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""
_COMPONENTS = """
    SELECT movement + :movement, position, cause, amount_minor, subscription, item, price,
           before, after, evidence
    FROM components
    WHERE movement NOT IN (SELECT id FROM movements
                           WHERE customer IN (SELECT value FROM json_each(:but)))
"""


def put_plans(
    target: sqlite3.Connection,
    source: Source,
    prices: Mapping[str, str],
    *,
    but: Collection[int],
) -> None:
    """``prices`` are those that are named otherwise than in their own account."""
    _copy(target, source, "plans", _PLANS, but, prices, place=3)


def put_components(
    target: sqlite3.Connection,
    source: Source,
    prices: Mapping[str, str],
    *,
    but: Collection[int],
) -> None:
    _copy(target, source, "components", _COMPONENTS, but, prices, place=6)


def _copy(
    target: sqlite3.Connection,
    source: Source,
    table: str,
    query: str,
    but: Collection[int] = (),
    named: Mapping[str, str] = NOTHING,
    place: int = 0,
) -> None:
    """Rows with keys of their own; what stands at ``place`` is called as ``named``."""
    asked = {**source.place._asdict(), "but": json.dumps(sorted(but))}
    rows: Iterator[Any] = source.connection.execute(query, asked)
    if named:
        rows = (
            (*row[:place], named.get(row[place], row[place]), *row[place + 1 :])
            for row in rows
        )
    target.executemany(_INTO[table], rows)


_WIDTHS = {
    "notes": 6,
    "note_withdrawals": 2,
    "runs": 5,
    "movements": 9,
    "retractions": 3,
    "terms": 6,
    "invoiced": 2,
    "plans": 5,
    "components": 10,
}
_INTO = {
    table: f"INSERT INTO {table} VALUES ({', '.join('?' * width)})"  # noqa: S608
    for table, width in _WIDTHS.items()
}


# What is sold


def price_names(source: Source) -> dict[str, str]:
    """What each price sells, as its product is called; "" where nobody knows."""
    names = catalogue.price_names(source.connection)
    known = catalogue.read_catalogue(source.connection).prices
    return {key: names.get(key, "") for key in known}


def put_prices(target: sqlite3.Connection, names: Mapping[str, str]) -> None:
    """Prices with what they sell; a product is known by its name alone."""
    for table, things in (
        ("products", [Product(id=name, name=name) for name in set(names.values())]),
        ("prices", [Price(id=key, product=name) for key, name in names.items()]),
    ):
        target.executemany(
            f"INSERT OR IGNORE INTO stripe_{table} VALUES (?, NULL, 0, 0, 0, ?)",  # noqa: S608
            [(each.id, body(each)) for each in things],
        )


# Who is in several accounts


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
    row = target.execute(
        "INSERT INTO customers (id, label, country) VALUES (?, ?, ?) RETURNING key",
        [name, *shown],
    ).fetchone()
    return int(row[0])


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
    asked = {**source.place._asdict(), "but": json.dumps(sorted(but))}
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


def accounts_by_day(
    connection: sqlite3.Connection, currency: str
) -> dict[str, tuple[list[int], list[date]]]:
    """Whose MRR is mostly in which account, and since when."""
    found: dict[str, tuple[list[int], list[date]]] = {}
    day_of = Days()
    rows = connection.execute(
        "SELECT account, customer, day FROM account_by_day WHERE currency = ?",
        [currency],
    )
    for account, key, day in rows:
        own = found.setdefault(account, ([], []))
        own[0].append(key)
        own[1].append(day_of[day])
    return found
