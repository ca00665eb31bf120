"""From the inbox to the ledger: once each, nothing lost, and nobody holds up another."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.core.dates import instant
from connector.core.errors import RulesDiffer
from connector.core.model import Movement
from connector.pipeline.ingest import Ingest
from connector.pipeline.policy_change import adopt
from connector.pipeline.recompute import recompute
from connector.pipeline.thread_pool import ThreadPool
from connector.store import inbox
from connector.store.database import put_setting, transaction
from connector.store.inbox import SECOND_US, TRIES
from connector.store.ledger import queries
from connector.store.mirror import dirty_customers, event_feed
from connector.stripe_api.client import StripeApi
from connector.stripe_api.rate_limit import Limiter
from connector.webhooks.apply_events import BATCH, EventBatch, apply_events, hindrance
from connector.webhooks.payload import read_payload
from tests.billing.account import Account
from tests.billing.calendar_ import DAY
from tests.billing.state import Json
from tests.pipeline.test_recompute import IGNORING, RULES, TOO_EARLY_S, poison
from tests.support.ledgers import empty_ledger, profile, settle
from tests.support.living import Telling
from tests.support.served import thin
from tests.support.served import webhook as told
from tests.support.simulator import AccountTransport, SimulatedAccount
from tests.support.synced import DEFAULTS, KEY, OPENED, Unplugged, Wire, changed, walk
from tests.support.synced import sync as synced


@dataclass
class Shop:
    """A business, its mirror and ledger after one sync, and the way to Stripe."""

    db: sqlite3.Connection
    acc: Account = field(default_factory=lambda: Account(OPENED))
    asked: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)  # path → status
    counted: list[tuple[str, str]] = field(default_factory=list)
    late_s: int = 0  # how far the clock is ahead of the business
    odd: dict[str, Json] = field(default_factory=dict)  # path → answer instead
    gone: set[str] = field(default_factory=set)  # customers that were deleted
    names: Sequence[str] = ("Ada", "Bob", "Cyd")

    def __post_init__(self) -> None:
        plan = self.acc.add_product("Plan")
        self.price = self.acc.add_price(plan, 1_000)
        self.other = self.acc.add_price(plan, 1_700)
        self.subs = [
            self.acc.subscribe(self.acc.add_customer(name, country="DE"), self.price)
            for name in self.names
        ]
        self.acc.advance(OPENED + 20 * DAY)
        wire = Wire(self.account, self.acc.now)
        walk(self.db, wire)
        settle(self.db, self.acc.now)
        adopt(self.db, RULES)

    @property
    def account(self) -> SimulatedAccount:
        shown = SimulatedAccount(self.acc.snapshot())
        deleted = [
            it | {"deleted": True}
            for it in shown.objects["customers"]
            if it["id"] in self.gone
        ]
        return changed(shown, "customers", *deleted)

    def now_us(self) -> int:
        return (self.acc.now + self.late_s) * SECOND_US

    def happens(self, deed: Callable[[], object], wait_s: int = 60) -> list[Json]:
        """Let a minute pass and something be done; the events about it."""
        before = {it["id"] for it in self.acc.snapshot()["events"]}
        self.acc.advance(self.acc.now + wait_s)
        deed()
        if isinstance(self.acc, Telling):
            self.acc.tell()
        return [it for it in self.acc.snapshot()["events"] if it["id"] not in before]

    def grow(self, customer: int, quantity: int) -> Json:
        """Change a quantity; the event about it."""
        item = self.subs[customer].items[0]
        [event] = self.happens(
            lambda: self.acc.change_quantity(item, quantity, proration="none")
        )
        assert event["type"] == "customer.subscription.updated"
        return event

    def send(self, *events: Json) -> None:
        hints = [read_payload(json.dumps(each).encode()) for each in events]
        with transaction(self.db):
            arrived = [hint for hint in hints if hint is not None]
            inbox.keep(self.db, arrived, self.now_us())

    def handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(path)
        if path in self.refused:
            return httpx.Response(self.refused[path], json={"error": {"message": "No"}})
        if path in self.odd:
            return httpx.Response(200, json=self.odd[path])
        answer = AccountTransport(self.account).handle_request(request)
        answer.headers["Date"] = formatdate(self.now_us() // 1_000_000, usegmt=True)
        return answer

    def work(self, rules: Any = RULES) -> int:
        wire = httpx.MockTransport(self.handle)
        with (
            StripeApi(
                KEY,
                transport=wire,
                now_us=self.now_us,
                sleep=lambda _: None,
                limiter=Limiter.free(),
            ) as api,
            ThreadPool[Any](1) as threads,
        ):
            work = EventBatch(
                ingest=lambda db: Ingest(
                    connection=db,
                    source=api,
                    threads=threads,
                    config=DEFAULTS,
                    now_us=api.stripe_us,
                ),
                now_us=self.now_us,
                count=lambda *each: self.counted.append(each),
                spent=lambda: api.reads.requests,
            )
            return apply_events(self.db, rules, work)

    @property
    def states(self) -> dict[str, str]:
        return dict(self.db.execute("SELECT event, state FROM inbox").fetchall())

    def mrr(self, customer: int) -> int:
        name = self.subs[customer].customer.id
        own = [m for m in live(self.db) if m.customer == name]
        return own[-1].after_minor


@pytest.fixture
def shop() -> Iterator[Shop]:
    with empty_ledger() as connection:
        yield Shop(connection)


def live(db: sqlite3.Connection) -> list[Movement]:
    return list(queries.movements(db))


# --- what a webhook brings about ---


def test_a_change_is_in_the_ledger_with_the_event_as_evidence(shop: Shop) -> None:
    event = shop.grow(0, 3)
    shop.send(event)
    assert shop.work() == 1
    assert shop.mrr(0) == 3_000
    [proof, *_] = live(shop.db)[-1].components[0].evidence
    assert (proof.kind, proof.id) == ("event", event["id"])
    assert shop.states == {event["id"]: "done"}
    assert shop.counted == [("customer.subscription.updated", "done")]
    assert shop.db.execute("SELECT cause FROM runs ORDER BY id").fetchall() == [
        ("sync",),
        ("webhook",),
    ]
    assert shop.work() == 0


def test_what_the_payload_shows_is_not_believed(shop: Shop) -> None:
    event = shop.grow(0, 3)
    forged = json.loads(json.dumps(event))
    forged["data"]["object"]["items"]["data"][0]["quantity"] = 1_000_000
    shop.send(forged)
    shop.work()
    assert shop.mrr(0) == 3_000


def test_each_object_is_fetched_once_however_many_events_name_it(shop: Shop) -> None:
    shop.send(*(shop.grow(0, quantity) for quantity in (2, 3, 4, 5)))
    shop.work()
    assert shop.asked.count(f"/v1/subscriptions/{shop.subs[0].id}") == 1
    assert shop.mrr(0) == 5_000
    assert set(shop.states.values()) == {"done"}


MANY = [f"Customer {number}" for number in range(30)]


def test_what_many_events_name_is_fetched_in_few_requests() -> None:
    """Events from their list, and objects of theirs, where enough of them wait."""
    with empty_ledger() as db:
        shop = Shop(db, names=MANY)
        shop.send(*(shop.grow(number, 3) for number in range(30)))
        shop.work()
        assert sorted(shop.asked) == ["/v1/events", "/v1/subscriptions"]
        assert {shop.mrr(number) for number in range(30)} == {3_000}
        assert set(shop.states.values()) == {"done"}


def test_what_is_not_in_a_list_is_asked_for_by_itself() -> None:
    """An event that its list does not show, and a subscription that is gone."""
    with empty_ledger() as db:
        shop = Shop(db, names=MANY)
        shop.send(*(shop.grow(number, 3) for number in range(5)))
        kind = "customer.subscription.updated"
        shop.send(told(kind, {"id": "sub_gone", "object": "subscription"}, "evt_gone"))
        shop.work()
        alone = ["/v1/events/evt_gone", "/v1/subscriptions/sub_gone"]
        assert sorted(shop.asked) == [
            "/v1/events",
            alone[0],
            "/v1/subscriptions",
            alone[1],
        ]
        assert set(shop.states.values()) == {"done"}


@pytest.mark.parametrize("kind", ["events", "subscriptions"])
def test_a_list_that_fails_holds_nobody_up(kind: str) -> None:
    with empty_ledger() as db:
        shop = Shop(db, names=MANY)
        shop.refused[f"/v1/{kind}"] = 400
        shop.send(*(shop.grow(number, 3) for number in range(9)))
        shop.work()
        assert {shop.mrr(number) for number in range(9)} == {3_000}
        assert set(shop.states.values()) == {"done"}


def test_one_bad_object_costs_the_others_few_requests() -> None:
    with empty_ledger() as db:
        shop = Shop(db, names=MANY)
        events = [shop.grow(number, 3) for number in range(30)]
        odd = {"id": "plan?v=2", "object": "price"}
        shop.refused["/v1/prices/plan?v=2"] = 400
        shop.send(*events, told("price.updated", odd, "evt_odd"))
        shop.work()
        states = shop.states
        assert states.pop("evt_odd") == "waiting"
        assert set(states.values()) == {"done"}
        assert len(shop.asked) < 61, "names"


def test_requests_are_counted_whatever_becomes_of_them(shop: Shop) -> None:
    path = f"/v1/subscriptions/{shop.subs[0].id}"
    before = len(shop.asked)
    for quantity, status in ((2, None), (3, 503), (4, 400), (5, None)):
        shop.refused = {} if status is None else {path: status}
        shop.send(shop.grow(0, quantity))
        assert shop.work() > 0
        shop.late_s += 3_600
        counted = event_feed.reads_since(shop.db, instant(0).date())
        assert counted == len(shop.asked) - before > 0


def test_a_thin_event_is_a_name_like_any_other(shop: Shop) -> None:
    shop.grow(0, 3)
    shop.send(thin("subscription", shop.subs[0].id))
    shop.work()
    assert shop.mrr(0) == 3_000


def test_a_pending_item_that_is_gone_is_forgotten(shop: Shop) -> None:
    shop.acc.change_quantity(shop.subs[0].items[0], 2, proration="create_prorations")
    items = shop.acc.snapshot()["invoiceitems"]
    for number, item in enumerate(items):
        shop.send(told("invoiceitem.created", item, f"evt_c{number}"))
    shop.work()
    count = "SELECT count(*) FROM stripe_invoice_items"
    assert shop.db.execute(count).fetchone() == (len(items),)
    shop.acc.cancel_now(shop.subs[0])
    for number, item in enumerate(items):
        shop.send(told("invoiceitem.deleted", item, f"evt_d{number}"))
    shop.work()
    assert shop.db.execute(count).fetchone() == (0,)


def test_only_who_is_concerned_is_derived(shop: Shop) -> None:
    """Others that are marked belong to a sync, which has not seen them whole yet."""
    with transaction(shop.db):
        dirty_customers.mark_one(shop.db, shop.subs[1].customer.id)
    shop.send(shop.grow(0, 3))
    shop.work()
    assert dirty_customers.dirty(shop.db) == [shop.subs[1].customer.id]


def test_no_more_than_a_batch_is_taken(shop: Shop) -> None:
    sub = {"id": shop.subs[0].id, "object": "subscription"}
    kind = "customer.subscription.updated"
    shop.send(*(told(kind, sub, f"evt_{n}") for n in range(BATCH + 5)))
    assert [shop.work(), shop.work(), shop.work()] == [BATCH, 5, 0]


@pytest.mark.parametrize("way", ["a webhook", "the events", "a full walk", "all"])
def test_a_deleted_customer_is_remembered_alike_however_it_is_learned(
    shop: Shop, way: str
) -> None:
    """A list leaves it out, and Stripe shows a stub: its past keeps its country."""
    ada = shop.subs[0].customer.id
    shop.happens(partial(shop.acc.cancel_now, shop.subs[0]))
    shop.acc.advance(shop.acc.now + 60)
    shop.gone.add(ada)
    stub = {"id": ada, "object": "customer", "deleted": True}
    event = told("customer.deleted", stub) | {"created": shop.acc.now}
    if way in ("a webhook", "all"):
        shop.send(event)
        assert shop.work() == 1
    shop.acc.advance(shop.acc.now + 3_600)
    account = shop.account
    if way in ("the events", "all"):
        known = changed(account, "events", event)
        synced(shop.db, Wire(known, shop.acc.now), full=False)
    if way in ("a full walk", "all"):
        synced(shop.db, Wire(account, shop.acc.now))
    synced(shop.db, Wire(account, shop.acc.now + 60), full=False)
    found = profile(shop.db, ada)
    assert found is not None
    assert (found.deleted, found.country, found.label) == (True, "DE", None)
    row = shop.db.execute("SELECT label, country FROM customers WHERE id = ?", [ada])
    assert row.fetchone() == (None, "DE")
    assert [m.kind for m in live(shop.db) if m.customer == ada] == ["new", "churn"]


# --- what goes wrong ---


def test_one_poisoned_event_holds_up_no_other(shop: Shop) -> None:
    bad, good = shop.grow(0, 3), shop.grow(1, 4)
    shop.refused[f"/v1/subscriptions/{shop.subs[0].id}"] = 400
    shop.send(bad, good)
    shop.work()
    assert shop.mrr(1) == 4_000
    assert shop.states == {bad["id"]: "waiting", good["id"]: "done"}
    [trouble] = inbox.troubled(shop.db)
    assert (trouble.tries, "HTTP 400" in trouble.error) == (1, True)


def test_poison_dies_after_eight_tries_and_a_retry_brings_it_back(shop: Shop) -> None:
    bad = shop.grow(0, 3)
    path = f"/v1/subscriptions/{shop.subs[0].id}"
    shop.refused[path] = 403
    shop.send(bad)
    for _ in range(TRIES):
        assert shop.work() == 1
        assert shop.work() == 0, "there is a pause after each try"
        shop.late_s += 3_600
    assert shop.states == {bad["id"]: "dead"}
    assert shop.work() == 0
    assert [outcome for _, outcome in shop.counted] == ["failed"] * 7 + ["dead"]
    del shop.refused[path]
    assert inbox.retry(shop.db, shop.now_us()) == [bad["id"]]
    assert shop.work() == 1
    assert shop.states == {bad["id"]: "done"}
    assert shop.mrr(0) == 3_000


@pytest.mark.parametrize("status", [500, 503, 429, 401])
def test_stripe_s_absence_is_not_the_event_s_fault(shop: Shop, status: int) -> None:
    event = shop.grow(0, 3)
    shop.refused[f"/v1/subscriptions/{shop.subs[0].id}"] = status
    shop.send(event)
    for _ in range(3 * TRIES):
        shop.work()
        shop.late_s += 60
    [trouble] = inbox.troubled(shop.db)
    assert (trouble.state, trouble.tries) == ("waiting", 0)
    shop.refused.clear()
    shop.work()
    assert shop.mrr(0) == 3_000


def test_an_object_stripe_cannot_give_holds_up_no_other(shop: Shop) -> None:
    bad, good = shop.grow(0, 3), shop.grow(1, 4)
    shop.refused[f"/v1/subscriptions/{shop.subs[0].id}"] = 500
    shop.send(bad, good)
    shop.work()
    assert shop.states == {bad["id"]: "waiting", good["id"]: "done"}
    assert shop.mrr(1) == 4_000


def test_an_object_that_does_not_fit_holds_up_no_other(shop: Shop) -> None:
    bad, good = shop.grow(0, 3), shop.grow(1, 4)
    path = f"/v1/subscriptions/{shop.subs[0].id}"
    whole = shop.account.answer(path, [])[1]
    whole["items"]["data"][0]["quantity"] = 10**17  # more than anybody has
    shop.odd[path] = whole
    shop.send(bad, good)
    shop.work()
    assert shop.mrr(1) == 4_000
    assert shop.states == {bad["id"]: "waiting", good["id"]: "done"}
    [trouble] = inbox.troubled(shop.db)
    assert "items.data[0].quantity is 100000000000000000" in trouble.error
    assert shop.mrr(0) == 1_000
    shop.odd.clear()
    shop.late_s += 60
    shop.work()
    assert shop.mrr(0) == 3_000
    assert dirty_customers.dirty(shop.db) == []


def test_an_event_fails_with_the_history_that_its_customer_is_merged_into(
    shop: Shop,
) -> None:
    old, new = (shop.subs[number].customer.id for number in (0, 1))
    merged = replace(RULES, merge={old: new})
    adopt(shop.db, merged)
    recompute(shop.db, merged, cause="sync", now=instant(shop.acc.now))
    event = shop.grow(0, 3)
    poison(shop.db, [new], TOO_EARLY_S)  # not what the event names: that would not fit
    shop.send(event)
    shop.work(merged)
    [trouble] = inbox.troubled(shop.db)
    assert trouble.error.startswith(f"{new}: ValueError: ")
    assert dirty_customers.dirty(shop.db) == [new]


def test_an_event_in_a_shape_nobody_knows_is_evidence_of_nothing(shop: Shop) -> None:
    event = shop.grow(0, 3)
    shop.odd[f"/v1/events/{event['id']}"] = told(event["type"], {"id": 7}, event["id"])
    shop.send(event)
    shop.work()
    assert shop.mrr(0) == 3_000
    assert shop.states == {event["id"]: "done"}


# --- when nothing may be done ---


def test_before_the_first_sync_events_wait() -> None:
    with empty_ledger() as db:
        why = hindrance(db, RULES)
    assert why is not None
    assert "stripe-nrr sync" in why


def test_under_other_rules_events_wait(shop: Shop) -> None:
    assert hindrance(shop.db, RULES) is None
    assert "other rules" in str(hindrance(shop.db, IGNORING))
    event = shop.grow(0, 3)
    shop.send(event)
    with pytest.raises(RulesDiffer):
        shop.work(IGNORING)
    put_setting(shop.db, "derivation", "9")
    assert "another version" in str(hindrance(shop.db, RULES))
    assert shop.states == {event["id"]: "waiting"}
    assert shop.mrr(0) == 1_000


# --- whatever happens, in whatever order ---


@contextmanager
def crashing(db: sqlite3.Connection, steps: int) -> Iterator[None]:
    """SQLite is interrupted after so many of its own instructions."""
    left = iter(range(steps))
    db.set_progress_handler(lambda: next(left, None) is None, 10)
    try:
        with suppress(sqlite3.OperationalError):
            yield
    finally:
        db.set_progress_handler(None, 0)


PRORATIONS = ("none", "create_prorations", "always_invoice")
WATCHED_S = 25 * DAY  # what Stripe's events tell of to whoever lost them

deeds = st.one_of(
    st.tuples(st.sampled_from(PRORATIONS), st.integers(0, 8), st.integers(1, 6)),
    st.tuples(st.just("swap"), st.integers(0, 8), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.integers(1, 13), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(0, 8), st.just(0)),
    st.tuples(st.just("deliver"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("deliver all"), st.just(0), st.just(0)),
    st.tuples(st.just("lose"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("work"), st.just(0), st.just(0)),
    st.tuples(st.just("crash"), st.integers(0, 4_000), st.just(0)),
    st.tuples(st.just("sync"), st.just(0), st.just(0)),
    st.tuples(st.just("broken sync"), st.integers(0, 12), st.just(0)),
)


@pytest.mark.parametrize("names", [MANY[:3], MANY[:9]], ids=len)
@settings(max_examples=40)
@given(told_deeds=st.lists(deeds, max_size=25))
def test_whatever_happens_one_sync_later_the_ledger_is_that_of_a_quiet_one(
    names: Sequence[str], told_deeds: list[tuple[str, int, int]]
) -> None:
    """Webhooks doubled, late, out of order, lost; syncs and crashes in between.

    Meanwhile plans and quantities change in mid-period; what that costs is billed at once,
    waits for the renewal, or is not asked for.
    """
    with empty_ledger() as db:
        acc = Telling(OPENED)
        shop = Shop(db, acc, names=names)
        ends_s = acc.now + WATCHED_S
        under_way: list[Json] = []
        ended: set[int] = set()
        for deed, which, quantity in told_deeds:
            number = which % len(shop.subs)
            sub = shop.subs[number]
            if deed in PRORATIONS and number not in ended:
                grow = partial(
                    acc.change_quantity, sub.items[0], quantity, proration=deed
                )
                under_way += shop.happens(grow)
            elif deed == "swap" and number not in ended:
                price = shop.other if quantity % 2 else shop.price
                how = PRORATIONS[quantity % 3]
                swap = partial(acc.change_price, sub.items[0], price, proration=how)
                under_way += shop.happens(swap)
            elif deed == "wait" and acc.now + which * DAY < ends_s:
                under_way += shop.happens(lambda: None, which * DAY)
            elif deed == "cancel" and number not in ended:
                ended.add(number)
                under_way += shop.happens(partial(shop.acc.cancel_now, sub))
            elif deed == "deliver" and under_way:  # and again, perhaps
                shop.send(under_way[which % len(under_way)])
            elif deed == "deliver all":
                shop.send(*under_way)
            elif deed == "lose" and under_way:
                del under_way[which % len(under_way)]
            elif deed == "work":
                shop.work()
            elif deed == "crash":
                with crashing(db, which):
                    shop.work()
            elif deed == "sync":
                synced(db, Wire(shop.account, shop.acc.now))
            elif deed == "broken sync":
                with suppress(Unplugged):
                    walk(db, Wire(shop.account, shop.acc.now, unplug_after=which))
        shop.acc.advance(shop.acc.now + 60)
        _, known = synced(db, Wire(shop.account, shop.acc.now))
        with empty_ledger() as quiet:
            _, expected = synced(quiet, Wire(acc.ever_shown(), acc.now))
    assert shown(known.movements) == shown(expected.movements)
    assert known.refusals == expected.refusals == []


def shown(movements: list[Movement]) -> list[tuple[object, ...]]:
    return [
        (m.customer, m.currency, m.day, m.kind, m.before_minor, m.after_minor)
        for m in movements
    ]


def test_an_id_that_no_url_can_hold_fails_by_name_and_holds_up_nobody(
    shop: Shop,
) -> None:
    grown = shop.grow(0, 3)
    odd = grown | {"id": "evt_odd", "type": "price.updated"}
    shop.send(odd | {"data": {"object": {"id": "..", "object": "price"}}}, grown)
    shop.work()
    assert sorted(shop.counted) == [
        ("customer.subscription.updated", "done"),
        ("price.updated", "failed"),
    ]
