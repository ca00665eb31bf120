"""Ledgers of several accounts in a folder, and one that everybody was posted to at once.

The latter is the truth beside which several are held: its movements are added up by
``companies.added_up``, customer by customer and day by day, and it is read as one ledger.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from connector.accounts.ledger import open_accounts
from connector.config import Config
from connector.core.account import StripeIdentity
from connector.core.model import Movement, MovementKind
from connector.core.policy import CompanyRule, Policy
from connector.pipeline.settling import make_whole
from connector.reports.ledger import Ledger, open_ledger
from connector.store.account import belong_to
from connector.store.database import put_setting, transaction
from connector.store.mirror import companies
from connector.store.mirror.event_feed import events_were_read
from connector.store.opening import open_database
from connector.stripe_api.decoding import body
from connector.stripe_api.objects import Customer
from tests.support.books import moved, movement, post
from tests.support.companies import added_up, belong
from tests.support.ledgers import empty_ledger, settle
from tests.support.synced import SEEN, Wire, demo_now_s, settled_demo, shop, walk

DEMO_AND_SHOP = """
timezone = "Europe/Berlin"
[customers]
account = "metadata:parent"
[[account]]
name = "demo"
database = "demo.db"
key_file = "demo.key"
[[account]]
name = "shop"
database = "shop.db"
key_file = "shop.key"
"""
US = 1_000_000
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
RULES = Policy().settings() | {"timezone": "UTC"}


class Book(NamedTuple):
    """An account's customers: what each paid by day, and whose company each is of."""

    paid: Mapping[str, Sequence[Movement]]
    company_of: Mapping[str, str] = {}


def grouped(
    movements: Sequence[Movement], company_of: Mapping[str, str]
) -> list[Movement]:
    """The movements of companies, as a ledger has them."""
    return [
        movement(
            each.customer,
            each.day,
            MovementKind(each.kind),
            each.before_minor,
            each.after_minor,
            each.currency,
        )
        for each in sorted(added_up(movements, company_of), key=lambda b: b.customer)
    ]


def all_of(book: Book) -> list[Movement]:
    return [movement for own in book.paid.values() for movement in own]


def write(
    path: Path,
    books: Sequence[Book],
    *,
    whole: bool = True,
    known_until: datetime = NOW,
    rules: Mapping[str, str] = RULES,
) -> None:
    """A ledger, brought to each of its books in turn, an hour after the one before."""
    with closing(open_database(path, create=True)) as connection:
        for hour, book in enumerate(books):
            booked = grouped(all_of(book), book.company_of)
            at = datetime(2026, 3, 1, hour, tzinfo=UTC)
            seen = {m.customer for earlier in books for m in all_of(earlier)}
            seen |= {n for earlier in books for n in earlier.company_of.values()}
            told = json.dumps(dict(rules))
            post(connection, booked, at=at, customers=sorted(seen), policy=told)
        with transaction(connection):
            put_setting(connection, "rules", json.dumps(dict(rules)))
            us = int(known_until.timestamp() * 1_000_000)
            events_were_read(connection, us)
            named = {c: (n, n) for c, n in books[-1].company_of.items() if n != c}
            _put_at_stripe(connection, books)
            companies.put(connection, named)
        if whole:
            make_whole(connection)


def _put_at_stripe(connection: sqlite3.Connection, books: Sequence[Book]) -> None:
    """All customers; a company is none."""
    known = {m.customer for book in books for m in all_of(book)}
    connection.executemany(
        "INSERT INTO stripe_customers VALUES (?, ?, 0, 0, 0, ?)",
        [(each, each, body(Customer(id=each))) for each in sorted(known)],
    )


def configs(folder: Path, names: Sequence[str]) -> list[Config]:
    return [Config(name=each, database=folder / f"{each}.db") for each in names]


@contextmanager
def several(
    folder: Path, names: Sequence[str], config: Config | None = None
) -> Iterator[Ledger]:
    accounts = configs(folder, names)
    with open_accounts(config or Config(), accounts, NOW) as ledger:
        yield ledger


@contextmanager
def one(path: Path) -> Iterator[Ledger]:
    with open_ledger(Config(database=path), NOW) as ledger:
        yield ledger


def pays(customer: str, currency: str = "usd", **by_day: int) -> list[Movement]:
    """pays("cus_1", d2025_01_15=5000): its MRR from these days on."""
    days = {date.fromisoformat(k[1:].replace("_", "-")): n for k, n in by_day.items()}
    return moved(customer, days, currency)


def demo_and_shop(folder: Path) -> None:
    """The demo's ledger and a small shop's; one customer of each is of one company."""
    rule, now_s = CompanyRule(key="parent"), demo_now_s()
    with settled_demo() as demo, empty_ledger() as other:
        walk(other, Wire(shop(), SEEN))
        for name, connection in (("demo", demo), ("shop", other)):
            query = "SELECT id FROM stripe_customers ORDER BY id LIMIT 1"
            [first] = connection.execute(query).fetchone()
            belong(connection, {first: "Parent"}, (now_s + 1) * US)
            with transaction(connection):
                events_were_read(connection, now_s * US)
                put_setting(connection, "account", "own")
                whose = StripeIdentity(id=f"acct_1{name}", livemode=False)
                belong_to(connection, whose)
            settle(connection, now_s + 2, "Europe/Berlin", company=rule)
            connection.execute("VACUUM INTO ?", [str(folder / f"{name}.db")])
    (folder / "config.toml").write_text(DEMO_AND_SHOP)
