"""Which customers are one company, as their metadata or a list of pairs says it now.

Kept beside the mirror, and brought up to date for whoever is to be derived: what says it
is part of a customer, so that a change of it marks that customer. A mapping holds for
all of history, as Stripe keeps none of metadata; a change restates.
"""

import sqlite3
from collections.abc import Iterable, Mapping

from connector.core.policy import Rules
from connector.mrr.companies import Companies, resolved
from connector.store.database import count_change, json_array, scalar
from connector.store.mirror import customer_accounts, forgotten
from connector.store.mirror.customer_accounts import with_accounts

# The setting that counts the changes of who is counted under whom.
VERSION = "companies"


def is_grouped(connection: sqlite3.Connection) -> bool:
    """Whether anybody is counted under another id than its own."""
    return scalar(connection, "SELECT 1 FROM companies LIMIT 1") is not None


def is_customer(connection: sqlite3.Connection, company: str) -> bool:
    """Whether a company is one of Stripe's customers, and not a name alone."""
    query = "SELECT 1 FROM stripe_customers WHERE id = ?"
    return scalar(connection, query, [company]) is not None


def companies(connection: sqlite3.Connection, merge: Mapping[str, str]) -> Companies:
    """Who is counted under whom now: former ids, Accounts, parts of companies."""
    accounts = customer_accounts.customers(connection)
    every = with_accounts(merge, accounts) if accounts else merge
    return Companies(every, {c: last for c, (_, last) in rows(connection).items()})


def rows(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """How each one's company is named, and under whom it is counted."""
    found = connection.execute("SELECT customer, named, counted_as FROM companies")
    return {customer: (named, last) for customer, named, last in found}


def put(connection: sqlite3.Connection, found: Mapping[str, tuple[str, str]]) -> None:
    connection.executemany(
        "INSERT INTO companies VALUES (?, ?, ?)",
        [(customer, *both) for customer, both in sorted(found.items())],
    )


def counted_as(connection: sqlite3.Connection, customer: str) -> str:
    """Its company's id, or its own."""
    query = "SELECT counted_as FROM companies WHERE customer = ?"
    return str(scalar(connection, query, [customer]) or customer)


_NAMED = """
    SELECT id, CAST(body AS TEXT) ->> ('$.metadata.' || json_quote(:key))
    FROM stripe_customers WHERE id IN (SELECT value FROM json_each(:customers))
"""


def regroup(
    connection: sqlite3.Connection, rules: Rules, customers: Iterable[str]
) -> list[str]:
    """Bring up to date where these customers belong; return whom that concerns.

    In the caller's transaction. Who is forgotten stays where it was.
    """
    known = rows(connection)
    rule, asked = rules.company, set(customers)
    if not (known or rule.key or rule.pairs):
        return []
    before = {customer: named for customer, (named, _) in known.items()}
    now = {c: name for c, name in before.items() if c not in asked}
    gone = forgotten.everybody(connection)
    now |= {c: before[c] for c in asked.intersection(gone) if c in before}
    now |= _named(connection, rule.key, asked.difference(gone))
    now |= {c: rule.pairs[c] for c in asked if c in rule.pairs}
    was = {customer: last for customer, (_, last) in known.items()}
    accounts = customer_accounts.customers(connection)
    last = resolved(now, with_accounts(rules.merge, accounts))
    wanted = {c: (name, last.get(c, c)) for c, name in now.items()}
    if wanted == known:
        return []
    changed = {c for c in {**known, **wanted} if known.get(c) != wanted.get(c)}
    connection.executemany(
        "DELETE FROM companies WHERE customer = ?", [(each,) for each in changed]
    )
    put(connection, {c: wanted[c] for c in changed if c in wanted})
    count_change(connection, VERSION)
    moved = {c for c in changed if was.get(c, c) != last.get(c, c)}
    return sorted(moved | {each.get(c, c) for c in moved for each in (was, last)})


def _named(
    connection: sqlite3.Connection, key: str, customers: Iterable[str]
) -> dict[str, str]:
    if not key:
        return {}
    asked = {"key": key, "customers": json_array(customers)}
    found = connection.execute(_NAMED, asked)
    told = {customer: str(value or "").strip() for customer, value in found}
    return {customer: value for customer, value in told.items() if value}


def metadata(connection: sqlite3.Connection, key: str) -> dict[int, str]:
    """What customers' metadata says for ``key``, by the ledger's key of the customer.

    Of a company, what its own customer says, else the oldest one that says anything.
    """
    found = connection.execute(_METADATA, [key]).fetchall()
    if is_grouped(connection):
        found += connection.execute(_METADATA_OF_COMPANIES, [key]).fetchall()
    told: dict[int, str] = {}
    for customer, value in found:
        told.setdefault(customer, str(value))
    return told


_METADATA = """
    SELECT customers.key, field.value FROM customers JOIN stripe_customers USING (id)
    JOIN json_each(CAST(body AS TEXT), '$.metadata') AS field WHERE field.key = ?
"""
_METADATA_OF_COMPANIES = """
    SELECT customers.key, field.value FROM companies
    JOIN customers ON customers.id = companies.counted_as
    JOIN stripe_customers AS shown ON shown.id = companies.customer
    JOIN json_each(CAST(shown.body AS TEXT), '$.metadata') AS field
    WHERE field.key = ? ORDER BY shown.created_s, shown.id
"""
