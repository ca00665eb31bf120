"""The worker: walk, break, go on, catch up; whatever happens, the same ledger."""

import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.config import Config
from connector.core.dates import parse_month
from connector.core.errors import StripeRefused
from connector.core.model import Movement
from connector.core.windows import WindowKind, windows
from connector.metrics.retention import measure
from connector.mrr.history import what_counts
from connector.pipeline.bundled_account import bundled_folder
from connector.store.database import transaction
from connector.store.ledger import customers, queries
from connector.store.mirror import event_feed, objects, walks
from connector.store.mirror.objects import TABLES
from connector.store.opening import open_database
from connector.stripe_api.decoding import decode
from connector.stripe_api.invoices import InvoiceItem
from connector.stripe_api.lists import LISTINGS
from connector.stripe_api.objects import Subscription
from connector.stripe_api.paging import Partition
from tests.billing.account import Account
from tests.billing.calendar_ import DAY
from tests.billing.catalogue import Tier
from tests.billing.state import Json
from tests.support.ledgers import KINDS, empty_ledger, profile, read, settle
from tests.support.simulator import SimulatedAccount
from tests.support.synced import (
    OPENED,
    SEEN,
    Unplugged,
    Wire,
    changed,
    demo_now_s,
    ingesting,
    shop,
    sync,
    synced_shop,
    walk,
    walked_demo,
    without,
)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def stored(db: sqlite3.Connection) -> dict[str, dict[str, bytes]]:
    """Every object of the mirror, by kind and id."""
    return {
        table: dict(db.execute(f"SELECT id, body FROM stripe_{table}").fetchall())  # noqa: S608
        for table, _ in KINDS.values()
    }


def live(db: sqlite3.Connection) -> list[Movement]:
    return list(queries.movements(db))


# --- a quiet walk ---


def test_a_walk_stores_the_whole_account(db: sqlite3.Connection) -> None:
    synced = walk(db, Wire(shop(), SEEN, page=4))
    held = {
        kind: {it["id"] for it in things} for kind, things in shop().objects.items()
    }
    found = stored(db)
    assert {kind: set(found[table]) for kind, (table, _) in KINDS.items()} == held
    assert sum(synced.seen.values()) == sum(map(len, held.values())) == synced.changed
    assert not synced.resumed
    assert synced.unreadable_events == []
    assert event_feed.last_synced_us(db) == SEEN * 1_000_000


def test_an_object_in_two_answers_was_seen_once(db: sqlite3.Connection) -> None:
    """A page that is under way when its range is cut reaches over the cut."""
    wire = Wire(shop(), SEEN, page=4)
    with ingesting(db, wire) as ingest:
        ingest.read([Partition("customers"), Partition("customers", 0, SEEN)])
        assert ingest.met.seen["customers"] == len(shop().objects["customers"])
        assert ingest.met.changed == len(shop().objects["customers"])


def test_the_catalogue_comes_before_those_who_use_it(db: sqlite3.Connection) -> None:
    wire = Wire(shop(), SEEN)
    walk(db, wire)
    paths = list(dict.fromkeys(wire.asked))
    assert paths[-1] == "/v1/events"
    for each in ("products", "prices", "coupons"):
        assert paths.index(f"/v1/{each}") < paths.index("/v1/customers")


def test_progress_is_told_after_each_page(db: sqlite3.Connection) -> None:
    """A page that was told of is stored."""
    told: list[tuple[str, int, int]] = []

    def telling(kind: str, seen: int, whole: int | None) -> None:
        rows = db.execute(f"SELECT count(*) FROM stripe_{TABLES[kind]}")  # noqa: S608
        told.append((kind, seen, rows.fetchone()[0]))
        assert whole is not None
        assert whole >= seen

    walk(db, Wire(shop(), SEEN, page=4), progress=telling)
    assert [seen for kind, seen, _ in told if kind == "customers"] == [4, 6]
    assert all(
        seen == rows
        for kind, seen, rows in told
        if kind not in ("prices", "archived prices", "catalogue events")
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        pytest.param("name", "Steady", id="names"),
        pytest.param("id", None, id="no labels"),
    ],
)
def test_customers_are_kept_as_the_configuration_says(
    db: sqlite3.Connection, label: str, expected: str | None
) -> None:
    walk(db, Wire(shop(), SEEN), Config(label=label))
    [steady] = [c for c in shop().objects["customers"] if c["name"] == "Steady"]
    found = profile(db, steady["id"])
    assert found is not None
    assert found.label == expected


def test_the_second_run_changes_nothing_and_posts_nothing(
    db: sqlite3.Connection,
) -> None:
    _, first = sync(db, Wire(shop(), SEEN))
    before = stored(db)
    synced, second = sync(db, Wire(shop(), SEEN + 3_600))
    assert synced.changed == 0
    assert stored(db) == before
    assert second == first
    assert db.execute("SELECT count(*) FROM runs").fetchone() == (1,)
    assert event_feed.last_synced_us(db) == (SEEN + 3_600) * 1_000_000


# --- the demo's account ---


def test_the_demo_s_mrr_is_the_one_its_maker_knows() -> None:
    expected = json.loads((bundled_folder() / "expected_mrr.json").read_text())
    with walked_demo() as db:
        known = settle(db, demo_now_s(), "Europe/Berlin")
        assert known.refusals == []
        for currency, by_month in expected.items():
            months = [parse_month(month) for month in by_month]
            asked = windows(WindowKind.MONTH, months[0], months[-1])
            measured = measure(queries.flows(db, currency), asked)
            closing = [each.waterfall.closing_minor for each in measured]
            assert dict(zip(by_month, closing, strict=True)) == by_month


# --- a broken walk ---


@settings(max_examples=30)
@given(
    page=st.integers(2, 20),
    unplugged=st.lists(st.integers(0, 25), min_size=1, max_size=4),
)
def test_a_broken_walk_goes_on_and_ends_in_the_same_ledger(
    page: int, unplugged: list[int]
) -> None:
    with empty_ledger() as db:
        for after in unplugged:
            with suppress(Unplugged):
                walk(db, Wire(shop(), SEEN, page=page, unplug_after=after))
        _, known = sync(db, Wire(shop(), SEEN, page=page))
        assert known == synced_shop()
        assert walks.unfinished_walk(db) is None


def test_what_was_fetched_is_not_fetched_again(db: sqlite3.Connection) -> None:
    broken = Wire(shop(), SEEN, page=10, unplug_after=9)
    with pytest.raises(Unplugged):
        walk(db, broken)
    assert broken.asked.count("/v1/invoices") == 3
    rest = Wire(shop(), SEEN, page=10)
    assert walk(db, rest).resumed
    assert rest.asked[:2] == [f"/v1/subscriptions/{newest(shop())}", "/v1/invoices"]
    # the 19 that are left, and a look at the newest
    assert rest.asked.count("/v1/invoices") == 2 + 1


def newest(account: SimulatedAccount) -> str:
    """The subscription by which the ledger knows its account again."""
    known = sorted(account.objects["subscriptions"], key=lambda it: it["id"])
    return str(max(known, key=lambda it: it["created"])["id"])


def test_another_process_goes_on_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = open_database(path, create=True)
    with pytest.raises(Unplugged):
        walk(first, Wire(shop(), SEEN, page=5, unplug_after=12))
    first.close()
    second = open_database(path)
    assert sync(second, Wire(shop(), SEEN, page=5))[1] == synced_shop()
    second.close()


def test_an_unfinished_walk_is_not_yet_a_sync(db: sqlite3.Connection) -> None:
    with pytest.raises(Unplugged):
        walk(db, Wire(shop(), SEEN, unplug_after=8))
    assert event_feed.last_synced_us(db) is None


def test_a_refusal_half_way_keeps_what_was_fetched(db: sqlite3.Connection) -> None:
    wire = Wire(shop(), SEEN, forbidden="/v1/invoices")
    with pytest.raises(StripeRefused) as raised:
        walk(db, wire)
    assert raised.value.status == 403
    assert LISTINGS["invoices"].needs in raised.value.fix
    assert len(stored(db)["subscriptions"]) == 7
    assert sync(db, Wire(shop(), SEEN))[1] == synced_shop()


def test_a_cursor_whose_object_has_vanished_goes_on_by_time(
    db: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Unplugged):
        walk(db, Wire(shop(), SEEN, page=10, unplug_after=9))
    [after] = db.execute("SELECT after FROM ranges WHERE kind = 'invoices'").fetchone()
    left = without(shop(), "invoices", after)
    rest = Wire(left, SEEN, page=10)
    walk(db, rest)
    assert f"ingest.cursor_gone kind=invoices after={after}" in caplog.text
    # refused, then the 19 that are left, and a look at the newest
    assert rest.asked.count("/v1/invoices") == 1 + 2 + 1
    assert {it["id"] for it in left.objects["invoices"]} <= stored(db)[
        "invoices"
    ].keys()
    assert walks.unfinished_walk(db) is None


# --- the account goes on meanwhile ---


class Business:
    """One customer of a yearly plan, and whatever else happens."""

    def __init__(self) -> None:
        self.acc = Account(OPENED)
        self.plan = self.acc.add_product("Plan")
        self.yearly = self.acc.add_price(self.plan, 12_000, interval="year")
        self.sub = self.acc.subscribe(self.acc.add_customer("Ada"), self.yearly)
        self.acc.advance(SEEN)

    def now(self) -> SimulatedAccount:
        return SimulatedAccount(self.acc.snapshot())

    def grow(self, quantity: int, *, proration: str = "none") -> None:
        self.acc.change_quantity(self.sub.items[0], quantity, proration=proration)


def test_what_changes_during_the_walk_is_caught_up() -> None:
    business = Business()

    def meanwhile(wire: Wire, request: httpx.Request) -> None:
        if request.url.path == "/v1/invoices" and wire.at_s == SEEN:
            business.acc.advance(SEEN + 60)
            business.grow(3)
            wire.account, wire.at_s = business.now(), SEEN + 90

    with empty_ledger() as db:
        _, known = sync(db, Wire(business.now(), SEEN, before=meanwhile, pace_us=9))
    assert [m.after_minor for m in known.movements] == [1_000, 3_000]
    assert known.movements[-1].components[0].evidence[0].kind == "event"


def test_who_comes_during_the_walk_is_caught_up() -> None:
    business = Business()

    def meanwhile(wire: Wire, request: httpx.Request) -> None:
        if request.url.path == "/v1/events" and wire.at_s == SEEN:
            business.acc.advance(SEEN + 60)
            business.acc.subscribe(business.acc.add_customer("Late"), business.yearly)
            wire.account, wire.at_s = business.now(), SEEN + 60

    with empty_ledger() as db:
        _, known = sync(db, Wire(business.now(), SEEN, before=meanwhile, pace_us=9))
    assert len({m.customer for m in known.movements}) == 2


def test_each_object_that_events_name_is_fetched_once(db: sqlite3.Connection) -> None:
    business = Business()
    for quantity in (2, 3, 4):
        business.acc.advance(business.acc.now + 60)
        business.grow(quantity)
    wire = Wire(business.now(), business.acc.now)
    walk(db, wire)
    single = f"/v1/subscriptions/{business.sub.id}"
    assert wire.asked.count(single) == 1
    again = Wire(business.now(), business.acc.now + 3_600)
    walk(db, again)
    assert (
        again.asked.count(single) == 1
    )  # by which it is known; the list is newer than every event


def test_what_happens_while_a_walk_is_broken_is_caught_up() -> None:
    """A new customer stands before the cursor, and its price in a list already walked."""
    business = Business()
    with empty_ledger() as db:
        with pytest.raises(Unplugged):
            walk(db, Wire(business.now(), SEEN, unplug_after=7))
        business.acc.advance(SEEN + 3_600)
        business.grow(2)
        tier = Tier(unit_amount=Decimal(700), flat_amount=90)  # only the list shows it
        tiered = business.acc.add_price(
            business.plan, tiers=(tier,), tiers_mode="graduated"
        )
        business.acc.subscribe(business.acc.add_customer("Late"), tiered, quantity=4)
        broken = sync(db, Wire(business.now(), SEEN + 7_200))
    with empty_ledger() as db:
        quiet = sync(db, Wire(business.now(), SEEN + 7_200))
    assert broken[0].resumed
    assert broken[1] == quiet[1]
    assert len(quiet[1].movements) == 3
    assert quiet[1].refusals == []


def test_a_walk_older_than_stripe_s_events_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The change was made after its list was walked, and its event is gone."""
    business = Business()
    with empty_ledger() as db:
        with pytest.raises(Unplugged):
            walk(db, Wire(business.now(), SEEN, unplug_after=8))
        business.acc.advance(SEEN + DAY)
        business.grow(2)
        business.acc.advance(SEEN + 40 * DAY)
        synced, known = sync(db, Wire(business.now(), SEEN + 40 * DAY))
        assert walks.unfinished_walk(db) is None
    assert not synced.resumed
    assert "sync.walk_too_old" in caplog.text
    assert [m.after_minor for m in known.movements] == [1_000, 2_000]


def test_a_pending_item_that_is_invoiced_or_deleted_is_pending_no_more() -> None:
    business = Business()
    business.grow(2, proration="create_prorations")
    with empty_ledger() as db:
        walk(db, Wire(business.now(), SEEN))
        assert len(stored(db)["invoice_items"]) == 2
        business.acc.cancel_now(business.sub)
        walk(db, Wire(business.now(), SEEN + 60))
        assert stored(db)["invoice_items"] == {}


def test_a_pending_item_deleted_during_the_walk_is_forgotten() -> None:
    business = Business()
    business.grow(2, proration="create_prorations")
    account = business.now()
    [item, kept] = account.objects["invoiceitems"]
    deleted = event("invoiceitem.deleted", item, SEEN + 60)

    def meanwhile(wire: Wire, request: httpx.Request) -> None:
        if request.url.path == "/v1/events" and wire.at_s == SEEN:
            left = without(account, "invoiceitems", item["id"])
            wire.account, wire.at_s = changed(left, "events", deleted), SEEN + 60

    with empty_ledger() as db:
        walk(db, Wire(account, SEEN, before=meanwhile))
        assert stored(db)["invoice_items"].keys() == {kept["id"]}


def event(kind: str, thing: Json, at_s: int) -> Json:
    data = {"object": thing}
    return {
        "id": f"evt_{at_s}",
        "object": "event",
        "type": kind,
        "created": at_s,
        "data": data,
    }


def test_a_deleted_customer_leaves_but_keeps_its_past() -> None:
    business = Business()
    with empty_ledger() as db:
        sync(db, Wire(business.now(), SEEN))
        business.acc.advance(SEEN + DAY)
        business.acc.cancel_now(business.sub)  # as Stripe does with what it had
        ada = business.sub.customer.id
        stub = {"id": ada, "object": "customer", "deleted": True, "created": OPENED}
        gone = event("customer.deleted", stub, SEEN + DAY)
        account = changed(changed(business.now(), "customers", stub), "events", gone)
        _, known = sync(db, Wire(account, SEEN + DAY + 60))
        assert [m.kind for m in known.movements] == ["new", "churn"]
        assert customers.labels(db) == {ada: ada}  # the name is forgotten


def test_an_event_that_cannot_be_read_is_named_and_the_rest_goes_on(
    db: sqlite3.Connection,
) -> None:
    odd = event("customer.subscription.updated", {"id": 7}, SEEN)
    synced = walk(db, Wire(changed(shop(), "events", odd), SEEN))
    assert synced.unreadable_events == [odd["id"]]
    assert len(stored(db)["events"]) == len(shop().objects["events"])


# --- order does not matter ---

Part = tuple[str, tuple[Json, ...]]


def cut(account: SimulatedAccount, size: int) -> list[Part]:
    """The account as pages, each with its kind."""
    return [
        (kind, tuple(things[first : first + size]))
        for kind, things in account.objects.items()
        for first in range(0, len(things), size)
    ]


@settings(max_examples=25)
@given(size=st.integers(3, 20), data=st.data())
def test_pages_in_any_order_and_any_number_end_in_the_same_ledger(
    size: int, data: st.DataObject
) -> None:
    """Also where the ledger is settled in between, on half of the evidence."""
    pages = cut(shop(), size)
    each = st.integers(0, len(pages) - 1)
    again = data.draw(st.lists(each, max_size=5), label="again")
    order = data.draw(st.permutations([*range(len(pages)), *again]), label="order")
    settled = data.draw(st.sets(each, max_size=2), label="settled after")
    with empty_ledger() as db:
        for number in order:
            kind, things = pages[number]
            with transaction(db):
                mirrored = [read(kind, thing) for thing in things]
                objects.put(db, KINDS[kind][0], mirrored, SEEN * 1_000_000)
            if number in settled:
                settle(db, SEEN)
        movements, refusals = settle(db, SEEN)
    expected = synced_shop()
    assert [*map(unworded, movements)] == [*map(unworded, expected.movements)]
    assert refusals == expected.refusals == []


def unworded(movement: Movement) -> Movement:
    """Without the sums in words: those name the units that were known at the time."""
    parts = tuple(replace(p, before="", after="") for p in movement.components)
    return replace(movement, components=parts)


# --- what is logged ---


def test_logs_name_no_customer_and_no_amount(
    db: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="connector")
    sync(db, Wire(shop(), SEEN))
    assert "ingest.page kind=invoices seen=49" in caplog.text
    for customer in shop().objects["customers"]:
        assert customer["name"] not in caplog.text
        assert customer["email"] not in caplog.text


def test_the_mirror_holds_what_the_client_decoded(db: sqlite3.Connection) -> None:
    """Bodies read back as the structs they were written from."""
    walk(db, Wire(shop(), SEEN))
    for it in shop().objects["subscriptions"]:
        whole = decode(json.dumps(it).encode(), Subscription)
        mirrored = decode(stored(db)["subscriptions"][it["id"]], Subscription)
        assert what_counts(mirrored) == what_counts(whole)
    for it in shop().objects["invoiceitems"]:
        pending = decode(stored(db)["invoice_items"][it["id"]], InvoiceItem)
        assert pending == decode(json.dumps(it).encode(), InvoiceItem)


@pytest.mark.parametrize("ahead_s", [1, 2, 3, 60])
def test_a_clock_ahead_of_stripe_s_loses_no_pending_item(ahead_s: int) -> None:
    """It is set right in the middle of the first walk, by what the answers tell."""
    business = Business()
    business.grow(2, proration="create_prorations")

    class Ahead(Wire):
        def now_us(self) -> int:
            return super().now_us() + ahead_s * 1_000_000

    wire = Ahead(business.now(), SEEN, pace_us=120_000)
    with empty_ledger() as db:
        walk(db, wire)
        assert len(stored(db)["invoice_items"]) == 2
