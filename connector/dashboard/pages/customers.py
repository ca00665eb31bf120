"""All customers: what each pays, found by name and in any order."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from connector.core.language import _
from connector.core.model import CustomerName
from connector.core.windows import Window, WindowKind
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest
from connector.dashboard.query import is_called, one_page, ordered, sort_asked
from connector.metrics.retention import standing
from connector.render.csv_table import csv_text
from connector.render.table import Money
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.ledger import is_total
from connector.store.ledger import balances, customers

KNOWN = frozenset(("currency", "q", "status", "sort", "page", "as-of"))


STATUSES = ("paying", "gone", "all")


HEADS = ("customer", "label", "currency", "mrr")


NOTHING = NothingPaid(lambda _: {"customers": []}, lambda _: csv_text(HEADS, []))


class ListedCustomer(NamedTuple):
    name: CustomerName
    mrr_minor: int


def answer(asked: PageRequest) -> PageAnswer:
    currency, code = asked.currency(), asked.currency()
    if is_total(currency):
        code = asked.config.reporting_currency or code
    everybody = asked.reading.keep(
        ("customers", currency, asked.as_of), lambda: _everybody(asked, currency), len
    )
    found = _found(asked, everybody)
    page = one_page(found, asked.query)
    return PageAnswer(
        template="customers.html.j2",
        title=_("Customers"),
        is_empty=bool(asked.query.text("q")) and not found,
        values={
            "code": code,
            **asked.pickers(currency),
            "page": page,
            "mrr_minor": sum(each.mrr_minor for each in found),
            "all_minor": sum(each.mrr_minor for each in everybody),
            "paying": sum(each.mrr_minor > 0 for each in everybody),
            "status": asked.query.text("status", "paying"),
            "sort": sort_asked(asked.query, ("mrr", "name"), "-mrr"),
            "q": asked.query.text("q"),
            "on": asked.state.today,
        },
        json=lambda: _json(found, currency, code),
        csv=lambda: csv_text(
            HEADS,
            (
                (each.name.id, each.name.label, code, Money(each.mrr_minor, code))
                for each in found
            ),
        ),
        command=_command(asked, currency),
    )


def _command(asked: PageRequest, currency: str) -> Sequence[str]:
    """Of everybody who ever paid, in each currency; of a past moment there is none."""
    is_told = asked.as_of is None and not is_total(currency)
    return ("export", "--what", "customers") if is_told else ()


def _everybody(asked: PageRequest, currency: str) -> list[ListedCustomer]:
    """Whoever has ever paid in the currency, and what each pays at the last known day."""
    ledger, end = asked.ledger, asked.state.today + timedelta(days=1)
    named = customers.accounts(ledger.connection)
    if is_total(currency):
        paid = _paid_in_total(asked)
    else:
        paid = balances.balances(ledger.connection, currency, end, asked.as_of)
    code = None if is_total(currency) else currency
    months = balances.keys_by_first_month(ledger.connection, code)
    first = {key for keys in months.values() for key in keys}
    return [
        ListedCustomer(name, paid.get(key, 0))
        for key, name in named.items()
        if key in first
    ]


def _paid_in_total(asked: PageRequest) -> dict[int, int]:
    total = CurrencyTotal(asked.ledger, asked.as_of)
    flows, converted = total.flows(
        Window(WindowKind.YEAR, date.min, total.today + timedelta(days=1))
    )
    paid = standing({}, flows)
    return {key: converted.minor(units) for key, units in paid.items()}


def _found(
    asked: PageRequest, everybody: Iterable[ListedCustomer]
) -> list[ListedCustomer]:
    status = asked.query.choice("status", STATUSES, "paying")
    sort, text = (
        sort_asked(asked.query, ("mrr", "name"), "-mrr"),
        asked.query.text("q"),
    )
    found = [
        each
        for each in everybody
        if (status == "all" or (each.mrr_minor > 0) == (status == "paying"))
        and (not text or is_called(each.name, text))
    ]
    by_name = sorted(found, key=lambda each: (each.name.shown.casefold(), each.name.id))
    return ordered(
        by_name,
        sort,
        {
            "mrr": lambda each: each.mrr_minor,
            "name": lambda each: each.name.shown.casefold(),
        },
    )


def _json(found: Sequence[ListedCustomer], currency: str, code: str) -> Any:
    return {
        "currency": code,
        **({"is_total": True} if is_total(currency) else {}),
        "customers": [
            {"customer": e.name.id, "label": e.name.label, "mrr_minor": e.mrr_minor}
            for e in found
        ],
    }
