"""Churn: who left, why, and how Stripe shows it."""

from datetime import date, timedelta
from typing import Any

from connector.core.dates import add_months, parse_month
from connector.core.language import _
from connector.core.losses import LossReason
from connector.dashboard.answer import (
    MOST_LINES,
    NothingPaid,
    PageAnswer,
    PageRequest,
    month_words,
    words,
)
from connector.render import churn as forms
from connector.render import departures
from connector.render.page.losses import loss_chart
from connector.render.report.reasons import REASON_WORDS
from connector.reports.churn import (
    ChurnReport,
    ChurnReports,
    ChurnRequest,
    churn_losses,
    churn_reports,
)
from connector.reports.ledger import is_total

KNOWN = frozenset(
    ("currency", "from", "to", "reason", "segment", "as-of"),
)


NOBODY_LEFT = ChurnReports(currencies=(), by=None)


NOTHING = NothingPaid(
    lambda _: forms.to_json(NOBODY_LEFT),
    lambda _: departures.losses_csv(()).text(),
)


def answer(asked: PageRequest) -> PageAnswer:
    """Who left and why; of the total each reason is told by currency alone."""
    codes = [code for code in asked.currencies() if not is_total(code)]
    currency = asked.currency()
    code = codes[0] if is_total(currency) else currency
    query = asked.query
    wanted = ChurnRequest(
        first=query.month("from"),
        last=query.month("to"),
        currency=code,
        as_of=asked.as_of,
        only=asked.only,
    )
    reports = asked.reading.keep(
        ("churn", wanted),
        lambda: churn_reports(asked.ledger, wanted),
        lambda made: sum(len(each.departures) for each in made.currencies),
    )
    [found] = reports.currencies
    return PageAnswer(
        template="churn.html.j2",
        title=_("Churn"),
        values={
            **_values(asked, found),
            "own_currency": code,
            "currencies": codes,
            "only": wanted.only,
        },
        json=lambda: forms.to_json(reports),
        csv=lambda: departures.losses_csv(churn_losses(asked.ledger, wanted)).text(),
        command=[
            "churn",
            *month_words(wanted.first, wanted.last),
            *words(currency=code, segment=list(wanted.only)),
        ],
    )


def _values(asked: PageRequest, found: ChurnReport) -> dict[str, Any]:
    reasons = [each.value for each in LossReason]
    reason = asked.query.choice("reason", reasons, "")
    return {
        "found": found,
        "left": [each for each in found.departures if reason in ("", each.reason)],
        "reason": reason,
        "reason_words": REASON_WORDS,
        "month_table": forms.month_table(found),
        "chart": loss_chart(found),
        "month_links": _months_of(found),
        "feedback_table": forms.feedback_table(found),
        "how_shown": departures.how_shown,
        "stated": departures.words,
        "lead": forms.lead(found, asked.config.locale),
        "not_nrr": forms.not_nrr(found, asked.config.locale),
        "span": forms.span_text(found.window),
        "most": MOST_LINES,
    }


def _months_of(found: ChurnReport) -> list[tuple[date, date]]:
    """The first and the last day of each month that is told."""
    starts = [parse_month(each.name) for each in found.months]
    return [(day, add_months(day, 1) - timedelta(days=1)) for day in starts]
