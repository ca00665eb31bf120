"""Following events instead of reading everything: as good, and cheap.

First a table of what can happen between two syncs; then random customers who are watched
at random moments: they end in the ledger of somebody who looks once, at the end, and to
whom Stripe shows every event there ever was.

Only where nobody looked for more than 29 days may the one who watched know more: what it
once saw of a discount or a price that no invoice, no event and no object shows any more.
"""

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.errors import LedgerUnusable, StripeRefused
from connector.store.mirror import event_feed
from connector.stripe_api.decoding import decode
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Price, Subscription
from tests.billing.calendar_ import DAY, HOUR
from tests.billing.catalogue import Tier
from tests.billing.state import Json
from tests.support.ledgers import Known, empty_ledger
from tests.support.lives import BORN, EVENTFUL, USUAL, Act, Lived, numbers
from tests.support.living import Telling
from tests.support.simulator import SimulatedAccount
from tests.support.synced import (
    OPENED,
    SEEN,
    Unplugged,
    Wire,
    changed,
    sync,
    walk,
    without,
)

USUAL_LIVES = 120


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


class Shop:
    """One customer with a yearly plan; ``SEEN`` is when it is first looked at."""

    def __init__(self) -> None:
        self.acc = Telling(OPENED)
        self.plan = self.acc.add_product("Plan")
        self.yearly = self.acc.add_price(self.plan, 12_000, interval="year")
        self.monthly = self.acc.add_price(self.plan, 1_500)
        self.sub = self.acc.subscribe(self.acc.add_customer("Ada"), self.yearly)
        self.acc.tell()
        self.acc.advance(SEEN)

    @property
    def now_s(self) -> int:
        return self.acc.now

    def account(self) -> SimulatedAccount:
        return self.acc.now_shown()

    def after(self, wait_s: int) -> "Shop":
        self.acc.advance(self.acc.now + wait_s)
        return self

    def grow(self, quantity: int, *, proration: str = "none") -> None:
        self.acc.change_quantity(self.sub.items[0], quantity, proration=proration)
        self.acc.tell()

    def customers(self, count: int) -> None:
        for number in range(count):
            name = f"Customer {number}"
            self.acc.subscribe(self.acc.add_customer(name), self.monthly)
            self.acc.tell()


@pytest.fixture
def shop(db: sqlite3.Connection) -> Shop:
    """It was looked at, at ``SEEN``."""
    shop = Shop()
    sync(db, Wire(shop.account(), SEEN))
    return shop


def quiet(account: SimulatedAccount, at_s: int) -> Known:
    with empty_ledger() as db:
        return sync(db, Wire(account, at_s))[1]


def caught_up(db: sqlite3.Connection, shop: Shop, account: SimulatedAccount) -> Wire:
    """A sync by events, which ends as one that reads everything does."""
    wire = Wire(account, shop.now_s)
    synced, known = sync(db, wire, full=False)
    assert synced.mode == "events"
    assert known == quiet(account, shop.now_s)
    return wire


def hinted(kind: str, thing: Json, at_s: int) -> Json:
    return {
        "id": f"evt_{kind}_{at_s}",
        "object": "event",
        "type": kind,
        "created": at_s,
        "data": {"object": thing},
    }


def only(db: sqlite3.Connection, kind: str, key: str) -> bytes:
    query = f"SELECT body FROM stripe_{kind} WHERE id = ?"  # noqa: S608
    [body] = db.execute(query, [key]).fetchone()
    assert isinstance(body, bytes)
    return body


def amounts(db: sqlite3.Connection) -> list[int]:
    rows = db.execute("SELECT after_minor FROM live_movements ORDER BY day, id")
    return [minor for (minor,) in rows]


# --- what it costs ---


def test_an_account_that_did_not_change_costs_three_requests(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """One subscription, to know the account by, and the two lists of events."""
    wire = Wire(shop.after(HOUR).account(), shop.now_s)
    synced = walk(db, wire, full=False)
    known = f"/v1/subscriptions/{shop.sub.id}"
    assert wire.asked == [known, "/v1/events", "/v1/events"]
    assert (synced.mode, synced.changed, synced.why) == ("events", 0, "")


def test_many_new_objects_are_read_from_their_lists(
    db: sqlite3.Connection, shop: Shop
) -> None:
    shop.after(HOUR).customers(12)
    asked = Counter(caught_up(db, shop.after(60), shop.account()).asked)
    assert asked["/v1/subscriptions"] == asked["/v1/invoices"] == 1
    assert asked["/v1/customers"] == 1
    assert asked.total() == 6  # and what an unchanged account costs


def test_few_new_objects_are_fetched_one_by_one(
    db: sqlite3.Connection, shop: Shop
) -> None:
    shop.after(HOUR).customers(2)
    asked = Counter(caught_up(db, shop.after(60), shop.account()).asked)
    assert asked.total() == 3 + 2 * 3
    assert "/v1/customers" not in asked


def test_many_changed_objects_are_read_as_a_list(db: sqlite3.Connection) -> None:
    shop = Shop()
    shop.customers(20)
    sync(db, Wire(shop.after(HOUR).account(), shop.now_s))
    for sub in shop.acc.subscriptions:
        shop.acc.change_quantity(sub.items[0], 7, proration="none")
    shop.acc.tell()
    asked = Counter(caught_up(db, shop.after(60), shop.account()).asked)
    assert asked["/v1/subscriptions"] == 1
    assert asked.total() == 4


def test_each_object_is_fetched_once_however_often_it_changed(
    db: sqlite3.Connection, shop: Shop
) -> None:
    for quantity in range(2, 9):
        shop.after(60).grow(quantity)
    wire = caught_up(db, shop.after(60), shop.account())
    _by_which_it_is_known, *asked = wire.asked
    assert asked.count(f"/v1/subscriptions/{shop.sub.id}") == 1
    again = Wire(shop.after(60).account(), shop.now_s)
    walk(db, again, full=False)
    assert len(again.asked) == 3  # the overlap shows them again, but our copy is newer


def test_lines_of_finished_invoices_are_not_fetched_twice() -> None:
    """An invoice shows ten lines; what is paid for long stays as it is."""
    shop = Shop()
    for quantity in range(2, 10):
        shop.grow(quantity, proration="create_prorations")
        shop.after(HOUR)
    shop.after(400 * DAY)
    [long] = [i for i in shop.acc.invoices.values() if len(i.lines) > 10]
    path = f"/v1/invoices/{long.id}/lines"
    shop.after(max(0, long.created + 100 * DAY - shop.now_s))
    with empty_ledger() as db:
        first = Wire(shop.account(), shop.now_s)
        _, known = sync(db, first)
        second = Wire(shop.after(60).account(), shop.now_s)
        synced, again = sync(db, second)
        assert path in first.asked
        assert path not in second.asked
        assert len(decode(only(db, "invoices", long.id), Invoice).lines.data) == len(
            long.lines
        )
    assert (synced.changed, again) == (0, known)


# --- when events come ---


def test_changes_of_one_second_are_all_found(
    db: sqlite3.Connection, shop: Shop
) -> None:
    shop.after(HOUR).grow(2)
    shop.grow(3)
    caught_up(db, shop.after(60), shop.account())
    assert amounts(db) == [1_000, 3_000]


@pytest.mark.parametrize("is_told", [True, False])
def test_each_look_of_one_second_counts(
    db: sqlite3.Connection, shop: Shop, *, is_told: bool
) -> None:
    """It shows in the ledger at once; once the events of that second come, they date it."""
    shop.after(HOUR)
    for quantity in (2, 3, 4):
        shop.grow(quantity)
        account = shop.account()
        new = [e["id"] for e in account.objects["events"] if e["created"] == shop.now_s]
        shown = account if is_told else without(account, "events", *new)
        sync(db, Wire(shown, shop.now_s))
        assert amounts(db) == [1_000, 1_000 * quantity]
    caught_up(db, shop.after(60), shop.account())
    assert amounts(db) == [1_000, 4_000]


def test_a_change_in_the_second_of_the_last_look_is_found(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """The copy was asked for in that second, and may have come before it."""
    shop.grow(4)
    caught_up(db, shop.after(60), shop.account())
    assert amounts(db) == [1_000, 4_000]


def test_an_event_that_appears_late_is_found_in_the_overlap(
    db: sqlite3.Connection, shop: Shop
) -> None:
    shop.after(HOUR).grow(2)
    account = shop.account()
    late = next(e for e in account.objects["events"] if e["created"] == shop.now_s)
    shop.after(60)
    hidden = Wire(without(account, "events", late["id"]), shop.now_s)
    sync(db, hidden, full=False)
    assert amounts(db) == [1_000]
    caught_up(db, shop.after(9 * 60), shop.account())
    assert amounts(db) == [1_000, 2_000]


def test_the_newest_events_are_left_for_the_next_sync(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """One of the same second may still be on its way."""
    shop.after(HOUR).grow(2)
    early = Wire(shop.after(9).account(), shop.now_s)
    sync(db, early, full=False)
    assert len(early.asked) == 3
    caught_up(db, shop.after(5), shop.account())
    assert amounts(db) == [1_000, 2_000]


def test_a_replay_that_fails_reads_its_events_again(
    db: sqlite3.Connection, shop: Shop
) -> None:
    shop.after(HOUR).grow(2)
    until_us = event_feed.events_read_until_us(db)
    path = f"/v1/subscriptions/{shop.sub.id}"
    shop.after(60)
    with pytest.raises(StripeRefused):
        walk(db, Wire(shop.account(), shop.now_s, forbidden=path), full=False)
    assert event_feed.events_read_until_us(db) == until_us
    caught_up(db, shop.after(20 * DAY), shop.account())
    assert amounts(db) == [1_000, 2_000]
    assert event_feed.events_read_until_us(db) == (shop.now_s - 10) * 1_000_000


def test_an_event_of_another_version_is_still_a_hint(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """It is named, and what it is about is fetched; only its own state is not read."""
    shop.after(HOUR).grow(2)
    account = shop.account()
    [newest] = [e for e in account.objects["events"] if e["created"] == shop.now_s]
    odd = {**newest["data"]["object"], "start_date": "in words"}
    spoiled = changed(account, "events", hinted(newest["type"], odd, shop.now_s))
    spoiled = without(spoiled, "events", newest["id"])
    synced, known = sync(db, Wire(spoiled, shop.after(60).now_s), full=False)
    assert synced.unreadable_events == [f"evt_{newest['type']}_{shop.now_s - 60}"]
    assert [m.after_minor for m in known.movements] == [1_000, 2_000]
    [evidence] = known.movements[-1].components[0].evidence
    assert evidence.kind == "observed"


# --- when everything is read ---


@pytest.mark.parametrize(
    ("days", "full", "mode", "why"),
    [
        pytest.param(1, False, "events", "", id="usually: events"),
        pytest.param(28, False, "events", "", id="28 days: Stripe still shows them"),
        pytest.param(
            30,
            False,
            "full",
            "the last sync was more than 29 days ago",
            id="more: everything, and it says why",
        ),
        pytest.param(1, True, "full", "", id="asked for: everything"),
    ],
)
def test_when_everything_is_read(
    db: sqlite3.Connection, shop: Shop, days: int, why: str, mode: str, *, full: bool
) -> None:
    shop.after(HOUR).grow(2)
    shop.after(days * DAY)
    synced, known = sync(db, Wire(shop.account(), shop.now_s), full=full)
    assert (synced.mode, synced.why) == (mode, why)
    assert [m.after_minor for m in known.movements] == [1_000, 2_000]


def test_reading_everything_forgets_what_is_pending_no_more(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """The event of its deletion was seen by nobody, and is gone."""
    waiting(shop.after(HOUR))
    sync(db, Wire(shop.after(60).account(), shop.now_s), full=False)
    assert len(bodies(db, "invoice_items")) == 2
    shop.acc.cancel_now(shop.sub)
    shop.acc.tell()
    synced, known = sync(db, Wire(shop.after(40 * DAY).account(), shop.now_s))
    assert synced.mode == "full"
    assert bodies(db, "invoice_items") == {}
    assert [m.kind for m in known.movements] == ["new", "churn"]


def test_a_key_of_another_account_is_refused(
    db: sqlite3.Connection, shop: Shop
) -> None:
    other = Telling(OPENED, seed=9)
    other.subscribe(other.add_customer(), other.add_price(other.add_product("B"), 700))
    other.tell()
    other.advance(shop.after(HOUR).now_s)
    before = list(db.iterdump())
    for full in (False, True):
        with pytest.raises(LedgerUnusable, match="another Stripe account"):
            walk(db, Wire(other.now_shown(), other.now), full=full)
    assert list(db.iterdump()) == before


# --- what an event leads to ---


def renamed(shop: Shop) -> None:
    shop.sub.customer.name = "Ada & Sons"


def discounted(shop: Shop) -> None:
    half = shop.acc.add_coupon("HALF", percent_off=50)
    shop.acc.add_discount(shop.sub, half)


def undiscounted(shop: Shop) -> None:
    discounted(shop)
    shop.after(60)
    shop.acc.tell()
    shop.acc.remove_discount(shop.sub, shop.sub.discounts[0])


def waiting(shop: Shop) -> None:
    shop.grow(2, proration="create_prorations")


def billed(shop: Shop) -> None:
    waiting(shop)
    shop.after(60)
    shop.acc.tell()
    made = shop.acc.invoice_pending(shop.sub)
    assert made is not None
    shop.acc.finalize(made)


def drafted(shop: Shop) -> None:
    """The draft takes up what was pending, and nothing but its creation tells of it."""
    waiting(shop)
    shop.after(60)
    shop.acc.tell()
    shop.acc.invoice_pending(shop.sub)


def dropped(shop: Shop) -> None:
    waiting(shop)
    shop.after(60)
    shop.acc.cancel_now(shop.sub)


def tiered(shop: Shop) -> None:
    """Its tiers show on the price alone."""
    tier = Tier(unit_amount=Decimal(700), flat_amount=90)
    price = shop.acc.add_price(shop.plan, tiers=(tier,), tiers_mode="graduated")
    shop.acc.subscribe(shop.acc.add_customer("Late"), price, quantity=4)


def unpaid(shop: Shop) -> None:
    shop.acc.fail_payments(shop.sub.customer)
    shop.acc.change_quantity(shop.sub.items[0], 5, proration="always_invoice")


DEEDS: dict[str, Callable[[Shop], None]] = {
    "a customer is renamed": renamed,
    "a discount is given": discounted,
    "a discount is taken away again": undiscounted,
    "a proration waits": waiting,
    "a proration is billed": billed,
    "a proration is on a draft that stays one": drafted,
    "a proration is deleted with its subscription": dropped,
    "a price in tiers is new": tiered,
    "an invoice stays open": unpaid,
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
@pytest.mark.parametrize("is_seen_between", [False, True])
def test_events_lead_to_what_changed(
    db: sqlite3.Connection,
    shop: Shop,
    deed: Callable[[Shop], None],
    *,
    is_seen_between: bool,
) -> None:
    """In the ledger, and in every object of the mirror."""
    shop.after(HOUR)
    if is_seen_between:
        waiting(shop)
        sync(db, Wire(shop.after(60).account(), shop.now_s), full=False)
    deed(shop)
    shop.acc.tell()
    caught_up(db, shop.after(60), shop.account())
    with empty_ledger() as other:
        walk(other, Wire(shop.account(), shop.now_s))
        for kind in ("products", "prices", "coupons", "customers", "subscriptions"):
            assert bodies(db, kind) == bodies(other, kind)
        for kind in ("invoices", "invoice_items"):
            assert bodies(db, kind) == bodies(other, kind)


@pytest.mark.parametrize(
    ("kind", "event", "change"),
    [
        ("products", "product.updated", {"unit_label": "seat"}),
        ("prices", "price.updated", {"active": False}),
        ("prices", "price.updated", {"unit_amount": 99, "unit_amount_decimal": "99"}),
    ],
    ids=["a product counts seats", "a price is archived", "a price costs less"],
)
def test_events_lead_to_what_changed_in_the_catalogue(
    db: sqlite3.Connection, shop: Shop, kind: str, event: str, change: Json
) -> None:
    [old] = [it for it in shop.account().objects[kind] if it["id"] in catalogue(shop)]
    told = hinted(event, old | change, shop.after(HOUR).now_s)
    account = changed(shop.account(), kind, old | change)
    account = changed(account, "events", told)
    wire = Wire(account, shop.after(60).now_s)
    _, known = sync(db, wire, full=False)
    expected = quiet(account, shop.now_s).movements
    assert [m.amount_minor for m in known.movements] == [
        m.amount_minor for m in expected
    ]  # not in words: those name the units that were known when it was booked
    assert len(wire.asked) == 4
    with empty_ledger() as other:
        walk(other, Wire(account, shop.now_s))
        assert bodies(db, kind) == bodies(other, kind)


def catalogue(shop: Shop) -> set[str]:
    return {shop.plan.id, shop.yearly.id}


def bodies(db: sqlite3.Connection, kind: str) -> dict[str, bytes]:
    return dict(db.execute(f"SELECT id, body FROM stripe_{kind}").fetchall())  # noqa: S608


def test_a_customer_s_own_discount_is_fetched(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """``customer.discount.created`` names no subscription: it is the customer's."""
    shop.after(HOUR).acc.add_coupon("HALF", percent_off=50)
    shop.acc.tell()
    ada = shop.sub.customer.id
    discount = {
        "id": "di_own",
        "object": "discount",
        "customer": ada,
        "start": shop.now_s,
        "source": {"coupon": "HALF", "type": "coupon"},
    }
    account = shop.account()
    [customer] = account.objects["customers"]
    account = changed(account, "customers", customer | {"discount": discount})
    told = hinted("customer.discount.created", discount, shop.now_s)
    caught_up(db, shop.after(60), changed(account, "events", told))
    assert amounts(db) == [1_000, 500]


def test_a_subscription_s_discount_is_fetched(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """Also where no event of the subscription itself tells of it."""
    discounted(shop.after(HOUR))
    shop.acc.tell()
    account = shop.account()
    other = [
        e["id"]
        for e in account.objects["events"]
        if e["type"] == "customer.subscription.updated"
    ]
    wire = caught_up(db, shop.after(60), without(account, "events", *other))
    assert f"/v1/subscriptions/{shop.sub.id}" in wire.asked
    assert amounts(db) == [1_000, 500]


def test_a_deleted_customer_is_fetched_as_what_is_left(
    db: sqlite3.Connection, shop: Shop
) -> None:
    shop.after(HOUR).acc.cancel_now(shop.sub)
    shop.acc.tell()
    ada = shop.sub.customer.id
    stub = {"id": ada, "object": "customer", "deleted": True, "created": OPENED}
    account = changed(shop.account(), "customers", stub)
    told = hinted("customer.deleted", stub, shop.now_s)
    caught_up(db, shop.after(60), changed(account, "events", told))
    assert amounts(db) == [1_000, 0]
    assert json.loads(only(db, "customers", ada))["deleted"] is True


def test_a_deleted_coupon_keeps_its_discounts_alive(
    db: sqlite3.Connection, shop: Shop
) -> None:
    discounted(shop.after(HOUR))
    shop.acc.tell()
    sync(db, Wire(shop.after(60).account(), shop.now_s), full=False)
    [coupon] = shop.account().objects["coupons"]
    told = hinted("coupon.deleted", coupon, shop.now_s)
    account = changed(without(shop.account(), "coupons", "HALF"), "events", told)
    wire = Wire(account, shop.after(60).now_s)
    _, known = sync(db, wire, full=False)
    assert "/v1/coupons/HALF" in wire.asked
    assert [m.after_minor for m in known.movements] == [1_000, 500]


@pytest.mark.parametrize("active", [True, False])
def test_a_price_that_only_its_subscription_names_is_fetched(
    db: sqlite3.Connection, shop: Shop, *, active: bool
) -> None:
    """Stripe need not tell of a price that was made together with what uses it."""
    tiered(shop.after(HOUR))
    shop.acc.tell()
    account = shop.account()
    [price] = [p for p in account.objects["prices"] if p["created"] == shop.now_s]
    quiet_ids = [
        e["id"]
        for e in account.objects["events"]
        if e["data"]["object"]["id"] == price["id"]
    ]
    account = without(account, "events", *quiet_ids)
    account = changed(account, "prices", price | {"active": active})
    wire = caught_up(db, shop.after(60), account)
    assert f"/v1/prices/{price['id']}" in wire.asked
    assert decode(only(db, "prices", price["id"]), Price).tiers


def test_a_draft_that_is_deleted_again_is_no_failure(
    db: sqlite3.Connection, shop: Shop
) -> None:
    draft = {"id": "in_gone", "object": "invoice", "customer": shop.sub.customer.id}
    told = hinted("invoice.updated", draft, shop.after(HOUR).now_s)
    wire = Wire(changed(shop.account(), "events", told), shop.after(60).now_s)
    _, known = sync(db, wire, full=False)
    assert "/v1/invoices/in_gone" in wire.asked
    assert [m.after_minor for m in known.movements] == [1_000]


def test_an_answer_under_way_while_it_changed_does_not_date_the_change(
    db: sqlite3.Connection, shop: Shop
) -> None:
    """The copy is stamped before the change that it shows already: the event knows."""

    def meanwhile(wire: Wire, request: httpx.Request) -> None:
        if request.url.path == "/v1/subscriptions" and wire.at_s == shop.now_s:
            shop.after(90).grow(6)
            wire.account, wire.at_s = shop.account(), shop.now_s

    shop.after(HOUR)
    wire = Wire(shop.account(), shop.now_s, before=meanwhile)
    _, known = sync(db, wire)
    proof = known.movements[-1].components[0].evidence
    assert [each.kind for each in proof] == ["event"]
    assert known == quiet(shop.account(), shop.after(60).now_s)
    copy = decode(only(db, "subscriptions", shop.sub.id), Subscription)
    assert copy.items.data[0].quantity == 6


# --- whoever watches knows all that Stripe ever showed ---

UNWATCHED_S = 25 * DAY


class Look(NamedTuple):
    """A sync after ``wait_s``: by events or in full, perhaps cut off after some requests.

    Before every ``every``-th request one of the ``meanwhile`` happens.
    """

    wait_s: int
    page: int
    full: bool
    cut_after: int | None
    meanwhile: list[Act]
    every: int


waits = st.one_of(
    st.integers(0, 3 * HOUR),
    st.integers(HOUR, 20 * DAY),
    st.sampled_from([DAY, 14 * DAY, 30 * DAY, 31 * DAY, 365 * DAY]),
)
deeds = st.sampled_from(EVENTFUL + USUAL)
acts = st.builds(Act, waits, deeds, numbers, numbers, numbers)
quick_acts = st.builds(Act, st.integers(0, 90), deeds, numbers, numbers, numbers)
looks = st.builds(
    Look,
    wait_s=st.sampled_from([0, 5, 61, HOUR, 2 * DAY]),
    page=st.sampled_from([3, 7, 100]),
    full=st.booleans(),
    cut_after=st.none() | st.integers(0, 25),
    meanwhile=st.lists(quick_acts, max_size=3),
    every=st.integers(1, 9),
)
watched_lives = st.lists(acts | looks, min_size=1, max_size=12)


class Watched:
    """A customer who lives, and a ledger that is never out of date for 29 days."""

    def __init__(self, db: sqlite3.Connection, mode: str) -> None:
        self.db = db
        self.acc = Telling(BORN)
        self.person = Lived(mode, is_watched=True, account=self.acc)
        self.acc.tell()
        self.looked_s = BORN

    def do(self, act: Act) -> None:
        self.wait(act.wait_s)
        self.person.do(act._replace(wait_s=0))
        self.acc.tell()

    def wait(self, wait_s: int) -> None:
        """Time passes; now and then somebody syncs."""
        until_s = self.acc.now + wait_s
        while until_s - self.looked_s > UNWATCHED_S:
            self.acc.advance(max(self.acc.now, self.looked_s + UNWATCHED_S))
            self.sync(Wire(self.acc.now_shown(), self.acc.now))
        self.acc.advance(until_s)

    def look(self, look: Look) -> None:
        self.wait(look.wait_s)
        left = iter(look.meanwhile)

        def meanwhile(wire: Wire, _: httpx.Request) -> None:
            if len(wire.asked) % look.every == look.every - 1:
                for act in itertools.islice(left, 1):
                    self.acc.advance(max(self.acc.now, wire.now_us() // 1_000_000))
                    self.person.do(act)
                    self.acc.tell()
                    wire.at_s = max(wire.at_s, self.acc.now)
                    wire.account = self.acc.now_shown()

        wire = Wire(
            self.acc.now_shown(),
            self.acc.now,
            page=look.page,
            unplug_after=look.cut_after,
            pace_us=100_000,
            before=meanwhile,
        )
        with suppress(Unplugged):
            self.sync(wire, full=look.full)
        self.acc.advance(max(self.acc.now, wire.now_us() // 1_000_000 + 1))

    def sync(self, wire: Wire, *, full: bool = False) -> Known:
        began_s = self.acc.now
        _, known = sync(self.db, wire, full=full)
        self.looked_s = began_s
        return known


def test_whoever_watches_knows_all_that_stripe_ever_showed(
    request: pytest.FixtureRequest,
) -> None:
    """Movements, components and evidence, row for row; ``--lives N`` tries N new ones."""
    wanted = request.config.getoption("--lives")

    @settings(max_examples=wanted or USUAL_LIVES, derandomize=not wanted)
    @given(mode=st.sampled_from(["flexible", "classic"]), life=watched_lives)
    def holds(mode: str, life: list[Act | Look]) -> None:
        with empty_ledger() as db:
            watched = Watched(db, mode)
            watched.do(Act(0, "come_back", 1))
            for each in life:
                if isinstance(each, Act):
                    watched.do(each)
                else:
                    watched.look(each)
            watched.wait(60)
            at_s = watched.acc.now
            known = watched.sync(Wire(watched.acc.now_shown(), at_s))
            assert known == quiet(watched.acc.ever_shown(), at_s)

    holds()
