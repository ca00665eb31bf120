"""Risks and what is committed, as text, JSON, CSV and Markdown.

``committed`` are trailing-12 windows from the running one on. The opening of each is
known; its closing is what is paid then if what is scheduled happens and nothing else.
"""

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


from connector.core.figures import WindowFigures
from connector.core.money import format_minor, format_ratio, major
from connector.mrr.risks import Risk, RiskReason
from connector.render.report_json import ratio_number
from connector.render.table import markdown_table
from connector.render.terminal import table
from connector.reports.at_risk import AtRiskReport

RISK_HEADINGS = ("", "MRR", "Subscriptions", "Customers")
COMMITTED_HEADINGS = ("12 months to", "NRR", "GRR", "CRR")
SCHEDULED_HEADINGS = ("Scheduled", "Change", "Movement", "Customer")


def risk_rows(outlook: AtRiskReport, locale: str) -> list[list[str]]:
    """A row a reason, and all of them, in which MRR with several reasons counts once."""
    rows = []
    for reason in RiskReason:
        found = [risk for risk in outlook.risks if risk.reason is reason]
        if found:
            worth = sum(risk.mrr_minor for risk in found)
            rows.append([str(reason), *_row(found, worth, outlook, locale)])
    every = outlook.risks
    return [*rows, ["at risk", *_row(every, outlook.at_risk_minor, outlook, locale)]]


def _row(
    found: Sequence[Risk], worth_minor: int, outlook: AtRiskReport, locale: str
) -> list[str]:
    subscriptions = {risk.subscription for risk in found if risk.subscription}
    return [
        format_minor(worth_minor, outlook.currency, locale),
        f"{len(subscriptions):,}" if subscriptions else "–",
        f"{len({risk.customer for risk in found}):,}",
    ]


def committed_rows(outlook: AtRiskReport) -> list[list[str]]:
    """So far, then the running window and those to come."""
    return [
        _ratios(f"{outlook.today:%d %b %Y}, so far", outlook.so_far),
        *(
            _ratios(f"{each.window.end - timedelta(days=1):%b %Y}", each)
            for each in outlook.committed
        ),
    ]


def _ratios(name: str, measured: WindowFigures) -> list[str]:
    base = measured.retention
    return [name, *(format_ratio(each) for each in (base.nrr, base.grr, base.crr))]


def scheduled_rows(
    outlook: AtRiskReport, labels: dict[str, str], locale: str
) -> list[list[str]]:
    return [
        [
            str(each.day),
            format_minor(each.amount_minor, outlook.currency, locale, signed=True),
            each.kind.value,
            labels.get(each.customer, each.customer),
        ]
        for each in outlook.scheduled
    ]


def title(outlook: AtRiskReport, locale: str) -> str:
    mrr = format_minor(outlook.mrr_minor, outlook.currency, locale)
    return f"At risk, {outlook.currency.upper()}: of {mrr} on {outlook.today:%d %b %Y}"


NOTE = (
    "Committed: what NRR, GRR and CRR of the 12 months to each month will be when what "
    "Stripe's objects already say happens (ends that are set, discounts running out) and "
    "nothing else; trials count once they have converted. MRR with several reasons "
    "counts once in what is at risk; contracted lately is the last 90 days."
)


def to_markdown(
    outlooks: Sequence[AtRiskReport], labels: dict[str, str], locale: str
) -> str:
    parts = []
    for outlook in outlooks:
        parts.append(f"## {title(outlook, locale)}\n")
        parts.append(markdown_table(RISK_HEADINGS, risk_rows(outlook, locale)))
        rows = scheduled_rows(outlook, labels, locale)
        if rows:
            parts.append(markdown_table(SCHEDULED_HEADINGS, rows))
        parts.append(markdown_table(COMMITTED_HEADINGS, committed_rows(outlook)))
    return "\n".join([*parts, NOTE]) + "\n"


def to_csv(outlooks: Sequence[AtRiskReport]) -> str:
    """A row a risk; amounts in whole units of the currency."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["currency", "reason", "customer", "subscription", "mrr", "day"])
    for outlook in outlooks:
        for risk in outlook.risks:
            amount = major(risk.mrr_minor, risk.currency)
            named = (risk.currency, risk.reason, risk.customer, risk.subscription)
            writer.writerow([*named, amount, risk.day or ""])
    return out.getvalue()


def to_json(outlooks: Sequence[AtRiskReport]) -> dict[str, Any]:
    """Amounts in minor units a month; scheduled ones are signed."""
    return {"currencies": [_outlook_json(each) for each in outlooks]}


def _outlook_json(outlook: AtRiskReport) -> dict[str, Any]:
    worth: Counter[str] = Counter()
    for risk in outlook.risks:
        worth[risk.reason] += risk.mrr_minor
    return {
        "currency": outlook.currency,
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
            }
            for risk in outlook.risks
        ],
        "scheduled": [
            {
                "day": each.day.isoformat(),
                "customer": each.customer,
                "kind": each.kind.value,
                "amount_minor": each.amount_minor,
            }
            for each in outlook.scheduled
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
        "nrr": ratio_number(base.nrr),
        "grr": ratio_number(base.grr),
        "crr": ratio_number(base.crr),
    }


def outlook_view(
    outlooks: Sequence[AtRiskReport], labels: dict[str, str], locale: str
) -> "RenderableType":
    """What may go, what is scheduled, and the ratios that follow from it."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for outlook in outlooks:
        parts.append(Text(f"\n{title(outlook, locale)}", style="bold"))
        parts.append(table(RISK_HEADINGS, risk_rows(outlook, locale), sys.maxsize))
        rows = scheduled_rows(outlook, labels, locale)
        if rows:
            words = (0, 2, 3)
            parts.append(table(SCHEDULED_HEADINGS, rows, sys.maxsize, words=words))
        committed = committed_rows(outlook)
        parts.append(table(COMMITTED_HEADINGS, committed, sys.maxsize))
    parts.append(Text(NOTE, style="dim"))
    return Group(*parts)
