"""Ledgers of any size, made up from a seed: ten movements a customer over five years.

Written straight into the tables, as deriving a million customers is another benchmark's
business; the sums are then counted as an upgrade of an older ledger would.
``python -m tests.benchmarks.ledgers FILE CUSTOMERS``.
"""

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connector.config import parse, rules_of
from connector.core.model import MovementKind, classify
from connector.pipeline.recompute import make_whole
from connector.store.database import open_database, put_setting, transaction

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
            for key in range(1, customers + 1):
                moved = _customer(connection, chance, key, moved)
            connection.execute("INSERT INTO walks VALUES (1, ?, ?)", [_us(LAST)] * 2)
            put_setting(connection, "rules", rules)
        make_whole(connection)


def _us(day: date) -> int:
    return int((day - date(1970, 1, 1)).total_seconds() * 1_000_000)


def _customer(
    connection: sqlite3.Connection, chance: random.Random, key: int, moved: int
) -> int:
    """One customer's rows; returns the number of the last movement."""
    moves = list(life(chance))
    price, subscription = chance.choice(PLANS), f"sub_{key}"
    connection.execute(
        "INSERT INTO customers VALUES (?, ?, ?, ?)",
        [key, f"cus_{key}", None, chance.choice(COUNTRIES)],
    )
    connection.executemany(
        "INSERT INTO movements VALUES (?, ?, 'usd', ?, ?, ?, ?, ?, 1)",
        [
            (n, key, str(m.day), m.kind, m.after_minor - m.before_minor, *m[2:])
            for n, m in enumerate(moves, start=moved + 1)
        ],
    )
    connection.executemany(
        "INSERT INTO components VALUES (?, 0, ?, ?, ?, ?, ?, '', '', '[]')",
        [
            (
                *(n, CAUSES[m.kind], m.after_minor - m.before_minor),
                *(subscription, f"si_{key}", price),
            )
            for n, m in enumerate(moves, start=moved + 1)
        ],
    )
    days = sorted(chance.sample(range((moves[0].day - FIRST).days, DAYS + 1), TERMS))
    connection.executemany(
        "INSERT INTO terms VALUES (?, ?, ?, 'usd', ?, ?)",
        [
            (key, subscription, str(FIRST + timedelta(days=day)), 100, 100)
            for day in days
        ],
    )
    connection.execute(
        "INSERT INTO plans VALUES (?, 'usd', ?, ?, 'month')",
        [key, str(moves[0].day), price],
    )
    return moved + len(moves)


if __name__ == "__main__":
    make(Path(sys.argv[1]), int(sys.argv[2]))
