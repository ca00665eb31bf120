"""A closed month as text and JSON."""

from collections.abc import Sequence
from typing import Any

from connector.core.windows import name_of
from connector.render.footnotes import policy_sentence
from connector.render.report_json import currency_json, measured_json, span_json, utc
from connector.render.table import Cell, Money, Percent, Table, text_table
from connector.reports.closed_months import ClosedMonth
from connector.reports.model import title_of


def to_text(closed: ClosedMonth, locale: str) -> str:
    closing, kept, was_closed, _, seal = closed
    name = f"{closing.month:%b %Y}"
    verb = "was already closed, and stays as it is" if was_closed else "is closed"
    rows: list[Sequence[Cell]] = [
        (
            name_of(each.measured.window),
            title_of(each.currency, is_total=each.is_total),
            Money(each.measured.waterfall.opening_minor, each.currency),
            Money(each.measured.waterfall.closing_minor, each.currency),
            *map(Percent, each.measured.retention.ratios.values()),
        )
        for each in kept
    ]
    heads = ("As reported", "", "Opening", "Closing", "NRR", "GRR", "CRR")
    right = frozenset(range(2, 7))
    table = text_table(Table(heads, rows, right), locale) if rows else ""
    return (
        f"{name} {verb}.\n\n{table}\n"
        f"What counted: {policy_sentence(closing.policy)}.\n"
        f"{f'Sealed: {seal}' if seal else 'Not sealed yet: the next closing does it'}\n"
        f"The same again, whatever is corrected later:\n"
        f"  stripe-nrr report --from {closing.month:%Y-%m} --to {closing.month:%Y-%m} "
        f"--as-of {utc(closing.closed_at)}"
    )


def to_json(closed: ClosedMonth) -> dict[str, Any]:
    closing, kept, was_closed, _, seal = closed
    return {
        "month": f"{closing.month:%Y-%m}",
        "closed_at": utc(closing.closed_at),
        "was_closed": was_closed,
        "code_version": closing.code_version,
        "policy": dict(closing.policy),
        "seal": seal,
        "figures": [
            {
                **currency_json(each.currency, is_total=each.is_total),
                **span_json(each.measured.window),
                **measured_json(each.measured),
            }
            for each in kept
        ],
    }
