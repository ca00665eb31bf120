"""Where every invoiced amount belongs: by customer, and added up for reports.

The current state, replaced with each derivation; the ledger knows customers by key.
"""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

import msgspec

from connector.core.invoiced import (
    CustomerCoverage,
    InvoiceClass,
    InvoicedSums,
    NotCountedReason,
    OutsideMrr,
    held_sums,
    invoiced_together,
)
from connector.store.database import placeholders

# What is kept of a customer: its sums as JSON, and whether anything is not counted.
Kept = tuple[bytes, bool]
NOTHING: Kept = (b"", False)
# By currency, month and class.
SumKey = tuple[str, str, str]

_KEPT = """
    SELECT customer, CAST(sums AS BLOB),
           EXISTS (SELECT 1 FROM not_counted WHERE customer = invoiced.customer)
    FROM invoiced WHERE customer IN {keys}
"""


def kept(connection: sqlite3.Connection, keys: Sequence[int]) -> dict[int, Kept]:
    """What is kept of each of these, where anything is."""
    rows = connection.execute(_KEPT.format(keys=placeholders(len(keys))), keys)
    return {key: (sums, bool(some)) for key, sums, some in rows}


def put(
    connection: sqlite3.Connection,
    derived: Mapping[int, CustomerCoverage],
) -> None:
    """Replace these customers', and what they add up to; in the caller's transaction."""
    before = kept(connection, list(derived))
    _put_sums(connection, before, {key: it.sums for key, it in derived.items()})
    for key, found in derived.items():
        if found.not_counted or before.get(key, NOTHING)[1]:
            _put_not_counted(connection, key, found)


def _put_sums(
    connection: sqlite3.Connection,
    before: Mapping[int, Kept],
    now: Mapping[int, InvoicedSums],
) -> None:
    changes: Counter[SumKey] = Counter()
    rows = []
    for key, found in now.items():
        was, _ = before.get(key, NOTHING)
        sums = msgspec.json.encode(found, order="sorted")
        if sums != was:
            rows.append((key, sums.decode()))
            _add(changes, decoded(was) if was else {}, -1)
            _add(changes, found, 1)
    connection.executemany("INSERT OR REPLACE INTO invoiced VALUES (?, ?)", rows)
    connection.executemany(
        _ADD, [(*key, minor) for key, minor in changes.items() if minor]
    )


_ADD = """
    INSERT INTO invoiced_sums VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET amount_minor = amount_minor + excluded.amount_minor
"""


def add_all(connection: sqlite3.Connection, other: sqlite3.Connection) -> None:
    """Add what was invoiced in another ledger to these sums."""
    connection.executemany(_ADD, other.execute("SELECT * FROM invoiced_sums"))


def add_refused(
    connection: sqlite3.Connection, found: Iterable[tuple[str, str, int]]
) -> None:
    """Add what other ledgers could not value: currency, month and minor units."""
    rows = [(code, month, InvoiceClass.REFUSED, n) for code, month, n in found]
    connection.executemany(_ADD, rows)


def hold(
    connection: sqlite3.Connection,
    invoiced: Mapping[int, InvoicedSums],
    members: Mapping[int, Collection[int]],
) -> None:
    """Of customers that cannot be derived: what is known, and the rest is refused.

    ``invoiced`` is what they are invoiced now; ``members`` are those that are counted
    under each, itself among them. In the caller's transaction.
    """
    before = kept(connection, list({key for own in members.values() for key in own}))
    sums: dict[int, InvoicedSums] = {}
    for key, now in invoiced.items():
        ours = [decoded(before[each][0]) for each in members[key] if each in before]
        sums |= {each: {} for each in members[key]}
        sums[key] = held_sums(invoiced_together(ours), now)
    _put_sums(connection, before, sums)


def put_added(connection: sqlite3.Connection, key: int, parts: Iterable[bytes]) -> None:
    """What one customer was invoiced in several ledgers, whose sums are there already."""
    sums = invoiced_together(map(decoded, parts))
    text = msgspec.json.encode(sums, order="sorted").decode()
    connection.execute("INSERT INTO invoiced VALUES (?, ?)", [key, text])


def decoded(sums: bytes) -> InvoicedSums:
    return msgspec.json.decode(sums, type=InvoicedSums)


def _add(changes: Counter[SumKey], sums: InvoicedSums, sign: int) -> None:
    for currency, months in sums.items():
        for month, classes in months.items():
            for name, minor in classes.items():
                changes[currency, month, name] += sign * minor


def _put_not_counted(
    connection: sqlite3.Connection, key: int, found: CustomerCoverage
) -> None:
    connection.execute("DELETE FROM not_counted WHERE customer = ?", [key])
    connection.executemany(
        "INSERT INTO not_counted VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(key, each.currency, each.reason, each.item, each.product),
                *(each.monthly_minor, str(each.since), each.last_invoice),
            )
            for each in found.not_counted
        ],
    )


def sums(connection: sqlite3.Connection) -> dict[SumKey, int]:
    """What reports read: minor units by currency, month (2026-03) and class."""
    rows = connection.execute(
        "SELECT currency, month, class, amount_minor FROM invoiced_sums"
        " WHERE amount_minor <> 0 ORDER BY currency, month, class"
    )
    return {(code, month, name): minor for code, month, name, minor in rows}


def counted_again(connection: sqlite3.Connection) -> Counter[SumKey]:
    """The same, added up from the customers' own."""
    found: Counter[SumKey] = Counter()
    for (text,) in connection.execute("SELECT CAST(sums AS BLOB) FROM invoiced"):
        _add(found, decoded(text), 1)
    return found


_OF_CUSTOMERS = """
    SELECT customers.id, CAST(sums AS BLOB)
    FROM invoiced JOIN customers ON customers.key = invoiced.customer
    WHERE customers.key IN (SELECT customer FROM not_counted)
"""


def not_counted_in(
    connection: sqlite3.Connection, month: date
) -> dict[tuple[str, str], int]:
    """What recurs and was invoiced in a month, by customer and currency; minor units."""
    found = {}
    for customer, sums in connection.execute(_OF_CUSTOMERS):
        for currency, months in decoded(sums).items():
            minor = months.get(f"{month:%Y-%m}", {}).get(InvoiceClass.NOT_COUNTED, 0)
            if minor:
                found[customer, currency] = minor
    return found


_OUTSIDE = """
    SELECT customers.id, currency, reason, item, product, monthly_minor, since,
           last_invoice
    FROM not_counted CROSS JOIN customers ON customers.key = not_counted.customer
    LEFT JOIN stripe_invoices ON stripe_invoices.id = last_invoice
    ORDER BY customers.id, currency, reason, created_s, since
"""  # CROSS: these few first, then who they are; else SQLite reads all customers by id


def outside_mrr(
    connection: sqlite3.Connection, accepted: Collection[str]
) -> list[OutsideMrr]:
    """What is not counted, by customer and reason, the largest first.

    ``accepted`` are the customers and products that the configuration knows of; of a
    company's, an item ends with whose it is.
    """
    ends = tuple(f" ({each})" for each in accepted)
    found: dict[tuple[str, str, str, bool], OutsideMrr] = {}
    rows = connection.execute(_OUTSIDE)
    for customer, currency, reason, item, product, minor, day, invoice in rows:
        is_accepted = not {customer, product}.isdisjoint(accepted)
        is_accepted = is_accepted or item.endswith(ends)
        key = (customer, currency, reason, is_accepted)
        since, same = date.fromisoformat(day), found.get(key)
        found[key] = OutsideMrr(
            customer=customer,
            currency=currency,
            reason=NotCountedReason(reason),
            monthly_minor=minor + (same.monthly_minor if same is not None else 0),
            since=since if same is None else min(since, same.since),
            last_invoice=invoice,
            accepted=is_accepted,
        )
    return sorted(found.values(), key=lambda x: (-x.monthly_minor, x.customer))
