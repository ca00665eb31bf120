"""What could not be valued, by name: the current state, replaced with each derivation."""

import sqlite3
from collections.abc import Iterable

from connector.core.model import Refusal


def put(
    connection: sqlite3.Connection, customer: str, found: Iterable[Refusal]
) -> None:
    """Replace what is known to be without value in one customer's history."""
    connection.execute("DELETE FROM refusals WHERE customer = ?", [customer])
    connection.executemany(_PUT, map(_row, found))


_PUT = "INSERT OR REPLACE INTO refusals VALUES (?, ?, ?, ?)"


def _row(refusal: Refusal) -> tuple[str, str, str, str]:
    return refusal.customer, refusal.object_id, refusal.field, refusal.value


def add(connection: sqlite3.Connection, found: Iterable[Refusal]) -> None:
    """Keep what is known of other ledgers."""
    connection.executemany(_PUT, map(_row, found))


def known(connection: sqlite3.Connection) -> list[Refusal]:
    """All of them, by the object's id; also the objects that are set aside."""
    rows = connection.execute(
        "SELECT customer, object_id, field, value FROM refusals UNION"
        " SELECT customer, id, field, value FROM set_aside_by_customer ORDER BY 2, 3"
    )
    return [Refusal(customer=c, object_id=o, field=f, value=v) for c, o, f, v in rows]
