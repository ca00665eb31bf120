"""Customers given to companies, and what a company's movements must be by addition alone.

The truth here knows no steps and no histories: customers' own movements are added up by
day, and what is left of each day is called by its sign.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from msgspec.structs import replace

from connector.core.model import Movement
from connector.store.database import transaction
from connector.store.mirror import objects
from connector.stripe_api.decoding import decode
from connector.stripe_api.objects import Customer

KEY = "parent"


class Booked(NamedTuple):
    """What a movement says, but for why."""

    day: date
    customer: str
    currency: str
    kind: str
    before_minor: int
    after_minor: int


def booked(movements: Iterable[Movement]) -> list[Booked]:
    return sorted(
        Booked(m.day, m.customer, m.currency, m.kind, m.before_minor, m.after_minor)
        for m in movements
    )


def added_up(
    movements: Iterable[Movement], company_of: Mapping[str, str]
) -> list[Booked]:
    """What is to be booked of companies whose customers alone moved like this."""
    changes: dict[tuple[str, str], dict[date, int]] = defaultdict(
        lambda: defaultdict(int)
    )
    for m in movements:
        company = company_of.get(m.customer, m.customer)
        changes[company, m.currency][m.day] += m.amount_minor
    found = []
    for (company, currency), by_day in changes.items():
        before, has_paid = 0, False
        for day, change in sorted(by_day.items()):
            after = before + change
            if change:
                kind = _kind(before, after, has_paid=has_paid)
                found.append(Booked(day, company, currency, kind, before, after))
                has_paid = True
            before = after
    return sorted(found)


def _kind(before: int, after: int, *, has_paid: bool) -> str:
    if before == 0:
        return "reactivation" if has_paid else "new"
    if after == 0:
        return "churn"
    return "expansion" if after > before else "contraction"


def belong(
    connection: sqlite3.Connection, companies: Mapping[str, str | None], at_us: int
) -> None:
    """Stripe shows another company in these customers' metadata; None: none any more."""
    query = "SELECT body FROM stripe_customers WHERE id = ?"
    shown = []
    for customer, company in companies.items():
        [text] = connection.execute(query, [customer]).fetchone()
        known = decode(text, Customer)
        metadata = {k: v for k, v in (known.metadata or {}).items() if k != KEY}
        if company is not None:
            metadata[KEY] = company
        shown.append(replace(known, metadata=metadata or None))
    with transaction(connection):
        objects.put(connection, "customers", shown, at_us)
