"""The ledger's churn and contraction movements of a window, with their components.

And of the customers that they name: since when they have paid, when they came back, and
what moved last.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from typing import NamedTuple

import msgspec

from connector.core.losses import LostPart
from connector.core.model import Cause, Evidence, MovementKind
from connector.store.database import json_array
from connector.store.ledger.as_of import rows_as_of
from connector.store.ledger.queries import KINDS

_PROVED = """
    CASE WHEN :proofs OR cause IN ('end', 'removal', 'pause')
    THEN CAST(evidence AS BLOB) END
"""
_AMONG = "movement IN (SELECT value FROM json_each(:movements))"
_FIRST = f"""
    SELECT movement, EXISTS (
               SELECT 1 FROM components AS more
               WHERE more.movement = components.movement AND more.position > 0
                 AND (more.cause <> components.cause OR more.evidence <> components.evidence
                      OR more.subscription <> components.subscription)),
           cause, 0, subscription, {_PROVED}
    FROM components WHERE {_AMONG} AND position = 0
"""  # noqa: S608
_ALL = f"""
    SELECT movement, cause, amount_minor, subscription, {_PROVED}
    FROM components WHERE {_AMONG} ORDER BY movement, position
"""  # noqa: S608


class LostParts(NamedTuple):
    """What movements lost, by movement: of most each component says the same of it.

    Then ``one`` has that, without an amount; ``several`` are the components of others.
    """

    one: dict[int, LostPart]
    several: dict[int, list[LostPart]]

    def parts(self) -> list[LostPart]:
        return [*self.one.values(), *chain.from_iterable(self.several.values())]


def lost_parts(
    connection: sqlite3.Connection, movements: Sequence[int], *, proofs: bool = True
) -> LostParts:
    """Without ``proofs`` those alone of what ended or paused: others tell no reason."""
    asked = {"movements": json_array(movements), "proofs": proofs}
    one, mixed = {}, []
    for movement, is_mixed, *told in connection.execute(_FIRST, asked):
        if is_mixed:
            mixed.append(movement)
        else:
            one[movement] = _part(*told)
    several: dict[int, list[LostPart]] = {movement: [] for movement in mixed}
    asked["movements"] = json_array(mixed)
    for movement, *told in connection.execute(_ALL, asked) if mixed else ():
        several[movement].append(_part(*told))
    return LostParts(one, several)


def _part(
    cause: str, amount_minor: int, subscription: str, text: bytes | None
) -> LostPart:
    evidence = _DECODER.decode(text) if text else ()
    said = frozenset([proof.summary for proof in evidence])
    return LostPart(_CAUSES[cause], amount_minor, subscription, evidence, said)


_CAUSES = {cause.value: cause for cause in Cause}
_DECODER = msgspec.json.Decoder(tuple[Evidence, ...])


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
    asked = {"currency": currency, "customers": json_array(customers)}
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
    asked = {"currency": currency, "customers": json_array(customers)}
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
    rows = connection.execute(_LAST, [json_array(customers), currency])
    return {
        customer: LastMovement(
            date.fromisoformat(day), KINDS[kind], amount_minor, Cause(cause)
        )
        for customer, day, kind, amount_minor, cause in rows
    }


_CAUSES_ON = """
    SELECT customer, currency, cause, components.amount_minor
    FROM json_each(?) AS asked
    JOIN live_movements ON customer = asked.key AND day = asked.value
    JOIN components ON movement = live_movements.id
    ORDER BY customer, currency, position
"""


def causes_on(
    connection: sqlite3.Connection,
    days: Mapping[int, date],
    units: Mapping[str, int],
) -> dict[int, Cause]:
    """What changed most on each one's day, whose currencies' minor units are ``units``."""
    asked = json.dumps({key: str(day) for key, day in days.items()})
    most: dict[int, tuple[int, Cause]] = {}
    for customer, code, cause, minor in connection.execute(_CAUSES_ON, [asked]):
        amount = abs(minor * units.get(code, 0))
        if customer not in most or amount > most[customer][0]:
            most[customer] = amount, _CAUSES[cause]
    return {customer: cause for customer, (_, cause) in most.items()}
