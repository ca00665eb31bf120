"""The ledger's customers: their keys, and how they are shown."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from connector.core.model import CustomerName
from connector.core.text import is_seen
from connector.store.database import json_array, placeholders, scalar, scalars
from connector.store.mirror import forgotten


class CustomerDisplay(NamedTuple):
    """How a customer is shown; None where the label is switched off or unknown."""

    label: str | None = None
    country: str | None = None


def keys_of(
    connection: sqlite3.Connection, customers: Mapping[str, CustomerDisplay]
) -> dict[str, int]:
    """Each customer's key in the ledger; labels and countries are brought up to date.

    Who is forgotten gets no label, also from what was read before; nor does whose label
    shows nothing: it is known by its id.
    """
    gone = forgotten.among(connection, customers)
    customers = {
        customer: shown._replace(label=None)
        if customer in gone or not is_seen(shown.label or "")
        else shown
        for customer, shown in customers.items()
    }
    rows = connection.execute(
        "SELECT id, key, label, country FROM customers"  # noqa: S608
        f" WHERE id IN {placeholders(len(customers))}",
        list(customers),
    ).fetchall()
    keys = {}
    for customer, key, label, country in rows:
        keys[customer] = int(key)
        if customers[customer] != (label, country):
            connection.execute(
                "UPDATE customers SET label = ?, country = ? WHERE key = ?",
                [*customers[customer], key],
            )
    for customer, named in customers.items():
        if customer not in keys:
            inserted = connection.execute(
                "INSERT INTO customers (id, label, country) VALUES (?, ?, ?)",
                [customer, *named],
            )
            assert inserted.lastrowid is not None
            keys[customer] = inserted.lastrowid
    return keys


def find_customer(connection: sqlite3.Connection, text: str) -> list[CustomerName]:
    """Who has this id, also in several accounts; else whose label contains ``text``."""
    tried = (
        connection.execute(query, [text]).fetchall()
        for query in (_BY_ID, _BY_ID_OF_ACCOUNTS, _BY_LABEL)
    )
    return [CustomerName(*row) for row in next(filter(None, tried), [])]


_BY_ID = "SELECT id, label FROM customers WHERE id = ?"
_BY_ID_OF_ACCOUNTS = """
    SELECT id, label FROM customers
    WHERE substr(id, -length(?1) - 1) = '/' || ?1 ORDER BY id
"""  # an id that two accounts have is told with the account's name: uk/cus_1
_BY_LABEL = """
    SELECT id, label FROM customers
    WHERE instr(lower(coalesce(label, id)), lower(?))
      AND (label IS NOT NULL OR id IN (SELECT counted_as FROM companies))
    ORDER BY coalesce(label, id) LIMIT 10
"""  # a company may have no label: it is its name


def named(connection: sqlite3.Connection, customer: str) -> CustomerName:
    """As it is called; without a label where it is not in the ledger."""
    query = "SELECT label FROM customers WHERE id = ?"
    return CustomerName(customer, scalar(connection, query, [customer]))


def labels(connection: sqlite3.Connection) -> dict[str, str]:
    """Each customer's display label; the id where there is none."""
    rows = connection.execute("SELECT id, coalesce(label, id) FROM customers")
    return dict(rows.fetchall())


def with_labels(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Label and id of each customer that has a label."""
    yield from connection.execute(
        "SELECT label, id FROM customers WHERE label IS NOT NULL"
    )


def labels_of(connection: sqlite3.Connection, named: Collection[str]) -> dict[str, str]:
    """The same of some alone."""
    rows = connection.execute(
        "SELECT id, coalesce(label, id) FROM customers"
        " WHERE id IN (SELECT value FROM json_each(?))",
        [json_array(named)],
    )
    return dict(rows.fetchall())


def accounts(connection: sqlite3.Connection) -> dict[int, CustomerName]:
    """Every customer by the ledger's key, which flows name them by."""
    rows = connection.execute("SELECT key, id, label FROM customers")
    return {key: CustomerName(customer, label) for key, customer, label in rows}


def accounts_of(
    connection: sqlite3.Connection, keys: Collection[int]
) -> dict[int, CustomerName]:
    """The same of some alone."""
    if not keys:
        return {}
    rows = connection.execute(
        "SELECT key, id, label FROM customers"
        " WHERE key IN (SELECT value FROM json_each(?))",
        [json_array(keys)],
    )
    new = tuple.__new__  # CustomerName's own one is written in Python
    return {key: new(CustomerName, named) for key, *named in rows}


def ids(connection: sqlite3.Connection) -> dict[int, str]:
    """Each customer's id at Stripe, by key."""
    return dict(connection.execute("SELECT key, id FROM customers").fetchall())


def ids_of(connection: sqlite3.Connection, keys: Collection[int]) -> list[str]:
    """Who has these keys, in the order of them."""
    return [named.id for _, named in sorted(accounts_of(connection, keys).items())]


def taken_back(connection: sqlite3.Connection, named: Collection[str]) -> set[str]:
    """Of whom among them something was booked, and nothing of it stands."""
    return set(scalars(connection, _TAKEN_BACK, [json_array(named)]))


_TAKEN_BACK = """
    SELECT id FROM customers
    WHERE id IN (SELECT value FROM json_each(?))
      AND EXISTS (SELECT 1 FROM movements WHERE customer = customers.key)
      AND NOT EXISTS (SELECT 1 FROM movements
                      WHERE customer = customers.key
                        AND id NOT IN (SELECT movement FROM retractions))
"""


def keys_among(
    connection: sqlite3.Connection, named: Collection[str]
) -> dict[str, int]:
    """The keys of some, by id."""
    query = "SELECT id, key FROM customers WHERE id IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(query, [json_array(named)]).fetchall())
