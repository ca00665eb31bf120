"""What one item is worth a month: price, quantity, interval, discount, tax."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.errors import Unvalued
from connector.core.model import ItemDiscount, ItemPricing
from connector.mrr.pricing import arithmetic, interval_minor, monthly_minor, tariff
from connector.stripe_api.decoding import decode
from connector.stripe_api.objects import Price

GRADUATED: list[dict[str, Any]] = [
    {"up_to": 5, "unit_amount": 700, "unit_amount_decimal": "700"},
    {"up_to": 10, "unit_amount": 650, "flat_amount": 100},
    {"up_to": None, "unit_amount": 600, "flat_amount": 200},
]


def price(
    amount: int | str | None = 1_000, per: str = "month", count: int = 1, **fields: Any
) -> Price:
    """A price as Stripe writes it; a string is an amount with fractions of a cent."""
    made: dict[str, Any] = {
        "id": "price_1",
        "object": "price",
        "billing_scheme": "per_unit",
        "currency": "usd",
        "product": "prod_1",
        "recurring": {
            "interval": per,
            "interval_count": count,
            "usage_type": "licensed",
        },
        "unit_amount": amount if isinstance(amount, int) else None,
        "unit_amount_decimal": None if amount is None else str(amount),
    }
    return decode(json.dumps(made | fields).encode(), Price)


def tiered(mode: str, tiers: Sequence[Mapping[str, Any]], **fields: Any) -> Price:
    return price(
        None, billing_scheme="tiered", tiers_mode=mode, tiers=list(tiers), **fields
    )


def packages(of: int, rounding: str, amount: int = 1_000) -> Price:
    return price(amount, transform_quantity={"divide_by": of, "round": rounding})


def percent(off: str) -> ItemDiscount:
    return ItemDiscount(discount="di_1", percent=Decimal(off))


def less(amount_minor: int) -> ItemDiscount:
    return ItemDiscount(discount="di_1", amount_minor=Fraction(amount_minor))


def mrr(
    of: Price, quantity: int = 1, *discounts: ItemDiscount, currency: str = "usd"
) -> int:
    rate = tariff(of, currency)
    return monthly_minor(
        ItemPricing(tariff=rate, quantity=Decimal(quantity), discounts=discounts)
    )


@pytest.mark.parametrize(
    ("of", "quantity", "mrr_minor"),
    [
        pytest.param(price(10_000), 1, 10_000, id="$100 a month"),
        pytest.param(price(60_000, "year"), 1, 5_000, id="$600 a year"),
        pytest.param(price(50_000, "year"), 4, 16_667, id="4 × $500 a year"),
        pytest.param(price(3_000), 2, 6_000, id="2 × $30 a month"),
        pytest.param(price(25_000, "year"), 1, 2_083, id="$250 a year"),
        pytest.param(price(5_000, "month", 2), 1, 2_500, id="$50 every two months"),
        pytest.param(price(22_800, "year"), 1, 1_900, id="$228 a year"),
        pytest.param(price(1_000, "week"), 1, 4_333, id="$10 a week"),
        pytest.param(price(100, "day"), 1, 3_042, id="$1 a day"),
        pytest.param(price(2_000, "week", 4), 1, 2_167, id="$20 every four weeks"),
        pytest.param(price(72_000, "year", 3), 1, 2_000, id="$720 every three years"),
        pytest.param(price(30_000, "month", 3), 1, 10_000, id="$300 a quarter"),
        pytest.param(price("0.5"), 3_001, 1_500, id="half a cent a unit, half to even"),
        pytest.param(price("33.3333"), 3, 100, id="four decimals of a cent"),
        pytest.param(price(0), 7, 0, id="a free plan"),
        pytest.param(price(1_000), 0, 0, id="no seats"),
    ],
)
def test_an_item_is_worth(of: Price, quantity: int, mrr_minor: int) -> None:
    assert mrr(of, quantity) == mrr_minor


def test_a_hundred_monthly_and_fifty_yearly_customers_are_worth_12_500() -> None:
    monthly, yearly = price(10_000), price(60_000, "year")
    assert 100 * mrr(monthly) + 50 * mrr(yearly) == 12_500_00


def test_from_25_monthly_to_250_yearly_is_a_contraction_of_4_17() -> None:
    assert mrr(price(25_000, "year")) - mrr(price(2_500)) == -417


@pytest.mark.parametrize(
    ("of", "discounts", "mrr_minor"),
    [
        pytest.param(price(1_000), [percent("50")], 500, id="50% of $10"),
        pytest.param(price(120_000, "year"), [], 10_000, id="a once coupon ignored"),
        pytest.param(
            price(120_000, "year"),
            [percent("20")],
            8_000,
            id="a once coupon subtracted",
        ),
        pytest.param(price(1_000), [percent("33.33")], 667, id="a third, nearly"),
        pytest.param(price(1_000), [percent("100")], 0, id="all of it"),
        pytest.param(price(1_000), [less(300)], 700, id="$3 off a month"),
        pytest.param(price(120_000, "year"), [less(2_400)], 9_800, id="$24 off a year"),
        pytest.param(price(1_000), [less(5_000)], 0, id="never below nothing"),
        pytest.param(
            price(1_000), [percent("50"), less(100)], 400, id="half, then a dollar"
        ),
        pytest.param(
            price(1_000), [less(100), percent("50")], 450, id="a dollar, then half"
        ),
        pytest.param(
            price(1_000), [less(5_000), percent("50")], 0, id="too much, then half"
        ),
        pytest.param(price(333), [percent("50"), percent("50")], 83, id="rounded once"),
    ],
)
def test_discounts_apply_in_order(
    of: Price, discounts: list[ItemDiscount], mrr_minor: int
) -> None:
    assert mrr(of, 1, *discounts) == mrr_minor


def test_a_tax_inside_the_price_is_no_revenue() -> None:
    rate = tariff(price(1_190), "usd")
    pricing = ItemPricing(
        tariff=rate, quantity=Decimal(1), inclusive_tax=Fraction(19, 100)
    )
    assert monthly_minor(pricing) == 1_000


@pytest.mark.parametrize(
    ("mode", "quantity", "amount"),
    [
        pytest.param("graduated", 0, 0, id="graduated: nothing"),
        pytest.param("graduated", 1, 700, id="graduated: the first unit"),
        pytest.param("graduated", 5, 3_500, id="graduated: the first tier full"),
        pytest.param("graduated", 6, 4_250, id="graduated: one unit and a fee more"),
        pytest.param("graduated", 10, 6_850, id="graduated: two tiers full"),
        pytest.param("graduated", 12, 8_250, id="graduated: into the last"),
        pytest.param("volume", 1, 700, id="volume: the first tier"),
        pytest.param("volume", 5, 3_500, id="volume: at its end"),
        pytest.param("volume", 6, 4_000, id="volume: all units at the second rate"),
        pytest.param("volume", 12, 7_400, id="volume: all units at the last rate"),
    ],
)
def test_tiers(mode: str, quantity: int, amount: int) -> None:
    rate = tariff(tiered(mode, GRADUATED), "usd")
    assert interval_minor(rate, Decimal(quantity)) == amount


def test_the_first_tiers_flat_fee_is_due_without_any_unit() -> None:
    flat: list[dict[str, Any]] = [
        {"up_to": 10, "flat_amount": 5_000},
        {"up_to": None, "unit_amount": 100},
    ]
    assert mrr(tiered("graduated", flat), 0) == 5_000
    assert mrr(tiered("graduated", flat), 12) == 5_200


def test_tiers_are_read_in_any_order() -> None:
    assert mrr(tiered("graduated", GRADUATED[::-1]), 12) == 8_250


def test_fractions_of_a_cent_in_tiers() -> None:
    tiers = [{"up_to": None, "unit_amount": None, "unit_amount_decimal": "0.25"}]
    assert mrr(tiered("graduated", tiers), 1_000) == 250


@pytest.mark.parametrize(
    ("of", "quantity", "mrr_minor"),
    [
        pytest.param(packages(10, "up"), 10, 1_000, id="a full package"),
        pytest.param(packages(10, "up"), 11, 2_000, id="one more begins the next"),
        pytest.param(packages(10, "down"), 19, 1_000, id="a begun package is free"),
        pytest.param(packages(10, "down"), 9, 0, id="less than a package is nothing"),
        pytest.param(packages(10, "up"), 0, 0, id="nothing is no package"),
    ],
)
def test_packages(of: Price, quantity: int, mrr_minor: int) -> None:
    assert mrr(of, quantity) == mrr_minor


def test_an_amount_in_another_currency_is_its_option() -> None:
    options = {"eur": {"unit_amount": 900, "unit_amount_decimal": "900"}}
    assert mrr(price(1_000, currency_options=options), currency="eur") == 900


def test_yen_are_whole() -> None:
    assert mrr(price(10_000, "year", currency="jpy"), currency="jpy") == 833


def test_the_amount_on_an_invoice_line_wins_over_the_price() -> None:
    rate = tariff(price(1_000), "usd", unit_amount_minor=Decimal(800))
    assert monthly_minor(ItemPricing(tariff=rate, quantity=Decimal(2))) == 1_600


@pytest.mark.parametrize(
    ("of", "currency", "field", "value"),
    [
        pytest.param(price(recurring=None), "usd", "recurring", None, id="a one-off"),
        pytest.param(
            price(per="decade"), "usd", "recurring.interval", "1 decade",
            id="an unknown interval",
        ),
        pytest.param(
            price(count=0), "usd", "recurring.interval", "0 month", id="no interval at all"
        ),
        pytest.param(
            price(billing_scheme="auction"), "usd", "billing_scheme", "auction",
            id="an unknown scheme",
        ),
        pytest.param(price(None), "usd", "unit_amount", None, id="a custom amount"),
        pytest.param(
            price(), "eur", "currency_options", "eur", id="a currency without amount"
        ),
        pytest.param(
            tiered("graduated", []), "usd", "tiers", "graduated", id="tiers not shown"
        ),
        pytest.param(
            tiered("spiral", GRADUATED), "usd", "tiers", "spiral", id="unknown tiers"
        ),
    ],
)  # fmt: skip
def test_what_has_no_value_is_refused_by_name(
    of: Price, currency: str, field: str, value: str | None
) -> None:
    with pytest.raises(Unvalued) as refused:
        tariff(of, currency)
    assert refused.value.object_id == "price_1"
    assert (refused.value.field, refused.value.value) == (field, value)


@pytest.mark.parametrize(
    ("of", "label", "quantity", "discounts", "text"),
    [
        pytest.param(
            price(1_500), "seat", 12, [percent("50")],
            "12 seats × $15.00 × 1/1 month − 50% = $90.00",
            id="seats and a discount",
        ),
        pytest.param(
            price(50_000, "year"), "", 4, [],
            "4 units × $500.00 × 1/12 year = $166.67",
            id="a year",
        ),
        pytest.param(
            price(1_000, "week", 2), "seat", 1, [],
            "1 seat × $10.00 × 52/24 week = $21.67",
            id="two weeks",
        ),
        pytest.param(
            price(5_000, "month", 2), "", 1, [less(500)],
            "1 unit × $50.00 × 1/2 month − $5.00 per 2 months = $22.50",
            id="two months, less an amount",
        ),
        pytest.param(
            tiered("graduated", GRADUATED), "seat", 6, [],
            "6 seats in graduated tiers, $42.50 × 1/1 month = $42.50",
            id="tiers",
        ),
        pytest.param(
            packages(10, "up"), "call", 11, [],
            "11 calls in packages of 10, rounded up × $10.00 × 1/1 month = $20.00",
            id="packages",
        ),
        pytest.param(
            price("0.5"), "call", 3_000, [],
            "3000 calls × $0.005 × 1/1 month = $15.00",
            id="half a cent",
        ),
    ],
)  # fmt: skip
def test_the_arithmetic_can_be_followed(
    of: Price, label: str, quantity: int, discounts: list[ItemDiscount], text: str
) -> None:
    rate = tariff(of, "usd", unit_label=label)
    pricing = ItemPricing(
        tariff=rate, quantity=Decimal(quantity), discounts=tuple(discounts)
    )
    assert arithmetic(pricing, monthly_minor(pricing)) == text


intervals = st.sampled_from(["day", "week", "month", "year"])
amounts = st.integers(0, 10**7)
offs_in_order = st.lists(
    st.one_of(
        st.integers(0, 100).map(lambda n: percent(str(n))),
        st.integers(0, 10**6).map(less),
    ),
    max_size=3,
)


@given(amounts, intervals, st.integers(1, 100), st.integers(0, 100), offs_in_order)
def test_a_discount_never_adds_and_never_goes_below_nothing(
    amount: int, per: str, count: int, quantity: int, discounts: list[ItemDiscount]
) -> None:
    of = price(amount, per, count)
    assert 0 <= mrr(of, quantity, *discounts) <= mrr(of, quantity)


@given(amounts, st.integers(1, 50))
def test_a_longer_interval_spreads_the_same_amount(amount: int, count: int) -> None:
    once = mrr(price(amount * count, "month", count))
    assert once == mrr(price(amount))
    assert mrr(price(amount * 12, "year")) == once


@given(st.integers(0, 60))
def test_more_units_never_cost_less_in_graduated_tiers(quantity: int) -> None:
    of = tiered("graduated", GRADUATED)
    assert mrr(of, quantity) < mrr(of, quantity + 1)
