"""The other formulas in print: the figures that were printed with them, then the laws."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.money import format_points, format_ratio
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.formulas import WindowInputs, added_up, chained
from connector.metrics.published_formulas import (
    FORMULAS,
    Formula,
    FormulaMetric,
    near,
    side_by_side,
)
from connector.metrics.retention import measure
from connector.metrics.wide.columns import columns_of_flows
from connector.metrics.wide.formula_inputs import window_inputs
from tests.metrics.test_retention import BEFORE, INSIDE, START, YEAR, History

LATER = INSIDE + timedelta(days=30)

NRR, GRR, CRR, LOGO_CHURN = FormulaMetric


def read(*mrr: Mapping[date, int], window: Window = YEAR) -> WindowInputs:
    return window_inputs("usd", [columns_of_flows(sorted(History(*mrr).flows))], window)


def said(on: WindowInputs, name: str, metric: FormulaMetric | None = None) -> str:
    """What a formula says, in per cent with two decimals at most."""
    [told] = [
        each
        for each in side_by_side(on)
        if each.formula.name == name and metric in (None, each.formula.metric)
    ]
    return format_ratio(told.ratio, 2).removesuffix(".00%").removesuffix("%")


def worth(dollars: int) -> int:
    return dollars * 100


def base(*pairs: tuple[int, int]) -> list[dict[date, int]]:
    """Customers who paid the first at the opening and the second from mid-window on."""
    return [{BEFORE: worth(s), INSIDE: worth(e)} for s, e in pairs]


# What 100,000 became: 2,000 upsell, 2,000 downgrades, 3,000 churn.
ARTICLE = base((92_000, 94_000), (5_000, 3_000), (3_000, 0))
FIRST_EXAMPLE = base((90_000, 100_000), (5_000, 3_000), (5_000, 0))
UPGRADED_AND_LEFT = [{BEFORE: worth(500), INSIDE: worth(1_379), LATER: 0}]
HIDDEN_CHURN = base((1_000, 0), (4_000, 6_000))
WON_INSIDE = [
    {BEFORE: worth(100)},
    {INSIDE: worth(50), LATER: worth(90)},
]
NEWCOMER_LEFT = [
    *[{BEFORE: 10}] * 90,
    *[{BEFORE: 10, INSIDE: 0}] * 10,
    {INSIDE: 10, LATER: 0},
]


@pytest.mark.parametrize(
    ("lives", "name", "metric", "expected"),
    [
        pytest.param(ARTICLE, "start_mrr", NRR, "97", id="Stripe's article, ours"),
        pytest.param(ARTICLE, "end_mrr", NRR, "96", id="Stripe's article, printed"),
        pytest.param(
            FIRST_EXAMPLE, "unbracketed", NRR, "10,499,998",
            id="100,000 + 10,000 − 5,000 − 2,000 / 100,000",
        ),
        pytest.param(
            WON_INSIDE, "all_movements", NRR, "140",
            id="40 of expansion on 100, all of a customer won inside",
        ),
        pytest.param(
            UPGRADED_AND_LEFT, "gross_flows", GRR, "−175.80",
            id="Baremetrics' −176 %: $500 → $1,379 → cancelled",
        ),
        pytest.param(
            UPGRADED_AND_LEFT, "start_mrr", GRR, "0", id="and by the definition"
        ),
        pytest.param(
            NEWCOMER_LEFT, "gross_flows", GRR, "90",
            id="what was won inside and lost again is of no opening customer",
        ),
        pytest.param(
            HIDDEN_CHURN, "totals_min", GRR, "100",
            id="Chargebee's totals: min(5,000, 6,000) ÷ 5,000",
        ),
        pytest.param(HIDDEN_CHURN, "start_mrr", GRR, "80", id="each for itself"),
        pytest.param(HIDDEN_CHURN, "uncapped_gross", GRR, "120", id="uncapped"),
        pytest.param(
            NEWCOMER_LEFT, "crr_by_counts", CRR, "89",
            id="100 customers, 11 leave, 1 of them won inside: twice off",
        ),
        pytest.param(NEWCOMER_LEFT, "start_customers", CRR, "90", id="once off"),
        pytest.param(
            NEWCOMER_LEFT, "logo_churn_stripe", LOGO_CHURN, "10.89",
            id="11 who churned ÷ (100 + 1 won)",
        ),
        pytest.param(
            NEWCOMER_LEFT, "start_customers", LOGO_CHURN, "10", id="10 of the 100"
        ),
    ],
)  # fmt: skip
def test_a_formula_says_what_was_printed(
    lives: list[dict[date, int]], name: str, metric: FormulaMetric, expected: str
) -> None:
    assert said(read(*lives), name, metric) == expected


@pytest.mark.parametrize(
    ("monthly_churn", "compounded", "points"),
    [
        pytest.param(5, "54.0%", "40.0%", id="five per cent a month"),
        pytest.param(3, "69.4%", "64.0%", id="three per cent a month"),
    ],
)
def test_a_year_of_monthly_churn(
    monthly_churn: int, compounded: str, points: str
) -> None:
    months = [Fraction(100 - monthly_churn, 100)] * 12
    assert format_ratio(chained(months)) == compounded
    assert format_ratio(added_up(months)) == points


def test_from_five_to_three_per_cent_is_not_24_points_a_year() -> None:
    before, after = ([Fraction(100 - churn, 100)] * 12 for churn in (5, 3))
    assert format_points((added_up(after) - added_up(before)) * 100) == "+24.0"
    assert format_points((chained(after) - chained(before)) * 100) == "+15.3"


def test_monthly_figures_are_chained_over_changing_bases() -> None:
    """Who was won in January and doubled counts in February's base."""
    won = {START: worth(100), date(2026, 2, 1): worth(200)}
    two = Window(WindowKind.QUARTER, START, date(2026, 3, 1))
    on = read({BEFORE: worth(100)}, won, window=two)
    assert said(on, "start_mrr", NRR) == "100"
    assert said(on, "compounded") == "150"
    assert said(on, "annualised_points") == "150"


def test_without_an_opening_no_formula_has_a_value() -> None:
    on = read({INSIDE: worth(50)})
    told = {f"{t.formula.metric} {t.formula.name}": t.ratio for t in side_by_side(on)}
    [(name, ratio)] = [(n, r) for n, r in told.items() if r is not None]
    assert name == "logo churn logo_churn_stripe"
    assert ratio == 0


def test_what_somebody_else_says_names_the_formulas_near_it() -> None:
    told = side_by_side(read(*WON_INSIDE))
    assert [t.formula.name for t in near(told, Fraction("1.3985"))] == ["all_movements"]
    assert near(told, Fraction("1.37")) == []


@pytest.mark.parametrize("variant", FORMULAS, ids=lambda v: f"{v.metric} {v.name}")
def test_every_formula_says_where_it_is_printed(variant: Formula) -> None:
    told = variant.ratio_of.__doc__ or ""
    assert re.search(r"Source: |[Pp]rinted |glossaries|README|CRR", told)
    assert variant.printed
    assert not variant.why.endswith("."), "it ends a sentence elsewhere"


days = st.dates(date(2025, 11, 1), date(2026, 4, 30))
histories = st.lists(st.dictionaries(days, st.integers(0, 4), max_size=6), max_size=4)
wanted = st.sampled_from(
    [w for kind in WindowKind for w in windows(kind, BEFORE, date(2026, 4, 1))]
)


@given(histories, wanted)
def test_ours_come_first_and_are_those_of_the_report(
    lives: list[dict[date, int]], window: Window
) -> None:
    flows = History(*lives).flows
    told = side_by_side(window_inputs("usd", [columns_of_flows(sorted(flows))], window))
    [measured] = measure(flows, [window])
    first = {t.formula.metric: t for t in reversed(told)}
    kept = measured.retention
    ours = (
        first[NRR],
        first[GRR],
        first[CRR],
    )
    assert [t.ratio for t in ours] == [kept.nrr, kept.grr, kept.crr]
    assert all(t.is_ours and t.points in (None, 0) for t in first.values())


@given(histories, wanted)
def test_what_the_formulas_do_to_a_ratio(
    lives: list[dict[date, int]], window: Window
) -> None:
    """GRR by flows is never higher; by totals and uncapped, and CRR by counts, lower."""
    on = window_inputs("usd", [columns_of_flows(sorted(History(*lives).flows))], window)
    points = {
        t.formula.name: t.points for t in side_by_side(on) if t.points is not None
    }
    assert points.get("gross_flows", 0) <= 0
    assert points.get("totals_min", 0) >= 0
    assert points.get("uncapped_gross", 0) >= points.get("totals_min", 0)
    assert points.get("crr_by_counts", 0) <= 0


@given(histories)
def test_over_one_month_there_is_nothing_to_chain(lives: list[dict[date, int]]) -> None:
    month = Window(WindowKind.MONTH, START, date(2026, 2, 1))
    on = window_inputs("usd", [columns_of_flows(sorted(History(*lives).flows))], month)
    ratios = {t.formula.name: t.ratio for t in side_by_side(on)}
    assert ratios["compounded"] == ratios["annualised_points"] == on.kept.nrr
