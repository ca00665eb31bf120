"""Stripe's objects as last seen: the newest copy wins, and a change marks its customer.

Comes in: decoded objects, and when their request began. Goes out: one customer's
``History``, and who must be derived anew. Bodies hold only what MRR needs.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

import msgspec

from connector.core.errors import UnknownStripeShape
from connector.mrr.history import what_counts
from connector.store.database import count_change, placeholders, scalars
from connector.store.mirror import (
    catalogue,
    checksums,
    companies,
    customer_accounts,
    dirty_customers,
    forgotten,
    freshness,
    unfit_objects,
)
from connector.stripe_api.decoding import Base, body, created_at, decode, ref
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Customer, Subscription

# The table of each listing's objects, without its prefix.
TABLES: Mapping[str, str] = {
    "products": "products",
    "prices": "prices",
    "archived prices": "prices",
    "coupons": "coupons",
    "customers": "customers",
    "subscriptions": "subscriptions",
    "invoices": "invoices",
    "invoice items": "invoice_items",
    "events": "events",
    "catalogue events": "events",
}


T = TypeVar("T")


class StoredObject(NamedTuple):
    """A row as it is kept; see ``schema`` for the units."""

    id: str
    customer: str | None
    created_s: int
    fetched_us: int
    seen_s: int
    body: bytes


def put(
    connection: sqlite3.Connection, kind: str, things: Sequence[Base], fetched_us: int
) -> int:
    """Keep one answer's objects; return how many were new or had changed.

    A copy loses against one whose request began later. Runs inside the caller's
    transaction, so that a page, its cursor and its dirty customers land together.
    """
    offered = {ref(thing): thing for thing in things}
    if kind == "customers":
        offered = _without_names(connection, offered)
    stored = _stored(connection, kind, list(offered))
    rows, untouched, dirty = [], [], []
    for key, shown in sorted(offered.items()):
        old = stored.get(key)
        if old is not None and old.fetched_us > fetched_us:
            continue
        thing = _with_what_is_kept(shown, old)
        text = body(thing)
        if old is not None and old.body == text:
            untouched.append(old._replace(fetched_us=fetched_us))
            continue
        customer = _customer(kind, thing)
        seen_s = _seen_since(connection, kind, thing, old, fetched_us)
        created_s = created_at(thing)
        rows.append(StoredObject(key, customer, created_s, fetched_us, seen_s, text))
        if customer:
            dirty.append(customer)
        if old is not None and old.customer and old.customer != customer:
            dirty.append(old.customer)
    _write(connection, kind, rows, untouched)
    unfit_objects.fits(connection, kind, list(offered), fetched_us)
    dirty_customers.mark(connection, dirty)
    if customer_accounts.learn(connection, offered.values()):
        count_change(connection, companies.VERSION)
        for customer in forgotten.by_their_accounts(connection):
            strip_customer(connection, customer)
    if kind in dirty_customers.SHARED and rows:
        users = dirty_customers.users(connection, [row.id for row in rows])
        dirty_customers.mark(connection, users)
        count_change(connection, catalogue.VERSION)
    return len(rows)


def _with_what_is_kept(thing: Base, old: StoredObject | None) -> Base:
    """And what the stored copy shows but this one does not any more.

    A copy that an older version stored, and that does not fit any more, shows nothing.

    An invoice that came with its first lines only keeps those that are stored. All that
    Stripe shows of a deleted customer is that it is; its past stays what it was, but for
    the label, which says who it was.
    """
    if isinstance(thing, Invoice) and thing.lines.has_more:
        invoice = _read(old, Invoice)
        shown = thing.lines if invoice is None else invoice.lines
        return msgspec.structs.replace(thing, lines=shown)
    if isinstance(thing, Customer) and thing.deleted:
        known = _read(old, Customer) or thing
        return msgspec.structs.replace(known, deleted=True, label=None)
    return thing


def _without_names(
    connection: sqlite3.Connection, customers: Mapping[str, Base]
) -> dict[str, Base]:
    """The same; of those who are forgotten, as they or as Accounts, only figures."""
    names = {
        key: {key, ref(getattr(it, "customer_account", None))}
        for key, it in customers.items()
    }
    gone = forgotten.among(connection, set().union(*names.values()))
    return {
        key: it if gone.isdisjoint(names[key]) else _nameless(it)
        for key, it in customers.items()
    }


def _nameless(customer: Base) -> Base:
    return msgspec.structs.replace(customer, label=None, metadata=None)


def strip_customer(connection: sqlite3.Connection, key: str) -> bool:
    """Take label and metadata off a stored customer; whether it had any.

    Runs inside the caller's transaction. A body of an older version that does not fit
    any more goes as a whole, but for the id: the next full sync brings it again.
    """
    old = _stored(connection, "customers", [key]).get(key)
    if old is None:
        return False
    known = _read(old, Customer) or Customer(id=key, created=old.created_s)
    row = old._replace(body=body(_nameless(known)))
    _write(connection, "customers", [row], [])
    return row.body != old.body


def _read(old: StoredObject | None, shape: type[T]) -> T | None:
    """A stored copy; None where there is none that fits."""
    with suppress(UnknownStripeShape):
        return None if old is None else decode(old.body, shape)
    return None


def _write(
    connection: sqlite3.Connection,
    kind: str,
    rows: Iterable[StoredObject],
    untouched: Iterable[StoredObject],
) -> None:
    """New and changed rows; of those untouched, that they were seen again."""
    connection.executemany(
        f"INSERT INTO stripe_{kind} VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
        " ON CONFLICT (id) DO UPDATE SET customer = excluded.customer,"
        " created_s = excluded.created_s, fetched_us = excluded.fetched_us,"
        " seen_s = excluded.seen_s, body = excluded.body",
        rows,
    )
    connection.executemany(
        f"UPDATE stripe_{kind} SET fetched_us = ? WHERE id = ?",  # noqa: S608
        [(each.fetched_us, each.id) for each in untouched],
    )
    checksums.keep(connection, kind, rows)
    checksums.keep_first(connection, kind, untouched)


def _customer(kind: str, thing: Base) -> str | None:
    if kind in dirty_customers.SHARED:
        return None
    if isinstance(thing, Customer):
        return thing.id
    return ref(getattr(thing, "customer", None)) or None


def _stored(
    connection: sqlite3.Connection, kind: str, ids: Sequence[str]
) -> dict[str, StoredObject]:
    query = f"SELECT * FROM stripe_{kind} WHERE id IN {placeholders(len(ids))}"  # noqa: S608
    return {row[0]: StoredObject(*row) for row in connection.execute(query, ids)}


def _seen_since(
    connection: sqlite3.Connection,
    kind: str,
    thing: Base,
    old: StoredObject | None,
    fetched_us: int,
) -> int:
    """Since when a subscription has been known to be as it is now.

    Its state before is kept as a version, because that may be the only trace of it; so
    each version has a second of its own, the next one where there were two in the same.
    """
    now_s = fetched_us // 1_000_000
    if old is None or kind != "subscriptions":
        return now_s
    before = _read(old, Subscription)
    if before is None:
        return now_s
    assert isinstance(thing, Subscription)
    if what_counts(before) == what_counts(thing):
        return old.seen_s
    connection.execute(
        "INSERT OR REPLACE INTO subscription_versions VALUES (?, ?, ?)",
        [thing.id, old.seen_s, old.body],
    )
    checksums.keep_version(connection, thing.id, old.seen_s, old.body)
    return max(now_s, old.seen_s + 1)


def known_among(connection: sqlite3.Connection, ids: Collection[str]) -> set[str]:
    """Which of these customers, subscriptions and invoices are of this account."""
    kinds = ("customers", "subscriptions", "invoices")
    return {key for kind in kinds for key in freshness.held(connection, kind, ids)}


# Subscriptions that may end or stop paying, and the newest invoices that are not paid.
# Whether it is so, the reader sees.
_AT_RISK = """
    SELECT customer FROM stripe_subscriptions
    WHERE CAST(body AS TEXT) ->> '$.status' <> 'canceled'
      AND (CAST(body AS TEXT) ->> '$.status' = 'past_due'
           OR CAST(body AS TEXT) ->> '$.cancel_at' IS NOT NULL
           OR CAST(body AS TEXT) ->> '$.cancel_at_period_end'
           OR CAST(body AS TEXT) ->> '$.pending_update' IS NOT NULL
           OR CAST(body AS TEXT) ->> '$.pause_collection' IS NOT NULL)
    UNION
    SELECT customer FROM stripe_invoices
    WHERE created_s >= ? AND CAST(body AS TEXT) ->> '$.status' = 'open'
    UNION
    SELECT customer FROM due_customers WHERE due_s < ?
    ORDER BY 1
"""


def at_risk_candidates(
    connection: sqlite3.Connection, since_s: int, until_s: int
) -> list[str]:
    """Whose objects may show a risk, or a change that is due before ``until_s``.

    Open invoices are looked for among those made from ``since_s`` on.
    """
    found = scalars(connection, _AT_RISK, [since_s, until_s])
    return [customer for customer in found if customer is not None]


def drop_unseen_pending(
    connection: sqlite3.Connection, since_us: int, customer: str | None = None
) -> None:
    """Forget pending invoice items that a complete reading no longer met.

    Of all customers or of one: an item that was invoiced is pending no more.
    """
    query = (
        "DELETE FROM stripe_invoice_items WHERE fetched_us < :since"
        " AND (:customer IS NULL OR customer = :customer) RETURNING customer"
    )
    gone = scalars(connection, query, {"since": since_us, "customer": customer})
    dirty_customers.mark(connection, filter(None, gone))
    of = None if customer is None else [customer]
    unfit_objects.forget_unseen(connection, since_us, ["invoice_items"], of)


def drop_pending(connection: sqlite3.Connection, key: str, now_us: int) -> None:
    """Forget one pending invoice item that was deleted, or is on an invoice by now."""
    unfit_objects.fits(connection, "invoice_items", [key], now_us)
    query = "DELETE FROM stripe_invoice_items WHERE id = ? RETURNING customer"
    dirty_customers.mark(connection, filter(None, scalars(connection, query, [key])))
