"""What a reader must know to trust a report's figures, in sentences."""

from collections.abc import Mapping

from connector.core.policy import POLICY_RULES
from connector.reports.model import Report

FORMULA = (
    "NRR = what the customers of the opening pay at the closing ÷ what they paid at the "
    "opening; GRR the same with growth left out; CRR their number."
)

FX = (
    "All currencies: one rate, of a window's last day, converts both of its ends; what "
    "the opening was worth at its own day's rate, and is not any more, is fx."
)

RESTATED = (
    "As reported: when the month was closed; `stripe-nrr restatements` lists what was "
    "booked since."
)

MORE = (
    "Logo churn = 1 − CRR, gross churn = 1 − GRR, net churn = 1 − NRR; renewed = of the "
    "subscriptions with a term that ended in the window, those that went on, by number "
    "and by MRR; quick ratio = what was gained ÷ what was lost; ARPA = closing ÷ paying "
    "customers; LTV = ARPA over the window ÷ its logo churn."
)

SEGMENTS = (
    "A customer belongs to the segment it had at a window's opening, or with which it "
    "came: moving between two is no churn, and segments add up to the total."
)

CAUSES = (
    "Causes: the net change of each customer of the opening who still pays; they add up "
    "to the expansion and contraction behind NRR."
)


def footnotes(report: Report) -> list[str]:
    """What a reader must know to trust the figures."""
    notes = []
    if any(not row.complete for part in report.parts for row in part.rows):
        notes.append(f"* not over yet: figures up to {report.today:%d %b %Y}.")
    if any(row.reported for part in report.parts for row in part.rows):
        notes.append(RESTATED)
    notes += [FORMULA, f"What counts: {policy_sentence(report.policy)}.", MORE]
    if report.by is not None:
        notes.append(SEGMENTS)
    if any(row.causes for part in report.parts for row in part.rows):
        notes.append(CAUSES)
    if report.total is not None:
        notes.append(FX)
    if report.refusals:
        customers = len({refusal.customer for refusal in report.refusals})
        notes.append(
            f"Not valued: {len(report.refusals)} objects of {customers} customers are "
            "missing from these figures; `stripe-nrr check` names them."
        )
    if report.waiting:
        notes.append(
            f"Not derived: {report.waiting} customers stand here as they were before "
            "their last change; `stripe-nrr check` names them."
        )
    return notes


_NEVER = "other trials, taxes, one-off items and refunds never count"


def policy_sentence(policy: Mapping[str, str]) -> str:
    """What counts, in words a reader of the report can check."""
    said = [rule.sentence(rule.of(policy)) for rule in POLICY_RULES.values()]
    return "; ".join([*said, _NEVER])
