"""The formulas that are in print, by name and source, and what each makes of a window."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from connector.metrics.formulas import (
    WindowInputs,
    all_movements,
    annualised_points,
    compounded,
    crr_by_counts,
    end_mrr,
    gross_flows,
    logo_churn_stripe,
    start_crr,
    start_grr,
    start_logo_churn,
    start_mrr,
    totals_min,
    unbracketed,
    uncapped_gross,
)

CLOSE = Fraction(2, 1000)  # 0.2 points: rounding, and no other formula


class FormulaMetric(StrEnum):
    NRR = "NRR"
    GRR = "GRR"
    CRR = "CRR"
    LOGO_CHURN = "logo churn"


class Formula(NamedTuple):
    """A formula: ``why`` says what it does otherwise, ``printed`` where it stands.

    ``is_ratio`` is False where what it gives is none, so that nothing is near it.
    """

    name: str
    metric: FormulaMetric
    ratio_of: Callable[[WindowInputs], Fraction | None]
    why: str = ""
    printed: str = "this program's reports"
    is_ratio: bool = True


# The start-MRR formula comes first of each metric; the others are measured against it.
FORMULAS: Sequence[Formula] = (
    Formula("start_mrr", FormulaMetric.NRR, start_mrr),
    Formula(
        "end_mrr",
        FormulaMetric.NRR,
        end_mrr,
        "adds expansion and takes churn from a closing MRR that already holds both",
        "Stripe's article on net revenue retention",
    ),
    Formula(
        "unbracketed",
        FormulaMetric.NRR,
        unbracketed,
        "divides only the downgrades by the opening: a sum of money, not a ratio",
        "articles that set the formula on one line, without brackets",
        is_ratio=False,
    ),
    Formula(
        "all_movements",
        FormulaMetric.NRR,
        all_movements,
        "counts the expansion of customers won inside the window too, and their losses",
        "Baremetrics' changelog, Net Revenue Retention",
    ),
    Formula(
        "compounded",
        FormulaMetric.NRR,
        compounded,
        "multiplies the monthly NRRs, so customers won inside count from their second "
        "month",
        "tools that chain their monthly figures",
    ),
    Formula(
        "annualised_points",
        FormulaMetric.NRR,
        annualised_points,
        "adds up the months' points, as if each were of the opening's base",
        "reports that say monthly churn × 12",
    ),
    Formula("start_mrr", FormulaMetric.GRR, start_grr),
    Formula(
        "gross_flows",
        FormulaMetric.GRR,
        gross_flows,
        "takes off every step down, also of what was only won inside the window; NRR "
        "comes out equal, GRR can fall below 0",
        "Baremetrics until its Improved Revenue Churn Calculation (changelog)",
    ),
    Formula(
        "totals_min",
        FormulaMetric.GRR,
        totals_min,
        "compares totals, so one customer's growth hides another one's churn",
        "Chargebee's documentation, Recurring Revenue",
    ),
    Formula(
        "uncapped_gross",
        FormulaMetric.GRR,
        uncapped_gross,
        "leaves the growth in: it is the NRR under another name",
        "articles that call all that the base still pays its gross retention",
    ),
    Formula("start_customers", FormulaMetric.CRR, start_crr),
    Formula(
        "crr_by_counts",
        FormulaMetric.CRR,
        crr_by_counts,
        "takes a customer won and lost inside the window off twice",
        "most glossaries: ((E − N) ÷ S) × 100",
    ),
    Formula("start_customers", FormulaMetric.LOGO_CHURN, start_logo_churn),
    Formula(
        "logo_churn_stripe",
        FormulaMetric.LOGO_CHURN,
        logo_churn_stripe,
        "divides by the customers won inside the window too",
        "Stripe's documentation, Billing metric definitions",
    ),
)


class FormulaResult(NamedTuple):
    """What a formula says of a window, and how far that is from the reported ratio.

    ``points`` are percentage points; None where either has no value or is no ratio.
    """

    formula: Formula
    ratio: Fraction | None
    points: Fraction | None

    @property
    def is_ours(self) -> bool:
        return not self.formula.why


def side_by_side(on: WindowInputs) -> list[FormulaResult]:
    """Every formula over one window, in the order of ``FORMULAS``."""
    told: list[FormulaResult] = []
    ours: dict[FormulaMetric, Fraction | None] = {}
    for formula in FORMULAS:
        ratio = formula.ratio_of(on)
        base = ours.setdefault(formula.metric, ratio)
        points = None
        if formula.is_ratio and ratio is not None and base is not None:
            points = (ratio - base) * 100
        told.append(FormulaResult(formula, ratio, points))
    return told


def near(told: Sequence[FormulaResult], other: Fraction) -> list[FormulaResult]:
    """The formulas that come within 0.2 points of a number somebody else gave."""
    return [
        each
        for each in told
        if each.formula.is_ratio
        and each.ratio is not None
        and abs(each.ratio - other) <= CLOSE
    ]
