"""Risks and what is committed, as text, JSON, CSV and Markdown.

``committed`` are trailing-12 windows from the running one on. The opening of each is
known; its closing is what is paid then if what is scheduled happens and nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from msgspec.structs import asdict

from connector.core.dates import add_months
from connector.core.figures import WindowFigures
from connector.core.money import format_minor, ratio_number
from connector.mrr.risks import Risk, RiskReason
from connector.render.report_json import currency_json
from connector.render.table import (
    Cell,
    Money,
    Part,
    Percent,
    Table,
    Title,
    csv_text,
    figures,
)
from connector.reports.at_risk import AtRiskReport
from connector.reports.model import code_of, title_of


def risk_table(outlook: AtRiskReport) -> Table:
    """A row a reason, and all of them, in which MRR with several reasons counts once."""
    rows = []
    for reason in RiskReason:
        found = [risk for risk in outlook.risks if risk.reason is reason]
        if found:
            worth_minor = sum(risk.mrr_minor for risk in found)
            rows.append(_risk_row(str(reason), found, worth_minor, outlook))
    every = _risk_row("at risk", outlook.risks, outlook.at_risk_minor, outlook)
    return figures(("", "MRR", "Subscriptions", "Customers"), [*rows, every])


def _risk_row(
    name: str, found: Sequence[Risk], worth_minor: int, outlook: AtRiskReport
) -> Sequence[Cell]:
    subscriptions = {risk.subscription for risk in found if risk.subscription}
    customers = {risk.customer for risk in found}
    worth = Money(worth_minor, outlook.currency)
    return (name, worth, len(subscriptions) or "–", len(customers))


def committed_table(outlook: AtRiskReport) -> Table:
    """So far, then the running window and those to come; with what is set in each month."""
    scheduled_minor: Counter[date] = Counter()
    for each in outlook.scheduled:
        scheduled_minor[add_months(each.day.replace(day=1), 1)] += each.amount_minor
    rows: list[Sequence[Cell]] = [
        (f"{outlook.today:%d %b %Y}, so far", "", *_ratios(outlook.so_far))
    ]
    for window in outlook.committed:
        end = window.window.end
        set_minor = scheduled_minor[end]
        change = Money(set_minor, outlook.currency, signed=True) if set_minor else "–"
        rows.append((f"{end - timedelta(days=1):%b %Y}", change, *_ratios(window)))
    return figures(("12 months to", "Set in the month", "NRR", "GRR", "CRR"), rows)


def _ratios(measured: WindowFigures) -> Iterator[Cell]:
    return map(Percent, measured.retention.ratios.values())


def scheduled_table(outlook: AtRiskReport, labels: Mapping[str, str]) -> Table:
    rows = [
        (
            each.day,
            Money(each.amount_minor, outlook.currency, signed=True),
            each.kind.value,
            labels.get(each.customer, each.customer),
        )
        for each in outlook.scheduled
    ]
    heads = ("Scheduled", "Change", "Movement", "Customer")
    return Table(heads, rows, frozenset([1]))


def title(outlook: AtRiskReport, locale: str) -> str:
    mrr = format_minor(outlook.mrr_minor, outlook.currency, locale)
    whose = title_of(outlook.currency, is_total=outlook.is_total)
    return f"At risk, {whose}: of {mrr} on {outlook.today:%d %b %Y}"


COMMITTED = "Committed, if nothing else changes"
NOTE = (
    "Committed is no forecast: what NRR, GRR and CRR of the 12 months to each month are if "
    "what Stripe's objects already say happens (ends that are set, discounts running out) "
    "and nothing else changes. Expansion to come would raise NRR, and a customer that "
    "leaves and returns inside a window even GRR; trials count once they have converted. "
    "MRR with several reasons counts once in what is at risk; contracted lately is the "
    "last 90 days."
)


def parts(
    outlooks: Iterable[AtRiskReport], labels: Mapping[str, str], locale: str
) -> Iterator[Part]:
    """What may go, what is scheduled, and the ratios that follow from it."""
    for outlook in outlooks:
        yield Title(title(outlook, locale))
        yield risk_table(outlook) if outlook.risks else "Nothing is at risk."
        if outlook.scheduled:
            yield scheduled_table(outlook, labels)
        yield Title(f"{COMMITTED}, {outlook.currency.upper()}")
        yield committed_table(outlook)
    yield NOTE


def to_csv(outlooks: Sequence[AtRiskReport], labels: Mapping[str, str]) -> str:
    """A row a risk; amounts in whole units of the currency.

    Of the days one is told: when it ends, since when it is due, or when it shrank.
    """
    heads = (
        *("currency", "reason", "customer", "label", "subscription", "mrr"),
        *DAYS,
    )
    rows = (
        (
            code_of(risk.currency, is_total=outlook.is_total),
            *(risk.reason, risk.customer),
            *(labels.get(risk.customer, ""), risk.subscription),
            *(Money(risk.mrr_minor, risk.currency), *_days(risk).values()),
        )
        for outlook in outlooks
        for risk in outlook.risks
    )
    return csv_text(heads, rows)


DAYS = ("ends_on", "due_since", "shrank_on")
_DAY_OF = {
    RiskReason.PAST_DUE: "due_since",
    RiskReason.OPEN_INVOICE: "due_since",
    RiskReason.CONTRACTED: "shrank_on",
}


def _days(risk: Risk) -> dict[str, date | None]:
    """A risk's day under the name of what it is; a pause's and an update's is its end."""
    of = _DAY_OF.get(risk.reason, "ends_on")
    return {name: risk.day if name == of else None for name in DAYS}


def to_json(outlooks: Sequence[AtRiskReport]) -> dict[str, Any]:
    """Amounts in minor units a month; scheduled ones are signed."""
    return {"currencies": [_outlook_json(each) for each in outlooks]}


def _outlook_json(outlook: AtRiskReport) -> dict[str, Any]:
    worth: Counter[str] = Counter()
    for risk in outlook.risks:
        worth[risk.reason] += risk.mrr_minor
    return {
        **currency_json(outlook.currency, is_total=outlook.is_total),
        "today": outlook.today.isoformat(),
        "mrr_minor": outlook.mrr_minor,
        "at_risk_minor": outlook.at_risk_minor,
        "reasons": {reason.name.lower(): worth[reason] for reason in RiskReason},
        "risks": [
            {
                "reason": risk.reason.name.lower(),
                "customer": risk.customer,
                "subscription": risk.subscription or None,
                "mrr_minor": risk.mrr_minor,
                "day": risk.day and risk.day.isoformat(),
                **{k: day and day.isoformat() for k, day in _days(risk).items()},
            }
            for risk in outlook.risks
        ],
        "scheduled": [
            {**asdict(each), "day": each.day.isoformat()} for each in outlook.scheduled
        ],
        "so_far": _window_json(outlook.so_far),
        "committed": [_window_json(each) for each in outlook.committed],
    }


def _window_json(measured: WindowFigures) -> dict[str, Any]:
    base = measured.retention
    return {
        "from": measured.window.start.isoformat(),
        "to": measured.window.end.isoformat(),
        "opening_minor": base.opening_minor,
        "closing_minor": base.closing_minor,
        **{name: ratio_number(ratio) for name, ratio in base.ratios.items()},
    }
