"""What customers pay, as the figures need it: balances, net changes, and who they are.

Reads the ledger's live movements, or those that were live as of a moment.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter

from connector.core.dates import Days
from connector.core.model import Flow
from connector.store.database import json_array
from connector.store.ledger.as_of import AS_OF, NOW, rows_as_of
from connector.store.ledger.queries import KINDS

_FLOWS_OF_SOME = """
    SELECT customer, currency, day, kind, amount_minor FROM movements
    WHERE customer IN (SELECT value FROM json_each(:customers)) AND {which}
    ORDER BY customer, currency, day
"""


def flows_of_some(
    connection: sqlite3.Connection,
    customers: Collection[int],
    as_of: datetime | None = None,
) -> Iterator[list[tuple[str, Flow]]]:
    """Of each of these who has any: the live movements by currency, then day."""
    if not customers:
        return
    asked = json_array(customers)
    rows = rows_as_of(connection, _FLOWS_OF_SOME, as_of, customers=asked)
    day_of = Days()
    for key, own in groupby(rows, key=itemgetter(0)):
        yield [
            (c, Flow(key, day_of[d], KINDS[kind], minor))
            for _, c, d, kind, minor in own
        ]


_BALANCES = """
    SELECT customer, sum(amount_minor) FROM movements
    WHERE currency = :currency AND day < :day AND {which}
    GROUP BY customer HAVING sum(amount_minor) > 0
"""


def balances(
    connection: sqlite3.Connection,
    currency: str,
    day: date,
    as_of: datetime | None = None,
) -> dict[int, int]:
    """What each paying customer paid at the very beginning of ``day``."""
    asked = {"currency": currency, "day": str(day)}
    return dict(rows_as_of(connection, _BALANCES, as_of, **asked).fetchall())


_WORTH = """
    SELECT currency, subscription, sum(components.amount_minor)
    FROM live_movements JOIN components ON components.movement = live_movements.id
    WHERE customer = (SELECT key FROM customers WHERE id = ?)
    GROUP BY currency, subscription HAVING sum(components.amount_minor) > 0
"""


def worth(connection: sqlite3.Connection, customer: str) -> dict[str, tuple[str, int]]:
    """The currency and MRR of each subscription for which a customer pays now."""
    rows = connection.execute(_WORTH, [customer])
    return {subscription: (currency, minor) for currency, subscription, minor in rows}


_OUTSIDE = """
    SELECT customers.id, currency, sum(components.amount_minor)
    FROM live_movements JOIN components ON components.movement = live_movements.id
    JOIN customers ON customers.key = live_movements.customer
    WHERE subscription = '' AND day <= ?
    GROUP BY customers.id, currency
"""


def invoiced_by_period(
    connection: sqlite3.Connection, on: date
) -> dict[str, dict[str, int]]:
    """What of each customer's MRR on a day is of no subscription, by currency."""
    return _by_customer(connection.execute(_OUTSIDE, [str(on)]))


_MRR = f"""
    SELECT customers.id, currency, sum(amount_minor) AS mrr_minor
    FROM movements JOIN customers ON customers.key = movements.customer
    WHERE day <= :on AND {AS_OF}
    GROUP BY movements.customer, currency HAVING mrr_minor <> 0
"""  # noqa: S608


def mrr_on(connection: sqlite3.Connection, on: date) -> dict[str, dict[str, int]]:
    """Each paying customer's MRR at the end of a day, by currency."""
    return _by_customer(connection.execute(_MRR, {"on": str(on), "as_of": NOW}))


def _by_customer(rows: Iterable[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for customer, currency, minor in rows:
        found.setdefault(customer, {})[currency] = minor
    return found


def countries(
    connection: sqlite3.Connection, customers: Collection[int]
) -> dict[int, str]:
    """The country of each of these; those without one are absent."""
    rows = connection.execute(
        "SELECT key, country FROM customers WHERE country IS NOT NULL"
        " AND key IN (SELECT value FROM json_each(?))",
        [json_array(customers)],
    )
    return dict(rows.fetchall())


def keys_by_country(connection: sqlite3.Connection) -> dict[str, list[int]]:
    """Whose country is which."""
    rows = connection.execute(
        "SELECT country, json_group_array(key) FROM customers"
        " WHERE country IS NOT NULL GROUP BY country"
    )
    return {country: json.loads(keys) for country, keys in rows}


def keys_by_first_month(
    connection: sqlite3.Connection, currency: str | None = None
) -> dict[str, list[int]]:
    """Who first paid in which month (``2026-03``)."""
    rows = connection.execute(
        "SELECT month, json_group_array(customer) FROM ("
        " SELECT customer, substr(min(day), 1, 7) AS month FROM live_movements"
        " WHERE currency = :currency OR :currency IS NULL GROUP BY customer)"
        " GROUP BY month",
        {"currency": currency},
    )
    return {month: json.loads(keys) for month, keys in rows}


_OF_SEVERAL_CURRENCIES = """
    SELECT currency, customer, day, kind, amount_minor FROM movements
    WHERE {which} AND customer IN (
        SELECT customer FROM movements WHERE {which}
        GROUP BY customer HAVING min(currency) < max(currency))
    ORDER BY currency, customer, day
"""


def flows_of_several_currencies(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> dict[str, list[Flow]]:
    """By currency, all flows of those who have paid in more than one.

    By customer, then day.
    """
    found: dict[str, list[Flow]] = {}
    for currency, customer, day, kind, amount_minor in rows_as_of(
        connection, _OF_SEVERAL_CURRENCIES, as_of
    ):
        flow = Flow(customer, date.fromisoformat(day), KINDS[kind], amount_minor)
        found.setdefault(currency, []).append(flow)
    return found
