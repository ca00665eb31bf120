"""A digest as other programs read it."""

from typing import Any

from msgspec.structs import asdict

from connector.core.money import ratio_number
from connector.digest.news import Digest, MonthOver
from connector.render.coverage import outside_json
from connector.render.report.json_form import (
    currency_json,
    measured_json,
    note_json,
    span_json,
)
from connector.reports.closings.restatements import RestatementLine


def to_json(digest: Digest) -> dict[str, Any]:
    """Everything that is new, however much; amounts in minor units."""
    return {
        "since": None if digest.since is None else digest.since.isoformat(),
        "has_news": digest.has_news,
        "months": [_month_json(each) for each in digest.months],
        "notes": [note_json(each) for each in digest.notes],
        "moved": [_line_json(each, digest) for each in digest.moved],
        "restated": [_line_json(each, digest) for each in digest.restated],
        "at_risk": [
            {
                "customer": each.risk.customer,
                "label": digest.labels.get(each.risk.customer, each.risk.customer),
                "currency": each.risk.currency,
                "mrr_minor": each.mrr_minor,
                "reason": each.risk.reason.value,
                "day": None if each.risk.day is None else each.risk.day.isoformat(),
            }
            for each in digest.risks
        ],
        "not_covered": [outside_json(each) for each in digest.uncovered],
        "refused": [asdict(each) for each in digest.refused],
        "troubles": [each.sentence for each in digest.troubles],
    }


def _month_json(over: MonthOver) -> dict[str, Any]:
    return {
        **currency_json(over.part.currency, is_total=over.part.is_total),
        "trailing_12": {
            **span_json(over.headline.measured.window),
            **measured_json(over.headline.measured),
        },
        "month": {
            **span_json(over.month.measured.window),
            **measured_json(over.month.measured),
        },
        "goals": [
            {
                "metric": each.metric,
                "goal": ratio_number(each.goal),
                "is_reached": each.is_reached,
            }
            for each in over.goals
        ],
    }


def _line_json(line: RestatementLine, digest: Digest) -> dict[str, Any]:
    return {
        "customer": line.customer,
        "label": digest.labels.get(line.customer, line.customer),
        "currency": line.currency,
        "day": line.day.isoformat(),
        "amount_minor": line.amount_minor,
        "was": None if line.was is None else line.was.kind.value,
        "now": None if line.now is None else line.now.kind.value,
        "cause": line.run.cause,
        "reason": line.reason,
        **({"account": line.account} if line.account else {}),
    }
