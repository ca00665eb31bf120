"""Whose name and metadata were asked to be erased, and are never stored again."""

import sqlite3
from collections.abc import Collection

from connector.store.database import placeholders, scalars


def among(connection: sqlite3.Connection, customers: Collection[str]) -> set[str]:
    """Those of these customers who are forgotten."""
    places = placeholders(len(customers))
    query = f"SELECT customer FROM forgotten WHERE customer IN {places}"  # noqa: S608
    return set(scalars(connection, query, list(customers)))


def everybody(connection: sqlite3.Connection) -> list[str]:
    return scalars(connection, "SELECT customer FROM forgotten ORDER BY customer")


def remember(connection: sqlite3.Connection, customer: str, run: int) -> None:
    """That it is forgotten, and by which run; the first one counts."""
    connection.execute(
        "INSERT INTO forgotten (customer, run) SELECT ?1, ?2"
        " WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE customer = ?1)",
        [customer, run],
    )


def by_their_accounts(connection: sqlite3.Connection) -> list[str]:
    """Who is known only now to be a customer whose Account is forgotten: it is, too."""
    rows = connection.execute(_BY_ACCOUNT).fetchall()
    return sorted(customer for (customer,) in rows)


_BY_ACCOUNT = """
    INSERT INTO forgotten (customer, run)
    SELECT customer_accounts.customer, min(gone.run) FROM customer_accounts
    JOIN forgotten AS gone ON gone.customer = customer_accounts.account
    WHERE customer_accounts.customer NOT IN (SELECT customer FROM forgotten)
    GROUP BY customer_accounts.customer RETURNING customer
"""
