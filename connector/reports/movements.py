"""Movements added up by segment, and one movement found."""

import sqlite3
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from connector.core.errors import NothingFound
from connector.core.model import CustomerName, Flow, Movement
from connector.metrics.segments import CurrencyBook, SegmentMovements, moved_by_segment
from connector.reports.ledger import Ledger
from connector.reports.segments import segment_of
from connector.store.ledger import balances, customers, queries
from connector.store.ledger.queries import EVERYTHING, Wanted


class MovementList(NamedTuple):
    """``labels`` are what customers are called, by id."""

    movements: list[Movement]
    labels: Mapping[str, str]


def list_movements(ledger: Ledger, wanted: Wanted = EVERYTHING) -> MovementList:
    """The movements wanted, in order of days."""
    _check_currency(ledger, wanted)
    return MovementList(
        movements=list(queries.movements(ledger.connection, wanted)),
        labels=customers.labels(ledger.connection),
    )


def _check_currency(ledger: Ledger, wanted: Wanted) -> None:
    if wanted.currency:
        ledger.currencies(wanted.currency)


def sum_movements(ledger: Ledger, by: str, wanted: Wanted) -> list[SegmentMovements]:
    """The sums of the movements wanted, by currency and segment."""
    _check_currency(ledger, wanted)
    connection = ledger.connection
    found = []
    start, end = wanted.start or date.min, wanted.end or date.max
    ids = customers.ids(connection) if wanted.customer else {}

    def is_wanted(flow: Flow) -> bool:
        return wanted.kind in (None, flow.kind) and (
            not wanted.customer or wanted.customer == ids[flow.customer]
        )

    chosen = is_wanted if wanted.kind or wanted.customer else None
    for currency in queries.currencies(connection):
        if wanted.currency not in (None, currency):
            continue
        opening = balances.balances(connection, currency, start)
        flows = queries.flows(connection, currency, None, start, end)
        of = segment_of(connection, ledger.config, by, currency)
        book = CurrencyBook(opening, flows)
        found += moved_by_segment(currency, book, start, of, chosen)
    return found


def find_one(connection: sqlite3.Connection, text: str) -> CustomerName:
    found = customers.find_customer(connection, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NothingFound(
            f"no customer {text!r} in the ledger",
            fix="give an id as Stripe shows it (cus_…) or a part of the name; "
            "`stripe-nrr movements` lists who is there",
        )
    several = ", ".join(f"{each.label} ({each.id})" for each in found)
    raise NothingFound(
        f"several customers are called like {text!r}", fix=f"give an id: {several}"
    )
