"""Movements added up by segment, and one movement found."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from connector.core.errors import NothingFound
from connector.core.model import CustomerName, Movement, MovementKind, SegmentValue
from connector.core.windows import Window, WindowKind
from connector.metrics.currency_total import movement_in_one, with_balance
from connector.reports.figures.asked_books import books_of, nobody_in
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.ledger import TOTAL, Ledger, is_total
from connector.store.ledger import customers, queries, rollups
from connector.store.ledger.queries import EVERYTHING, Wanted


class MovementList(NamedTuple):
    """``labels`` are what customers are called, by id."""

    movements: list[Movement]
    labels: Mapping[str, str]


def list_movements(
    ledger: Ledger, wanted: Wanted = EVERYTHING, only: Sequence[SegmentValue] = ()
) -> MovementList:
    """The movements wanted, in order of days; with ``only`` as ``wanted_members``."""
    found = list(each_movement(ledger, wanted, only))
    return MovementList(found, customers.labels(ledger.connection))


def each_movement(
    ledger: Ledger, wanted: Wanted = EVERYTHING, only: Sequence[SegmentValue] = ()
) -> Iterator[Movement]:
    """The same as they are read, for who keeps none of them."""
    if only:
        wanted = wanted._replace(members=wanted_members(ledger, wanted, only))
    _check(ledger, wanted)
    if is_total(wanted.currency):
        return _each_in_total(CurrencyTotal(ledger, wanted.as_of), wanted)
    return queries.movements(ledger.connection, wanted)


def _check(ledger: Ledger, wanted: Wanted) -> None:
    """``UsageFault`` for days that the ledger cannot know, however many follow."""
    if wanted.start is not None:
        ledger.require_known(wanted.start, f"--from {wanted.start}", wanted.as_of)
    if wanted.currency and not is_total(wanted.currency):
        ledger.currencies(wanted.currency)


def wanted_members(
    ledger: Ledger, wanted: Wanted, only: Sequence[SegmentValue]
) -> frozenset[str]:
    """The ``members`` of the movements wanted who have all of these segments.

    ``NothingFound`` where nobody has.
    """
    _check(ledger, wanted)
    span, found = _span(wanted.start, wanted.end), list[str]()
    for code in queries.currencies(ledger.connection):
        if wanted.currency in (None, code) or is_total(wanted.currency):
            own = wanted.currency or code
            keys = books_of(ledger, own, wanted.as_of).members(span, only)
            found += [f"{code} {key}" for key in keys]
    if not found:
        raise nobody_in(ledger, only, wanted.currency, [span], wanted.as_of)
    return frozenset(found)


class SegmentMovements(NamedTuple):
    """A segment's movements added up; ``amounts_minor`` has every kind, signed."""

    currency: str
    segment: str
    movements: int
    amounts_minor: Mapping[MovementKind, int]


def sum_movements(
    ledger: Ledger, by: str, wanted: Wanted, only: Sequence[SegmentValue] = ()
) -> list[SegmentMovements]:
    """The sums of the movements wanted, by currency and segment.

    ``NothingFound`` where nobody has the segments of ``only``.
    """
    _check(ledger, wanted)
    connection, span = ledger.connection, _span(wanted.start, wanted.end)
    customer, found = _key_of(connection, wanted.customer), list[SegmentMovements]()
    kept = rollups.currencies(connection) if ledger.is_whole else []
    codes = kept if len(kept) == 1 else queries.currencies(connection)
    is_all = is_total(wanted.currency)
    for code in [TOTAL] if is_all else codes:
        if is_all or wanted.currency in (None, code):
            books = books_of(ledger, code, wanted.as_of)
            moved = books.moved_by_segment(span, by, customer, only)
            found += _sums_of(books.currency, moved, wanted)
    if only and not found:
        wanted_members(ledger, wanted, only)  # raises where nobody is meant at all
    return found


def _key_of(connection: sqlite3.Connection, customer: str | None) -> int | None:
    """The ledger's; that of nobody where the customer is unknown."""
    if not customer:
        return None
    return next(
        (k for k, name in customers.ids(connection).items() if name == customer), -1
    )


def _sums_of(
    currency: str,
    moved: Mapping[str, Mapping[MovementKind, tuple[int, int]]],
    wanted: Wanted,
) -> list[SegmentMovements]:
    """Of every kind, or of the one that is wanted."""
    found = []
    for name, by_kind in moved.items():
        own = {
            k: it if wanted.kind in (None, k) else (0, 0) for k, it in by_kind.items()
        }
        count = sum(number for number, _ in own.values())
        sums = {kind: minor for kind, (_, minor) in own.items()}
        if count:
            found.append(SegmentMovements(currency, name, count, sums))
    return found


def _span(start: date | None, end: date | None) -> Window:
    """Any days; the rates of the last one count."""
    return Window(WindowKind.YEAR, start or date.min, end or date.max)


def _each_in_total(total: CurrencyTotal, wanted: Wanted) -> Iterator[Movement]:
    """Each customer's net change a day, in whatever currencies."""
    connection, span = total.ledger.connection, _span(wanted.start, wanted.end)
    flows, found = total.flows(span)
    ids = customers.ids(connection)
    converted = {
        (flow.day, ids[flow.customer]): (flow, before)
        for flow, before in with_balance(flows)
        if span.start <= flow.day < span.end and wanted.kind in (None, flow.kind)
    }
    booked = queries.movements(connection, wanted._replace(currency=None, kind=None))
    for place, own in groupby(booked, attrgetter("day", "customer")):
        if place in converted:
            together = movement_in_one(
                total.currency, *converted[place], list(own), found
            )
            if together is not None:
                yield together


def find_counted(connection: sqlite3.Connection, text: str) -> CustomerName:
    """The one that is called so, or under whom it is counted."""
    from connector.store.mirror.companies import counted_as

    found = find_one(connection, text)
    company = counted_as(connection, found.id)
    return found if company == found.id else customers.named(connection, company)


def find_one(connection: sqlite3.Connection, text: str) -> CustomerName:
    found = customers.find_customer(connection, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NothingFound(
            f"no customer {text!r} in the ledger",
            fix="give an id as Stripe shows it (cus_…) or a part of the name; "
            "`stripe-nrr movements` lists who is there",
        )
    several = ", ".join(each.with_id for each in found)
    raise NothingFound(
        f"several customers are called like {text!r}", fix=f"give an id: {several}"
    )
