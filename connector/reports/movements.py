"""Movements, one or added up by segment, and what customers are told apart by."""

import sqlite3
from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import NamedTuple

from connector.config import Config
from connector.core.errors import NothingFound
from connector.core.model import METADATA, CustomerName, Flow, Movement
from connector.core.money import exponent
from connector.metrics.segment_totals import SegmentOf
from connector.metrics.segments import (
    CurrencyBook,
    SegmentMovements,
    Traits,
    by_band,
    by_trait,
    by_value,
    moved_by_segment,
)
from connector.reports.ledger import Ledger
from connector.store.ledger import balances, contract_terms, customers, queries
from connector.store.ledger.queries import EVERYTHING, Wanted
from connector.store.mirror import objects


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


# What customers are told apart by


def segment_of(
    connection: sqlite3.Connection, config: Config, by: str, currency: str
) -> SegmentOf:
    """How to tell a customer's segment; ``by`` is one of ``SEGMENTS`` or ``metadata:KEY``.

    Plan, product and interval are those of the price with most of the MRR. They and
    country and metadata are read as they are known now, whatever the report is as of.
    """
    if by == "band":
        return by_band(config.bands, 10 ** exponent(currency))
    if by == "currency":
        return lambda _customer, days, _minor: [currency.upper()] * len(days)
    if by == "cohort":
        return by_value(balances.first_months(connection, currency))
    if by == "country":
        return by_value(balances.countries(connection))
    if by.startswith(METADATA):
        key = by.removeprefix(METADATA)
        return by_value(objects.metadata(connection, key))
    return by_trait(_of_plans(connection, by, currency))


def _of_plans(connection: sqlite3.Connection, by: str, currency: str) -> Traits:
    sold = objects.price_names(connection)

    @cache  # many customers have the same plan
    def value(price: str, interval: str) -> str:
        product = sold.get(price, price)
        named = {
            "plan": f"{product}, {interval} ({price})",
            "product": product,
            "interval": interval,
        }
        return named[by]

    traits: dict[int, list[tuple[date, str]]] = {}
    for customer, day, price, interval in contract_terms.main_prices(
        connection, currency
    ):
        if price:
            traits.setdefault(customer, []).append((day, value(price, interval)))
    return traits
