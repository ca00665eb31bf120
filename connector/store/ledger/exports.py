"""The ledger as flat tables for spreadsheets, warehouses and BI tools, row by row.

Amounts are whole minor units, signed; days are days of the reporting zone. A customer who
pays in two currencies has rows in both. ``complete`` is 1 where a row's month is over,
and 0 in the running one.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from connector.core.dates import add_months, month_start, months

Row = tuple[object, ...]


class Export(NamedTuple):
    """``columns`` are names and types (str, int or date); a value may be None."""

    columns: Mapping[str, type]
    rows: Callable[[sqlite3.Connection, date], Iterator[Row]]


def _days(rows: Iterator[Row], place: int) -> Iterator[Row]:
    """Rows with the text in one place read as a day."""
    for row in rows:
        yield (*row[:place], date.fromisoformat(str(row[place])), *row[place + 1 :])


def _marked(rows: Iterator[Row], place: int, today: date) -> Iterator[Row]:
    """Rows with, at their end, whether the month of the day in one place is over."""
    running = month_start(today)
    for row in rows:
        day = row[place]
        assert isinstance(day, date)
        yield (*row, int(day < running))


def _movements(connection: sqlite3.Connection, today: date) -> Iterator[Row]:
    rows = connection.execute(
        "SELECT live_movements.id, customers.id, label, country, currency, day, kind,"
        " amount_minor, before_minor, after_minor"
        " FROM live_movements JOIN customers ON customers.key = live_movements.customer"
        " ORDER BY day, live_movements.id"
    )
    return _marked(_days(rows, 5), 5, today)


def _components(connection: sqlite3.Connection, today: date) -> Iterator[Row]:
    rows = connection.execute(
        "SELECT movement, customers.id, currency, day, kind, cause,"
        " components.amount_minor, subscription, item, price, before, after, evidence"
        " FROM live_movements JOIN customers ON customers.key = live_movements.customer"
        " JOIN components ON components.movement = live_movements.id"
        " ORDER BY day, movement, position"
    )
    return _marked(_days(rows, 3), 3, today)


_BY_CUSTOMER = """
    SELECT customers.id, currency, day, after_minor
    FROM live_movements JOIN customers ON customers.key = live_movements.customer
    ORDER BY customer, currency, day
"""


def _mrr(connection: sqlite3.Connection, today: date) -> Iterator[Row]:
    """Each customer's MRR at each month's end, up to the month of today, where it pays."""
    end = add_months(today, 1)
    rows = connection.execute(_BY_CUSTOMER)
    for (customer, currency), own in groupby(rows, key=itemgetter(0, 1)):
        moved = [
            (month_start(date.fromisoformat(day)), minor) for *_, day, minor in own
        ]
        until = [month for month, _ in moved[1:]] + [end]
        for (since, after_minor), next_month in zip(moved, until, strict=True):
            if after_minor:
                for month in months(since, next_month):
                    over = int(add_months(month, 1) <= today)
                    yield customer, currency, month, after_minor, over


_CUSTOMERS = """
    SELECT customers.id, label, country, currency, min(day), sum(amount_minor),
           (SELECT price FROM plans WHERE plans.customer = customers.key
            AND plans.currency = live_movements.currency ORDER BY day DESC LIMIT 1)
    FROM live_movements JOIN customers ON customers.key = live_movements.customer
    GROUP BY customer, currency ORDER BY customers.id, currency
"""


def _customers(connection: sqlite3.Connection, _today: date) -> Iterator[Row]:
    return _days(connection.execute(_CUSTOMERS), 4)


_AMOUNTS = {"amount_minor", "before_minor", "after_minor", "mrr_minor"}
_NUMBERS = {"movement", "complete", *_AMOUNTS}
_DAYS = {"day", "month", "first_paid"}


def _columns(names: str) -> dict[str, type]:
    """What is neither a number nor a day is text."""
    return {
        name: int if name in _NUMBERS else date if name in _DAYS else str
        for name in names.split()
    }


EXPORTS: Mapping[str, Export] = {
    "movements": Export(
        _columns(
            "movement customer label country currency day kind"
            " amount_minor before_minor after_minor complete"
        ),
        _movements,
    ),
    "components": Export(
        _columns(
            "movement customer currency day kind cause amount_minor"
            " subscription item price before after evidence complete"
        ),
        _components,
    ),
    "mrr": Export(_columns("customer currency month mrr_minor complete"), _mrr),
    "customers": Export(
        _columns("customer label country currency first_paid mrr_minor price"),
        _customers,
    ),
}
