"""NRR, GRR, CRR and the waterfall: the worked examples, then the laws."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector.core.figures import Retention, WindowFigures
from connector.core.model import Flow, classify
from connector.core.money import format_ratio
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.currency_total import ConvertedWindow, in_one_currency
from connector.metrics.retention import measure, retention

START, END = date(2026, 1, 1), date(2027, 1, 1)
YEAR = Window(WindowKind.YEAR, START, END)
BEFORE, INSIDE = START - timedelta(days=1), START + timedelta(days=40)


def paid(amounts: str) -> dict[int, int]:
    """Each customer's MRR, in order; a dot is nobody."""
    cells = enumerate(amounts.split())
    return {customer: int(cell) for customer, cell in cells if cell not in (".", "0")}


def compared(opening: str, closing: str) -> Retention:
    return retention(paid(opening), paid(closing))


def written(found: Retention) -> str:
    """NRR, GRR and CRR in per cent, without idle zeros."""
    ratios = (found.nrr, found.grr, found.crr)
    return " ".join(format_ratio(ratio, 2).removesuffix(".00%") for ratio in ratios)


@pytest.mark.parametrize(
    ("opening", "closing", "nrr_grr_crr"),
    [
        pytest.param(
            "90000 5000 5000", "100000 3000 .", "103 93 66.67%",
            id="100,000 + 10,000 expansion − 5,000 churn − 2,000 downgrades",
        ),
        pytest.param(
            "200000 60000 40000", "230000 . 35000", "88.33% 78.33% 66.67%",
            id="300,000 + 30,000 − 60,000 churn − 5,000 downgrades",
        ),
        pytest.param(
            "80000 15000 5000", "100000 13000 .", "113 93 66.67%",
            id="100,000 + 20,000 − 2,000 − 5,000",
        ),
        pytest.param(
            "50000 50000", "52000 45000", "97 95 100",
            id="97,000 of 100,000 with 2,000 upsell",
        ),
        pytest.param("1000 4000", "0 6000", "120 80 50", id="A leaves and B grows"),
        pytest.param("500", "0", "0 0 0", id="$500 → $1,379 → cancelled"),
        pytest.param("100", "100", "100 100 100", id="nothing happens"),
        pytest.param("100", "250", "250 100 100", id="growth does not lift the GRR"),
        pytest.param("100", "250 900", "250 100 100", id="who came later does not count"),
        pytest.param(". 100", "50 .", "0 0 0", id="nor does who came while another left"),
        pytest.param("", "", "– – –", id="nobody at all: no ratio"),
        pytest.param("", "500", "– – –", id="nobody at the opening: no ratio"),
    ],
)  # fmt: skip
def test_retention(opening: str, closing: str, nrr_grr_crr: str) -> None:
    assert written(compared(opening, closing)) == nrr_grr_crr


def test_the_printed_ratio_has_one_decimal() -> None:
    found = compared("200000 60000 40000", "230000 . 35000")
    assert format_ratio(found.nrr) == "88.3%"
    assert format_ratio(found.grr) == "78.3%"


def test_the_parts_behind_the_ratios() -> None:
    found = compared("90000 5000 5000", "100000 3000 .")
    assert (found.opening_minor, found.closing_minor) == (100_000, 103_000)
    assert found.expansion_minor == 10_000
    assert (found.contraction_minor, found.churn_minor) == (2_000, 5_000)
    assert (found.kept, found.customers) == (2, 3)


class History:
    """Customers' MRR from certain days on, as flows."""

    def __init__(self, *mrr: Mapping[date, int]) -> None:
        self.flows = sorted(
            (flow for n, each in enumerate(mrr) for flow in self._of(n, each)),
            key=lambda flow: flow.day,
        )

    def _of(self, customer: int, mrr: Mapping[date, int]) -> Iterator[Flow]:
        before, has_paid = 0, False
        for day, after in sorted(mrr.items()):
            kind = classify(before, after, has_paid=has_paid)
            if kind is not None:
                yield Flow(customer, day, kind, after - before)
                has_paid = True
            before = after

    def measured(self, window: Window = YEAR) -> WindowFigures:
        [found] = measure(self.flows, [window])
        return found


def test_ten_of_a_hundred_leave_and_a_newcomer_too() -> None:
    """100 customers, 11 leave, 1 of them joined inside the window: CRR 90 %."""
    stay = [{BEFORE: 10}] * 90
    leave = [{BEFORE: 10, INSIDE: 0}] * 10
    newcomer = {INSIDE: 10, INSIDE + timedelta(days=30): 0}
    found = History(*stay, *leave, newcomer).measured()
    assert (found.retention.crr, found.retention.customers) == (Fraction(9, 10), 100)


def test_who_grows_and_then_leaves_costs_what_it_paid_at_the_opening() -> None:
    later = INSIDE + timedelta(days=30)
    found = History({BEFORE: 500, INSIDE: 1_379, later: 0}).measured()
    assert written(found.retention) == "0 0 0"
    assert found.retention.churn_minor == 500
    assert found.waterfall.expansion_minor == 879  # the waterfall shows every step
    assert found.waterfall.churn_minor == 1_379


def test_who_leaves_and_returns_inside_is_neither_churn_nor_expansion() -> None:
    later = INSIDE + timedelta(days=30)
    kept = History({BEFORE: 500, INSIDE: 0, later: 500}).measured().retention
    assert written(kept) == "100 100 100"


@pytest.mark.parametrize(
    ("day", "opening_minor", "closing_minor"),
    [
        pytest.param(START - timedelta(days=1), 10, 10, id="the day before it opens"),
        pytest.param(START, 0, 10, id="its first day is in the window"),
        pytest.param(END - timedelta(days=1), 0, 10, id="so is its last"),
        pytest.param(END, 0, 0, id="the day after is not"),
    ],
)
def test_a_window_is_half_open(
    day: date, opening_minor: int, closing_minor: int
) -> None:
    flow = History({day: 10}).measured().waterfall
    assert (flow.opening_minor, flow.closing_minor) == (opening_minor, closing_minor)


def test_a_waterfall_names_every_kind() -> None:
    found = History(
        {BEFORE: 60, INSIDE: 0},
        {BEFORE: 440, INSIDE: 400},
        {BEFORE: 500, INSIDE: 550},
        {INSIDE: 100},
        {BEFORE - timedelta(days=9): 5, BEFORE: 0, INSIDE: 7},
    ).measured()
    flow = found.waterfall
    assert (flow.opening_minor, flow.closing_minor) == (1_000, 1_057)
    assert (flow.new_minor, flow.reactivation_minor) == (100, 7)
    assert (flow.expansion_minor, flow.contraction_minor) == (50, 40)
    assert (flow.churn_minor, flow.fx_minor) == (60, 0)


def test_a_currency_that_fell_is_a_line_of_its_own() -> None:
    """1,000 + 100 new + 50 expansion − 40 contraction − 60 churn − 5 fx = 1,045."""
    dollars = History(
        {BEFORE: 60, INSIDE: 0},
        {BEFORE: 340, INSIDE: 300},
        {BEFORE: 500, INSIDE: 550},
        {INSIDE: 100},
    ).measured()
    euro = History({BEFORE: 50}).measured()
    total = in_one_currency(
        YEAR,
        [
            ConvertedWindow(dollars, Fraction(1), Fraction(1)),
            ConvertedWindow(euro, Fraction(2), Fraction(19, 10)),
        ],
    )
    flow = total.waterfall
    assert (flow.opening_minor, flow.fx_minor, flow.closing_minor) == (1_000, -5, 1_045)
    lost = total.retention.opening_minor - total.retention.closing_minor
    assert lost == 60 + 40 - 50  # the swing is neither churn nor contraction


@pytest.mark.parametrize(
    ("kind", "first", "last", "expected"),
    [
        pytest.param(
            WindowKind.MONTH, "2026-01", "2026-03",
            ["2026-01..2026-02", "2026-02..2026-03", "2026-03..2026-04"],
            id="each month, both ends included",
        ),
        pytest.param(
            WindowKind.QUARTER, "2026-02", "2026-04",
            ["2026-01..2026-04", "2026-04..2026-07"],
            id="each quarter that any month lies in",
        ),
        pytest.param(
            WindowKind.YEAR, "2025-12", "2026-01",
            ["2025-01..2026-01", "2026-01..2027-01"],
            id="each year that any month lies in",
        ),
        pytest.param(
            WindowKind.TRAILING_12, "2026-02", "2026-03",
            ["2025-03..2026-03", "2025-04..2026-04"],
            id="twelve months that end with each month",
        ),
        pytest.param(WindowKind.MONTH, "2026-03", "2026-02", [], id="none backwards"),
    ],
)  # fmt: skip
def test_windows(kind: WindowKind, first: str, last: str, expected: list[str]) -> None:
    found = windows(kind, *(date.fromisoformat(f"{m}-20") for m in (first, last)))
    assert [f"{w.start:%Y-%m}..{w.end:%Y-%m}" for w in found] == expected
    assert all(w.start.day == w.end.day == 1 and w.kind is kind for w in found)


# Few customers, small amounts: equal amounts and zeros are where the rules are.
mrr = st.dictionaries(st.integers(0, 5), st.integers(1, 4))
days = st.dates(date(2025, 11, 1), date(2026, 4, 30))
histories = st.lists(st.dictionaries(days, st.integers(0, 4), max_size=6), max_size=4)
kinds = st.sampled_from(list(WindowKind))


@given(opening=mrr, closing=mrr)
def test_gross_never_exceeds_net_nor_one(
    opening: dict[int, int], closing: dict[int, int]
) -> None:
    assume(opening)
    found = retention(opening, closing)
    assert found.nrr is not None
    assert found.grr is not None
    assert found.crr is not None
    assert 0 <= found.grr <= min(found.nrr, Fraction(1))
    assert 0 <= found.crr <= 1


@given(opening=mrr, closing=mrr)
def test_the_ratios_are_what_the_formula_says(
    opening: dict[int, int], closing: dict[int, int]
) -> None:
    assume(opening)
    base = sum(opening.values())
    kept = {c: closing.get(c, 0) for c in opening}
    found = retention(opening, closing)
    assert found.nrr == Fraction(sum(kept.values()), base)
    assert found.grr == Fraction(sum(min(kept[c], s) for c, s in opening.items()), base)


@given(closing=mrr)
def test_there_is_no_ratio_without_an_opening(closing: dict[int, int]) -> None:
    found = retention({}, closing)
    assert (found.nrr, found.grr, found.crr) == (None, None, None)


@given(opening=mrr, closing=mrr, times=st.integers(2, 100))
def test_the_ratios_do_not_depend_on_the_unit(
    opening: dict[int, int], closing: dict[int, int], times: int
) -> None:
    def scaled(mrr_minor: dict[int, int]) -> dict[int, int]:
        return {customer: times * amount for customer, amount in mrr_minor.items()}

    found, more = (
        retention(opening, closing),
        retention(scaled(opening), scaled(closing)),
    )
    assert (found.nrr, found.grr, found.crr) == (more.nrr, more.grr, more.crr)


@given(opening=mrr, closing=mrr, order=st.permutations(range(6)))
def test_the_order_of_customers_does_not_matter(
    opening: dict[int, int], closing: dict[int, int], order: Sequence[int]
) -> None:
    turned = {customer: opening[customer] for customer in order if customer in opening}
    renamed = [{order[c]: n for c, n in each.items()} for each in (opening, closing)]
    found = retention(opening, closing)
    assert found == retention(turned, closing) == retention(*renamed)


@given(histories, st.lists(kinds, min_size=1, max_size=3))
def test_every_waterfall_closes(
    mrr_of_each: list[dict[date, int]], asked: list[WindowKind]
) -> None:
    wanted = [w for kind in asked for w in windows(kind, BEFORE, date(2026, 4, 1))]
    for found in measure(History(*mrr_of_each).flows, wanted):
        flow = found.waterfall
        gained = flow.new_minor + flow.reactivation_minor + flow.expansion_minor
        lost = flow.contraction_minor + flow.churn_minor
        assert flow.opening_minor + gained - lost == flow.closing_minor
        assert min(gained, lost, flow.opening_minor, flow.closing_minor) >= 0


@given(histories)
def test_windows_measured_together_are_those_measured_alone(
    mrr_of_each: list[dict[date, int]],
) -> None:
    history = History(*mrr_of_each)
    wanted = [w for kind in WindowKind for w in windows(kind, BEFORE, date(2026, 3, 1))]
    alone = [history.measured(window) for window in wanted]
    assert measure(history.flows, wanted) == alone


@given(histories)
def test_a_month_opens_where_the_month_before_closed(
    mrr_of_each: list[dict[date, int]],
) -> None:
    wanted = windows(WindowKind.MONTH, date(2025, 11, 1), date(2026, 5, 1))
    found = [m.waterfall for m in measure(History(*mrr_of_each).flows, wanted)]
    for one, following in pairwise(found):
        assert following.opening_minor == one.closing_minor


@given(histories, st.randoms())
def test_the_order_of_flows_does_not_matter(
    mrr_of_each: list[dict[date, int]], chance: Random
) -> None:
    wanted = [w for kind in WindowKind for w in windows(kind, BEFORE, date(2026, 3, 1))]
    flows = History(*mrr_of_each).flows
    shuffled = chance.sample(flows, len(flows))
    assert measure(shuffled, wanted) == measure(flows, wanted)
