"""When customers' subscriptions renew next, by the invoices that the mirror holds."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress

from connector.core.errors import UnknownStripeShape
from connector.store.database import json_array
from connector.stripe_api.decoding import decode, ref
from connector.stripe_api.invoices import Invoice, InvoiceLine

_LIVE = """
    SELECT customer, id FROM stripe_subscriptions
    WHERE customer IN (SELECT value FROM json_each(?))
      AND CAST(body AS TEXT) ->> '$.status' IN ('active', 'past_due', 'trialing')
"""
_NEWEST_FIRST = """
    SELECT body FROM stripe_invoices WHERE customer = ? ORDER BY created_s DESC
"""


def next_renewals(
    connection: sqlite3.Connection, named: Mapping[str, str], now_s: int
) -> dict[str, dict[str, int]]:
    """When customers are billed next, by currency; who is not is absent.

    ``named`` are all the ids of these customers, each with the one that it goes by. That
    is the earliest end of a period that a live subscription was billed for and that is
    not over; a trial's end is its first bill.
    """
    live: dict[str, set[str]] = {}
    for customer, key in connection.execute(_LIVE, [json_array(named)]):
        live.setdefault(customer, set()).add(key)
    found: dict[str, dict[str, int]] = {}
    for customer, waiting in live.items():
        own = found.setdefault(named[customer], {})
        for currency, end_s in _periods(connection, customer, waiting, now_s):
            own[currency] = min(own.get(currency, end_s), end_s)
    return found


def _periods(
    connection: sqlite3.Connection, customer: str, waiting: set[str], now_s: int
) -> Iterator[tuple[str, int]]:
    """Of each subscription the last billed period's end; no more is read than it takes."""
    rows = connection.execute(_NEWEST_FIRST, [customer]) if waiting else ()
    for (body,) in rows:
        with suppress(UnknownStripeShape):  # an older version took more for an invoice
            invoice = decode(body, Invoice)
            ends: dict[str, int] = {}
            for line in invoice.lines.data:
                key = _subscription(line) or invoice.subscription
                if key in waiting and line.amount >= 0 and line.period.end > now_s:
                    ends[key] = max(ends.get(key, 0), line.period.end)
            for end_s in ends.values():
                yield invoice.currency, end_s
            waiting -= ends.keys()
        if not waiting:
            return


def _subscription(line: InvoiceLine) -> str:
    details = line.parent.subscription_item_details if line.parent else None
    return ref(details.subscription) if details is not None else ""
