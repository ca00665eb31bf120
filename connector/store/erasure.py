"""A customer's name and metadata removed from the file; what it paid stays.

Comes in: customers' ids. What was noted of them goes too. The figures stay under those
ids, which say nothing of a person without Stripe; the country stays as well, as figures
are told apart by it.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from connector.core.errors import NothingFound
from connector.store import inbox
from connector.store.database import scalar, transaction
from connector.store.ledger.posting import LedgerRun
from connector.store.mirror import forgotten, objects, unfit_objects
from connector.store.months import notes


class Erased(NamedTuple):
    """``named`` counts those of whom a name or metadata had been stored."""

    customers: Sequence[str]
    named: int
    run: int


def erase(
    connection: sqlite3.Connection, customers: Sequence[str], run: LedgerRun
) -> Erased:
    """Forget these customers, for ever; whole or not at all.

    Syncs and webhooks that come later store nothing of the kind again. Raises
    ``NothingFound`` where nothing was ever stored of any of them.
    """
    with transaction(connection):
        number = run.id()
        known = [each for each in customers if _is_known(connection, each)]
        if not known:
            raise NothingFound(
                f"nothing was ever stored of customer {customers[0]!r}",
                fix="give an id as Stripe shows it (cus_…), or run `stripe-nrr sync`",
            )
        for each in customers:  # also of a former id that is not there yet
            forgotten.remember(connection, each, number)
        named = sum(_erase(connection, each) for each in known)
    return Erased(known, named, number)


def erase_again(
    connection: sqlite3.Connection, run: LedgerRun, of: Sequence[str]
) -> None:
    """Forget those whom the ledger before this one had forgotten."""
    missing = set(of) - set(forgotten.everybody(connection))
    with transaction(connection):
        for each in sorted(missing):
            forgotten.remember(connection, each, run.id())
            _erase(connection, each)


def overwrite(connection: sqlite3.Connection) -> None:
    """Let no page of the file or its log hold what was erased or replaced before."""
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _is_known(connection: sqlite3.Connection, customer: str) -> bool:
    return scalar(connection, _KNOWN, [customer]) is not None


# Of an Account as a customer there is none of Stripe's customers.
_KNOWN = """
    SELECT 1 FROM customers WHERE id = ?1
    UNION ALL SELECT 1 FROM stripe_customers WHERE id = ?1
    UNION ALL SELECT 1 FROM customer_accounts WHERE account = ?1
    UNION ALL SELECT 1 FROM stripe_subscriptions WHERE customer = ?1
    UNION ALL SELECT 1 FROM stripe_invoices WHERE customer = ?1
    LIMIT 1
"""


def _erase(connection: sqlite3.Connection, customer: str) -> bool:
    """Whether there was anything."""
    was_shown = connection.execute(
        "UPDATE customers SET label = NULL WHERE id = ? AND label IS NOT NULL",
        [customer],
    ).rowcount
    found = [
        was_shown > 0,
        notes.erase(connection, customer),
        inbox.erase(connection, customer),
        unfit_objects.erase(connection, customer),
        objects.strip_customer(connection, customer),
    ]
    return any(found)
