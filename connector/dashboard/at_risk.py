"""At risk: whom to call, what is scheduled, and what follows if nothing else happens."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from connector.core.model import CustomerName
from connector.dashboard.answer import Asked, PageAnswer, words
from connector.dashboard.query import is_called, one_page, ordered, sort_asked
from connector.mrr.risks import Risk, RiskReason, at_risk_minor
from connector.render import at_risk as forms
from connector.reports.at_risk import AtRiskReport, AtRiskReports, at_risk_reports

KNOWN = frozenset(("currency", "reason", "q", "sort", "page"))
SORTS = ("mrr", "day", "name")


class CustomerAtRisk(NamedTuple):
    """``mrr_minor`` counts once what has several reasons; ``day`` is the first of them."""

    name: CustomerName
    mrr_minor: int
    risks: Sequence[Risk]
    day: date | None


class ReasonSum(NamedTuple):
    reason: RiskReason
    name: str
    customers: int
    mrr_minor: int


def answer(asked: Asked) -> PageAnswer:
    currency = asked.currency()
    found = asked.reading.keep(
        ("at risk", currency),
        lambda: at_risk_reports(asked.ledger, currency),
        lambda made: len(made.labels),
    )
    [outlook] = found.currencies
    reasons = [each for each in RiskReason if any(_is(r, each) for r in outlook.risks)]
    chosen = asked.query.choice(
        "reason", [each.name.lower() for each in RiskReason], ""
    )
    called = _called(asked, outlook, found, chosen)
    page = one_page(called, asked.query)
    return PageAnswer(
        template="at-risk.html.j2",
        title="At risk",
        values={
            "outlook": outlook,
            "page": page,
            "customers": len({risk.customer for risk in outlook.risks}),
            "reasons": [_sum(outlook, each) for each in reasons],
            "absent": [str(each) for each in RiskReason if each not in reasons],
            "reason": chosen,
            "labels": found.labels,
            "failed": found.failed,
            "soonest": min(outlook.scheduled, key=lambda s: s.day, default=None),
            "own_currency": currency,
            "currencies": asked.currencies(),
            "sort": sort_asked(asked.query, SORTS, "-mrr"),
            "q": asked.query.text("q"),
            "note": forms.NOTE,
        },
        json=lambda: forms.to_json(found.currencies),
        csv=lambda: forms.to_csv(found.currencies, found.labels),
        command=["at-risk", *words(currency=currency)],
    )


def _is(risk: Risk, reason: RiskReason) -> bool:
    return risk.reason is reason


def _sum(outlook: AtRiskReport, reason: RiskReason) -> ReasonSum:
    own = [risk for risk in outlook.risks if risk.reason is reason]
    worth_minor = sum(risk.mrr_minor for risk in own)
    customers = len({risk.customer for risk in own})
    return ReasonSum(reason, reason.name.lower(), customers, worth_minor)


def _called(
    asked: Asked, outlook: AtRiskReport, found: AtRiskReports, chosen: str
) -> list[CustomerAtRisk]:
    own: dict[str, list[Risk]] = {}
    for risk in outlook.risks:
        own.setdefault(risk.customer, []).append(risk)
    text, sort = asked.query.text("q"), sort_asked(asked.query, SORTS, "-mrr")
    listed = [
        CustomerAtRisk(
            CustomerName(key, found.labels.get(key)),
            at_risk_minor(risks),
            risks,
            min((risk.day for risk in risks if risk.day is not None), default=None),
        )
        for key, risks in own.items()
        if not chosen or any(risk.reason.name.lower() == chosen for risk in risks)
    ]
    kept = [each for each in listed if not text or is_called(each.name, text)]
    return ordered(
        sorted(kept, key=lambda each: each.name.id),
        sort,
        {
            "mrr": lambda each: each.mrr_minor,
            "day": lambda each: each.day or date.max,
            "name": lambda each: each.name.shown.casefold(),
        },
    )
