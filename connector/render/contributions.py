"""A window by customer, as text, JSON and CSV."""

from typing import Any

from connector.core.figures import Retention
from connector.core.money import format_minor, format_points, format_ratio, major
from connector.core.windows import name_of
from connector.metrics.contributions import Contribution, Ratio
from connector.render.report_json import ratio_number, span_json
from connector.render.table import Table, csv_text, text_table
from connector.reports.explain import WindowExplanation
from connector.store.ledger.customers import CustomerName


def _value(each: WindowExplanation) -> str:
    return format_ratio(each.kept.nrr if each.ratio is Ratio.NRR else each.kept.grr)


def to_text(taken: WindowExplanation, locale: str, *, is_over: bool) -> str:
    def money(minor: int, *, signed: bool = False) -> str:
        return format_minor(minor, taken.currency, locale, signed=signed)

    kept, name = taken.kept, taken.ratio.upper()
    opening, reached = money(kept.opening_minor), money(taken.numerator_minor)
    span = name_of(taken.window) + ("" if is_over else " (not over yet)")
    rows = [
        (
            _name(account),
            each.kind.value,
            money(each.opening_minor),
            money(each.closing_minor) if each.closing_minor else "–",
            money(each.amount_minor, signed=True),
            format_points(_points(kept, each)),
        )
        for account, each in taken.moved
    ]
    same = kept.customers - len(rows)
    counted = "" if taken.ratio is Ratio.NRR else ", growth left out"
    rows = [
        (f"Opening: {kept.customers} customers", "", opening, "", "", ""),
        *rows,
        (f"{same} others, unmoved", "", "", "", "–", "") if same else ("",) * 6,
        (f"What they pay at the closing{counted}", "", "", reached, "", ""),
    ]
    heads = ("Customer", "", "Was", "Is", "Change", "Points")
    table = Table(heads, [row for row in rows if any(row)], frozenset([2, 3, 4, 5]))
    title = f"{name} of {span} · {taken.currency.upper()}: {_value(taken)}"
    return f"{title} = {reached} ÷ {opening}\n\n{text_table(table)}"


def _name(account: CustomerName) -> str:
    return f"{account.label} ({account.id})" if account.label else account.id


def _points(kept: Retention, each: Contribution) -> Any:
    share = kept.of_opening(each.amount_minor)
    return None if share is None else share * 100


def to_json(taken: WindowExplanation) -> dict[str, Any]:
    kept = taken.kept
    return {
        "currency": taken.currency,
        **span_json(taken.window),
        "metric": taken.ratio.value,
        "ratio": ratio_number(kept.nrr if taken.ratio is Ratio.NRR else kept.grr),
        "customers": kept.customers,
        "denominator_minor": kept.opening_minor,
        "numerator_minor": taken.numerator_minor,
        "contributions": [
            {
                "customer": account.id,
                "label": account.label,
                "kind": each.kind.value,
                "opening_minor": each.opening_minor,
                "closing_minor": each.closing_minor,
                "amount_minor": each.amount_minor,
            }
            for account, each in taken.moved
        ],
    }


def to_csv(found: list[WindowExplanation]) -> str:
    heads = (
        *("currency", "window", "from", "to", "metric", "customer", "kind"),
        *("opening", "closing", "contribution"),
    )
    rows = [
        (
            *(taken.currency, taken.window.kind, taken.window.start, taken.window.end),
            *(taken.ratio, account.id, each.kind),
            *(
                major(minor, taken.currency)
                for minor in (each.opening_minor, each.closing_minor, each.amount_minor)
            ),
        )
        for taken in found
        for account, each in taken.moved
    ]
    return csv_text(heads, rows)
