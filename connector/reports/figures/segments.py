"""What customers are told apart by, in one currency and in the total of all."""

import sqlite3
from array import array
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from connector.config import Config
from connector.core.errors import NothingFound
from connector.core.model import ACCOUNT, METADATA, SEGMENTS, SegmentValue
from connector.core.money import exponent
from connector.reports.ledger import Ledger
from connector.store.ledger import balances, contract_terms

if TYPE_CHECKING:
    from connector.metrics.wide.fold import Segmentation
    from connector.metrics.wide.segments import Traits


def segment_of(
    connection: sqlite3.Connection, config: Config, by: str, currency: str
) -> "Segmentation":
    """How to tell a customer's segment; ``by`` is one of ``SEGMENTS`` or ``metadata:KEY``.

    Plan, product and interval are those of the price with most of the MRR. They and
    country and metadata are read as they are known now, whatever the report is as of.
    """
    from connector.metrics.wide.segments import by_band, by_one, by_trait, by_value

    if by == "band":
        return by_band(config.bands, 10 ** exponent(currency))
    if by == "currency":
        return by_one(currency.upper())
    if by == ACCOUNT:
        from connector.store.joined.spanning import accounts_by_day

        return by_trait(accounts_by_day(connection, currency))
    if by in _SINCE_EVER or by.startswith(METADATA):
        return by_value(_since_ever(connection, by, currency))
    return by_trait(_of_plans(connection, by, currency))


_SINCE_EVER = ("cohort", "country")


def _since_ever(
    connection: sqlite3.Connection, by: str, currency: str
) -> Mapping[str, Sequence[int]]:
    """Whose value is which, for all of history."""
    if by == "cohort":
        return balances.keys_by_first_month(connection, currency)
    if by == "country":
        return balances.keys_by_country(connection)
    return _turned(_metadata(connection, by.removeprefix(METADATA)))


def _turned(values: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for customer, value in values.items():
        found.setdefault(value, []).append(customer)
    return found


def _metadata(connection: sqlite3.Connection, key: str) -> Mapping[int, str]:

    from connector.store.mirror import companies

    found = companies.metadata(connection, key)
    if not found:
        raise NothingFound(
            f"no customer in this ledger has metadata {key!r}",
            fix="if Stripe shows it, run `stripe-nrr sync --full`, which reads it of all",
        )
    return found


def segment_kinds(config: Config, *, of_several: bool = False) -> tuple[str, ...]:
    """All that customers can be told apart by: also by account, of several as one."""
    accounts = (ACCOUNT,) if of_several else ()
    return (*SEGMENTS, *accounts, *(f"{METADATA}{x}" for x in config.kept_metadata))


def cut_of(
    tells: "Callable[[str], Segmentation]",
    by: str | None,
    only: Sequence[SegmentValue] = (),
) -> "Segmentation":
    """The segments by ``by`` of those who have all of ``only``; None: all in one.

    ``tells`` says how customers are told apart by each kind.
    """
    from connector.metrics.wide.segments import everybody, within

    whole = everybody if by is None else tells(by)
    if not only:
        return whole
    return within([(tells(each.by), each.value) for each in only], whole)


def cut_in(
    ledger: Ledger, currency: str, by: str | None, only: Sequence[SegmentValue]
) -> "Segmentation":
    """The same in one currency."""

    def tells(kind: str) -> "Segmentation":
        return segment_of(ledger.connection, ledger.config, kind, currency)

    return cut_of(tells, by, only)


def segment_of_total(
    ledger: Ledger, by: str, currency: str, worth: Fraction
) -> "Segmentation":
    """How to tell the segment of customers who pay in one currency, in the total of all.

    ``worth`` is what its minor unit comes to in those of the reporting currency.
    """
    from connector.metrics.wide.segments import by_band, by_value

    connection, config = ledger.connection, ledger.config
    if by == "band":
        assert config.reporting_currency is not None
        return by_band(config.bands, 10 ** exponent(config.reporting_currency) / worth)
    if by == "cohort":
        return by_value(balances.keys_by_first_month(connection))
    return segment_of(connection, config, by, currency)


def _of_plans(connection: sqlite3.Connection, by: str, currency: str) -> "Traits":

    from connector.store.mirror.catalogue import price_names

    sold = price_names(connection)
    found: dict[str, tuple[array[int], array[int]]] = {}
    for price, interval, *own in contract_terms.keys_by_main_price(
        connection, currency
    ):
        product = sold.get(price, price)
        named = {
            "plan": f"{product}, {interval} ({price})",
            "product": product,
            "interval": interval,
        }
        so_far = found.setdefault(named[by], (array("q"), array("q")))
        for each, more in zip(so_far, own, strict=True):
            each.extend(more)
    return found
