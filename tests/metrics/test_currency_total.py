"""All currencies in one: figures converted and added up, and customers who pay in two."""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.figures import WindowFigures
from connector.core.model import Flow, MovementKind
from connector.core.windows import Window, WindowKind
from connector.metrics.currency_total import (
    ConvertedWindow,
    Regrouping,
    conversion,
    flows_in_one,
    in_one_currency,
)
from connector.metrics.retention import measure

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


# --- one customer in several currencies ---

Steps = Mapping[tuple[int, str], Mapping[date, int]]  # MRR of a customer from days on


def booked(steps: Steps) -> dict[str, list[Flow]]:
    """Each currency's movements of what was paid, by customer, then day."""
    found: dict[str, list[Flow]] = {}
    for (customer, code), own in sorted(steps.items()):
        before = 0
        for day, after in sorted(own.items()):
            if after != before:
                kind = _kind(before, after, has_paid=(customer in _paid(found, code)))
                flow = Flow(customer, day, kind, after - before)
                found.setdefault(code, []).append(flow)
                before = after
    return found


def _paid(found: Mapping[str, Sequence[Flow]], code: str) -> set[int]:
    return {flow.customer for flow in found.get(code, ())}


def _kind(before: int, after: int, *, has_paid: bool) -> MovementKind:
    if before == 0:
        return MovementKind.REACTIVATION if has_paid else MovementKind.NEW
    if after == 0:
        return MovementKind.CHURN
    grows = after > before
    return MovementKind.EXPANSION if grows else MovementKind.CONTRACTION


def total(
    books: Mapping[str, Sequence[Flow]],
    closing: Mapping[str, Fraction],
    opening: Mapping[str, Fraction] | None = None,
) -> WindowFigures:
    """March in one currency: each currency's figures, regrouped by customer."""
    opening = opening or closing
    parts = {code: measure(own, [MARCH])[0] for code, own in books.items()}
    converted = [
        ConvertedWindow(each, opening[code], closing[code])
        for code, each in parts.items()
    ]
    units, scale = conversion({code: closing[code] for code in parts})
    [together] = measure(flows_in_one(books, units), [MARCH])
    apart = [(each, closing[code]) for code, each in parts.items()]
    return in_one_currency(MARCH, converted, Regrouping(apart, together, scale))


def rates(**told: str) -> dict[str, Fraction]:
    return {code: Fraction(rate) for code, rate in told.items()}


@pytest.mark.parametrize(
    ("usd", "nrr", "moved"),
    [
        pytest.param("10/11", "1", {}, id="$22 are worth €20: nothing moves"),
        pytest.param("1", "11/10", {"expansion_minor": 200}, id="$22 are worth €22"),
        pytest.param(
            "1/2", "11/20", {"contraction_minor": 900}, id="$22 are worth €11"
        ),
    ],
)
def test_who_changes_currency_neither_leaves_nor_comes(
    usd: str, nrr: str, moved: Mapping[str, int]
) -> None:
    books = booked(
        {(1, "eur"): {START: 2000, INSIDE: 0}, (1, "usd"): {INSIDE: 2200}},
    )
    found = total(books, rates(eur="1", usd=usd))
    assert found.retention.nrr == Fraction(nrr)
    assert found.retention.crr == 1
    assert (found.retention.customers, found.paying) == (1, 1)
    flow = found.waterfall
    told = {
        name: minor
        for name, minor in flow.signed.items()
        if minor and name not in ("opening_minor", "closing_minor")
    }
    assert {name: abs(minor) for name, minor in told.items()} == moved


@pytest.mark.parametrize(
    ("usd_from", "kinds"),
    [
        pytest.param(INSIDE, ["new"], id="the same day"),
        pytest.param(date(2026, 3, 20), ["new", "churn", "reactivation"], id="later"),
        pytest.param(
            date(2026, 3, 5), ["new", "expansion", "contraction"], id="before it leaves"
        ),
    ],
)
def test_the_movements_of_the_total(usd_from: date, kinds: list[str]) -> None:
    """Who has paid in euros is not new in dollars."""
    books = booked({(1, "eur"): {START: 10, INSIDE: 0}, (1, "usd"): {usd_from: 10}})
    moves = flows_in_one(books, {"eur": 1, "usd": 1})
    assert [flow.kind.value for flow in moves] == kinds


def test_a_currency_without_money_in_a_window_needs_no_rate_and_is_remembered() -> None:
    books = booked(
        {(1, "hrk"): {date(2022, 1, 1): 75, START: 0}, (1, "eur"): {INSIDE: 10}}
    )
    [back] = [f for f in flows_in_one(books, {"eur": 3}) if f.amount_minor]
    assert back == Flow(1, INSIDE, MovementKind.REACTIVATION, 30)


steps = st.dictionaries(
    st.tuples(st.integers(1, 4), st.sampled_from(["eur", "usd", "jpy"])),
    st.dictionaries(
        st.sampled_from([START, date(2026, 3, 1), INSIDE, date(2026, 3, 31)]),
        st.integers(0, 3000),
        min_size=1,
    ),
    min_size=1,
)


@given(steps, factors, factors, factors, factors)
def test_the_total_is_what_each_customer_pays_in_all(
    told: Steps, eur: Fraction, usd: Fraction, jpy: Fraction, eur_before: Fraction
) -> None:
    """Against brute force: everybody's sum at the opening and at the closing."""
    books = booked(told)
    if not books:
        return
    closing = {"eur": eur, "usd": usd, "jpy": jpy}
    found = total(books, closing, {**closing, "eur": eur_before})
    pairs = [
        (_worth(told, who, MARCH.start, closing), _worth(told, who, MARCH.end, closing))
        for who in sorted({who for who, _ in told})
    ]
    opened = [(start, end) for start, end in pairs if start]
    kept, flow = found.retention, found.waterfall
    assert (kept.customers, kept.kept) == (len(opened), sum(e > 0 for _, e in opened))
    assert found.paying == sum(end > 0 for _, end in pairs)
    assert kept.opening_minor == round(sum((s for s, _ in opened), Fraction(0)))
    assert kept.closing_minor == round(sum((e for _, e in opened), Fraction(0)))
    least = sum((min(pair) for pair in opened), Fraction(0))
    lost_minor = kept.contraction_minor + kept.churn_minor
    assert kept.opening_minor - lost_minor == round(least)
    gained = flow.new_minor + flow.reactivation_minor + flow.expansion_minor
    lost = flow.contraction_minor + flow.churn_minor
    assert flow.opening_minor + gained - lost + flow.fx_minor == flow.closing_minor
    assert flow.closing_minor == round(sum((e for _, e in pairs), Fraction(0)))
    before = {**closing, "eur": eur_before}
    worth = (_worth(told, who, MARCH.start, before) for who in {who for who, _ in told})
    assert flow.opening_minor == round(sum(worth, Fraction(0)))


def _worth(
    told: Steps, who: int, day: date, factors: Mapping[str, Fraction]
) -> Fraction:
    """What a customer pays at the beginning of a day, converted."""
    amounts = (
        factors[code] * own[max(d for d in own if d < day)]
        for (customer, code), own in told.items()
        if customer == who and any(d < day for d in own)
    )
    return sum(amounts, Fraction(0))


one_currency = st.dictionaries(
    st.tuples(st.integers(1, 4), st.just("usd")),
    st.dictionaries(
        st.sampled_from([START, date(2026, 3, 1), INSIDE]), st.integers(0, 3000)
    ),
    min_size=1,
)


@given(one_currency, factors, st.data())
def test_splitting_what_a_customer_pays_over_two_currencies_changes_nothing(
    told: Steps, rate: Fraction, data: st.DataObject
) -> None:
    """At a constant rate, however each of its amounts is shared between the two."""
    whole = booked(told)
    if not whole:
        return
    worth = rate.limit_denominator(50)
    split: dict[tuple[int, str], dict[date, int]] = {}
    for (who, _), own in told.items():
        for day, minor in own.items():
            moved = data.draw(st.integers(0, minor // worth.numerator))
            split.setdefault((who, "eur"), {})[day] = moved * worth.denominator
            split.setdefault((who, "usd"), {})[day] = minor - moved * worth.numerator
    factor = {"usd": Fraction(1), "eur": worth}
    assert total(booked(split), factor) == total(whole, factor)


@given(one_currency)
def test_a_total_of_one_currency_at_rate_one_is_that_currency(told: Steps) -> None:
    books = booked(told)
    if books:
        [measured] = measure(books["usd"], [MARCH])
        assert total(books, rates(usd="1")) == measured
