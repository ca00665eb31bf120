"""Cohorts: against the end of the first-paid period, and adding up to everybody."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.dates import add_months
from connector.core.model import Flow, Movement
from connector.core.money import format_ratio
from connector.metrics.cohorts import Cohort, CohortPeriod
from connector.metrics.wide.cohort_counts import cohorts
from connector.metrics.wide.columns import Columns, columns_of_flows
from tests.support.books import lived, moved

JAN = date(2024, 1, 1)


def booked(*lives: str) -> list[Movement]:
    return [m for n, life in enumerate(lives, start=1) for m in lived(str(n), life)]


def columns(moves: Sequence[Movement]) -> list[Columns]:
    """In two parts, as a ledger's are in many."""
    flows = [Flow(int(m.customer), m.day, m.kind, m.amount_minor) for m in moves]
    odd = [flow for flow in flows if flow.customer % 2]
    even = [flow for flow in flows if not flow.customer % 2]
    return [columns_of_flows(odd), columns_of_flows(even)]


def changes(*lives: str) -> list[Columns]:
    return columns(booked(*lives))


def drawn(cohort: Cohort, metric: str) -> str:
    return " ".join(format_ratio(each, 0) for each in cohort.ratios(metric))


@pytest.mark.parametrize(
    ("lives", "metric", "expected"),
    [
        pytest.param(["10"], "nrr", "100% 100% 100% 100%", id="who stays"),
        pytest.param(["10 30"], "nrr", "100% 300% 300% 300%", id="who grows, net"),
        pytest.param(["10 30"], "grr", "100% 100% 100% 100%", id="who grows, gross"),
        pytest.param(["10 30 5"], "grr", "100% 100% 50% 50%", id="up and down"),
        pytest.param(["10", "30 0"], "nrr", "100% 25% 25% 25%", id="one leaves"),
        pytest.param(["10", "30 0"], "crr", "100% 50% 50% 50%", id="one of two left"),
        pytest.param(["10 0 10"], "crr", "100% 0% 100% 100%", id="gone and back"),
    ],
)  # fmt: skip
def test_a_cohort_s_ratios_by_age(
    lives: Sequence[str], metric: str, expected: str
) -> None:
    [found] = cohorts(changes(*lives), CohortPeriod.MONTH, date(2024, 5, 1))
    assert drawn(found, metric) == expected


def test_each_first_paid_month_is_a_cohort() -> None:
    found = cohorts(
        changes("10", ". . 20", ". . 30"), CohortPeriod.MONTH, date(2024, 5, 1)
    )
    assert [(c.start, c.joined, c.opening_minor, len(c.ages)) for c in found] == [
        (JAN, 1, 10, 4),
        (date(2024, 3, 1), 2, 50, 2),
    ]


def test_quarters_are_compared_with_their_own_end() -> None:
    """10 in January, 20 by March: 20 is the base."""
    [found] = cohorts(changes("10 . 20 . 40"), CohortPeriod.QUARTER, date(2024, 7, 1))
    assert (found.opening_minor, drawn(found, "nrr")) == (20, "100% 200%")


def test_who_comes_and_leaves_in_its_first_month_is_nobody_s_base() -> None:
    away = moved("1", {date(2024, 1, 5): 50, date(2024, 1, 20): 0})
    [found] = cohorts(columns(away), CohortPeriod.MONTH, date(2024, 3, 1))
    assert (found.joined, found.customers, drawn(found, "nrr")) == (1, 0, "– –")


@pytest.mark.parametrize(
    ("today", "ages"),
    [
        pytest.param(date(2024, 1, 31), 0, id="a month that is not over has no cohort"),
        pytest.param(
            date(2024, 2, 1), 1, id="it is over with the next one's first day"
        ),
        pytest.param(date(2024, 2, 29), 1, id="nor has it a second age before that"),
    ],
)
def test_only_what_is_over_is_shown(today: date, ages: int) -> None:
    found = cohorts(changes("10"), CohortPeriod.MONTH, today)
    assert [len(cohort.ages) for cohort in found] == [ages] * bool(ages)


def test_nobody_at_all() -> None:
    assert cohorts([], CohortPeriod.MONTH, JAN) == []


cell = st.sampled_from(["0", "1", "2", "500", "."])
lives = st.lists(st.lists(cell, min_size=1, max_size=7).map(" ".join), max_size=6)


@given(lives, st.sampled_from(CohortPeriod))
def test_cohorts_add_up_to_everybody_s_mrr(
    lived: list[str], period: CohortPeriod
) -> None:
    """At the end of every period the cohorts of then are all the MRR there is."""
    moves = booked(*lived)
    found = cohorts(columns(moves), period, date(2025, 1, 1))
    starts = [add_months(JAN, n * period.length) for n in range(12 // period.length)]
    for end in starts[1:]:
        total = sum(m.amount_minor for m in moves if m.day < end)
        worth = 0
        for cohort in found:
            months = (
                (end.year - cohort.start.year) * 12 + end.month - cohort.start.month
            )
            if months > 0:
                worth += cohort.mrr_minor[months // period.length - 1]
        assert worth == total
    assert sum(cohort.joined for cohort in found) == len({m.customer for m in moves})


@given(lives, st.sampled_from(CohortPeriod))
def test_every_age_obeys_the_one_formula(
    lived: list[str], period: CohortPeriod
) -> None:
    for cohort in cohorts(changes(*lived), period, date(2025, 1, 1)):
        assert cohort.ages[0].opening_minor == cohort.ages[0].closing_minor
        for age in cohort.ages:
            assert age.opening_minor == cohort.opening_minor
            if age.nrr is not None and age.grr is not None:
                assert 0 <= age.grr <= min(Fraction(1), age.nrr)
