"""What the mirror's copies are: how old, how many, which are missing.

A sync asks this to fetch no more than it must.
"""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from connector.core.errors import UnknownStripeShape
from connector.store.database import json_array, placeholders, scalar, scalars
from connector.stripe_api.decoding import decode
from connector.stripe_api.events import Event
from connector.stripe_api.paging import STRIPE_BEGAN_S

# How far back Stripe shows events.
EVENTS_KEPT_S = 30 * 86_400
# A paid or void invoice does not change; so much later, not even by a late correction.
SETTLED_S = 90 * 86_400
CUT_AT = 10  # lines that an invoice shows in a list


def fetched_us(connection: sqlite3.Connection, kind: str, key: str) -> int:
    """When the copy of an object was asked for; 0 where there is none."""
    query = f"SELECT fetched_us FROM stripe_{kind} WHERE id = ?"  # noqa: S608
    return scalar(connection, query, [key]) or 0


def created_s(
    connection: sqlite3.Connection, kind: str, ids: Collection[str]
) -> dict[str, int]:
    """When these were created, as far as the mirror holds a copy that says it."""
    rows = connection.execute(
        f"SELECT id, created_s FROM stripe_{kind}"  # noqa: S608
        " WHERE id IN (SELECT value FROM json_each(?)) AND created_s > 0",
        [json_array(ids)],
    )
    return dict(rows.fetchall())


def count(connection: sqlite3.Connection, kind: str) -> int:
    return int(scalar(connection, f"SELECT count(*) FROM stripe_{kind}"))  # noqa: S608


def count_since(
    connection: sqlite3.Connection, kind: str, ids: Sequence[str], since_us: int
) -> int:
    """Of how many of these the copy was asked for since then."""
    query = f"""
        SELECT count(*) FROM stripe_{kind}
        WHERE id IN {placeholders(len(ids))} AND fetched_us >= {since_us}
    """  # noqa: S608
    return int(scalar(connection, query, ids))


def events_since(connection: sqlite3.Connection, since_s: int) -> Iterator[Event]:
    """The events created from then on, in the order of their seconds."""
    query = "SELECT body FROM stripe_events WHERE created_s >= ? ORDER BY created_s, id"
    for text in scalars(connection, query, [since_s]):
        with suppress(UnknownStripeShape):  # an older version took more for an event
            yield decode(text, Event)


def oldest_s(connection: sqlite3.Connection, kind: str, now_s: int) -> int:
    """About when the oldest object of a kind was created, to cut its list by.

    Before the first walk the catalogue has to tell, as nothing is sold before it.
    """
    if kind == "events":
        return now_s - EVENTS_KEPT_S
    query = f"""
        SELECT min(created_s) FROM (
            SELECT min(created_s) AS created_s FROM stripe_products
            UNION ALL SELECT min(created_s) FROM stripe_prices
            UNION ALL SELECT min(created_s) FROM stripe_{kind}) WHERE created_s > 0
    """  # noqa: S608
    return scalar(connection, query) or STRIPE_BEGAN_S


def settled_long_invoices(connection: sqlite3.Connection, now_s: int) -> frozenset[str]:
    """Invoices whose many lines need not be fetched again, as nothing changes them."""
    query = (
        "SELECT id FROM stripe_invoices WHERE created_s < ?"
        " AND CAST(body AS TEXT) ->> '$.status' IN ('paid', 'void')"
        " AND json_array_length(CAST(body AS TEXT), '$.lines.data') > ?"
    )
    return frozenset(scalars(connection, query, [now_s - SETTLED_S, CUT_AT]))


def held(connection: sqlite3.Connection, kind: str, ids: Collection[str]) -> set[str]:
    """Which of these the mirror holds a copy of."""
    query = f"SELECT id FROM stripe_{kind} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608
    return set(scalars(connection, query, [json_array(ids)]))


def missing(
    connection: sqlite3.Connection, kind: str, ids: Collection[str]
) -> list[str]:
    """Which of these the mirror holds no copy of, sorted."""
    there = held(connection, kind, ids)
    return [key for key in sorted(ids) if key not in there]


def unseen_customers(connection: sqlite3.Connection, since_us: int) -> list[str]:
    """Customers whose copy is older than that, but for those known to be deleted."""
    query = (
        "SELECT id FROM stripe_customers WHERE fetched_us < ?"
        " AND CAST(body AS TEXT) ->> '$.deleted' IS NOT 1 ORDER BY id"
    )
    return scalars(connection, query, [since_us])


def pending_read_us(connection: sqlite3.Connection) -> dict[str, int]:
    """Who has pending invoice items, and when the oldest copy of these was asked for."""
    rows = connection.execute(
        "SELECT customer, min(fetched_us) FROM stripe_invoice_items"
        " WHERE customer IS NOT NULL GROUP BY customer ORDER BY customer"
    )
    return dict(rows.fetchall())


def known_subscriptions(connection: sqlite3.Connection, most: int = 3) -> list[str]:
    """By which an account is known again: no other has an object of these ids.

    The newest, as of these the fewest have gone with a test clock or a customer.
    """
    query = "SELECT id FROM stripe_subscriptions ORDER BY created_s DESC, id LIMIT ?"
    return scalars(connection, query, [most])
