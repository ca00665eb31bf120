"""How far a walk has come, until when events were followed, and what it all cost."""

import sqlite3
from collections.abc import Iterator
from datetime import date

import msgspec
import pytest

from connector.store.mirror import (
    dirty_customers,
    event_feed,
    freshness,
    objects,
    walks,
)
from connector.stripe_api.decoding import Base, ListOf
from connector.stripe_api.invoices import (
    Invoice,
    InvoiceItem,
    InvoiceLine,
    InvoiceStatus,
    Period,
)
from connector.stripe_api.objects import Customer, Price, Product, Subscription
from connector.stripe_api.paging import STRIPE_BEGAN_S, PageCursor, Partition
from tests.support.ledgers import empty_ledger

S = 1_000_000  # microseconds
DAY_S = 86_400
NOW_S = 2_000 * DAY_S


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def put(db: sqlite3.Connection, kind: str, *things: Base, at_s: int = NOW_S) -> None:
    objects.put(db, kind, things, at_s * S)


# --- walks and their ranges ---


def test_a_walk_is_taken_up_until_it_is_finished(db: sqlite3.Connection) -> None:
    assert walks.unfinished_walk(db) is None
    walk = walks.begin_walk(db, 1 * S)
    assert walks.unfinished_walk(db) == walk
    assert event_feed.last_synced_us(db) is None
    walks.finish_walk(db, walk, 2 * S)
    assert walks.unfinished_walk(db) is None
    assert event_feed.last_synced_us(db) == 1 * S


def test_a_walk_that_was_given_up_leaves_nothing(db: sqlite3.Connection) -> None:
    walk = walks.begin_walk(db, 1 * S)
    walks.keep_ranges(db, walk, [Partition("invoices")])
    walks.abandon_walk(db, walk)
    assert walks.unfinished_walk(db) is None
    assert event_feed.last_synced_us(db) is None


def test_ranges_are_one_kind_s_of_one_walk(db: sqlite3.Connection) -> None:
    first = walks.begin_walk(db, 1 * S)
    newer, older = Partition("invoices", 50), Partition("invoices", 0, 50)
    walks.keep_ranges(db, first, [newer, older])
    assert [r.span for r in walks.ranges(db, first, "invoices")] == [
        (0, 50),
        (50, None),
    ]
    assert walks.ranges(db, first, "prices") == []
    walks.finish_walk(db, first, 2 * S)
    second = walks.begin_walk(db, 3 * S)
    assert walks.ranges(db, second, "invoices") == []


def test_a_range_goes_on_where_it_was_left(db: sqlite3.Connection) -> None:
    walk = walks.begin_walk(db, 1 * S)
    left = Partition("invoices")
    walks.keep_ranges(db, walk, [left])
    left.from_s, left.place = 20, PageCursor("in_5", frozenset({"in_5", "in_6"}), 70)
    walks.keep_ranges(db, walk, [left])
    [found] = walks.ranges(db, walk, "invoices")
    assert found.span == (20, None)
    assert found.place == PageCursor("in_5", frozenset({"in_5"}), 70)
    assert not found.done
    left.done = True
    walks.keep_ranges(db, walk, [left])
    assert [r.done for r in walks.ranges(db, walk, "invoices")] == [True]


# --- events, and what was read ---


def test_the_ledger_knows_until_the_last_event_that_was_followed(
    db: sqlite3.Connection,
) -> None:
    assert event_feed.events_read_until_us(db) is None
    walks.finish_walk(db, walks.begin_walk(db, 1 * S), 2 * S)
    event_feed.events_were_read(db, 5 * S)
    event_feed.events_were_read(db, 9 * S)
    assert event_feed.events_read_until_us(db) == event_feed.last_synced_us(db) == 9 * S


def test_reads_add_up_by_day(db: sqlite3.Connection) -> None:
    for day, reads in ((1, 10), (2, 20), (2, 5), (3, 40)):
        event_feed.count_reads(db, date(2026, 5, day), reads)
    assert event_feed.reads_since(db, date(2026, 5, 2)) == 65
    assert event_feed.reads_since(db, date(2026, 6, 1)) == 0


# --- what the copies are ---


def long_invoice(
    key: str, *, status: InvoiceStatus = "paid", age_days: int = 91, lines: int = 11
) -> Invoice:
    each = [
        InvoiceLine(id=f"il_{n}", amount=1, period=Period(start=1, end=2))
        for n in range(lines)
    ]
    return Invoice(
        id=key,
        customer="cus_1",
        created=NOW_S - age_days * DAY_S,
        status=status,
        lines=ListOf[InvoiceLine](data=each),
    )


def test_only_long_and_settled_invoices_are_known_whole(db: sqlite3.Connection) -> None:
    settled = [long_invoice("in_paid"), long_invoice("in_void", status="void")]
    others = [
        long_invoice("in_open", status="open"),
        long_invoice("in_new", age_days=89),
        long_invoice("in_short", lines=10),
    ]
    put(db, "invoices", *settled, *others)
    assert freshness.settled_long_invoices(db, NOW_S) == {"in_paid", "in_void"}


def test_the_first_lines_of_an_invoice_do_not_replace_all_of_them(
    db: sqlite3.Connection,
) -> None:
    whole = long_invoice("in_1")
    put(db, "invoices", whole)
    dirty_customers.clear(db, "cus_1", None)
    cut = ListOf[InvoiceLine](data=whole.lines.data[:10], has_more=True)
    put(db, "invoices", msgspec.structs.replace(whole, lines=cut), at_s=NOW_S + 1)
    assert dirty_customers.dirty(db) == []
    assert freshness.fetched_us(db, "invoices", "in_1") == (NOW_S + 1) * S


def test_the_oldest_is_guessed_by_the_catalogue(db: sqlite3.Connection) -> None:
    assert freshness.oldest_s(db, "invoices", NOW_S) == STRIPE_BEGAN_S
    put(db, "products", Product(id="prod_1", created=700))
    put(db, "prices", Price(id="price_1"))  # does not say when
    assert freshness.oldest_s(db, "invoices", NOW_S) == 700
    put(db, "invoices", Invoice(id="in_1", customer="cus_1", created=600))
    assert freshness.oldest_s(db, "invoices", NOW_S) == 600
    assert freshness.oldest_s(db, "events", NOW_S) == NOW_S - freshness.EVENTS_KEPT_S


def test_what_is_missing_and_what_pends(db: sqlite3.Connection) -> None:
    put(db, "prices", Price(id="price_1"))
    assert freshness.missing(db, "prices", ["price_2", "price_1"]) == ["price_2"]
    for key, at_s in (("ii_1", 5), ("ii_2", 3)):
        item = InvoiceItem(
            id=key, amount=1, date=1, period=Period(start=1, end=2), customer="cus_1"
        )
        put(db, "invoice_items", item, at_s=at_s)
    assert freshness.pending_read_us(db) == {"cus_1": 3 * S}


def test_customers_that_a_walk_did_not_meet_are_asked_for_once(
    db: sqlite3.Connection,
) -> None:
    for key, at_s in (("cus_1", 5), ("cus_2", 3), ("cus_3", 7)):
        put(db, "customers", Customer(id=key, deleted=key == "cus_2"), at_s=at_s)
    assert freshness.unseen_customers(db, 6 * S) == ["cus_1"]


def test_an_account_is_known_again_by_its_newest_subscriptions(
    db: sqlite3.Connection,
) -> None:
    """Their ids are Stripe's own; a plan's is chosen by people, and the same elsewhere."""
    assert freshness.known_subscriptions(db) == []
    for key, at_s in (("sub_1", 5), ("sub_2", 3), ("sub_3", 7), ("sub_4", 7)):
        put(
            db,
            "subscriptions",
            Subscription(id=key, customer="cus_1", status="active", created=at_s),
        )
    assert freshness.known_subscriptions(db) == ["sub_3", "sub_4", "sub_1"]
