"""What changed customers' MRR, by their ids; and what runs have changed of that since."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import itemgetter

from msgspec import Struct

from connector.core.dates import Days
from connector.core.model import CustomerName, Movement
from connector.store.ledger.as_of import rows_as_of, stamp
from connector.store.ledger.queries import TOGETHER, components_of, movement_of

DayChanges = dict[tuple[str, int], int]  # (currency, the day's ordinal) → minor units

_BY_CUSTOMER = """
    SELECT customers.id, label, currency, day, amount_minor
    FROM customers JOIN movements ON movements.customer = customers.key
    WHERE {which} ORDER BY customers.id
"""


def by_customer(
    connection: sqlite3.Connection,
) -> Iterator[tuple[CustomerName, DayChanges]]:
    """Everybody who ever paid, in order of the ids; a change a currency and day."""
    day_of = Days()
    rows = rows_as_of(connection, _BY_CUSTOMER, None)
    for (customer, label), own in groupby(rows, key=itemgetter(0, 1)):
        changes = {(c, day_of[day].toordinal()): minor for _, _, c, day, minor in own}
        yield CustomerName(customer, label), changes


_OF_CUSTOMER = """
    SELECT currency, day, amount_minor FROM movements
    WHERE customer = (SELECT key FROM customers WHERE id = :customer) AND {which}
"""


def as_of(
    connection: sqlite3.Connection, customer: str, moment: datetime
) -> DayChanges:
    """One customer's changes as the ledger had them at a past moment."""
    day_of = Days()
    rows = rows_as_of(connection, _OF_CUSTOMER, moment, customer=customer)
    return {(c, day_of[day].toordinal()): minor for c, day, minor in rows}


_RESTATED = """
    SELECT customers.id, runs.started_at
    FROM retractions JOIN movements ON movements.id = retractions.movement
    JOIN customers ON customers.key = movements.customer
    JOIN runs ON runs.id = retractions.run
    GROUP BY 1, 2 ORDER BY 1, 2
"""


def restated(connection: sqlite3.Connection) -> dict[str, list[datetime]]:
    """Whose movements were ever retracted, with the last moment before each time."""
    found: dict[str, list[datetime]] = {}
    for customer, started_at in connection.execute(_RESTATED):
        before = datetime.fromisoformat(started_at) - timedelta(microseconds=1)
        found.setdefault(customer, []).append(before)
    return found


class ChangingRun(Struct, frozen=True, kw_only=True):
    """The run that changed something; ``policy`` are its rules, and those before it."""

    id: int
    started_at: datetime
    cause: str
    policy: Mapping[str, str]
    policy_before: Mapping[str, str]


class LedgerChange(Struct, frozen=True, kw_only=True):
    """A movement that a run posted, or else retracted, for a ``reason``."""

    run: ChangingRun
    movement_id: int
    movement: Movement
    was_posted: bool
    reason: str


_CHANGES = """
    SELECT runs.id, runs.started_at, runs.cause, runs.policy,
           (SELECT policy FROM runs AS earlier WHERE earlier.id < runs.id
            ORDER BY earlier.id DESC LIMIT 1),
           changed.was_posted, changed.reason,
           movements.id, customers.id, currency, day, kind, amount_minor, before_minor,
           after_minor
    FROM (SELECT run, id AS movement, 1 AS was_posted, '' AS reason FROM movements
          UNION ALL SELECT run, movement, 0, reason FROM retractions) AS changed
    JOIN runs ON runs.id = changed.run
    JOIN movements ON movements.id = changed.movement
    JOIN customers ON customers.key = movements.customer
    WHERE runs.started_at > :since AND day < :before
    ORDER BY runs.id, customers.id, day, currency, was_posted
"""


def changes(
    connection: sqlite3.Connection, since: datetime, before: date
) -> Iterator[LedgerChange]:
    """All that was posted and retracted after a moment, of the days before another.

    By run, then customer and day, what was retracted first.
    """
    asked = {"since": stamp(since), "before": before.isoformat()}
    rows = connection.execute(_CHANGES, asked)
    while some := rows.fetchmany(TOGETHER):
        components = components_of(connection, [row[7] for row in some])
        for row in some:
            run, started_at, cause, policy, before_it, was_posted, reason = row[:7]
            yield LedgerChange(
                run=ChangingRun(
                    id=run,
                    started_at=datetime.fromisoformat(started_at),
                    cause=cause,
                    policy=json.loads(policy),
                    policy_before=json.loads(before_it or "{}"),
                ),
                movement_id=row[7],
                movement=movement_of(row[7:], components.get(row[7], ())),
                was_posted=bool(was_posted),
                reason=reason,
            )
