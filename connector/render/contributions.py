"""A window by customer, as text, JSON and CSV."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from connector.core.language import _, grouped, ngettext
from connector.core.model import CustomerName
from connector.core.money import format_count, format_ratio, ratio_number
from connector.core.windows import name_of
from connector.metrics.contributions import Contribution, Ratio
from connector.render.csv_table import csv_of
from connector.render.report.footnotes import nothing_to_retain
from connector.render.report.json_form import currency_json, only_json, span_json
from connector.render.report.segment_names import only_words
from connector.render.table import (
    Cell,
    Money,
    Part,
    Points,
    Table,
    Title,
    customer_cell,
    shown,
)
from connector.reports.explained.window import WindowExplanation
from connector.reports.model import title_of


def parts(
    found: list[WindowExplanation], locale: str, *, has_begun: bool = True
) -> Iterator[Part]:
    """``has_begun`` is False of a state of before the first run, which is said itself."""
    for each in found:
        yield Title(_title(each, locale))
        yield (
            _table(each)
            if each.kept.customers
            else nothing_to_retain(each.window.start)
        )
    if not found and has_begun:
        yield _("There is no recurring revenue in this ledger.")


def _title(taken: WindowExplanation, locale: str) -> str:
    kept, code = taken.kept, taken.currency
    span = name_of(taken.window) + ("" if taken.is_over else _(" (not over yet)"))
    only = f", {only_words(taken.only)}" if taken.only else ""
    title = _("{metric} of {span} · {whose}{only}: {ratio}").format(
        metric=taken.ratio.upper(),
        span=span,
        whose=title_of(code, is_total=taken.is_total),
        only=only,
        ratio=format_ratio(kept.ratios[taken.ratio]),
    )
    sides = [
        shown(Money(minor, code), locale)
        for minor in (taken.numerator_minor, kept.opening_minor)
    ]
    if taken.counts_customers:
        sides = [grouped(kept.kept), format_count(kept.customers, "customer")]
    return f"{title} = {' ÷ '.join(sides)}"


def _table(taken: WindowExplanation) -> Table:
    kept, code = taken.kept, taken.currency
    opening = Money(kept.opening_minor, code)
    reached = Money(taken.numerator_minor, code)
    rows: list[Sequence[Cell]] = [
        (
            customer_cell(account.id, {account.id: account.label}),
            each.kind,
            Money(each.opening_minor, code),
            Money(each.closing_minor, code) if each.closing_minor else "–",
            f"−{-each.customers}"
            if taken.counts_customers
            else Money(each.amount_minor, code, signed=True),
            Points(_points(taken, each)),
        )
        for account, each in taken.moved
    ]
    same = kept.customers - len(rows)
    counted = _(", growth left out") if taken.ratio is Ratio.GRR else ""
    last: Sequence[Cell] = (
        _("What they pay at the closing{counted}").format(counted=counted),
        *("", "", reached, "", ""),
    )
    if taken.counts_customers:
        stayed = _("Who pay at the closing: {number}").format(number=grouped(kept.kept))
        last = (stayed, "", "", "", "", "")
    rows = [
        (
            _("Opening: {customers}").format(
                customers=format_count(kept.customers, "customer")
            ),
            "",
            opening,
            "",
            "",
            "",
        ),
        *rows,
        (_others(same, taken), "", "", "", "–", "") if same else ("",) * 6,
        last,
    ]
    heads = (_("Customer"), "", _("Was"), _("Is"), _("Change"), _("Points"))
    told = [row for row in rows if any(row)]
    return Table(heads, told, frozenset([2, 3, 4, 5]), spare=(_("Was"),))


def _others(number: int, taken: WindowExplanation) -> str:
    """Who is in the base and not in the list."""
    said = (
        ngettext("{number} other, who stayed", "{number} others, who stayed", number)
        if taken.counts_customers
        else ngettext("{number} other, unmoved", "{number} others, unmoved", number)
    )
    return said.format(number=grouped(number))


def _points(taken: WindowExplanation, each: Contribution) -> Fraction | None:
    share = taken.share(each)
    return None if share is None else share * 100


def to_json(taken: WindowExplanation) -> dict[str, Any]:
    """CRR has no numerator and denominator in money: they are numbers of customers."""
    kept, is_money = taken.kept, not taken.counts_customers
    return {
        **currency_json(taken.currency, is_total=taken.is_total),
        **span_json(taken.window),
        "only": only_json(taken.only),
        "metric": taken.ratio.value,
        "ratio": ratio_number(kept.ratios[taken.ratio]),
        "customers": kept.customers,
        "customers_kept": kept.kept,
        "denominator_minor": kept.opening_minor if is_money else None,
        "numerator_minor": taken.numerator_minor if is_money else None,
        "contributions": [_moved_json(*each) for each in taken.moved],
    }


def _moved_json(account: CustomerName, each: Contribution) -> dict[str, Any]:
    return {
        "customer": account.id,
        "label": account.label,
        "kind": each.kind.value,
        "opening_minor": each.opening_minor,
        "closing_minor": each.closing_minor,
        "amount_minor": each.amount_minor,
        "customers": each.customers,
    }


def to_csv(found: list[WindowExplanation]) -> str:
    columns = (
        *("currency", "window", "from", "to", "metric", "customer", "kind"),
        *("opening_minor", "closing_minor", "contribution"),
    )
    return csv_of(columns, (each for taken in found for each in _records(taken))).text()


def _records(taken: WindowExplanation) -> Iterator[dict[str, Any]]:
    told = {
        **currency_json(taken.currency, is_total=taken.is_total),
        **span_json(taken.window),
        "metric": taken.ratio.value,
    }
    for account, each in taken.moved:
        amount = Money(each.amount_minor, taken.currency)
        counted = each.customers if taken.counts_customers else amount
        yield {**told, **_moved_json(account, each), "contribution": counted}
