"""What customers are told apart by: where the values of ``--by`` are read."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache

from connector.config import Config
from connector.core.errors import NothingFound
from connector.core.model import METADATA, SEGMENTS, Flow
from connector.core.money import exponent
from connector.metrics.retention import Balances
from connector.metrics.segment_totals import SegmentOf, eve
from connector.metrics.segments import (
    OUTSIDE,
    SegmentValue,
    Traits,
    by_band,
    by_main_currency,
    by_trait,
    by_value,
    everybody,
    main_currencies,
    within,
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
        return by_value(objects.metadata(connection, key))
    return by_trait(_of_plans(connection, by, currency))


def segment_kinds(config: Config) -> tuple[str, ...]:
    """All that customers can be told apart by."""
    return (*SEGMENTS, *(f"{METADATA}{key}" for key in config.metadata_keys))


def cut_of(
    tells: Callable[[str], SegmentOf],
    by: str | None,
    only: Sequence[SegmentValue] = (),
) -> SegmentOf:
    """The segments by ``by`` of those who have all of ``only``; None: all in one.

    ``tells`` says how customers are told apart by each kind.
    """
    whole = everybody if by is None else tells(by)
    return within([(tells(each.by), each.value) for each in only], whole)


def cut_in(
    ledger: Ledger, currency: str, by: str | None, only: Sequence[SegmentValue]
) -> SegmentOf:
    """The same in one currency."""

    def tells(kind: str) -> SegmentOf:
        return segment_of(ledger.connection, ledger.config, kind, currency)

    return cut_of(tells, by, only)


def members(opening: Balances, day: date, of: SegmentOf) -> dict[int, int]:
    """Those of an opening who are in a cut at the very beginning of ``day``."""
    return {
        customer: minor
        for customer, minor in opening.items()
        if of(customer, [eve(day)], [minor]) != [OUTSIDE]
    }


def nobody_in(only: Sequence[SegmentValue]) -> NothingFound:
    return NothingFound(
        f"nobody is in the segment {' and '.join(map(str, only))}",
        fix="`stripe-nrr report --by` names the segments that there are",
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
