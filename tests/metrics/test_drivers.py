"""Expansion and contraction by cause: net per customer, adding up to what is behind NRR."""

from collections.abc import Mapping
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.model import Cause, CauseAmount
from connector.core.windows import WindowKind, windows
from connector.metrics.contributions import Share, causes
from connector.metrics.retention import measure, retention
from connector.store.ledger import balances, queries
from tests.support.synced import settled_demo


def parts(**amounts: Mapping[int, int]) -> list[CauseAmount]:
    return sorted(
        CauseAmount(customer, Cause(cause).value, amount)
        for cause, own in amounts.items()
        for customer, amount in own.items()
    )


def drawn(shares: tuple[Share, ...]) -> str:
    return " ".join(f"{share.cause}{share.amount_minor:+d}" for share in shares)


@pytest.mark.parametrize(
    ("moved", "expansion", "contraction"),
    [
        pytest.param(parts(quantity={1: 30}), "quantity+30", "", id="more seats"),
        pytest.param(parts(plan={1: -30}), "", "plan-30", id="a smaller plan"),
        pytest.param(
            parts(quantity={1: 30}, discount={1: -10}), "quantity+30 discount-10", "",
            id="more seats at a discount: both, and the customer expands by 20",
        ),
        pytest.param(
            parts(quantity={1: 30, 2: -10}), "quantity+30", "quantity-10",
            id="one expands, another one contracts",
        ),
        pytest.param(parts(end={1: -100}), "", "", id="churn is neither"),
        pytest.param(
            parts(end={1: -100}, start={1: 120}), "return+20", "", id="left and came back"
        ),
        pytest.param(
            parts(quantity={1: 30}, plan={1: -30}), "", "", id="no net change is neither"
        ),
        pytest.param(parts(pause={1: -30}), "", "pause-30", id="one of two paused"),
        pytest.param(
            parts(pause={1: -100}, resume={1: 120}), "resume+20", "",
            id="paused, and resumed for more",
        ),
        pytest.param(
            parts(pause={1: -100, 2: -20}, resume={1: 90}), "", "pause-30",
            id="paused, and resumed for less",
        ),
        pytest.param(parts(start={9: 50}), "", "", id="who came later does not count"),
    ],
)  # fmt: skip
def test_causes(moved: list[CauseAmount], expansion: str, contraction: str) -> None:
    found = causes({1: 100, 2: 50}, moved)
    assert (drawn(found.expansion), drawn(found.contraction)) == (
        expansion,
        contraction,
    )


def test_the_customers_behind_a_cause_come_by_size() -> None:
    [seats] = causes({1: 100, 2: 50}, parts(quantity={1: 30, 2: 40})).expansion
    assert seats.customers == ((2, 40), (1, 30))


customers = st.integers(1, 4)
amounts = st.integers(-3, 3).filter(bool)


@given(
    st.dictionaries(customers, st.integers(1, 5)),
    st.lists(st.tuples(customers, st.sampled_from(Cause), amounts), max_size=12),
)
def test_causes_add_up_to_what_is_behind_nrr(
    opening: dict[int, int], drafts: list[tuple[int, Cause, int]]
) -> None:
    """Whatever happened to whom, as long as nobody's MRR falls below 0."""
    closing: dict[int, int] = dict(opening)
    moved = []
    for customer, cause, amount in drafts:
        if closing.get(customer, 0) + amount >= 0:
            closing[customer] = closing.get(customer, 0) + amount
            moved.append(CauseAmount(customer, cause.value, amount))
    base = retention(opening, {c: e for c, e in closing.items() if e})
    found = causes(opening, sorted(moved))
    assert sum(s.amount_minor for s in found.expansion) == base.expansion_minor
    assert sum(s.amount_minor for s in found.contraction) == -base.contraction_minor
    for share in (*found.expansion, *found.contraction):
        assert sum(amount for _, amount in share.customers) == share.amount_minor


def test_the_demo_s_windows_add_up() -> None:
    """Real components of a real ledger, through the store."""
    first, last = date(2023, 11, 1), date(2026, 10, 1)
    with settled_demo() as connection:
        for currency in queries.currencies(connection):
            asked = [w for kind in WindowKind for w in windows(kind, first, last)]
            flows = queries.flows(connection, currency)
            for measured in measure(flows, asked):
                window, base = measured.window, measured.retention
                opening = balances.balances(connection, currency, window.start)
                parts = balances.causes(connection, currency, *window[1:])
                found = causes(opening, parts)
                grown = sum(share.amount_minor for share in found.expansion)
                shrunk = sum(share.amount_minor for share in found.contraction)
                assert (grown, -shrunk) == (
                    base.expansion_minor,
                    base.contraction_minor,
                )
