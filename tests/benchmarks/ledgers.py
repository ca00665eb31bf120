"""Ledgers of any size, made up from a seed: ten movements a customer over five years.

Written straight into the tables, as deriving a million customers is another benchmark's
business: ten thousand lives, with components as long as real ones, and copies of them
under other ids, in ten thousands. The windows' sums are counted of the first as an upgrade
of an older ledger would, and multiplied.
``python -m tests.benchmarks.ledgers FILE CUSTOMERS``.
"""

import json
import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connector.config import parse, rules_of
from connector.core.figures import SUMMED
from connector.core.model import MovementKind, classify
from connector.pipeline.settling import make_whole
from connector.store.database import put_setting, transaction
from connector.store.ledger import columns
from connector.store.opening import open_database

FIRST, LAST = date(2021, 1, 1), date(2025, 12, 31)
DAYS = (LAST - FIRST).days
COUNTRIES = ("US", "DE", "GB", "FR", "JP")
PLANS = ("price_small", "price_team", "price_large")
CAUSES = {
    MovementKind.NEW: "start",
    MovementKind.REACTIVATION: "start",
    MovementKind.EXPANSION: "quantity",
    MovementKind.CONTRACTION: "quantity",
    MovementKind.CHURN: "end",
}
_MULTIPLIED = ", ".join(f"{name} = {name} * ?1" for name in SUMMED)
TIMES = f"UPDATE window_sums SET {_MULTIPLIED}"  # noqa: S608
LIVES = 10_000  # that differ from each other
MOVEMENTS = 10  # a customer
TERMS = 12  # kept of each: monthly for some, yearly for others, about once a quarter


class Move(NamedTuple):
    day: date
    kind: MovementKind
    before_minor: int
    after_minor: int


def life(chance: random.Random) -> Iterator[Move]:
    """Ups and downs on different days; some leave, and some of them come back."""
    before_minor, has_paid = 0, False
    for day in sorted(chance.sample(range(DAYS), MOVEMENTS)):
        after_minor = 100 * chance.randint(1, 400)
        if before_minor and chance.random() < 0.05:
            after_minor = 0
        kind = classify(before_minor, after_minor, has_paid=has_paid)
        if kind is not None:
            yield Move(FIRST + timedelta(days=day), kind, before_minor, after_minor)
        before_minor, has_paid = after_minor, True


def make(path: Path, customers: int) -> None:
    """A ledger of so many customers at ``path``."""
    chance = random.Random(7)
    rules = rules_of(parse("", {}), ZoneInfo("UTC")).as_json()
    with closing(open_database(path, create=True)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        with transaction(connection):
            connection.execute(
                "INSERT INTO runs VALUES"
                " (1, '2026-01-01T00:00:00.000000+00:00', 'sync', 'made', ?)",
                [rules],
            )
            moved = 0
            for key in range(1, min(customers, LIVES) + 1):
                moved = _customer(connection, chance, key, moved)
            connection.execute("INSERT INTO walks VALUES (1, ?, ?)", [_us(LAST)] * 2)
            put_setting(connection, "rules", rules)
        make_whole(connection)
        copies = max(customers // LIVES, 1)
        with unchecked(connection):
            for copied in range(1, copies):
                own = {
                    "last": LIVES,
                    "copied": copied,
                    "keys": copied * LIVES,
                    "moved": copied * moved,
                }
                connection.execute("BEGIN")  # a ``transaction`` wants its log in place
                for statement in COPIES:
                    connection.execute(statement, own)
                connection.commit()
            connection.execute(TIMES, [copies])
    with closing(open_database(path)) as connection:  # which has its log again
        connection.execute("PRAGMA synchronous = OFF")
        columns.pack(connection)


@contextmanager
def unchecked(connection: sqlite3.Connection) -> Iterator[None]:
    """What was checked once need not be again, of millions of copies; nor be undone."""
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA cache_size = -100000")
    found = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    triggers = connection.execute(found).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        connection.execute(sql)
    connection.execute("PRAGMA ignore_check_constraints = OFF")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA journal_mode = WAL")


def _us(day: date) -> int:
    return int((day - date(1970, 1, 1)).total_seconds() * 1_000_000)


def _customer(
    connection: sqlite3.Connection, chance: random.Random, key: int, moved: int
) -> int:
    """One customer's rows; returns the number of the last movement."""
    moves = list(enumerate(life(chance), start=moved + 1))
    price, subscription = chance.choice(PLANS), _id("sub", key)
    connection.execute(
        "INSERT INTO customers VALUES (?, ?, ?, ?)",
        [key, f"cus_{key}", None, chance.choice(COUNTRIES)],
    )
    connection.executemany(
        "INSERT INTO movements VALUES (?, ?, 'usd', ?, ?, ?, ?, ?, 1)",
        [
            (n, key, str(m.day), m.kind, m.after_minor - m.before_minor, *m[2:])
            for n, m in moves
        ],
    )
    connection.executemany(
        "INSERT INTO components VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [row for n, m in moves for row in _components(n, m, key, price)],
    )
    first = (moves[0][1].day - FIRST).days
    days = sorted(chance.sample(range(first, DAYS + 1), TERMS))
    connection.executemany(
        "INSERT INTO terms VALUES (?, ?, ?, 'usd', ?, ?)",
        [
            (key, subscription, str(FIRST + timedelta(days=day)), 100, 100)
            for day in days
        ],
    )
    connection.execute(
        "INSERT INTO plans VALUES (?, 'usd', ?, ?, 'month')",
        [key, str(moves[0][1].day), price],
    )
    return moved + len(moves)


def _id(kind: str, number: int) -> str:
    """As long as Stripe's."""
    return f"{kind}_1KXBGcbg{number:016}"


def _components(
    number: int, move: Move, key: int, price: str
) -> Iterator[tuple[object, ...]]:
    """Two of a movement: the plan's seats, and those of an add-on beside it."""
    change = move.after_minor - move.before_minor
    for position, part in enumerate((change - change // 4, change // 4)):
        yield (
            *(number, position, CAUSES[move.kind], part),
            *(_id("sub", key), _id("si", 2 * key + position), price),
            _arithmetic(move.before_minor),
            _arithmetic(move.after_minor),
            json.dumps(_evidence(number, move, price), ensure_ascii=False),
        )


def _arithmetic(minor: int) -> str:
    amount = f"${minor / 100:,.2f}"
    return f"1 seat × {amount} × 1/1 month = {amount}" if minor else ""


def _evidence(number: int, move: Move, price: str) -> list[tuple[str, str, int, str]]:
    at_s = _us(move.day) // 1_000_000
    lines = [
        (f"{what} {move.day} to {move.day + timedelta(days=30)}", minor)
        for what, minor in (
            ("proration", move.after_minor),
            ("credit", move.before_minor),
        )
        if minor
    ]
    return [
        *(
            (
                "invoice_line",
                _id("il", number),
                at_s,
                f"{of}: 1 × {price}, ${minor / 100}",
            )
            for of, minor in lines
        ),
        ("invoice", _id("in", number), at_s, ""),
    ]


# One life after the other again, of keys up to ``:last``; other ids begin otherwise.
_OTHER = "replace({}, 'KXBGcbg0000', printf('KXBGcbg%04d', :copied))"
_SUBSCRIPTION, _OTHER_EVIDENCE = map(_OTHER.format, ("subscription", "evidence"))
COPIES = (
    """
    INSERT INTO customers
    SELECT key + :keys, 'cus_' || (key + :keys), label, country FROM customers
    WHERE key <= :last
    """,
    """
    INSERT INTO movements
    SELECT id + :moved, customer + :keys, currency, day, kind, amount_minor, before_minor,
           after_minor, run
    FROM movements WHERE customer <= :last
    """,
    f"""
    INSERT INTO components
    SELECT movement + :moved, position, cause, amount_minor,
           {_SUBSCRIPTION}, item, price, before, after, {_OTHER_EVIDENCE}
    FROM components WHERE movement <= (
        SELECT max(id) FROM movements WHERE customer = :last)
    """,  # noqa: S608
    f"""
    INSERT INTO terms
    SELECT customer + :keys, {_SUBSCRIPTION}, day, currency, before_minor, after_minor
    FROM terms WHERE customer <= :last
    """,  # noqa: S608
    """
    INSERT INTO plans
    SELECT customer + :keys, currency, day, price, interval FROM plans
    WHERE customer <= :last
    """,
)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
