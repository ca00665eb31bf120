"""The mirror's rows of many customers → one ``History`` each.

A kind of object is one query for all of them: give tens or a few hundred at a time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple, TypeVar

from connector.mrr.history import Catalogue, History, SubscriptionVersion
from connector.store.database import placeholders
from connector.stripe_api.decoding import decode
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice, InvoiceItem
from connector.stripe_api.objects import Customer, Subscription

T = TypeVar("T")

# By customer: when each object was created, its id and its body.
Dated = dict[str, list[tuple[int, str, bytes]]]
# By customer: each subscription's id, since when it was seen like this, and its body.
Versions = dict[str, list[tuple[str, int, bytes]]]


# Under whom customers are counted, each with its parts: all ids of each, its own first.
Ids = Mapping[str, Sequence[Sequence[str]]]


class Rows(NamedTuple):
    """What the mirror holds of ``customers``, each given with its parts' ids."""

    customers: Ids
    profiles: Mapping[str, bytes]
    versions: Versions
    invoices: Dated
    pending: Dated
    events: Dated


def rows_of(connection: sqlite3.Connection, customers: Ids) -> Rows:
    """``customers``: each with whose objects are its own; nobody's: no history."""
    ids = [each for own in customers.values() for member in own for each in member]
    shown = list(dict.fromkeys([*customers, *ids]))
    profiles = connection.execute(
        f"SELECT id, body FROM stripe_customers WHERE id IN {placeholders(len(shown))}",  # noqa: S608
        shown,
    )
    return Rows(
        customers=customers,
        profiles=dict(profiles.fetchall()),
        versions=_versions(connection, ids),
        invoices=_dated(connection, "invoices", ids),
        pending=_dated(connection, "invoice_items", ids),
        events=_dated(connection, "events", ids),
    )


TOGETHER = 100  # customers whose rows are read with one query a kind


def in_batches(connection: sqlite3.Connection, customers: Ids) -> Iterator[Rows]:
    """The rows of any number of customers, in the order in which they were given."""
    left = iter(customers.items())
    while some := dict(islice(left, TOGETHER)):
        yield rows_of(connection, some)


def profile(rows: Rows, customer: str) -> Customer | None:
    """As stored (label, country, own discount); None where the list never showed it."""
    text = rows.profiles.get(customer)
    return None if text is None else decode(text, Customer)


def _former(rows: Rows, ids: Sequence[str]) -> dict[str, Customer]:
    known = ((each, profile(rows, each)) for each in ids[1:])
    return {each: found for each, found in known if found is not None}


def histories(rows: Rows, shared: Catalogue) -> Iterator[History]:
    """Each customer's history, oldest first, in the order in which they were given.

    Those of one company stand together. Bodies are decoded a customer at a time: kept for
    all of them, they would cost the memory and half as much time again.
    """
    for company, parts in rows.customers.items():
        for ids in parts or ((),):
            customer = ids[0] if ids else company
            yield History(
                customer=customer,
                company="" if customer == company else company,
                versions=_decoded(rows.versions, ids),
                invoices=_together(rows.invoices, ids, Invoice),
                pending=_together(rows.pending, ids, InvoiceItem),
                events=_together(rows.events, ids, Event),
                profile=profile(rows, customer),
                former=_former(rows, ids),
                catalogue=shared,
            )


def _dated(connection: sqlite3.Connection, kind: str, ids: Sequence[str]) -> Dated:
    rows = connection.execute(
        "SELECT customer, created_s, id, body"  # noqa: S608
        f" FROM stripe_{kind} WHERE customer IN {placeholders(len(ids))}",
        ids,
    )
    found: Dated = {}
    for customer, created_s, key, text in rows:
        found.setdefault(customer, []).append((created_s, key, text))
    return found


_VERSIONS = """
    SELECT customer, stripe_subscriptions.id, version.seen_s, version.body
    FROM stripe_subscriptions JOIN subscription_versions AS version
      ON version.subscription = stripe_subscriptions.id
    WHERE customer IN {ids}
    UNION ALL
    SELECT customer, id, seen_s, body FROM stripe_subscriptions WHERE customer IN {ids}
    ORDER BY 1, 2, 3
"""


def _versions(connection: sqlite3.Connection, ids: Sequence[str]) -> Versions:
    found: Versions = {}
    rows = connection.execute(_VERSIONS.format(ids=placeholders(len(ids))), ids)
    for customer, key, seen_s, text in rows:
        found.setdefault(customer, []).append((key, seen_s, text))
    return found


def _together(found: Dated, ids: Iterable[str], shape: type[T]) -> tuple[T, ...]:
    rows = sorted(chain.from_iterable(found.get(each, ()) for each in ids))
    return tuple([decode(text, shape) for _, _, text in rows])


def _decoded(
    found: Versions, ids: Iterable[str]
) -> dict[str, tuple[SubscriptionVersion, ...]]:
    decoded: dict[str, list[SubscriptionVersion]] = {}
    for key, seen_s, text in (row for each in ids for row in found.get(each, ())):
        version = SubscriptionVersion(seen_s, decode(text, Subscription))
        decoded.setdefault(key, []).append(version)
    return {key: tuple(versions) for key, versions in decoded.items()}


def histories_of(
    connection: sqlite3.Connection,
    company: str,
    shared: Catalogue,
    parts: Sequence[Sequence[str]],
) -> list[History]:
    """Those of the customers that are counted as one, each given with its former ids."""
    rows = rows_of(connection, {company: parts})
    return list(histories(rows, shared))
