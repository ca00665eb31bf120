"""Money: exponents, the one rounding, the one formatter."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.money import (
    exponent,
    format_minor,
    format_points,
    format_ratio,
    major,
    round_minor,
)

# As Stripe's page on currencies lists them.
ZERO_DECIMALS = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"
THREE_DECIMALS = "bhd jod kwd omr tnd"

currencies = st.sampled_from(["usd", "jpy", "kwd", "isk"])
amounts_minor = st.integers(-(10**15), 10**15)


@pytest.mark.parametrize("currency", ZERO_DECIMALS.split())
def test_a_currency_without_minor_unit(currency: str) -> None:
    assert exponent(currency) == 0


@pytest.mark.parametrize("currency", THREE_DECIMALS.split())
def test_a_currency_of_thousandths(currency: str) -> None:
    assert exponent(currency) == 3


@pytest.mark.parametrize(
    "currency",
    [
        pytest.param("usd", id="most currencies have two decimals"),
        pytest.param("isk", id="Stripe bills kronur with two, whatever ISO says"),
        pytest.param("ugx", id="Stripe bills Uganda shillings with two"),
        pytest.param("huf", id="forints have two in charges"),
        pytest.param("twd", id="Taiwan dollars have two in charges"),
    ],
)
def test_a_currency_of_hundredths(currency: str) -> None:
    assert exponent(currency) == 2


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        pytest.param(Fraction(25_000, 12), 2083, id="a twelfth of 250.00"),
        pytest.param(Fraction(200_000, 12), 16_667, id="a twelfth of 2,000.00"),
        pytest.param(Fraction(1, 2), 0, id="one half goes down to the even 0"),
        pytest.param(Fraction(3, 2), 2, id="one and a half goes up to the even 2"),
        pytest.param(Fraction(5, 2), 2, id="two and a half goes down to the even 2"),
        pytest.param(Fraction(-1, 2), 0, id="minus one half goes up to the even 0"),
        pytest.param(Fraction(-3, 2), -2, id="halves of a loss go to the even too"),
        pytest.param(Fraction(5_000_001, 10**7), 1, id="a hair above one half goes up"),
    ],
)
def test_rounding_is_half_to_even(amount: Fraction, rounded: int) -> None:
    assert round_minor(amount) == rounded


@pytest.mark.parametrize(
    ("amount_minor", "currency", "value"),
    [
        pytest.param(1234, "usd", "12.34", id="cents"),
        pytest.param(1234, "jpy", "1234", id="yen are whole"),
        pytest.param(1234, "kwd", "1.234", id="fils are thousandths"),
        pytest.param(-5, "usd", "-0.05", id="a loss of five cents"),
        pytest.param(Decimal("0.5"), "usd", "0.005", id="half a cent a unit"),
        pytest.param(Fraction(1, 3), "usd", "0.003333333333", id="twelve decimals"),
        pytest.param(Fraction(2500), "usd", "25.00", id="a whole Fraction"),
    ],
)
def test_minor_units_as_an_amount(
    amount_minor: int | Fraction | Decimal, currency: str, value: str
) -> None:
    assert str(major(amount_minor, currency)) == value


@given(amounts_minor, currencies)
def test_an_amount_says_exactly_its_minor_units(amount: int, currency: str) -> None:
    assert major(amount, currency) * 10 ** exponent(currency) == amount


@pytest.mark.parametrize(
    ("amount_minor", "currency", "locale", "text"),
    [
        pytest.param(123_450, "usd", "en_US", "$1,234.50", id="dollars in America"),
        pytest.param(123_450, "eur", "de_DE", "1.234,50\xa0€", id="euro in Germany"),
        pytest.param(1_235, "jpy", "en_US", "¥1,235", id="yen have no decimals"),
        pytest.param(1_235, "kwd", "de_DE", "1,235\xa0KWD", id="dinar have three"),
        pytest.param(123_450, "isk", "de_DE", "1.234,50\xa0ISK", id="kronur have two"),
        pytest.param(-500, "usd", "en_US", "−$5.00", id="a minus, not a hyphen"),
        pytest.param(0, "usd", "en_US", "$0.00", id="nothing"),
        pytest.param(Decimal("0.5"), "usd", "en_US", "$0.005", id="half a cent"),
    ],
)
def test_money_is_written_as_its_readers_do(
    amount_minor: int | Decimal, currency: str, locale: str, text: str
) -> None:
    assert format_minor(amount_minor, currency, locale) == text


@pytest.mark.parametrize(
    ("amount_minor", "text"),
    [
        pytest.param(500, "+$5.00", id="a gain has a plus"),
        pytest.param(-500, "−$5.00", id="a loss has a minus"),
        pytest.param(0, "$0.00", id="nothing has neither"),
    ],
)
def test_a_signed_amount(amount_minor: int, text: str) -> None:
    assert format_minor(amount_minor, "usd", signed=True) == text


def test_a_whole_amount_leaves_the_decimals_out() -> None:
    assert format_minor(123_456, "usd", whole=True) == "$1,235"


@pytest.mark.parametrize(
    ("ratio", "decimals", "text"),
    [
        pytest.param(Fraction(103, 100), 1, "103.0%", id="growth"),
        pytest.param(Fraction(265, 300), 1, "88.3%", id="265 of 300"),
        pytest.param(Fraction(265, 300), 2, "88.33%", id="265 of 300, two decimals"),
        pytest.param(Fraction(265, 300), 0, "88%", id="265 of 300, whole"),
        pytest.param(Fraction(0), 1, "0.0%", id="everybody left"),
        pytest.param(Fraction(-176, 100), 1, "−176.0%", id="below nothing"),
        pytest.param(
            Fraction(-1, 2000), 1, "0.0%", id="a minus needs a digit to stand by"
        ),
        pytest.param(
            Fraction(1999, 2000), 1, "100.0%", id="99.95 goes to the even 100.0"
        ),
        pytest.param(Fraction(1, 400), 2, "0.25%", id="a leading zero stays"),
        pytest.param(Fraction(31_086), 0, "3,108,600%", id="what is no ratio"),
        pytest.param(None, 1, "–", id="no opening, no ratio"),
    ],
)
def test_a_ratio_in_per_cent(ratio: Fraction | None, decimals: int, text: str) -> None:
    assert format_ratio(ratio, decimals) == text


@pytest.mark.parametrize(
    ("points", "text"),
    [
        pytest.param(Fraction(24, 10), "+2.4", id="more"),
        pytest.param(Fraction(-176), "−176.0", id="less"),
        pytest.param(Fraction(4, 100), "0.0", id="a plus needs a digit to stand by"),
        pytest.param(Fraction(0), "0.0", id="the same"),
        pytest.param(None, "–", id="no ratio, no points"),
    ],
)
def test_percentage_points(points: Fraction | None, text: str) -> None:
    assert format_points(points) == text
