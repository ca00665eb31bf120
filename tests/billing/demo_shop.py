"""What the demo business sells: plans by the seat, add-ons, coupons, a setup fee."""

from dataclasses import dataclass

from tests.billing.account import Account
from tests.billing.catalogue import Coupon, Price

PLANS = ("Starter", "Team", "Business")
ADD_ONS = ("Time tracking", "Document vault")
# (name, currency, interval) → minor units a seat; yearly is ten months' worth.
SEAT = {"Starter": 1_200, "Team": 2_200, "Business": 3_900, "Time tracking": 500}
FLAT = {"Document vault": 3_900}


@dataclass(frozen=True, slots=True)
class Shop:
    """What the business sells."""

    prices: dict[tuple[str, str, str], Price]
    coupons: dict[str, Coupon]
    setup: dict[str, Price]  # one-time, by currency


def open_shop(account: Account) -> Shop:
    prices = {}
    for name in (*PLANS, *ADD_ONS):
        label = "seat" if name in SEAT else None
        product = account.add_product(name, unit_label=label)
        for currency in ("usd", "eur"):
            for interval, months in (("month", 1), ("year", 10)):
                amount = (SEAT | FLAT)[name] * months
                prices[name, currency, interval] = account.add_price(
                    product,
                    amount if currency == "usd" else amount * 95 // 100,
                    currency=currency,
                    interval=interval,
                    nickname=f"{name} {interval}ly",
                )
    coupons = {
        "NONPROFIT": account.add_coupon("NONPROFIT", percent_off=20, name="Non-profit"),
        "SPRING50": account.add_coupon(
            "SPRING50", percent_off=50, duration="repeating", months=3
        ),
        "WELCOME": account.add_coupon("WELCOME", percent_off=25, duration="once"),
    }
    onboarding = account.add_product("Onboarding")
    setup = {
        currency: account.add_price(
            onboarding, 49_900, currency=currency, interval=None
        )
        for currency in ("usd", "eur")
    }
    return Shop(prices, coupons, setup)
