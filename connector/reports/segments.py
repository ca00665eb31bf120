"""What customers are told apart by: where the values of ``--by`` are read."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache

from connector.config import Config
from connector.core.errors import NothingFound
from connector.core.model import METADATA, Flow
from connector.core.money import exponent
from connector.metrics.segment_totals import SegmentOf, eve
from connector.metrics.segments import (
    Traits,
    by_band,
    by_main_currency,
    by_trait,
    by_value,
    main_currencies,
)
from connector.reports.ledger import Ledger
from connector.store.ledger import balances, contract_terms
from connector.store.mirror import objects


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
        return by_value(_metadata(connection, key))
    return by_trait(_of_plans(connection, by, currency))


def _metadata(connection: sqlite3.Connection, key: str) -> Mapping[int, str]:
    found = objects.metadata(connection, key)
    if not found:
        raise NothingFound(
            f"no customer in this ledger has metadata {key!r}",
            fix="if Stripe shows it, run `stripe-nrr sync --full`, which reads it of all",
        )
    return found


def members(
    ledger: Ledger,
    segment: tuple[str, str],
    currency: str,
    day: date,
    as_of: datetime | None = None,
) -> frozenset[int]:
    """Who paid at the very beginning of ``day`` and then had what ``segment`` says.

    The customers' keys; ``segment`` is what they are told apart by, and its value.
    """
    connection, (by, value) = ledger.connection, segment
    of = segment_of(connection, ledger.config, by, currency)
    paid = balances.balances(connection, currency, day, as_of)
    return frozenset(
        customer
        for customer, minor in paid.items()
        if of(customer, [eve(day)], [minor]) == [value]
    )


def segment_of_total(
    ledger: Ledger,
    by: str,
    books: Mapping[str, Sequence[Flow]],
    units: Mapping[str, int],
    unit_minor: int,
) -> SegmentOf:
    """How to tell a customer's segment in the total of all currencies.

    Plan, product, interval and currency are those of the currency with most of its MRR.
    ``books`` are each currency's flows, ``units`` what its minor unit is worth;
    ``unit_minor`` of these make a minor unit of the reporting currency.
    """
    connection, config = ledger.connection, ledger.config
    if by == "band":
        assert config.reporting_currency is not None
        to_units = 10 ** exponent(config.reporting_currency) * unit_minor
        return by_band(config.bands, to_units)
    if by == "cohort":
        return by_value(balances.first_months(connection))
    if by == "country" or by.startswith(METADATA):
        return segment_of(connection, config, by, "")
    own = {code: segment_of(connection, config, by, code) for code in books}
    return by_main_currency(main_currencies(books, units), own)


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
