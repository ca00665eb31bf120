"""Exchange rates from a file."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from connector.core.errors import ConfigError
from connector.metrics.exchange_rates import (
    LONGEST_GAP_DAYS,
    ExchangeRates,
    MissingRate,
    parse_rates,
)

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
