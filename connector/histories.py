"""The mirror's rows of many customers → one ``History`` each.

A kind of object is one query for all of them: give tens or a few hundred at a time.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from connector.history import Catalogue, History, Sighting
from connector.stripe_objects import (
    Customer,
    Event,
    Invoice,
    InvoiceItem,
    Subscription,
    decode,
)

T = TypeVar("T")

# By customer: when each object was created, its id and its body.
Dated = dict[str, list[tuple[int, str, bytes]]]
# By customer: each subscription's id, since when it was seen like this, and its body.
Looks = dict[str, list[tuple[str, int, bytes]]]


class Rows(NamedTuple):
    """What the mirror holds of ``customers``, each given with all its ids."""

    customers: Mapping[str, Sequence[str]]
    profiles: Mapping[str, bytes]
    looks: Looks
    invoices: Dated
    pending: Dated
    events: Dated


_ANY = "(SELECT value FROM json_each(?1))"  # any number of ids as one parameter


def rows_of(
    connection: sqlite3.Connection, customers: Mapping[str, Sequence[str]]
) -> Rows:
    """``customers``: each with the ids whose objects are its own; none: no history."""
    ids = [each for own in customers.values() for each in own]
    return Rows(
        customers=customers,
        profiles=_profiles(connection, ids),
        looks=_looks(connection, ids),
        invoices=_dated(connection, "invoices", ids),
        pending=_dated(connection, "invoice_items", ids),
        events=_dated(connection, "events", ids),
    )


def profiles(
    connection: sqlite3.Connection, customers: Sequence[str]
) -> dict[str, Customer]:
    """Those of the customers that the list ever showed, as stored."""
    found = _profiles(connection, customers)
    return {customer: decode(text, Customer) for customer, text in found.items()}


def histories(rows: Rows, shared: Catalogue) -> Iterator[History]:
    """Each customer's history, oldest first, in the order in which they were given.

    Bodies are decoded a customer at a time: kept for all of them, they would cost the
    memory and half as much time again.
    """
    for customer, ids in rows.customers.items():
        text = rows.profiles.get(customer)
        yield History(
            customer=customer,
            sightings=_sightings(rows.looks, ids),
            invoices=_together(rows.invoices, ids, Invoice),
            pending=_together(rows.pending, ids, InvoiceItem),
            events=_together(rows.events, ids, Event),
            discount=None if text is None else decode(text, Customer).discount,
            catalogue=shared,
        )


def _profiles(
    connection: sqlite3.Connection, customers: Sequence[str]
) -> dict[str, bytes]:
    rows = connection.execute(
        f"SELECT id, body FROM stripe_customers WHERE id IN {_ANY}",  # noqa: S608
        [json.dumps(customers)],
    )
    return dict(rows.fetchall())


def _dated(connection: sqlite3.Connection, kind: str, ids: Sequence[str]) -> Dated:
    rows = connection.execute(
        "SELECT customer, created_s, id, body"  # noqa: S608
        f" FROM stripe_{kind} WHERE customer IN {_ANY}",
        [json.dumps(ids)],
    )
    found: Dated = {}
    for customer, created_s, key, text in rows:
        found.setdefault(customer, []).append((created_s, key, text))
    return found


_LOOKS = f"""
    SELECT customer, stripe_subscriptions.id, version.seen_s, version.body
    FROM stripe_subscriptions JOIN subscription_versions AS version
      ON version.subscription = stripe_subscriptions.id
    WHERE customer IN {_ANY}
    UNION ALL
    SELECT customer, id, seen_s, body FROM stripe_subscriptions WHERE customer IN {_ANY}
    ORDER BY 1, 2, 3
"""  # noqa: S608


def _looks(connection: sqlite3.Connection, ids: Sequence[str]) -> Looks:
    found: Looks = {}
    for customer, key, seen_s, text in connection.execute(_LOOKS, [json.dumps(ids)]):
        found.setdefault(customer, []).append((key, seen_s, text))
    return found


def _together(found: Dated, ids: Iterable[str], shape: type[T]) -> tuple[T, ...]:
    rows = sorted(row for each in ids for row in found.get(each, ()))
    return tuple(decode(text, shape) for _, _, text in rows)


def _sightings(found: Looks, ids: Iterable[str]) -> dict[str, tuple[Sighting, ...]]:
    sightings: dict[str, tuple[Sighting, ...]] = {}
    for key, seen_s, text in (row for each in ids for row in found.get(each, ())):
        sighting = Sighting(seen_s, decode(text, Subscription))
        sightings[key] = (*sightings.get(key, ()), sighting)
    return sightings
