"""Stripe's JSON objects → the mirror → the ledger, along the way that a sync takes.

Nothing stands in for our own code: the database is SQLite, in memory.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from connector.core.dates import instant
from connector.core.model import Movement, Refusal
from connector.core.policy import NO_COMPANIES, CompanyRule, Policy, Rules
from connector.mrr.history import Catalogue, History
from connector.pipeline.kept_objects import labelled
from connector.pipeline.policy_change import adopt
from connector.pipeline.recompute import recompute
from connector.store.database import transaction
from connector.store.ledger import queries, unvalued
from connector.store.mirror import objects, walks
from connector.store.mirror.histories import histories_of
from connector.store.opening import open_database
from connector.stripe_api.decoding import Base, decode
from connector.stripe_api.events import StripeEvent, trimmed
from connector.stripe_api.faults import by_customer
from connector.stripe_api.lists import LISTINGS
from connector.stripe_api.objects import Customer

Snapshot = Mapping[str, Sequence[Mapping[str, Any]]]

# Each list of a snapshot: the mirror's table, and which listing has its type.
KINDS = {
    "products": ("products", "products"),
    "prices": ("prices", "prices"),
    "coupons": ("coupons", "coupons"),
    "customers": ("customers", "customers"),
    "subscriptions": ("subscriptions", "subscriptions"),
    "invoices": ("invoices", "invoices"),
    "invoiceitems": ("invoice_items", "invoice items"),
    "events": ("events", "events"),
}


class Known(NamedTuple):
    """What the ledger knows after the last look."""

    movements: list[Movement]
    refusals: list[Refusal]


@cache
def _new_ledger() -> bytes:
    with closing(open_database(":memory:", create=True)) as connection:
        return connection.serialize()


@contextmanager
def empty_ledger() -> Iterator[sqlite3.Connection]:
    """A new ledger in memory, as ``open_database`` makes it, but made only once."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.deserialize(_new_ledger())
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    finally:
        connection.close()


def history_of(
    connection: sqlite3.Connection,
    customer: str,
    shared: Catalogue,
    former: Sequence[str] = (),
) -> History:
    """Everything the mirror holds of one customer and its former ids, oldest first."""
    [found] = histories_of(connection, customer, shared, ((customer, *former),))
    return found


def profile(connection: sqlite3.Connection, customer: str) -> Customer | None:
    """The customer as stored (label, country); None where the list never showed it."""
    return history_of(connection, customer, Catalogue()).profile


def look(connection: sqlite3.Connection, account: Snapshot, at_s: int) -> None:
    """Mirror everything that the account shows at ``at_s``, as one complete walk."""
    at_us = at_s * 1_000_000
    with transaction(connection):
        walk = walks.begin_walk(connection, at_us)
        for kind, (table, _) in KINDS.items():
            things = [read(kind, thing) for thing in account.get(kind, ())]
            objects.put(connection, table, things, at_us)
        objects.drop_unseen_pending(connection, walk.started_us)
        walks.finish_walk(connection, walk, at_us)


def read(kind: str, thing: Mapping[str, Any]) -> Base:
    """One object as the mirror keeps it."""
    _, listing = KINDS[kind]
    found = decode(json.dumps(thing).encode(), LISTINGS[listing].type)
    if isinstance(found, Customer):
        return labelled(found, "id", ())
    return trimmed(found) if isinstance(found, StripeEvent) else by_customer(found)


def settle(
    connection: sqlite3.Connection,
    at_s: int,
    zone: str = "UTC",
    policy: Policy | None = None,
    merge: Mapping[str, str] | None = None,
    company: CompanyRule = NO_COMPANIES,
    only: Sequence[str] | None = None,
) -> Known:
    """Bring the ledger up to date at ``at_s``, or ``only`` these customers; read it."""
    rules = Rules(
        policy=policy or Policy(),
        zone=ZoneInfo(zone),
        code_version="of the tests",
        merge=merge or {},
        company=company,
    )
    adopt(connection, rules)
    recompute(connection, rules, cause="sync", now=instant(at_s), only=only)
    return known_in(connection)


def known_in(connection: sqlite3.Connection) -> Known:
    return Known(list(queries.movements(connection)), unvalued.known(connection))


def seen_once(
    account: Snapshot, at_s: int, zone: str = "UTC", policy: Policy | None = None
) -> Known:
    """What one look at the whole account tells."""
    with empty_ledger() as connection:
        look(connection, account, at_s)
        return settle(connection, at_s, zone, policy or Policy())
