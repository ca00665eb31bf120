"""Movements written as MRR by month, and a ledger that they are posted to.

lived("cus_1", "50 90 . 0 40")   new+50, expansion+40, nothing, churn−90, reactivation
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import groupby

from connector.core.dates import add_months
from connector.core.kept.months import Closing
from connector.core.model import (
    Cause,
    Component,
    Evidence,
    Movement,
    MovementKind,
    classify,
)
from connector.reports.closings.closed_months import figures_to_close
from connector.store.database import put_setting, transaction
from connector.store.ledger import posting, rollups
from connector.store.ledger.customers import CustomerDisplay, keys_of
from connector.store.ledger.posting import LedgerRun, PostedCounts
from connector.store.months import closings

FIRST = date(2024, 1, 15)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CAUSES = {
    MovementKind.NEW: Cause.START,
    MovementKind.REACTIVATION: Cause.START,
    MovementKind.EXPANSION: Cause.QUANTITY,
    MovementKind.CONTRACTION: Cause.QUANTITY,
    MovementKind.CHURN: Cause.END,
}


def lived(customer: str, months: str, currency: str = "usd") -> list[Movement]:
    """A cell is the MRR from the 15th of its month on; a dot is no change."""
    cells = enumerate(months.split())
    mrr = {add_months(FIRST, i).replace(day=15): c for i, c in cells if c != "."}
    return moved(customer, {day: int(cell) for day, cell in mrr.items()}, currency)


def moved(
    customer: str,
    mrr_minor: Mapping[date, int],
    currency: str = "usd",
    *,
    seen: str = "in_1",
) -> list[Movement]:
    """The movements of a customer whose MRR is this from these days on."""
    booked: list[Movement] = []
    before_minor = 0
    for day, after_minor in sorted(mrr_minor.items()):
        kind = classify(before_minor, after_minor, has_paid=bool(booked))
        if kind is not None:
            booked.append(
                movement(customer, day, kind, before_minor, after_minor, currency, seen)
            )
        before_minor = after_minor
    return booked


def movement(
    customer: str,
    day: date,
    kind: MovementKind,
    before_minor: int,
    after_minor: int,
    currency: str = "usd",
    seen: str = "in_1",
) -> Movement:
    amount_minor = after_minor - before_minor
    part = Component(
        cause=CAUSES[kind],
        amount_minor=amount_minor,
        subscription="sub_1",
        item="si_1",
        price="price_1",
        before=str(before_minor or ""),
        after=str(after_minor or ""),
        evidence=(Evidence("invoice", seen, 1_700_000_000, "said so"),),
    )
    return Movement(
        customer=customer,
        currency=currency,
        day=day,
        kind=kind,
        amount_minor=amount_minor,
        before_minor=before_minor,
        after_minor=after_minor,
        components=(part,),
    )


def post(
    connection: sqlite3.Connection,
    movements: Iterable[Movement],
    *,
    at: datetime = NOON,
    cause: str = "sync",
    policy: str = "{}",
    customers: Sequence[str] = (),
) -> PostedCounts:
    """Settle each customer of ``movements``, and ``customers``, in one run."""
    run = LedgerRun(connection, at, cause, code_version="test", policy=policy)
    by_customer: dict[str, list[Movement]] = {each: [] for each in customers}
    for customer, own in groupby(movements, key=lambda each: each.customer):
        by_customer.setdefault(customer, []).extend(own)
    total = PostedCounts(0, 0)
    with transaction(connection):
        put_setting(connection, rollups.WHOLE, "")  # only deriving keeps the sums
        for customer, own_movements in by_customer.items():
            done = settle_one(connection, run, customer, own_movements)
            total = PostedCounts(*map(sum, zip(total, done, strict=True)))
    return total


def key_of(
    connection: sqlite3.Connection,
    customer: str,
    label: str | None = None,
    country: str | None = None,
) -> int:
    """The customer's key; how it is shown is brought up to date."""
    return keys_of(connection, {customer: CustomerDisplay(label, country)})[customer]


def settle_one(
    connection: sqlite3.Connection,
    run: LedgerRun,
    customer: str,
    derived: Sequence[Movement],
) -> PostedCounts:
    """Settle a customer against what stands of it now."""
    key = key_of(connection, customer)
    live = posting.live_movements(connection, [key])[key]
    return posting.settle(connection, run, key, live, derived)


def close(
    connection: sqlite3.Connection,
    month: date,
    policy: Mapping[str, str],
    at: datetime = NOON,
    version: str = "1",
) -> Closing:
    """Close a month with the figures that the ledger has."""
    with transaction(connection):
        return closings.close(
            connection,
            month,
            figures_to_close(connection, month),
            policy=policy,
            code_version=version,
            now=at,
        )
