"""The other published formulas over the same window, each with its source.

Comes in: one window of one currency (``wide.formula_inputs``). Goes out: what each formula
in print would call the window's retention. Nothing here feeds a report.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from connector.core.figures import Retention, Waterfall, WindowFigures
from connector.core.money import major, round_minor
from connector.core.windows import Window
from connector.metrics.currency_total import in_minor


class WindowInputs(Struct, frozen=True, kw_only=True):
    """What the formulas are worked out from: one window of one currency.

    ``months`` are the window's months. ``fallen_minor`` adds up every step down of the
    opening customers. ``won`` began to pay inside the window, and did not at its opening;
    ``churned`` of these and the opening's pay nothing at the closing.
    """

    currency: str
    kept: Retention
    moved: Waterfall
    months: tuple[Retention, ...]
    fallen_minor: int
    won: int
    churned: int
    paying_at_close: int


def in_minor_of(inputs: WindowInputs, window: Window, scale: int) -> WindowInputs:
    """Those of the total, measured in units of ``scale``, in whole minor units."""
    measured = in_minor(WindowFigures(window, inputs.moved, inputs.kept), scale)
    return replace(
        inputs,
        kept=measured.retention,
        moved=measured.waterfall,
        fallen_minor=round_minor(Fraction(inputs.fallen_minor, scale)),
    )


def start_mrr(on: WindowInputs) -> Fraction | None:
    """Σe ÷ Σs of the opening customers: the formula of every report (README)."""
    return on.kept.nrr


def end_mrr(on: WindowInputs) -> Fraction | None:
    """(Closing of the base + expansion − churn) ÷ opening.

    Printed by Stripe's article on net revenue retention: 97,000 + 2,000 − 3,000 over
    100,000 is called 96 %, where the movements say 97 %.
    """
    kept = on.kept
    return kept.of_opening(kept.closing_minor + kept.expansion_minor - kept.churn_minor)


def unbracketed(on: WindowInputs) -> Fraction | None:
    """Start + expansion − churn − downgrades ÷ start: the division binds first.

    Printed without brackets wherever the formula is set on one line. In whole units of
    the currency, as a spreadsheet has them.
    """
    kept = on.kept
    taken = kept.of_opening(kept.contraction_minor)
    if taken is None:
        return None
    rest_minor = kept.opening_minor + kept.expansion_minor - kept.churn_minor
    return Fraction(major(rest_minor, on.currency)) - taken


def all_movements(on: WindowInputs) -> Fraction | None:
    """(Opening + expansion − contraction − churn) ÷ opening, of everybody's movements.

    Source: Baremetrics' changelog, "Net Revenue Retention": 100 % − (churned −
    expansion) ÷ MRR 30 days ago, both summed over the window whoever they are of.
    """
    moved = on.moved
    lost_minor = moved.contraction_minor + moved.churn_minor
    return on.kept.of_opening(moved.opening_minor + moved.expansion_minor - lost_minor)


def compounded(on: WindowInputs) -> Fraction | None:
    """The product of the window's monthly NRRs, each of another base.

    None where a month has no opening. Printed by tools that chain monthly figures.
    """
    monthly = _monthly(on)
    return None if monthly is None else chained(monthly)


def chained(monthly: Sequence[Fraction]) -> Fraction:
    return prod(monthly, start=Fraction(1))


def annualised_points(on: WindowInputs) -> Fraction | None:
    """100 % plus each month's points, added up as if they were of one base.

    Printed as "monthly churn × 12"; what five per cent a month really leaves of a year
    is 54.0 %, not 40 %.
    """
    monthly = _monthly(on)
    return None if monthly is None else added_up(monthly)


def added_up(monthly: Sequence[Fraction]) -> Fraction:
    return 1 + sum((ratio - 1 for ratio in monthly), Fraction(0))


def _monthly(on: WindowInputs) -> list[Fraction] | None:
    """Each month's NRR; None where one of them has none."""
    found = [month.nrr for month in on.months if month.nrr is not None]
    return found if len(found) == len(on.months) else None


def start_grr(on: WindowInputs) -> Fraction | None:
    """Σ min(s, e) ÷ Σs of the opening customers: the formula of every report (README)."""
    return on.kept.grr


def gross_flows(on: WindowInputs) -> Fraction | None:
    """(Opening − every step down of the opening customers) ÷ opening.

    Source: Baremetrics' changelog, "Improved Revenue Churn Calculation": $500 → $1,379 →
    cancelled was 275.8 % churn, a GRR of −175.8 %.
    """
    return on.kept.of_opening(on.kept.opening_minor - on.fallen_minor)


def totals_min(on: WindowInputs) -> Fraction | None:
    """Min(Σs, Σe) ÷ Σs: the totals' minimum, not each customer's.

    Source: Chargebee's documentation, "Recurring Revenue", the example of gross revenue
    retention.
    """
    kept = on.kept
    return kept.of_opening(min(kept.opening_minor, kept.closing_minor))


def uncapped_gross(on: WindowInputs) -> Fraction | None:
    """Σe ÷ Σs, called gross: growth was not taken out.

    Printed wherever "revenue retained from existing customers" is read as all of it.
    """
    return on.kept.nrr


def start_crr(on: WindowInputs) -> Fraction | None:
    """Opening customers who still pay ÷ opening customers: of every report (README)."""
    return on.kept.crr


def crr_by_counts(on: WindowInputs) -> Fraction | None:
    """(Customers at the end − customers won) ÷ customers at the start.

    The formula of most glossaries, ((E − N) ÷ S) × 100.
    """
    if not on.kept.customers:
        return None
    return Fraction(on.paying_at_close - on.won, on.kept.customers)


def start_logo_churn(on: WindowInputs) -> Fraction | None:
    """1 − CRR."""
    return None if on.kept.crr is None else 1 - on.kept.crr


def logo_churn_stripe(on: WindowInputs) -> Fraction | None:
    """Customers who churned ÷ (customers at the opening + customers won).

    Source: Stripe's documentation, "Billing metric definitions", subscriber churn rate.
    """
    known = on.kept.customers + on.won
    return Fraction(on.churned, known) if known else None
