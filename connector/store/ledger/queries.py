"""The ledger read: its movements, now or as of a past moment."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from connector.core.dates import Days
from connector.core.errors import LedgerUnusable
from connector.core.model import (
    Cause,
    Component,
    Evidence,
    Flow,
    Movement,
    MovementKind,
)
from connector.core.windows import Window
from connector.store.database import json_array, scalar
from connector.store.ledger.as_of import AS_OF, LIVE, NOW, as_of_text, rows_as_of

TOGETHER = 1_000  # movements whose components are read with one query

# What restricts, by the parameter that it needs: of what is not asked SQLite need not
# think, and an index serves the rest.
_CONDITIONS = {
    "customer": "movements.customer = (SELECT key FROM customers WHERE id = :customer)",
    "from": "day >= :from",
    "to": "day < :to",
    "kind": "kind = :kind",
    "currency": "currency = :currency",
    "members": "currency || ' ' || movements.customer IN"
    " (SELECT value FROM json_each(:members))",
}
_ROW = """
    SELECT movements.id, customers.id, currency, day, kind, amount_minor, before_minor,
           after_minor
"""
_IN_ORDER = "ORDER BY day, customers.id, currency"
_NEWEST = "ORDER BY day DESC, customers.id, currency LIMIT :most OFFSET :skipped"
_COUNTED = "SELECT kind, count(*), sum(amount_minor)"


class Wanted(NamedTuple):
    """Which movements to read; None does not restrict. ``end`` is out.

    ``members`` are those whose movements alone count: the currency, a space, the ledger's
    key of the customer.
    """

    customer: str | None = None
    start: date | None = None
    end: date | None = None
    kind: MovementKind | None = None
    currency: str | None = None
    as_of: datetime | None = None
    members: frozenset[str] | None = None


class Slice(NamedTuple):
    """At most so many of them after the first ``skipped``."""

    skipped: int
    most: int


EVERYTHING = Wanted()
# A row of ``movements``: its id, the customer's id, and the rest.
MovementRow = tuple[int, str, str, str, str, int, int, int]


def movements(
    connection: sqlite3.Connection, wanted: Wanted = EVERYTHING
) -> Iterator[Movement]:
    """The live movements with their components, by day, then customer."""
    parameters = _parameters(wanted)
    rows = connection.execute(
        f"{_ROW} {_wanted_of(parameters)} {_IN_ORDER}", parameters
    )
    while some := rows.fetchmany(TOGETHER):
        yield from _movements_of(connection, some)


_BY_CUSTOMER = f"""
    {_ROW} FROM customers CROSS JOIN movements ON movements.customer = customers.key
    WHERE {LIVE} ORDER BY customers.id, currency, day
"""


def movements_by_customer(connection: sqlite3.Connection) -> Iterator[Movement]:
    """All live movements with their components, by customer, currency, then day."""
    rows = connection.execute(_BY_CUSTOMER)
    while some := rows.fetchmany(TOGETHER):
        yield from _movements_of(connection, some)


def count(connection: sqlite3.Connection) -> int:
    """How many live movements there are."""
    return int(scalar(connection, "SELECT count(*) FROM live_movements"))


def _wanted_of(parameters: Mapping[str, object]) -> str:
    """The live movements that the parameters ask for, after a SELECT."""
    asked = [sql for name, sql in _CONDITIONS.items() if parameters[name] is not None]
    which = LIVE if parameters["as_of"] == NOW else AS_OF
    return (
        "FROM movements JOIN customers ON customers.key = movements.customer"
        f" WHERE {' AND '.join([which, *asked])}"
    )


def _parameters(wanted: Wanted) -> dict[str, object]:
    return {
        "as_of": as_of_text(wanted.as_of),
        "customer": wanted.customer,
        "from": wanted.start and wanted.start.isoformat(),
        "to": wanted.end and wanted.end.isoformat(),
        "kind": wanted.kind,
        "currency": wanted.currency,
        "members": None if wanted.members is None else json_array(wanted.members),
    }


def newest_movements(
    connection: sqlite3.Connection, wanted: Wanted, which: Slice
) -> list[Movement]:
    """Some of the live movements, the newest day first."""
    parameters = _parameters(wanted)
    query = f"{_ROW} {_wanted_of(parameters)} {_NEWEST}"
    rows = connection.execute(query, {**parameters, **which._asdict()}).fetchall()
    return list(_movements_of(connection, rows))


def counted(
    connection: sqlite3.Connection, wanted: Wanted
) -> dict[MovementKind, tuple[int, int]]:
    """Of each kind that there is: how many live movements, and their signed sum."""
    parameters = _parameters(wanted)
    query = f"{_COUNTED} {_wanted_of(parameters)} GROUP BY kind"
    rows = connection.execute(query, parameters)
    return {KINDS[kind]: (number, minor) for kind, number, minor in rows}


def newest_run(connection: sqlite3.Connection) -> int:
    """The number of the last run; 0 before the first."""
    return int(scalar(connection, "SELECT coalesce(max(id), 0) FROM runs"))


def _movements_of(
    connection: sqlite3.Connection, rows: Sequence[MovementRow]
) -> Iterator[Movement]:
    parts = components_of(connection, [row[0] for row in rows])
    for row in rows:
        yield movement_of(row, parts.get(row[0], ()))


_LARGEST = f"""
    {_ROW} FROM movements JOIN customers ON customers.key = movements.customer
    WHERE currency = :currency AND day >= :since AND day < :until AND {{which}}
      AND (:own IS NULL OR customers.key IN (SELECT value FROM json_each(:own)))
    ORDER BY abs(amount_minor) DESC, day, customers.id LIMIT :count
"""  # noqa: S608


def largest(
    connection: sqlite3.Connection,
    currency: str,
    window: Window,
    count: int,
    as_of: datetime | None = None,
    own: Collection[int] | None = None,
) -> list[Movement]:
    """The live movements of a window that changed most, up or down, the largest first.

    ``own`` are the customers, by the ledger's key, of whom alone they are wanted.
    """
    since, until = str(window.start), str(window.end)
    asked = {"currency": currency, "since": since, "until": until, "count": count}
    keys = None if own is None else json_array(own)
    rows = rows_as_of(connection, _LARGEST, as_of, **asked, own=keys).fetchall()
    return list(_movements_of(connection, rows))


_Part = tuple[str, int, str, str, str, str, str, str]


def components_of(
    connection: sqlite3.Connection, movements: Sequence[int]
) -> dict[int, list[_Part]]:
    """The components of movements, as their rows say them, by movement."""
    rows = connection.execute(
        "SELECT movement, cause, amount_minor, subscription, item, price, before, after,"
        " evidence FROM components WHERE movement IN (SELECT value FROM json_each(?))"
        " ORDER BY movement, position",
        [json.dumps(movements)],
    )
    found: dict[int, list[_Part]] = {}
    for movement, *part in rows:
        found.setdefault(movement, []).append(tuple(part))
    return found


def movement_of(row: MovementRow, parts: Sequence[_Part]) -> Movement:
    """A row of ``movements`` as a value.

    Raises ``LedgerUnusable`` where it is none, or its components do not add up to it.
    """
    movement_id, customer, currency, day, kind, amount, before, after = row
    explained = sum(part[1] for part in parts)
    wrong = None
    if explained != amount:
        wrong = f"is {amount}, but its components add up to {explained}"
    elif before + amount != after or not amount:
        wrong = f"is {amount}, but goes from {before} to {after}"
    elif (amount < 0) is not (kind in (MovementKind.CHURN, MovementKind.CONTRACTION)):
        wrong = f"is {amount}, and booked as {kind}"
    if wrong is not None:
        raise LedgerUnusable(
            f"movement {movement_id} ({customer} {day} {currency}) {wrong}: the file was "
            "changed from outside",
            fix="restore a copy of it, or make a new one with `stripe-nrr sync`",
        )
    return Movement(
        customer=customer,
        currency=currency,
        day=date.fromisoformat(day),
        kind=MovementKind(kind),
        amount_minor=amount,
        before_minor=before,
        after_minor=after,
        components=tuple(
            Component(
                cause=Cause(part[0]),
                amount_minor=part[1],
                subscription=part[2],
                item=part[3],
                price=part[4],
                before=part[5],
                after=part[6],
                evidence=tuple(Evidence(*each) for each in json.loads(part[7])),
            )
            for part in parts
        ),
    )


_FLOWS = """
    SELECT customer, day, kind, amount_minor FROM movements
    WHERE currency = :currency AND day >= :since AND day < :until AND {which}
    ORDER BY customer, day
"""  # the order of an index, which costs nothing


def flows(
    connection: sqlite3.Connection,
    currency: str,
    as_of: datetime | None = None,
    since: date = date.min,
    until: date = date.max,
) -> Iterator[Flow]:
    """The live movements of a currency without their components, by customer, then day.

    ``since`` is in, ``until`` is out.
    """
    asked = {"currency": currency, "since": str(since), "until": str(until)}
    rows = rows_as_of(connection, _FLOWS, as_of, **asked)
    day_of, new = Days(), tuple.__new__  # Flow's own one is written in Python
    for customer, day, kind, amount_minor in rows:
        yield new(Flow, (customer, day_of[day], KINDS[kind], amount_minor))


_FIRST_DAY = "SELECT min(day) FROM movements WHERE currency = :currency AND {which}"


def first_day(
    connection: sqlite3.Connection, currency: str, as_of: datetime | None = None
) -> date | None:
    """Of a currency's first live movement."""
    [day] = rows_as_of(connection, _FIRST_DAY, as_of, currency=currency).fetchone()
    return None if day is None else date.fromisoformat(day)


KINDS = {kind.value: kind for kind in MovementKind}

# Counted by customer first, in the order of an index: nothing is sorted.
_CURRENCIES = """
    SELECT currency FROM (SELECT currency, count(*) AS movements FROM movements
                          WHERE {which} GROUP BY customer, currency)
    GROUP BY currency ORDER BY sum(movements) DESC, currency
"""


def currencies(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> list[str]:
    """The ledger's currencies, the one with most movements first."""
    return [currency for (currency,) in rows_as_of(connection, _CURRENCIES, as_of)]
