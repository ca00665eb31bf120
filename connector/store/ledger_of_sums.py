"""A ledger that is gone when it is closed, for reports of what was derived elsewhere.

It holds sums alone, in memory; or everybody's movements too, on disk.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby, islice
from operator import attrgetter
from tempfile import TemporaryDirectory

from connector.core.invoiced import CustomerCoverage
from connector.core.kept.books import KeptBooks, KeptRow, KeptSums
from connector.store.account import belong_to
from connector.store.database import put_setting, transaction
from connector.store.ledger import coverage, rollups, unvalued
from connector.store.ledger.as_of import stamp
from connector.store.ledger.customers import CustomerDisplay, keys_of
from connector.store.mirror import objects
from connector.store.mirror.event_feed import events_were_read
from connector.store.opening import open_database
from connector.stripe_api.objects import Price, Product

TOGETHER = 500  # customers that are looked up at once


@contextmanager
def ledger_of_sums(
    sums: KeptSums, books: KeptBooks | None = None
) -> Iterator[sqlite3.Connection]:
    """An open ledger, gone at the end; without ``books`` nobody has a movement in it."""
    with TemporaryDirectory(prefix="stripe-nrr-") as folder:
        place = ":memory:" if books is None else f"{folder}/ledger.db"
        with _filled(place, sums) as connection:
            if books is not None:
                with transaction(connection):
                    _put_books(connection, books, sums)
            yield connection


@contextmanager
def _filled(place: str, sums: KeptSums) -> Iterator[sqlite3.Connection]:
    with closing(open_database(place, create=True)) as connection:
        with transaction(connection):
            put_setting(connection, "rules", json.dumps(sums.rules))
            put_setting(connection, rollups.WHOLE, rollups.FORMAT)
            events_were_read(connection, int(sums.known_until.timestamp() * 1_000_000))
            if sums.account is not None:
                belong_to(connection, sums.account)
            rollups.add(connection, sums.deltas)
            whose = attrgetter("customer")
            for customer, own in groupby(sorted(sums.refusals), key=whose):
                unvalued.put(connection, customer, own)
            _put_not_counted(connection, sums)
        yield connection


def _put_not_counted(connection: sqlite3.Connection, sums: KeptSums) -> None:
    left = iter(sums.not_counted.items())
    while some := dict(islice(left, TOGETHER)):
        keys = keys_of(connection, dict.fromkeys(some, CustomerDisplay()))
        found = {
            keys[customer]: CustomerCoverage(sums={}, not_counted=tuple(own))
            for customer, own in some.items()
        }
        coverage.put(connection, found)


_KEY = "(SELECT key FROM customers WHERE id = ?)"
_MOVEMENT = f"""
    INSERT INTO movements
        (customer, currency, day, kind, amount_minor, before_minor, after_minor, run)
    VALUES ({_KEY}, ?, ?, ?, ?, ?, ?, 1)
"""  # noqa: S608
_TERM = f"""
    INSERT INTO terms
        (customer, currency, subscription, day, before_minor, after_minor)
    VALUES ({_KEY}, ?, ?, ?, ?, ?)
"""  # noqa: S608
_PLAN = f"INSERT INTO plans VALUES ({_KEY}, ?, ?, ?, ?)"  # noqa: S608


def _put_books(
    connection: sqlite3.Connection, books: KeptBooks, sums: KeptSums
) -> None:
    sold = list(books.sold)
    products = [Product(id=price, name=name) for price, name in sold]
    prices = [Price(id=price, product=price) for price, _ in sold]
    objects.put(connection, "products", products, 0)
    objects.put(connection, "prices", prices, 0)
    left = iter(books.profiles)
    while some := list(islice(left, TOGETHER)):
        keys_of(connection, {who: CustomerDisplay(None, where) for who, where in some})
    connection.execute(
        "INSERT INTO runs (started_at, cause, code_version, policy) VALUES (?, ?, ?, ?)",
        [stamp(sums.known_until), "manual", "", json.dumps(sums.rules)],
    )
    connection.executemany(_MOVEMENT, map(_with_day(2), books.movements))
    connection.executemany(_TERM, map(_with_day(3), books.terms))
    connection.executemany(_PLAN, map(_with_day(2), books.plans))


def _with_day(place: int) -> Callable[[KeptRow], KeptRow]:
    """The day as text, as the ledger has it."""
    return lambda row: (*row[:place], row[place].isoformat(), *row[place + 1 :])
