"""What customers are told apart by: where the values of ``--by`` are read."""

import sqlite3
from collections.abc import Mapping
from datetime import date
from functools import partial

from connector import agreements, mirror, positions
from connector.cli_output import METADATA
from connector.config import Config
from connector.money import exponent
from connector.segments import SegmentOf, Traits, by_band, by_trait


def segment_of(
    connection: sqlite3.Connection, config: Config, by: str, currency: str
) -> SegmentOf:
    """How to tell a customer's segment; ``by`` is one of PLAIN or ``metadata:KEY``.

    Plan, product and interval are those of the price with most of the MRR. They and
    country and metadata are read as they are known now, whatever the report is as of.
    """
    if by == "band":
        return by_band(config.bands, 10 ** exponent(currency))
    if by == "currency":
        return partial(_always, currency.upper())
    if by == "cohort":
        return by_trait(_since_ever(positions.first_months(connection, currency)))
    if by == "country":
        return by_trait(_since_ever(positions.countries(connection)))
    if by.startswith(METADATA):
        key = by.removeprefix(METADATA)
        return by_trait(_since_ever(mirror.metadata(connection, key)))
    return by_trait(_of_plans(connection, by, currency))


def _always(name: str, _customer: int, _day: date, _mrr_minor: int) -> str:
    return name


def _since_ever(values: Mapping[int, str]) -> Traits:
    return {customer: [(date.min, value)] for customer, value in values.items()}


def _of_plans(connection: sqlite3.Connection, by: str, currency: str) -> Traits:
    sold = mirror.price_names(connection)
    traits: dict[int, list[tuple[date, str]]] = {}
    for customer, plan in agreements.plans(connection, currency):
        if plan.price:
            product = sold.get(plan.price, plan.price)
            value = {
                "plan": f"{product}, {plan.interval} ({plan.price})",
                "product": product,
                "interval": plan.interval,
            }[by]
            traits.setdefault(customer, []).append((plan.day, value))
    return traits
