"""The ledger's churn and contraction movements of a window, with their components.

And of the customers that they name: since when they have paid, when they came back, and
what moved last.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from connector.core.dates import Days
from connector.core.model import Cause, Evidence, MovementKind
from connector.store.ledger.queries import KINDS, rows_as_of


class LostComponent(NamedTuple):
    """A component, signed, and its proofs."""

    cause: Cause
    amount_minor: int
    subscription: str
    evidence: tuple[Evidence, ...]


class LostMovement(NamedTuple):
    """A churn or contraction; ``customer`` is the ledger's key."""

    customer: int
    day: date
    kind: MovementKind
    amount_minor: int
    before_minor: int
    components: tuple[LostComponent, ...]


# What took away in a movement by another cause than these.
_OTHERS = """
    SELECT 1 FROM components AS part
    WHERE part.movement = movements.id AND part.amount_minor < 0
      AND part.cause NOT IN (SELECT value FROM json_each(:reducing))
"""
_LOST = """
    SELECT movements.id, customer, day, kind, movements.amount_minor, before_minor, cause,
           components.amount_minor, subscription,
           CASE WHEN :proofs OR cause IN ('end', 'removal', 'pause')
                THEN evidence END
    FROM movements JOIN components ON components.movement = movements.id
    WHERE currency = :currency AND day >= :since AND day < :until
      AND kind IN ('churn', 'contraction') AND {which}
      AND (kind = 'churn' OR NOT :leaves_out OR EXISTS ({others}))
    ORDER BY movements.id, position
""".replace("{others}", _OTHERS)
_REDUCED = """
    SELECT substr(day, 1, 7), count(*), -sum(amount_minor) FROM movements
    WHERE currency = :currency AND day >= :since AND day < :until
      AND kind = 'contraction' AND {which} AND NOT EXISTS ({others})
    GROUP BY 1
""".replace("{others}", _OTHERS)


def lost(
    connection: sqlite3.Connection,
    currency: str,
    since: date,
    until: date,
    as_of: datetime | None = None,
    *,
    proofs: bool = True,
    without: Collection[Cause] = (),
) -> Iterator[LostMovement]:
    """The live ones from ``since`` (in) to ``until`` (out), in the order of posting.

    Without ``proofs`` those alone of what ended or paused: the others tell no reason.
    ``without``: the contractions are left out in which nothing else took away.
    """
    asked = _asked(currency, since, until, without)
    chosen = {"proofs": proofs, "leaves_out": bool(without)}
    rows = rows_as_of(connection, _LOST, as_of, **asked, **chosen)
    causes = {cause.value: cause for cause in Cause}
    decoder = msgspec.json.Decoder(tuple[Evidence, ...])
    day_of = Days()
    for _, group in groupby(rows, key=lambda row: row[0]):
        own = list(group)
        _, customer, day, kind, amount_minor, before_minor, *_ = own[0]
        components = tuple(
            LostComponent(
                causes[cause],
                part_minor,
                subscription,
                () if evidence is None else decoder.decode(evidence),
            )
            for *_, cause, part_minor, subscription, evidence in own
        )
        movement = (customer, day_of[day], KINDS[kind], amount_minor, before_minor)
        yield LostMovement(*movement, components)


def _asked(
    currency: str, since: date, until: date, causes: Collection[Cause]
) -> dict[str, str]:
    reducing = json.dumps(sorted(causes))
    span = {"since": str(since), "until": str(until)}
    return {"currency": currency, **span, "reducing": reducing}


def reduced(
    connection: sqlite3.Connection,
    currency: str,
    since: date,
    until: date,
    causes: Collection[Cause],
    as_of: datetime | None = None,
) -> dict[str, tuple[int, int]]:
    """By month, the contractions in which nothing but ``causes`` took away.

    How many, and their sum, above 0.
    """
    asked = _asked(currency, since, until, causes)
    rows = rows_as_of(connection, _REDUCED, as_of, **asked)
    return {month: (count, minor) for month, count, minor in rows}


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


_CONTRACTED = """
    SELECT customers.id, max(day)
    FROM live_movements JOIN customers ON customers.key = live_movements.customer
    WHERE currency = ? AND kind = 'contraction' AND day > ?
    GROUP BY customers.key ORDER BY customers.key
"""


def contracted_since(
    connection: sqlite3.Connection, currency: str, day: date
) -> dict[str, date]:
    """Who paid less after a day, by id, and on which day last."""
    day_of = Days()
    rows = connection.execute(_CONTRACTED, [currency, str(day)])
    return {customer: day_of[last] for customer, last in rows}


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
