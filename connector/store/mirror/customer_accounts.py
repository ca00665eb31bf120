"""Accounts that are customers: which Account is which customer, once an object names both.

Stripe names a customer on some objects by its id, on others by its Account alone. What is
stored under an Account is read together with what is stored under its customer.
"""

import sqlite3
from collections.abc import Iterable, Mapping

from connector.store.mirror import dirty_customers
from connector.stripe_api.decoding import Base, ref
from connector.stripe_api.objects import Customer


def customers(connection: sqlite3.Connection) -> dict[str, str]:
    """The customer of each Account, as far as anything has said it."""
    rows = connection.execute("SELECT account, customer FROM customer_accounts")
    return dict(rows.fetchall())


def learn(connection: sqlite3.Connection, things: Iterable[Base]) -> bool:
    """Take down what these objects say; whether that is news, which marks both.

    Should two customers share an Account, it is the smaller id's.
    """
    said = {account: customer for account, customer in map(_named, things) if account}
    if not said:
        return False
    known = customers(connection)
    news = {a: c for a, c in said.items() if a not in known or c < known[a]}
    connection.executemany(
        "INSERT OR REPLACE INTO customer_accounts VALUES (?, ?)", news.items()
    )
    before = (known[account] for account in news if account in known)
    dirty_customers.mark(connection, {*news, *news.values(), *before})
    return bool(news)


def _named(thing: Base) -> tuple[str, str]:
    """An Account and its customer, where an object names both; else nothing."""
    account = ref(getattr(thing, "customer_account", None))
    owner = (
        thing.id if isinstance(thing, Customer) else getattr(thing, "customer", None)
    )
    return (account, ref(owner)) if account and owner else ("", "")


def all_ids(
    connection: sqlite3.Connection, merge: Mapping[str, str], of: Iterable[str]
) -> list[str]:
    """These customers in all of their ids: present and former ones, and Accounts."""
    now = with_accounts(merge, customers(connection))
    present = {now.get(each, each) for each in of}
    return sorted(present | {each for each, last in now.items() if last in present})


def with_accounts(
    merge: Mapping[str, str], customer_of: Mapping[str, str]
) -> dict[str, str]:
    """Former ids and Accounts alike: each with the id that it is read under."""
    merged = {old: customer_of.get(new, new) for old, new in merge.items()}
    return {a: merged.get(c, c) for a, c in customer_of.items()} | merged
