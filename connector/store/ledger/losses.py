"""The ledger's churn and contraction movements of a window, with their components.

And of the customers that they name: since when they have paid, when they came back, and
what moved last.
"""

import json
import sqlite3
from collections.abc import Collection, Sequence
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import NamedTuple

import msgspec

from connector.core.losses import LostPart
from connector.core.model import Cause, Evidence, MovementKind
from connector.store.ledger.queries import KINDS, rows_as_of

_MOVEMENT, _SUMMARY = itemgetter(0), attrgetter("summary")
_LOST = """
    SELECT movement, cause, amount_minor, subscription,
           CASE WHEN :proofs OR cause IN ('end', 'removal', 'pause') THEN evidence END
    FROM components WHERE movement IN (SELECT value FROM json_each(:movements))
    ORDER BY movement, position
"""


def lost_parts(
    connection: sqlite3.Connection, movements: Sequence[int], *, proofs: bool = True
) -> dict[int, list[LostPart]]:
    """The components of some movements, by movement.

    Without ``proofs`` those alone of what ended or paused: the others tell no reason.
    """
    asked = {"movements": json.dumps(movements), "proofs": proofs}
    causes = {cause.value: cause for cause in Cause}
    decode = msgspec.json.Decoder(tuple[Evidence, ...]).decode
    new = tuple.__new__  # LostPart's own one is written in Python

    def part(row: tuple[int, str, int, str, str | None]) -> LostPart:
        _, cause, minor, subscription, proved = row
        evidence = decode(proved) if proved else ()
        said = frozenset(map(_SUMMARY, evidence))
        told = causes[cause], minor, subscription, evidence, said, False, None
        return new(LostPart, told)

    rows = connection.execute(_LOST, asked)
    return {movement: [*map(part, own)] for movement, own in groupby(rows, _MOVEMENT)}


_FIRST_DAYS = """
    SELECT customer, min(day) FROM movements
    WHERE customer IN (SELECT value FROM json_each(:customers)) AND currency = :currency
      AND {which} GROUP BY customer
"""


def first_days(
    connection: sqlite3.Connection,
    currency: str,
    customers: Collection[int],
    as_of: datetime | None = None,
) -> dict[int, date]:
    """Since when each of them has paid in a currency, by the ledger's key."""
    asked = {"currency": currency, "customers": json.dumps(sorted(customers))}
    rows = rows_as_of(connection, _FIRST_DAYS, as_of, **asked)
    return {customer: date.fromisoformat(day) for customer, day in rows}


_RETURNS = """
    SELECT customer, day, amount_minor FROM movements
    WHERE customer IN (SELECT value FROM json_each(:customers)) AND currency = :currency
      AND kind = 'reactivation' AND {which} ORDER BY customer, day
"""


def returns(
    connection: sqlite3.Connection,
    currency: str,
    customers: Collection[int],
    as_of: datetime | None = None,
) -> dict[int, list[tuple[date, int]]]:
    """When each of them came back, and with how much; those who did not are absent."""
    asked = {"currency": currency, "customers": json.dumps(sorted(customers))}
    found: dict[int, list[tuple[date, int]]] = {}
    for customer, day, minor in rows_as_of(connection, _RETURNS, as_of, **asked):
        found.setdefault(customer, []).append((date.fromisoformat(day), minor))
    return found


class LastMovement(NamedTuple):
    """What moved a customer's MRR last in a currency."""

    day: date
    kind: MovementKind
    amount_minor: int
    cause: Cause


_LAST = """
    SELECT customer, max(day), kind, amount_minor,
           (SELECT cause FROM components WHERE movement = live_movements.id
            ORDER BY abs(components.amount_minor) DESC, position LIMIT 1)
    FROM live_movements
    WHERE customer IN (SELECT value FROM json_each(?)) AND currency = ?
    GROUP BY customer
"""  # SQLite takes the other columns from the row of the maximum


def last_movements(
    connection: sqlite3.Connection, currency: str, customers: Collection[int]
) -> dict[int, LastMovement]:
    """Of each of them the last one, with the cause that changed most."""
    rows = connection.execute(_LAST, [json.dumps(sorted(customers)), currency])
    return {
        customer: LastMovement(
            date.fromisoformat(day), KINDS[kind], amount_minor, Cause(cause)
        )
        for customer, day, kind, amount_minor, cause in rows
    }
