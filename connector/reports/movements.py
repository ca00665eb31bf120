"""Movements added up by segment, and one movement found."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from connector.core.errors import NothingFound
from connector.core.model import CustomerName, Flow, Movement
from connector.core.windows import Window, WindowKind
from connector.metrics.currency_total import Conversion, movement_in_one, with_balance
from connector.metrics.retention import balances as standing_at
from connector.metrics.segments import CurrencyBook, SegmentMovements, moved_by_segment
from connector.reports.ledger import Ledger, is_total
from connector.reports.segments import segment_of, segment_of_total
from connector.store.ledger import balances, customers, queries
from connector.store.ledger.queries import EVERYTHING, Wanted

if TYPE_CHECKING:
    from connector.reports.currency_total import CurrencyTotal


class MovementList(NamedTuple):
    """``labels`` are what customers are called, by id."""

    movements: list[Movement]
    labels: Mapping[str, str]


def list_movements(ledger: Ledger, wanted: Wanted = EVERYTHING) -> MovementList:
    """The movements wanted, in order of days."""
    if is_total(wanted.currency):
        from connector.reports.currency_total import CurrencyTotal

        return _list_total(CurrencyTotal(ledger, wanted.as_of), wanted)
    _check_currency(ledger, wanted)
    return MovementList(
        movements=list(queries.movements(ledger.connection, wanted)),
        labels=customers.labels(ledger.connection),
    )


def _check_currency(ledger: Ledger, wanted: Wanted) -> None:
    if wanted.currency:
        ledger.currencies(wanted.currency)


def sum_movements(ledger: Ledger, by: str, wanted: Wanted) -> list[SegmentMovements]:
    """The sums of the movements wanted, by currency and segment."""
    _check_currency(ledger, wanted)
    connection = ledger.connection
    found = []
    start, end = wanted.start or date.min, wanted.end or date.max
    ids = customers.ids(connection) if wanted.customer else {}

    def is_wanted(flow: Flow) -> bool:
        return wanted.kind in (None, flow.kind) and (
            not wanted.customer or wanted.customer == ids[flow.customer]
        )

    chosen = is_wanted if wanted.kind or wanted.customer else None
    if is_total(wanted.currency):
        from connector.reports.currency_total import CurrencyTotal

        return _sum_total(CurrencyTotal(ledger), by, _span(start, end), chosen)
    for currency in queries.currencies(connection):
        if wanted.currency not in (None, currency):
            continue
        opening = balances.balances(connection, currency, start)
        flows = queries.flows(connection, currency, None, start, end)
        of = segment_of(connection, ledger.config, by, currency)
        book = CurrencyBook(opening, flows)
        found += moved_by_segment(currency, book, start, of, chosen)
    return found


def _span(start: date | None, end: date | None) -> Window:
    """Any days; the rates of the last one count."""
    return Window(WindowKind.YEAR, start or date.min, end or date.max)


def _list_total(total: "CurrencyTotal", wanted: Wanted) -> MovementList:
    """Each customer's net change a day, in whatever currencies."""
    connection = total.ledger.connection
    flows, found = total.flows(_span(wanted.start, wanted.end))
    ids = customers.ids(connection)
    booked: dict[tuple[str, date], list[Movement]] = defaultdict(list)
    each = wanted._replace(currency=None, kind=None)
    for movement in queries.movements(connection, each):
        booked[movement.customer, movement.day].append(movement)
    converted = (
        movement_in_one(total.currency, flow, before, booked[place], found)
        for flow, before in with_balance(flows)
        for place in [(ids[flow.customer], flow.day)]
        if place in booked and wanted.kind in (None, flow.kind)
    )
    moved = (movement for movement in converted if movement is not None)
    return MovementList(
        movements=sorted(moved, key=lambda movement: (movement.day, movement.customer)),
        labels=customers.labels(connection),
    )


def _sum_total(
    total: "CurrencyTotal",
    by: str,
    window: Window,
    is_wanted: Callable[[Flow], bool] | None,
) -> list[SegmentMovements]:
    flows, (units, scale) = total.flows(window)
    [opening] = standing_at(flows, [window.start])
    inside = [flow for flow in flows if window.start <= flow.day < window.end]
    of = segment_of_total(total.ledger, by, total.books, units, scale)
    book, minor = CurrencyBook(opening, inside), Conversion(units, scale).minor
    found = moved_by_segment(total.currency, book, window.start, of, is_wanted)
    return [
        each._replace(
            amounts_minor={k: minor(n) for k, n in each.amounts_minor.items()}
        )
        for each in found
    ]


def find_one(connection: sqlite3.Connection, text: str) -> CustomerName:
    found = customers.find_customer(connection, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NothingFound(
            f"no customer {text!r} in the ledger",
            fix="give an id as Stripe shows it (cus_…) or a part of the name; "
            "`stripe-nrr movements` lists who is there",
        )
    several = ", ".join(f"{each.label} ({each.id})" for each in found)
    raise NothingFound(
        f"several customers are called like {text!r}", fix=f"give an id: {several}"
    )
