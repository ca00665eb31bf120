"""Whose movements must be derived anew: the marked customers, and those due by now."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from connector.store.database import json_array, scalar, scalars

SHARED = ("products", "prices", "coupons")


def mark(connection: sqlite3.Connection, customers: Iterable[str]) -> None:
    """Have these derived anew."""
    connection.executemany(
        "INSERT INTO dirty_customers VALUES (?) ON CONFLICT DO NOTHING",
        [(customer,) for customer in customers],
    )


_EVERYBODY = """
    SELECT customer FROM stripe_subscriptions WHERE customer IS NOT NULL
    UNION SELECT customer FROM stripe_invoices WHERE customer IS NOT NULL
    UNION SELECT id FROM customers WHERE true
"""


def everybody(connection: sqlite3.Connection) -> list[str]:
    """Every customer with any history."""
    return scalars(connection, _EVERYBODY)


def mark_all(connection: sqlite3.Connection) -> int:
    """Mark every customer with any history; return how many are marked."""
    connection.execute(  # its WHERE true keeps ON from beginning a join
        f"INSERT INTO dirty_customers {_EVERYBODY} ON CONFLICT DO NOTHING"
    )
    return behind(connection)


def still_dirty(connection: sqlite3.Connection, customers: Iterable[str]) -> set[str]:
    """Which of them are marked now; somebody else may have derived the others."""
    query = (
        "SELECT customer FROM dirty_customers"
        " WHERE customer IN (SELECT value FROM json_each(?))"
    )
    return set(scalars(connection, query, [json_array(customers)]))


def concerned(connection: sqlite3.Connection, kind: str, key: str) -> set[str]:
    """Whose histories an object belongs to, or is used in, as far as it is kept."""
    if kind in SHARED:
        return users(connection, [key])
    query = (
        f"SELECT customer FROM stripe_{kind} WHERE id = :id UNION"  # noqa: S608
        " SELECT customer FROM set_aside WHERE kind = :kind AND id = :id"
    )
    return set(filter(None, scalars(connection, query, {"kind": kind, "id": key})))


def mark_one(connection: sqlite3.Connection, customer: str) -> bool:
    """Mark a customer; False where nothing of it was ever fetched."""
    query = (
        "SELECT EXISTS (SELECT 1 FROM stripe_customers WHERE id = :id)"
        " OR EXISTS (SELECT 1 FROM stripe_subscriptions WHERE customer = :id)"
        " OR EXISTS (SELECT 1 FROM stripe_invoices WHERE customer = :id)"
    )
    is_known = bool(scalar(connection, query, {"id": customer}))
    if is_known:
        mark(connection, [customer])
    return is_known


def mark_due(connection: sqlite3.Connection, now_s: int) -> None:
    """Mark those whose scheduled change has come."""
    connection.execute(
        "INSERT INTO dirty_customers SELECT customer FROM due_customers"
        " WHERE due_s <= ? ON CONFLICT DO NOTHING",
        [now_s],
    )


# A body that names a shared object in a field that refers to one. For one id alone its
# bytes are looked for first, which is three times as fast.
_NAMES = """
    (:bytes IS NULL OR instr({body}, :bytes)) AND EXISTS (
        SELECT 1 FROM json_tree(CAST({body} AS TEXT), '{part}')
        WHERE key IN ('id', 'price', 'product', 'coupon')
          AND atom IN (SELECT value FROM json_each(:ids)))
"""
_OWNED = f"""
    SELECT customer FROM stripe_{{kind}}
    WHERE customer IS NOT NULL AND {_NAMES.format(body="body", part="$")}
"""  # noqa: S608
_ONCE = f"""
    SELECT stripe_subscriptions.customer
    FROM subscription_versions AS version JOIN stripe_subscriptions
      ON stripe_subscriptions.id = version.subscription
    WHERE stripe_subscriptions.customer IS NOT NULL
      AND {_NAMES.format(body="version.body", part="$")}
"""  # noqa: S608
_DISCOUNTED = f"""
    SELECT id FROM stripe_customers WHERE {_NAMES.format(body="body", part="$.discount")}
"""  # noqa: S608
_OWNED_KINDS = ("subscriptions", "invoices", "invoice_items", "events")
# Rare (prices hardly ever change), so a scan will do: one scan for however many ids.
_USERS = " UNION ".join(
    [*(_OWNED.format(kind=kind) for kind in _OWNED_KINDS), _ONCE, _DISCOUNTED]
)


def users(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Of objects that customers share."""
    as_in_bodies = msgspec.json.encode(ids[0]) if len(ids) == 1 else None
    asked = {"ids": json_array(ids), "bytes": as_in_bodies}
    return set(scalars(connection, _USERS, asked))


def dirty(connection: sqlite3.Connection) -> list[str]:
    """The customers to derive anew, in order of their ids."""
    query = "SELECT customer FROM dirty_customers ORDER BY customer"
    return scalars(connection, query)


def behind(connection: sqlite3.Connection) -> int:
    """How many customers' figures are behind what was fetched of them."""
    return int(scalar(connection, "SELECT count(*) FROM dirty_customers"))


def never_derived(connection: sqlite3.Connection) -> int:
    """How many of those who are behind have no figures at all yet."""
    query = (
        "SELECT count(*) FROM dirty_customers"
        " WHERE customer NOT IN (SELECT id FROM customers)"
    )
    return int(scalar(connection, query))


def waiting(connection: sqlite3.Connection, now_s: int) -> set[str]:
    """The customers that the next derivation takes up: dirty, or due by now."""
    query = (
        "SELECT customer FROM dirty_customers"
        " UNION SELECT customer FROM due_customers WHERE due_s <= ?"
    )
    return set(scalars(connection, query, [now_s]))


_BEGUN_BEFORE = """
    SELECT value FROM json_each(:customers)
    WHERE EXISTS (
        SELECT 1 FROM stripe_subscriptions WHERE customer = value
        AND min(created_s, coalesce(CAST(body AS TEXT) ->> '$.start_date', created_s))
            < :before_s)
    OR EXISTS (
        SELECT 1 FROM stripe_invoices WHERE customer = value AND created_s < :before_s)
    OR NOT EXISTS (
        SELECT 1 FROM stripe_subscriptions WHERE customer = value
        UNION ALL SELECT 1 FROM stripe_invoices WHERE customer = value)
    OR value IN (SELECT customer FROM set_aside_by_customer)
"""


def begun_before(
    connection: sqlite3.Connection, customers: Iterable[str], before_s: int
) -> set[str]:
    """Those whose history may begin before an instant: all but who surely came later."""
    asked = {"customers": json_array(customers), "before_s": before_s}
    return set(scalars(connection, _BEGUN_BEFORE, asked))


def clear(connection: sqlite3.Connection, customer: str, due_s: int | None) -> None:
    """The customer has been derived; look again at ``due_s``, if ever."""
    connection.execute("DELETE FROM dirty_customers WHERE customer = ?", [customer])
    if due_s is None:
        connection.execute("DELETE FROM due_customers WHERE customer = ?", [customer])
    else:
        connection.execute(_DUE, [customer, due_s])


_DUE = """
    INSERT INTO due_customers VALUES (?, ?)
    ON CONFLICT (customer) DO UPDATE SET due_s = excluded.due_s
    WHERE due_s <> excluded.due_s
"""
