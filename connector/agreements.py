"""What customers have agreed to: terms that ended, and main plans from day to day.

The current state, replaced with each derivation; the ledger knows customers by key.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from connector.model import Plan, Term, Window


def put_terms(
    connection: sqlite3.Connection, customer: int, terms: Sequence[Term]
) -> None:
    """Replace one customer's; inside the caller's transaction."""
    connection.execute("DELETE FROM terms WHERE customer = ?", [customer])
    connection.executemany(
        "INSERT INTO terms VALUES (?, ?, ?, ?, ?, ?)",
        [
            (
                *(t.customer, t.subscription, str(t.day), t.currency),
                *(t.before_minor, t.after_minor),
            )
            for t in terms
        ],
    )


def put_plans(
    connection: sqlite3.Connection, customer: int, plans: Sequence[Plan]
) -> None:
    """Replace one customer's, where they are others; inside the caller's transaction."""
    if plans_of(connection, customer) != list(plans):
        connection.execute("DELETE FROM plans WHERE customer = ?", [customer])
        connection.executemany(
            "INSERT INTO plans VALUES (?, ?, ?, ?, ?)",
            [(customer, p.currency, str(p.day), p.price, p.interval) for p in plans],
        )


def terms_of(connection: sqlite3.Connection, customer: int) -> list[Term]:
    """One customer's terms, by day."""
    rows = connection.execute(
        "SELECT day, currency, customer, subscription, before_minor, after_minor"
        " FROM terms WHERE customer = ? ORDER BY day, currency, subscription",
        [customer],
    )
    return [Term(date.fromisoformat(day), *rest) for day, *rest in rows]


def plans_of(connection: sqlite3.Connection, customer: int) -> list[Plan]:
    """One customer's plans, by currency, then day."""
    rows = connection.execute(
        "SELECT day, currency, price, interval FROM plans WHERE customer = ?"
        " ORDER BY currency, day",
        [customer],
    )
    return [Plan(date.fromisoformat(day), *rest) for day, *rest in rows]


_TERMS = """
    SELECT day, customer, subscription, before_minor, after_minor FROM terms
    WHERE currency = ? AND day >= ? AND day < ? ORDER BY day, customer, subscription
"""


def terms(
    connection: sqlite3.Connection, currency: str, start: date, end: date
) -> Iterator[Term]:
    """Everybody's terms of a currency from ``start`` (in) to ``end`` (out), by day."""
    rows = connection.execute(_TERMS, [currency, str(start), str(end)])
    for day, customer, subscription, before_minor, after_minor in rows:
        yield Term(
            _day(day), currency, customer, subscription, before_minor, after_minor
        )


_LAST_TERMS = """
    SELECT max(day), customer, subscription, before_minor, after_minor FROM terms
    WHERE currency = ? AND day >= ? AND day < ? GROUP BY customer, subscription
"""  # SQLite takes the other columns from the row of the maximum


def last_terms(
    connection: sqlite3.Connection, currency: str, window: Window
) -> list[Term]:
    """The last term in a window of each subscription that had one, by day."""
    asked = [currency, str(window.start), str(window.end)]
    rows = connection.execute(_LAST_TERMS, asked).fetchall()
    return [
        Term(_day(day), currency, customer, subscription, before_minor, after_minor)
        for day, customer, subscription, before_minor, after_minor in sorted(rows)
    ]


_day = lru_cache(date.fromisoformat)  # a ledger has few days and many rows


class CustomerPlan(NamedTuple):
    customer: int
    plan: Plan


def plans(connection: sqlite3.Connection, currency: str) -> Iterator[CustomerPlan]:
    """Everybody's main plans in a currency, each customer's by day."""
    rows = connection.execute(
        "SELECT customer, day, currency, price, interval FROM plans"
        " WHERE currency = ? ORDER BY customer, day",
        [currency],
    )
    for customer, day, *rest in rows:
        yield CustomerPlan(customer, Plan(date.fromisoformat(day), *rest))
