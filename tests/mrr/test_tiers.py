"""How many units lines bill, where each tier and each flat fee has one of its own.

The lines come from the billing law itself, told here in a few lines: a tier's units at its
rate, a fee where the tier is reached, and all of it prorated alike and rounded.
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.model import Tariff
from connector.mrr.pricing import tariff
from connector.mrr.tiers import TierLine, tiers_minor, units_of_tiers
from connector.stripe_api.objects import Price, PriceTier, Recurring

Tiers = list[tuple[int | None, int, int]]  # up to, a unit, flat fee


def priced(mode: str, tiers: Tiers) -> Tariff:
    shown = [
        PriceTier(up_to=to, unit_amount=unit, flat_amount=flat)
        for to, unit, flat in tiers
    ]
    price = Price(
        id="price_t",
        currency="usd",
        billing_scheme="tiered",
        recurring=Recurring(interval="month"),
        tiers_mode=mode,
        tiers=shown,
    )
    return tariff(price, "usd")


def parts(mode: str, tiers: Tiers, units: int) -> list[tuple[int | None, int]]:
    """The units (None: a fee) and the amount of each line of a whole interval."""
    found: list[tuple[int | None, int]] = []
    floor = 0
    for to, unit, flat in tiers:
        top = units if to is None else min(units, to)
        is_last = to is None or units <= to
        within = units if mode == "volume" else top - floor
        if is_last if mode == "volume" else within > 0 or not floor:
            found += [(within, within * unit)] + ([(None, flat)] if flat else [])
        if is_last:
            break
        floor = top
    return found


def billed(
    whole: list[tuple[int | None, int]], share: Fraction, fee_quantity: int
) -> list[TierLine]:
    return [
        TierLine(Decimal(fee_quantity if n is None else n), round(amount * share))
        for n, amount in whole
    ]


def steps() -> st.SearchStrategy[Tiers]:
    rates = st.integers(5, 60).map(lambda n: n * 100)  # dollars, so a unit can be told
    fees = st.one_of(st.just(0), st.integers(3, 90).map(lambda n: n * 100))
    first = st.tuples(st.integers(1, 20), rates, fees)
    return st.tuples(
        first, st.tuples(st.integers(1, 20), rates, fees), rates, fees
    ).map(lambda t: [t[0], (t[0][0] + t[1][0], *t[1][1:]), (None, t[2], t[3])])


@pytest.mark.parametrize("mode", ["graduated", "volume"])
@given(
    tiers=steps(),
    units=st.integers(1, 80),
    share=st.fractions(Fraction(1, 5), 1, max_denominator=31),
    sign=st.sampled_from([1, -1]),
    fee_quantity=st.sampled_from([0, 1]),
)
def test_the_units_are_read_off_the_lines(
    mode: str,
    tiers: Tiers,
    units: int,
    share: Fraction,
    sign: int,
    fee_quantity: int,
) -> None:
    """Of a whole period, of a part of one, of a credit, and net of a discount."""
    rate = priced(mode, tiers)
    whole = parts(mode, tiers, units)
    assert tiers_minor(rate, Fraction(units)) == sum(amount for _, amount in whole)
    lines = billed(whole, share * sign, fee_quantity)
    assert units_of_tiers(rate, lines) == units


INSIDE: Tiers = [(5, 0, 2_000), (10, 1_000, 0), (None, 800, 500)]


@pytest.mark.parametrize(
    ("lines", "units"),
    [
        pytest.param([(3, 0), (1, 2_000)], 3, id="within a base fee"),
        pytest.param([(3, 0), (0, 2_000)], 3, id="whose fee has no quantity"),
        pytest.param([(1, 2_000), (2, 2_000)], 7, id="what is free has no line"),
        pytest.param([(1, 964), (5, 0), (2, 964)], 7, id="a proration"),
        pytest.param([(5, 0), (1, 0), (2, 0)], 7, id="a trial"),
        pytest.param([(0, 0), (1, 2_000)], 0, id="nobody"),
        pytest.param([(5, 0), (1, 2_000), (2, 1_234)], None, id="other amounts"),
    ],
)
def test_units_within_a_base_fee(
    lines: list[tuple[int, int]], units: int | None
) -> None:
    shown = [TierLine(Decimal(quantity), amount) for quantity, amount in lines]
    assert units_of_tiers(priced("graduated", INSIDE), shown) == units
