"""A ratio taken apart: who moved it, adding up exactly."""

from collections.abc import Iterable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.model import Flow, MovementKind
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.contributions import Contribution, Ratio, between
from connector.metrics.retention import balances, measure
from tests.metrics.test_retention import BEFORE, INSIDE, YEAR, History, histories

BOOKS = History(
    {BEFORE: 500, INSIDE: 520},  # grows a little
    {BEFORE: 400, INSIDE: 0},  # leaves
    {BEFORE: 300, INSIDE: 250},  # shrinks
    {BEFORE: 200},  # stays
    {INSIDE: 900},  # comes later
    {BEFORE: 100, INSIDE: 0, date(2026, 6, 1): 100},  # leaves and returns
)


def contributions(
    flows: Iterable[Flow], window: Window, ratio: Ratio
) -> list[Contribution]:
    opening, closing = balances(flows, [window.start, window.end])
    return between(opening, closing, ratio)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        pytest.param(
            Ratio.NRR, "churn 1 −400, contraction 2 −50, expansion 0 +20", id="net"
        ),
        pytest.param(
            Ratio.GRR, "churn 1 −400, contraction 2 −50", id="gross: growth left out"
        ),
        pytest.param(Ratio.CRR, "churn 1 −400", id="customers: who left"),
    ],
)
def test_who_moved_a_ratio_the_largest_first(ratio: Ratio, expected: str) -> None:
    found = contributions(BOOKS.flows, YEAR, ratio)
    told = [f"{c.kind} {c.customer} {c.amount_minor:+d}" for c in found]
    assert ", ".join(told).replace("-", "−") == expected


def test_a_contribution_shows_both_ends() -> None:
    first = contributions(BOOKS.flows, YEAR, Ratio.NRR)[0]
    assert (first.opening_minor, first.closing_minor) == (400, 0)
    assert first.kind is MovementKind.CHURN


wanted = st.sampled_from(
    [w for kind in WindowKind for w in windows(kind, BEFORE, date(2026, 4, 1))]
)


@given(histories, wanted)
def test_contributions_add_up_to_the_numerator(
    lives: list[dict[date, int]], window: Window
) -> None:
    """Σe − Σs for NRR, Σ min(s, e) − Σs for GRR, who left for CRR, exactly."""
    flows = History(*lives).flows
    [measured] = measure(flows, [window])
    kept = measured.retention
    net = contributions(flows, window, Ratio.NRR)
    gross = contributions(flows, window, Ratio.GRR)
    opening_minor = kept.opening_minor
    net_minor = opening_minor + sum(each.amount_minor for each in net)
    gross_minor = opening_minor + sum(each.amount_minor for each in gross)
    assert net_minor == kept.closing_minor
    assert kept.of_opening(net_minor) == kept.nrr
    assert kept.of_opening(gross_minor) == kept.grr
    left = contributions(flows, window, Ratio.CRR)
    assert kept.kept == kept.customers + sum(each.customers for each in left)
    assert sum(each.amount_minor for each in left) == -kept.churn_minor
    for found in (net, gross):
        assert sum(each.customers for each in found) == -len(left)


@given(histories, wanted)
def test_only_who_moved_is_named_and_each_once(
    lives: list[dict[date, int]], window: Window
) -> None:
    for ratio in Ratio:
        found = contributions(History(*lives).flows, window, ratio)
        assert all(each.amount_minor for each in found)
        assert len({each.customer for each in found}) == len(found)
        sizes = [abs(each.amount_minor) for each in found]
        assert sizes == sorted(sizes, reverse=True)
