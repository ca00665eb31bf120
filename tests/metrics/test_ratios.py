"""The metrics beside NRR and GRR: what each divides by what, and when it has no value."""

from datetime import date
from fractions import Fraction

import pytest

from connector.core.figures import WindowFigures
from connector.core.model import ContractTerm
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.ratios import WindowMetrics, metrics
from connector.metrics.retention import measure, renewals
from tests.metrics.test_segments import flows
from tests.support.books import lived

FEB = Window(WindowKind.MONTH, date(2024, 2, 1), date(2024, 3, 1))


def measured(*lives: str, window: Window = FEB) -> WindowFigures:
    moved = [m for n, life in enumerate(lives) for m in lived(str(n), life)]
    return measure(flows(moved), [window])[0]


def found(*lives: str) -> WindowMetrics:
    return metrics(measured(*lives))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        pytest.param("nrr", Fraction(170, 200), id="120 and 50 are left of 200"),
        pytest.param("grr", Fraction(150, 200), id="gross, without the 20 of growth"),
        pytest.param("crr", Fraction(2, 3), id="two of three"),
        pytest.param("logo_churn", Fraction(1, 3), id="one of three left"),
        pytest.param("gross_churn", Fraction(50, 200), id="50 of 200 were lost"),
        pytest.param("net_churn", Fraction(30, 200), id="and 20 gained"),
        pytest.param("quick_ratio", Fraction(20 + 30, 50), id="gained 50, lost 50"),
        pytest.param("arpa_minor", Fraction(200, 3), id="200 by three at the closing"),
        pytest.param("ltv_minor", Fraction(200), id="a third leaves each month"),
    ],
)
def test_the_metrics_of_a_month(metric: str, expected: Fraction) -> None:
    """100 → 120, 50 → 50, 50 → 0, and 30 new."""
    assert getattr(found("100 120", "50", "50 0", ". 30"), metric) == expected


@pytest.mark.parametrize(
    ("lives", "without"),
    [
        pytest.param(
            [], {"nrr", "grr", "crr", "logo_churn", "gross_churn", "net_churn",
                 "quick_ratio", "arpa_minor", "ltv_minor"}, id="nobody",
        ),
        pytest.param(["50"], {"quick_ratio", "ltv_minor"}, id="nothing was lost"),
        pytest.param(["50 0"], {"arpa_minor", "ltv_minor"}, id="nobody is left"),
        pytest.param(["50 40"], {"ltv_minor"}, id="nobody left"),
    ],
)  # fmt: skip
def test_what_has_no_value_is_none(lives: list[str], without: set[str]) -> None:
    got = found(*lives)
    none = {
        name for name in WindowMetrics.__struct_fields__ if getattr(got, name) is None
    }
    assert none == without | {"renewal_rate", "renewal_rate_mrr"}


def test_ltv_means_the_same_whatever_the_window() -> None:
    """Half of the customers leave in the year: they stay two years, at 10 a month."""
    first = "10 " + ". " * 11
    whole = Window(WindowKind.YEAR, date(2025, 1, 1), date(2026, 1, 1))
    books = measured(f"{first} . .", f"{first} . 0", window=whole)
    assert metrics(books).logo_churn == Fraction(1, 2)
    assert metrics(books).ltv_minor == 10 * 24


# --- renewals ---


def term(day: str, subscription: str, before: int, after: int) -> ContractTerm:
    return ContractTerm(date.fromisoformat(day), "usd", 1, subscription, before, after)


@pytest.mark.parametrize(
    ("terms", "rates"),
    [
        pytest.param([], (0, 0, 0, 0), id="no term ended"),
        pytest.param([term("2024-02-10", "a", 50, 50)], (1, 1, 50, 50), id="renewed"),
        pytest.param([term("2024-02-10", "a", 50, 0)], (1, 0, 50, 0), id="not renewed"),
        pytest.param(
            [term("2024-02-10", "a", 50, 80)], (1, 1, 50, 50),
            id="renewed for more: what it was worth before counts",
        ),
        pytest.param(
            [term("2024-02-01", "a", 50, 50), term("2024-02-29", "a", 40, 0)],
            (1, 0, 40, 0), id="the last term in the window decides",
        ),
        pytest.param(
            [term("2024-01-31", "a", 50, 0), term("2024-03-01", "b", 50, 0)],
            (0, 0, 0, 0), id="what ended before or after it",
        ),
        pytest.param(
            [term("2024-02-10", "a", 90, 90), term("2024-02-10", "b", 10, 0)],
            (2, 1, 100, 90), id="one of two, nine tenths by MRR",
        ),
    ],
)  # fmt: skip
def test_renewals(terms: list[ContractTerm], rates: tuple[int, int, int, int]) -> None:
    [got] = renewals(terms, [FEB])
    assert (got.ended, got.renewed, got.ended_minor, got.renewed_minor) == rates


def test_the_renewal_rate_is_by_count_and_by_mrr() -> None:
    terms = [term("2024-02-10", "a", 90, 90), term("2024-02-10", "b", 10, 0)]
    [month] = measure([], windows(FEB.kind, FEB.start, FEB.start), terms=terms)
    assert metrics(month).renewal_rate == Fraction(1, 2)
    assert metrics(month).renewal_rate_mrr == Fraction(9, 10)
