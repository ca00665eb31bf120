"""Exchange rates, and several currencies added up in one."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.errors import ConfigError
from connector.core.model import Flow, MovementKind
from connector.core.windows import Window, WindowKind
from connector.metrics.exchange_rates import (
    LONGEST_GAP_DAYS,
    ConvertedWindow,
    ExchangeRates,
    MissingRate,
    in_one_currency,
    parse_rates,
)
from connector.metrics.retention import measure

ECB = """Date,USD,JPY,BGN,
2026-03-31,1.10,160.0,N/A,
2026-03-30,1.20,150.0,1.9558,
2026-02-27,1.25,,1.9558,
"""
PLAIN = """date,currency,rate
2026-03-30,EUR,1.20
2026-03-31,eur,1.10
2026-03-31,jpy,0.0065
"""


def rates(text: str, reporting: str = "usd") -> ExchangeRates:
    return parse_rates(text.splitlines(), reporting, "rates.csv")


@pytest.mark.parametrize(
    ("text", "currency", "day", "expected"),
    [
        pytest.param(ECB, "usd", "2026-03-31", "1", id="the reporting currency itself"),
        pytest.param(ECB, "eur", "2026-03-31", "1.10", id="the euro, of the ECB"),
        pytest.param(ECB, "eur", "2026-04-05", "1.10", id="a Sunday takes Tuesday's"),
        pytest.param(
            ECB, "bgn", "2026-03-31", "1.1/1.9558", id="N/A takes the day before"
        ),
        pytest.param(ECB, "jpy", "2026-03-31", "110/160", id="yen have no cents"),
        pytest.param(PLAIN, "eur", "2026-03-30", "1.20", id="a plain file"),
        pytest.param(PLAIN, "jpy", "2026-03-31", "0.65", id="a plain file, yen"),
    ],
)
def test_a_minor_unit_is_worth(
    text: str, currency: str, day: str, expected: str
) -> None:
    over, _, under = expected.partition("/")
    worth = Fraction(Decimal(over)) / Fraction(Decimal(under or "1"))
    if currency == "bgn":  # the lev's own day is the 30th, the dollar's the 31st
        worth = Fraction(Decimal("1.10")) / Fraction(Decimal("1.9558"))
    assert rates(text).factor(currency, date.fromisoformat(day)) == worth


@pytest.mark.parametrize(
    ("currency", "day"),
    [
        pytest.param("sek", "2026-03-31", id="a currency it does not have"),
        pytest.param("eur", "2026-02-26", id="a day before the first"),
        pytest.param("eur", "2026-05-01", id="a day long after the last"),
    ],
)
def test_a_missing_rate_names_the_currency_and_the_day(currency: str, day: str) -> None:
    with pytest.raises(MissingRate) as raised:
        rates(ECB).factor(currency, date.fromisoformat(day))
    named = "USD" if currency == "eur" else currency.upper()
    assert f"no rate for {named} on {day}" in raised.value.problem


def test_the_longest_gap_is_bridged_and_no_longer_one() -> None:
    last = date(2026, 3, 31).toordinal()
    assert rates(ECB).factor("eur", date.fromordinal(last + LONGEST_GAP_DAYS))
    with pytest.raises(MissingRate):
        rates(ECB).factor("eur", date.fromordinal(last + LONGEST_GAP_DAYS + 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "begins with", id="an empty file"),
        pytest.param("day,what\n", "begins with", id="another file"),
        pytest.param(PLAIN + "soon,eur,1.1\n", "line 5", id="no day"),
        pytest.param(PLAIN + "2026-04-01,eur,0\n", "line 5", id="a rate of nothing"),
        pytest.param(PLAIN + "2026-04-01,eur\n", "line 5", id="a cell too few"),
        pytest.param(ECB + "2026-02-26,many,1,1,\n", "line 5", id="no number"),
    ],
)
def test_a_file_that_is_none_is_refused_by_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rates(text)


# --- several currencies in one ---

MARCH = Window(WindowKind.MONTH, date(2026, 3, 1), date(2026, 4, 1))
START, INSIDE = date(2026, 2, 10), date(2026, 3, 10)


def converted(
    opening_factor: str,
    closing_factor: str,
    *flows: tuple[int, date, MovementKind, int],
) -> ConvertedWindow:
    (measured,) = measure([Flow(*flow) for flow in flows], [MARCH])
    return ConvertedWindow(measured, Fraction(opening_factor), Fraction(closing_factor))


def test_a_swing_of_the_rate_is_neither_expansion_nor_churn() -> None:
    """A customer at €1,000, worth $1,100 at the opening and $1,200 at the closing."""
    euros = converted("1.10", "1.20", (1, START, MovementKind.NEW, 100_000))
    total = in_one_currency(MARCH, [euros])
    assert total.waterfall.opening_minor == 110_000
    assert total.waterfall.fx_minor == 10_000
    assert total.waterfall.closing_minor == 120_000
    assert total.retention.nrr == total.retention.grr == 1


def test_the_worked_example_with_exchange_rates() -> None:
    """1,000 + 100 new + 50 expansion − 39.50 contraction − 60 churn − 5 fx = 1,045.50.

    Dollars open at 600; 100 of another currency are worth 400, and 395 at the closing.
    """
    dollars = converted(
        "1",
        "1",
        (1, START, MovementKind.NEW, 54_000),
        (2, START, MovementKind.NEW, 6_000),
        (3, INSIDE, MovementKind.NEW, 10_000),
        (1, INSIDE, MovementKind.EXPANSION, 5_000),
        (2, INSIDE, MovementKind.CHURN, -6_000),
    )
    euros = converted(
        "4",
        "3.95",
        (5, START, MovementKind.NEW, 10_000),
        (5, INSIDE, MovementKind.CONTRACTION, -1_000),
    )
    flow = in_one_currency(MARCH, [dollars, euros]).waterfall
    assert flow.opening_minor == 100_000
    assert (flow.new_minor, flow.expansion_minor) == (10_000, 5_000)
    assert (flow.contraction_minor, flow.churn_minor) == (3_950, 6_000)
    assert flow.fx_minor == -500
    assert flow.closing_minor == 104_550


factors = st.fractions(min_value="1/50", max_value=50, max_denominator=1000)
amounts = st.integers(1, 10**6)


@given(st.lists(st.tuples(factors, factors, amounts, amounts, amounts), min_size=1))
def test_the_waterfall_closes_and_windows_join(
    parts: list[tuple[Fraction, Fraction, int, int, int]],
) -> None:
    """Rounding never leaves a cent over, and a closing is the next window's opening."""
    currencies = [
        converted(
            str(at_opening),
            str(at_closing),
            (1, START, MovementKind.NEW, stays),
            (2, START, MovementKind.NEW, leaves),
            (1, INSIDE, MovementKind.EXPANSION, grows),
            (2, INSIDE, MovementKind.CHURN, -leaves),
        )
        for at_opening, at_closing, stays, leaves, grows in parts
    ]
    total = in_one_currency(MARCH, currencies)
    flow = total.waterfall
    gained = flow.new_minor + flow.reactivation_minor + flow.expansion_minor
    lost = flow.contraction_minor + flow.churn_minor
    assert flow.opening_minor + gained - lost + flow.fx_minor == flow.closing_minor
    exact = sum(
        (c.closing_factor * c.measured.waterfall.closing_minor for c in currencies),
        Fraction(0),
    )
    assert flow.closing_minor == round(exact)
    kept = total.retention
    if kept.nrr is not None and kept.grr is not None:
        assert 0 <= kept.grr <= min(kept.nrr, Fraction(1))
