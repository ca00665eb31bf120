"""At risk: whom to call, what is scheduled, and what follows if nothing else happens."""

from datetime import date
from typing import Any, NamedTuple

from connector.core.language import _
from connector.core.model import CustomerName
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest, words
from connector.dashboard.query import is_called, one_page, ordered, sort_asked
from connector.mrr.risks import RiskReason
from connector.render import at_risk as forms
from connector.render.page.losses import committed_chart
from connector.reports.risks.at_risk import at_risk_lines, at_risk_reports
from connector.reports.risks.model import AtRiskReport, AtRiskReports, CustomerAtRisk

KNOWN = frozenset(
    ("currency", "owner", "segment", "reason", "q", "sort", "page"),
)
NOBODY = AtRiskReports(currencies=(), labels={}, failed={})
NOTHING = NothingPaid(
    lambda _: forms.to_json(NOBODY), lambda _: forms.to_csv(()).text()
)
SORTS = ("mrr", "day", "renews", "name")


class ReasonCard(NamedTuple):
    """``name`` is what the address says."""

    reason: RiskReason
    name: str
    customers: int
    mrr_minor: int


def answer(asked: PageRequest) -> PageAnswer:
    currency, owner = asked.currency(), asked.query.text("owner") or None
    only = asked.only
    found = asked.reading.keep(
        ("at risk", currency, owner, only),
        lambda: at_risk_reports(asked.ledger, currency, owner=owner, only=only),
        lambda made: len(made.labels),
    )
    values, [outlook] = _values(asked, found), found.currencies
    has_nobody = bool(owner) and not outlook.mrr_minor
    return PageAnswer(
        template="at-risk.html.j2",
        title=_("At risk"),
        is_empty=has_nobody or bool(values["q"] and not values["page"].found),
        values={
            **values,
            **asked.pickers(currency),
            "owner": owner,
        },
        json=lambda: forms.to_json(found),
        csv=lambda: forms.to_csv(
            at_risk_lines(asked.ledger, currency, owner, only)[1]
        ).text(),
        command=[
            "at-risk",
            *words(currency=currency, owner=owner, segment=list(only)),
        ],
    )


def _values(asked: PageRequest, found: AtRiskReports) -> dict[str, Any]:
    [outlook] = found.currencies
    reasons = {each.reason for each in outlook.reasons}
    names = [each.name.lower() for each in RiskReason]
    chosen = asked.query.choice("reason", names, "")
    called = _called(asked, outlook, found, chosen)
    return {
        "outlook": outlook,
        "page": one_page(called, asked.query),
        "customers": outlook.every.customers,
        "paid_minor": sum(each.mrr_minor for each in called),
        "risk_minor": sum(each.at_risk_minor for each in called),
        "reasons": [
            ReasonCard(of.reason, of.reason.name.lower(), of.customers, of.mrr_minor)
            for of in outlook.reasons
            if of.reason is not None
        ],
        "absent": [str(each) for each in RiskReason if each not in reasons],
        "reason": chosen,
        "labels": found.labels,
        "failed": found.failed,
        "chart": committed_chart(outlook.committed),
        "soonest": min(outlook.scheduled, key=lambda s: s.day, default=None),
        "sort": sort_asked(asked.query, SORTS, "-mrr"),
        "q": asked.query.text("q"),
        "note": _(forms.NOTE),
        "has_owners": found.has_owners,
    }


def _called(
    asked: PageRequest, outlook: AtRiskReport, found: AtRiskReports, chosen: str
) -> list[CustomerAtRisk]:
    """Those that reason and name ask for, in the order asked for."""
    text, sort = asked.query.text("q"), sort_asked(asked.query, SORTS, "-mrr")
    kept = [
        each
        for each in outlook.customers
        if (not chosen or any(r.reason.name.lower() == chosen for r in each.risks))
        and (
            not text
            or is_called(
                CustomerName(each.customer, found.labels.get(each.customer)), text
            )
        )
    ]
    return ordered(
        kept,
        sort,
        {
            "mrr": lambda each: each.mrr_minor,
            "day": lambda each: min(
                (risk.day for risk in each.risks if risk.day is not None),
                default=date.max,
            ),
            "renews": lambda each: each.renews_on or date.max,
            "name": lambda each: found.labels.get(each.customer, "").casefold(),
        },
    )
