"""What changed each customer's MRR, by the customers' ids; and what was restated of it."""

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter

from connector.core.dates import Days
from connector.core.model import CustomerName
from connector.store.ledger.queries import rows_as_of

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
