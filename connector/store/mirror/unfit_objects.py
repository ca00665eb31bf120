"""Objects that Stripe shows and that do not fit: by name, until they do.

The mirror keeps the last copy that fitted. Whose object is set aside is not derived: what
is known of the customer is not all there is.
"""

import sqlite3
from collections.abc import Collection, Iterable
from typing import NamedTuple

from connector.store.database import json_array, scalar, scalars
from connector.store.mirror import dirty_customers
from connector.stripe_api.unfit import NAMELESS, UnfitObject

# Of these a customer's figures are made.
OWNED = ("customers", "subscriptions", "invoices", "invoice_items")
_LATER_US = 2**62  # after all that were set aside
NOT_SHOWN = "not shown any more"  # in the place of a forgotten customer's values


class AsideObject(NamedTuple):
    """``kind`` is a table of the mirror's; ``customer`` is "" where nobody knows."""

    kind: str
    id: str
    customer: str
    field: str
    value: str


def known(connection: sqlite3.Connection) -> list[AsideObject]:
    """All of them, each with the customer whose it is, as far as anybody knows."""
    rows = connection.execute("SELECT * FROM set_aside_by_customer ORDER BY kind, id")
    return [AsideObject(*row) for row in rows]


def held(connection: sqlite3.Connection) -> set[str]:
    """Whose figures stay as they were, because an object of theirs is set aside."""
    return {it.customer for it in known(connection) if it.kind in OWNED} - {""}


def invoiced(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """What invoices that are set aside bill: currency, when (seconds), minor units.

    One whose last good copy is kept bills what that says.
    """
    rows = connection.execute(
        "SELECT currency, billed_s, amount_minor FROM set_aside"
        " WHERE kind = 'invoices' AND amount_minor <> 0"
        " AND id NOT IN (SELECT id FROM stripe_invoices)"
    )
    return [(code, billed_s, minor) for code, billed_s, minor in rows]


def put(
    connection: sqlite3.Connection, kind: str, thing: UnfitObject, fetched_us: int
) -> bool:
    """Set one aside; return whether that is news.

    It loses against a copy, good or not, whose request began later.
    """
    key = {"kind": kind, "id": thing.id, "now": fetched_us}
    query = f"""
        SELECT EXISTS (SELECT 1 FROM stripe_{kind}
                       WHERE id = :id AND fetched_us > :now)
            OR EXISTS (SELECT 1 FROM set_aside
                       WHERE kind = :kind AND id = :id AND fetched_us > :now)
    """  # noqa: S608
    if scalar(connection, query, key):
        return False
    before = set(known(connection))
    said = (thing.customer, thing.subscription, thing.field, thing.value)
    it = thing.invoiced
    bills = ("", 0, 0) if it is None else (it.currency, it.amount_minor, it.billed_s)
    connection.execute(
        "INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [kind, thing.id, *said, fetched_us, *bills],
    )
    news = set(known(connection)) - before
    dirty_customers.mark(connection, {it.customer for it in news} - {""})
    return bool(news)


def fits(
    connection: sqlite3.Connection, kind: str, ids: Collection[str], fetched_us: int
) -> None:
    """These fit, as of a request that began then, or are there no more.

    Their customers are derived again, from all that is known.
    """
    values = [kind, fetched_us, json_array(ids)]
    gone = {(kind, key) for key in scalars(connection, f"SELECT id {_FITTING}", values)}
    if not gone:
        return
    owners = {it.customer for it in known(connection) if it[:2] in gone}
    connection.execute(f"DELETE {_FITTING}", values)
    dirty_customers.mark(connection, owners - {""})


_FITTING = """
    FROM set_aside WHERE kind = ? AND fetched_us <= ?
    AND id IN (SELECT value FROM json_each(?))
"""


def forget_unseen(
    connection: sqlite3.Connection,
    since_us: int,
    kinds: Iterable[str],
    customers: Collection[str] | None = None,
) -> None:
    """Forget those that a complete reading of their lists no longer met.

    ``customers`` are whose lists were read; None: everybody's.
    """
    for kind in kinds:
        names = [it for it in known(connection) if it.kind == kind]
        ids = [it.id for it in names if customers is None or it.customer in customers]
        fits(connection, kind, ids, since_us - 1)


def to_ask_again(connection: sqlite3.Connection, most: int) -> list[tuple[str, str]]:
    """Kinds and ids of those that Stripe may show well-formed by now, the oldest first.

    Then subscriptions in a status that nobody knows.
    """
    rows = connection.execute(
        "SELECT kind, id, fetched_us FROM set_aside WHERE instr(id, ?) = 0"
        " UNION SELECT 'subscriptions', object_id, ? FROM refusals WHERE field = 'status'"
        " ORDER BY fetched_us, kind, id LIMIT ?",
        [NAMELESS, _LATER_US, most],
    )
    return [(kind, key) for kind, key, _ in rows]


def why(connection: sqlite3.Connection, kind: str, key: str) -> str | None:
    """What does not fit, in words; None where the object is not set aside."""
    query = (
        "SELECT substr(id, 1, 60) || ': ' || field || ' is ' || value FROM set_aside"
        " WHERE kind = ? AND id = ?"
    )
    found: str | None = scalar(connection, query, [kind, key])
    return found


def erase(connection: sqlite3.Connection, customer: str) -> bool:
    """Whether anything was said of this customer's: earlier versions repeated values."""
    erased = connection.execute(
        "UPDATE set_aside SET value = ?1 WHERE value <> ?1 AND (kind, id) IN"
        " (SELECT kind, id FROM set_aside_by_customer WHERE customer = ?2)",
        [NOT_SHOWN, customer],
    )
    return erased.rowcount > 0
