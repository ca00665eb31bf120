"""An account's rows, under their keys in the joined ledger: notes, movements, prices.

Of everybody but those who are in several accounts, who are put together elsewhere.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

from connector.store.database import json_array, scalars
from connector.store.joined.database import Source
from connector.store.mirror import catalogue
from connector.stripe_api.decoding import body
from connector.stripe_api.objects import Price, Product

Named: TypeAlias = Mapping[str, str]
NOTHING: Named = {}


# The sums


def put_notes(
    target: sqlite3.Connection, source: Source, named: Callable[[list[str]], Named]
) -> None:
    """``named`` says of customers who is called otherwise than there."""
    noted = scalars(source.connection, _NOTED)
    of = named(noted) if noted else NOTHING
    _copy(target, source, "notes", _NOTES, named=of, place=3)
    _copy(target, source, "note_withdrawals", _WITHDRAWN)


_NOTED = "SELECT DISTINCT customer FROM notes WHERE customer <> ''"


_NOTES = "SELECT id + :note, month, noted_at, customer, text, url FROM notes"
_WITHDRAWN = "SELECT note + :note, withdrawn_at FROM note_withdrawals"


# Everybody


def put_customers(
    target: sqlite3.Connection,
    source: Source,
    named: Mapping[str, str],
    *,
    but: Collection[int],
) -> None:
    """All but those who are also in another account; ``named`` otherwise than there."""
    shift = source.place.customer
    query = "SELECT key, id, label, country FROM customers"
    rows = (
        (key + shift, named.get(name, name), label, country)
        for key, name, label, country in source.connection.execute(query)
        if key not in but
    )
    target.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
    query = "SELECT id, created_s, fetched_us, seen_s, body FROM stripe_customers"
    mirrored = (
        (named.get(name, name), named.get(name, name), *rest)
        for name, *rest in source.connection.execute(query)
    )
    target.executemany(
        "INSERT OR IGNORE INTO stripe_customers VALUES (?, ?, ?, ?, ?, ?)", mirrored
    )


_RUNS = """
    SELECT id + :run, started_at, cause, code_version, policy FROM runs
"""
_MOVEMENTS = """
    SELECT id + :movement, customer + :customer, currency, day, kind, amount_minor,
           before_minor, after_minor, run + :run
    FROM movements WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""
_RETRACTIONS = """
    SELECT movement + :movement, run + :run, reason FROM retractions
    WHERE movement NOT IN (SELECT id FROM movements
                           WHERE customer IN (SELECT value FROM json_each(:but)))
"""
_TERMS = """
    SELECT customer + :customer, subscription, day, currency, before_minor, after_minor
    FROM terms WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""
_INVOICED = """
    SELECT customer + :customer, sums FROM invoiced
    WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""


def put_movements(
    target: sqlite3.Connection, source: Source, *, but: Collection[int]
) -> None:
    """All that was ever posted or retracted of everybody but those."""
    _copy(target, source, "runs", _RUNS)
    for table, query in (
        ("movements", _MOVEMENTS),
        ("retractions", _RETRACTIONS),
        ("terms", _TERMS),
        ("invoiced", _INVOICED),
    ):
        _copy(target, source, table, query, but)


_PLANS = """
    SELECT customer + :customer, currency, day, price, interval FROM plans
    WHERE customer NOT IN (SELECT value FROM json_each(:but))
"""
_COMPONENTS = """
    SELECT movement + :movement, position, cause, amount_minor, subscription, item, price,
           before, after, evidence
    FROM components
    WHERE movement NOT IN (SELECT id FROM movements
                           WHERE customer IN (SELECT value FROM json_each(:but)))
"""


def put_plans(
    target: sqlite3.Connection,
    source: Source,
    prices: Mapping[str, str],
    *,
    but: Collection[int],
) -> None:
    """``prices`` are those that are named otherwise than in their own account."""
    _copy(target, source, "plans", _PLANS, but, prices, place=3)


def put_components(
    target: sqlite3.Connection,
    source: Source,
    prices: Mapping[str, str],
    *,
    but: Collection[int],
) -> None:
    _copy(target, source, "components", _COMPONENTS, but, prices, place=6)


def _copy(
    target: sqlite3.Connection,
    source: Source,
    table: str,
    query: str,
    but: Collection[int] = (),
    named: Mapping[str, str] = NOTHING,
    place: int = 0,
) -> None:
    """Rows with keys of their own; what stands at ``place`` is called as ``named``."""
    asked = {**source.place._asdict(), "but": json_array(but)}
    found = source.connection.execute(query, asked)
    places = ", ".join("?" * len(found.description))
    rows: Iterator[Any] = found
    if named:
        rows = (
            (*row[:place], named.get(row[place], row[place]), *row[place + 1 :])
            for row in rows
        )
    target.executemany(f"INSERT INTO {table} VALUES ({places})", rows)  # noqa: S608


# What is sold


def price_names(source: Source) -> dict[str, str]:
    """What each price sells, as its product is called; "" where nobody knows."""
    names = catalogue.price_names(source.connection)
    known = catalogue.read_catalogue(source.connection).prices
    return {key: names.get(key, "") for key in known}


def put_prices(target: sqlite3.Connection, names: Mapping[str, str]) -> None:
    """Prices with what they sell; a product is known by its name alone."""
    for table, things in (
        ("products", [Product(id=name, name=name) for name in set(names.values())]),
        ("prices", [Price(id=key, product=name) for key, name in names.items()]),
    ):
        target.executemany(
            f"INSERT OR IGNORE INTO stripe_{table} VALUES (?, NULL, 0, 0, 0, ?)",  # noqa: S608
            [(each.id, body(each)) for each in things],
        )
