"""`stripe-nrr explain --window`: a ratio by customer, adding up to its numerator."""

import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from connector import ledger
from connector.cli import Shell
from connector.cli_figures import currencies_asked, known_ledger
from connector.cli_output import json_text, write
from connector.columns import Table, to_csv, to_text
from connector.contributions import Contribution, Ratio, contributions
from connector.customers import Account, accounts
from connector.model import Retention, Window
from connector.money import format_minor, format_points, format_ratio, major
from connector.report import name_of
from connector.report_json import ratio_number, span_json
from connector.retention import measure


class TakenApart(NamedTuple):
    """One currency's ratio and who moved it, largest first."""

    currency: str
    window: Window
    ratio: Ratio
    kept: Retention
    moved: list[tuple[Account, Contribution]]

    @property
    def numerator_minor(self) -> int:
        return self.kept.opening_minor + sum(
            each.amount_minor for _, each in self.moved
        )


def show_window(
    connection: sqlite3.Connection,
    shell: Shell,
    window: Window,
    ratio: Ratio,
    currency: str | None,
    as_of: datetime | None,
    form: str,
    output: Path | None,
) -> None:
    known = known_ledger(connection, shell.config, shell.now(), as_of)
    named = accounts(connection)
    found = []
    for each in currencies_asked(connection, currency, as_of, known.synced_at):
        flows = list(ledger.flows(connection, each, as_of))
        [measured] = measure(flows, [window])
        moved = contributions(flows, window, ratio)
        whose = [(named[one.customer], one) for one in moved]
        found.append(TakenApart(each, window, ratio, measured.retention, whose))
    if form == "json":
        write(json_text([_as_json(each) for each in found]), output)
    elif form == "csv":
        write(_as_csv(found), output)
    else:
        locale = shell.config.locale
        texts = [
            _as_text(each, locale, is_over=window.end <= known.today) for each in found
        ]
        write(
            "\n".join(texts) or "There is no recurring revenue in this ledger.", output
        )


def _value(each: TakenApart) -> str:
    return format_ratio(each.kept.nrr if each.ratio is Ratio.NRR else each.kept.grr)


def _as_text(taken: TakenApart, locale: str, *, is_over: bool) -> str:
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
    return f"{title} = {reached} ÷ {opening}\n\n{to_text(table)}"


def _name(account: Account) -> str:
    return f"{account.label} ({account.id})" if account.label else account.id


def _points(kept: Retention, each: Contribution) -> Any:
    share = kept.of_opening(each.amount_minor)
    return None if share is None else share * 100


def _as_json(taken: TakenApart) -> dict[str, Any]:
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


def _as_csv(found: list[TakenApart]) -> str:
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
    return to_csv(heads, rows)
