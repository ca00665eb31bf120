"""What customers have agreed to: terms that ended, and main prices from day to day.

The current state, replaced with each derivation; the ledger knows customers by key.
"""

import json
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date

from connector.core.dates import Days
from connector.core.model import ContractTerm, MainPrice
from connector.store.database import json_array
from connector.store.ledger.as_of import ORDINAL


def put_terms(
    connection: sqlite3.Connection, customer: int, terms: Sequence[ContractTerm]
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


def put_main_prices(
    connection: sqlite3.Connection, customer: int, prices: Sequence[MainPrice]
) -> None:
    """Replace one customer's, where they are others; inside the caller's transaction."""
    if main_prices_of(connection, customer) != list(prices):
        connection.execute("DELETE FROM plans WHERE customer = ?", [customer])
        connection.executemany(
            "INSERT INTO plans VALUES (?, ?, ?, ?, ?)",
            [(customer, p.currency, str(p.day), p.price, p.interval) for p in prices],
        )


def terms_of(connection: sqlite3.Connection, customer: int) -> list[ContractTerm]:
    """One customer's terms, by day."""
    query = f"{_TERMS} WHERE customer = ? ORDER BY day, currency, subscription"
    return list(_as_terms(connection.execute(query, [customer])))


def main_prices_of(connection: sqlite3.Connection, customer: int) -> list[MainPrice]:
    """One customer's main prices, by currency, then day."""
    rows = connection.execute(
        "SELECT day, currency, price, interval FROM plans WHERE customer = ?"
        " ORDER BY currency, day",
        [customer],
    )
    return [MainPrice(date.fromisoformat(day), *rest) for day, *rest in rows]


_TERMS = """
    SELECT day, currency, customer, subscription, before_minor, after_minor FROM terms
"""
_AMONG = """
    WHERE currency = ? AND customer IN (SELECT value FROM json_each(?))
      AND day >= ? AND day < ?
"""


def terms_among(
    connection: sqlite3.Connection,
    currency: str,
    customers: Collection[int],
    start: date,
    end: date,
) -> Iterator[ContractTerm]:
    """Those of some customers, in no order."""
    asked = [currency, json_array(customers), str(start), str(end)]
    return _as_terms(connection.execute(_TERMS + _AMONG, asked))


def _as_terms(
    rows: Iterable[tuple[str, str, int, str, int, int]],
) -> Iterator[ContractTerm]:
    day_of, new = Days(), tuple.__new__  # ContractTerm's own one is written in Python
    for day, currency, customer, subscription, before, after in rows:
        yield new(
            ContractTerm, (day_of[day], currency, customer, subscription, before, after)
        )


_BY_MAIN_PRICE = f"""
    SELECT price, interval, json_group_array(customer), json_group_array({ORDINAL})
    FROM plans WHERE currency = ? AND price <> '' GROUP BY price, interval
"""  # noqa: S608


def keys_by_main_price(
    connection: sqlite3.Connection, currency: str
) -> Iterator[tuple[str, str, "array[int]", "array[int]"]]:
    """Each price and interval with those for whom it makes up most, and from which day.

    Days are ordinals. Where no price does, what did before still counts.
    """
    for price, interval, *columns in connection.execute(_BY_MAIN_PRICE, [currency]):
        customers, days = (array("q", json.loads(each)) for each in columns)
        yield price, interval, customers, days
