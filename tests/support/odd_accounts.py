"""Accounts that a page is seldom tried on, by what is odd about them."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.small_ledger import NOW

SIX = ("usd", "eur", "gbp", "chf", "jpy", "kwd")
YEN = 98_765_432  # a month, without decimals


def one_customer() -> Account:
    made = _begun("2026-02-10")
    made.subscribe(made.add_customer("Only One"), made.add_price(_product(made), 4900))
    return made


def six_currencies() -> Account:
    made = _begun("2025-03-10")
    for place, currency in enumerate(SIX):
        price = made.add_price(_product(made), 1500 * 10**place, currency=currency)
        for seats in (1, 3):
            made.subscribe(made.add_customer(f"{currency} {seats}"), [(price, seats)])
    return made


def yen() -> Account:
    made = _begun("2025-05-10")
    price = made.add_price(_product(made), YEN, currency="jpy")
    leaves = made.subscribe(made.add_customer("Leaves"), [(price, 12)])
    made.subscribe(made.add_customer("Stays"), [(price, 1)])
    made.advance(instant("2026-03-12T00:00:00Z"))
    made.cancel_at_period_end(leaves)
    return made


def five_years() -> Account:
    made = _begun("2021-11-02")
    price = made.add_price(_product(made), 1900)
    for year in range(2021, 2026):
        grows = made.subscribe(made.add_customer(f"Of {year}"), [(price, 2)])
        made.advance(instant(f"{year + 1}-06-15T00:00:00Z"))
        made.change_quantity(grows.items[0], 7)
    return made


def _begun(day: str) -> Account:
    return Account(instant(f"{day}T09:00:00Z"), seed=11)


def _product(made: Account) -> Any:
    return made.add_product("Team")


ODD: Mapping[str, Callable[[], Account]] = {
    "empty": lambda: _begun("2026-02-10"),
    "one customer": one_customer,
    "six currencies": six_currencies,
    "yen": yen,
    "five years": five_years,
}


def shown(name: str) -> Mapping[str, Any]:
    """All that Stripe would show of it."""
    made = ODD[name]()
    made.advance(NOW)
    return made.snapshot()
