"""What Stripe's live objects imply against the ledger: each difference has its reason."""

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.config import Config, parse
from connector.core.dates import instant
from connector.core.policy import Policy
from connector.reports.check import (
    StripeComparison,
    compare_with_stripe,
    live_subscriptions,
    unexplained,
)
from connector.reports.ledger import Ledger
from connector.store.database import snapshot
from connector.store.lock import exclusive_sync
from connector.store.opening import open_database
from connector.stripe_api.client import StripeApi
from connector.valuation.counting import COUNTED, counted_statuses
from connector.valuation.reconciliation import (
    CurrencyComparison,
    CustomerComparison,
    GapReason,
    differing,
    totals,
)
from tests.billing.account import Account
from tests.billing.calendar_ import instant as instant_of
from tests.support import folders
from tests.support.books import lived as lived_by_month
from tests.support.books import post
from tests.support.cases import everyday, odd
from tests.support.commands import Workdir
from tests.support.folders import Look
from tests.support.ledgers import empty_ledger, look, read, settle
from tests.support.lives import Life, Lived, lives
from tests.support.loopback import Served, serving
from tests.support.policies import OTHERWISE
from tests.support.shapes import (
    Json,
    coupon,
    customer,
    discount,
    invoice,
    line,
    moment,
    months,
    price,
    subscription,
    subscription_item,
    tier,
    tiered,
)
from tests.support.simulator import SimulatedAccount
from tests.support.synced import SEEN, Wire, shop
from tests.support.told import Told

START = moment("2025-01-01T00:00")
NOW = "2025-03-10T12:00"
NOW_S = moment(NOW)


def told(rows: Iterable[CustomerComparison]) -> str:
    """``usd 1000 -500 policy repeating_coupon = 500``; rows parted by ``; ``."""
    texts = []
    for row in rows:
        steps = [f"{p.amount_minor:+} {p.reason} {p.what}".strip() for p in row.parts]
        if row.remainder_minor:
            steps.append(f"{row.remainder_minor:+} unexplained")
        sides = [f"{row.currency} {row.stripe_minor}", *steps]
        texts.append(f"{' '.join(sides)} = {row.ledger_minor}")
    return "; ".join(texts)


@contextmanager
def booked(seen_in_order: Iterable[Look]) -> Iterator[sqlite3.Connection]:
    """A ledger that is up to date with the last look."""
    with empty_ledger() as connection:
        for seen in seen_in_order:
            see(connection, seen)
        yield connection


def see(connection: sqlite3.Connection, seen: Look) -> None:
    config, at_s = folders.settings(seen), at(seen)
    look(connection, seen, at_s)
    zone = folders.zone_of(seen)
    settle(connection, at_s, zone, config.policy, config.merge)


def at(seen: Look) -> int:
    return moment(seen["seen_at"])


def beside(
    connection: sqlite3.Connection, live: Look, config: Config | None = None
) -> list[CustomerComparison]:
    """The ledger beside what Stripe shows in ``live``."""
    shown = [read("subscriptions", thing) for thing in live["subscriptions"]]
    config = config or folders.settings(live)
    statuses = counted_statuses(config.policy)
    counted = [each for each in shown if each.status in statuses]  # type: ignore[attr-defined]
    ledger = Ledger(connection, config, instant(at(live)))
    return compare_with_stripe(ledger, counted)  # type: ignore[arg-type]


# --- a table: what Stripe shows, and both sides ---

MONTHLY = price("price_month", 1_000)
YEARLY = price("price_year", 9_900, "year")
FREE = price("price_free", 0)
EUROS = price("price_eur", 700, currency="eur")
USAGE = price("price_usage", 10, usage="metered")
GRADUATED = tiered("price_steps", "graduated", [tier(2, 700), tier(None, 500, 90)])
VOLUME = tiered("price_bulk", "volume", [tier(2, 700), tier(None, 500)])
ODD = price("price_odd", 1_000, "fortnight")
TAXED = price("price_taxed", 1_190, tax_behavior="inclusive")
TAXED_YEAR = price("price_taxed_year", 14_280, "year", tax_behavior="inclusive")
CALLS = tiered(
    "price_calls", "graduated", [tier(10, 100, 500), tier(None, 50)], usage="metered"
)
HALF = coupon("HALF", 50)
THREE_OFF = coupon("THREE", amount=300)
SPRING = coupon("SPRING", 20, duration="repeating")
ONCE = coupon("ONCE", 10, duration="once")
ALL = coupon("ALL", 100)


def sub(*items: Json, **more: Any) -> Json:
    return subscription(START, items or [item(MONTHLY)], **more)


def item(of: Json, quantity: int | None = 1, **more: Any) -> Json:
    name = f"si_{of['id'].removeprefix('price_')}"
    return subscription_item(name, of, quantity, **more)


def bought(*subs: Json, **more: Any) -> Told:
    prices = [MONTHLY, YEARLY, FREE, EUROS, USAGE, GRADUATED, VOLUME, ODD, TAXED]
    prices += [TAXED_YEAR, CALLS]
    coupons = [HALF, THREE_OFF, SPRING, ONCE, ALL]
    given = {"prices": prices, "coupons": coupons, "subscriptions": subs}
    return Told(**({"seen_at": NOW} | given | more))


def off(of: Json, **more: Any) -> Json:
    return discount(f"di_{of['id']}", of, START, **more)


JAN, FEB, MARCH, APRIL, *_ = months("2025-01-01T00:00", 3)
CALLED = invoice(  # a line for each tier, and one for the flat fee
    MARCH,
    [
        line(CALLS, FEB, MARCH, amount, quantity, item="si_calls")
        for amount, quantity in ((500, 1), (1_000, 10), (250, 5))
    ],
)
NINETEEN = {"amount": 190, "tax_behavior": "inclusive", "taxable_amount": 1_000}
TAX_SHOWN = invoice(
    MARCH, [line(TAXED, MARCH, APRIL, item="si_taxed", taxes=[NINETEEN])]
)
USED = invoice(MARCH, [line(USAGE, FEB, MARCH, 350, 35, item="si_usage")])
BILLED_ONCE = invoice(
    MARCH,
    [line(MONTHLY, MARCH, APRIL, item="si_month", taken=[("di_ONCE", 100)])],
    discounts=[off(ONCE)],
)
OVERDUE = invoice(
    MARCH,
    [line(MONTHLY, MARCH, APRIL, item="si_month")],
    "open",
    status_transitions={"finalized_at": MARCH, "paid_at": None},
)
SPRINGS_END = moment("2025-04-01T00:00")
RUNS = off(SPRING, end=SPRINGS_END)
RATE = {"inclusive": True, "percentage": 19, "id": "txr_1", "object": "tax_rate"}

AGREE = {
    "a monthly price": (bought(sub()), "usd 1000 = 1000"),
    "seats": (bought(sub(item(MONTHLY, 7))), "usd 7000 = 7000"),
    "a yearly price": (bought(sub(item(YEARLY, 2))), "usd 1650 = 1650"),
    "two items, each rounded": (
        bought(sub(item(YEARLY), item(MONTHLY))),
        "usd 1825 = 1825",
    ),
    "graduated tiers": (bought(sub(item(GRADUATED, 3))), "usd 1990 = 1990"),
    "volume tiers": (bought(sub(item(VOLUME, 3))), "usd 1500 = 1500"),
    "a free plan is no customer": (bought(sub(item(FREE))), ""),
    "tax inside the price": (
        bought(sub(item(TAXED), default_tax_rates=[RATE])),
        "usd 1000 = 1000",
    ),
    "tax inside the price, which only another item's line shows": (
        bought(sub(item(TAXED), item(TAXED_YEAR)), invoices=[TAX_SHOWN]),
        "usd 2000 = 2000",
    ),
    "a trial": (
        bought(sub(status="trialing", trial_start=START, trial_end=APRIL)),
        "",
    ),
    "an item on trial": (
        bought(
            sub(
                item(YEARLY, current_trial={"start_date": MARCH, "end_date": APRIL}),
                item(MONTHLY),
            )
        ),
        "usd 1000 = 1000",
    ),
    "past due": (bought(sub(status="past_due")), "usd 1000 = 1000"),
    "unpaid": (bought(sub(status="unpaid")), ""),
    "ended": (bought(sub(status="canceled", ended_at=MARCH)), ""),
    "paused collection": (
        bought(sub(pause_collection={"behavior": "void"})),
        "usd 1000 = 1000",
    ),
    "metered beside licensed": (
        bought(sub(item(MONTHLY), item(USAGE, None)), invoices=[USED]),
        "usd 1000 = 1000",
    ),
    "a forever coupon": (bought(sub(discounts=[off(HALF)])), "usd 500 = 500"),
    "a forever coupon of an item": (
        bought(
            sub(
                item(YEARLY),
                item(MONTHLY, discounts=[off(HALF, item="si_month")]),
            )
        ),
        "usd 1325 = 1325",
    ),
    "an amount off two items": (
        bought(sub(item(GRADUATED, 3), item(MONTHLY), discounts=[off(THREE_OFF)])),
        "usd 2690 = 2690",
    ),
    "a coupon of 100 %": (bought(sub(discounts=[off(ALL)])), ""),
    "a once coupon": (
        bought(sub(discounts=[off(ONCE)])),
        "usd 1000 = 1000",
    ),
    "the customer's own coupon": (
        bought(sub(), customers=[customer(discount=off(HALF, sub=None))]),
        "usd 500 = 500",
    ),
    "the customer's coupon gives way": (
        bought(
            sub(discounts=[off(THREE_OFF)]),
            customers=[customer(discount=off(HALF, sub=None))],
        ),
        "usd 700 = 700",
    ),
    "two currencies": (
        bought(sub(item(EUROS), sub_id="sub_e"), sub()),
        "eur 700 = 700; usd 1000 = 1000",
    ),
    "two subscriptions": (
        bought(sub(), sub(item(YEARLY), sub_id="sub_2")),
        "usd 1825 = 1825",
    ),
    "merged customers": (
        bought(
            sub(customer="cus_old"),
            sub(item(YEARLY), sub_id="sub_2"),
            merge={"cus_old": "cus_1"},
        ),
        "usd 1825 = 1825",
    ),
}

BY_POLICY = {
    "a repeating coupon, which Stripe ignores": (
        bought(sub(discounts=[RUNS])),
        "usd 1000 -200 policy repeating_coupon = 800",
    ),
    "a repeating coupon, ignored": (
        bought(sub(discounts=[RUNS]), policy={"repeating_coupon": "ignored"}),
        "usd 1000 = 1000",
    ),
    "a once coupon before its bill, which has reduced nothing yet": (
        bought(sub(discounts=[off(ONCE)]), policy={"once_coupon": "subtracted"}),
        "usd 1000 = 1000",
    ),
    "a once coupon, used up in April": (
        bought(sub(), invoices=[BILLED_ONCE], policy={"once_coupon": "subtracted"}),
        "usd 1000 -100 policy once_coupon = 900",
    ),
    "the customer's own once coupon, used up in April": (
        bought(
            sub(),
            invoices=[BILLED_ONCE | {"discounts": [off(ONCE, sub=None)]}],
            policy={"once_coupon": "subtracted"},
        ),
        "usd 1000 -100 policy once_coupon = 900",
    ),
    "last month's usage": (
        bought(
            sub(item(MONTHLY), item(USAGE, None)),
            invoices=[USED],
            policy={"metered": "invoiced"},
        ),
        "usd 1000 +350 policy metered = 1350",
    ),
    "last month's usage in tiers": (
        bought(
            sub(item(MONTHLY), item(CALLS, None)),
            invoices=[CALLED],
            policy={"metered": "invoiced"},
        ),
        "usd 1000 +1750 policy metered = 2750",
    ),
    "past due for nine days": (
        bought(
            sub(status="past_due"),
            invoices=[OVERDUE],
            policy={"past_due": "after_days:7"},
        ),
        "usd 1000 -1000 policy past_due = 0",
    ),
    "past due, not yet for too long": (
        bought(
            sub(status="past_due"),
            invoices=[OVERDUE],
            policy={"past_due": "after_days:14"},
        ),
        "usd 1000 = 1000",
    ),
    "paused collection, excluded": (
        bought(
            sub(pause_collection={"behavior": "void"}),
            policy={"pause_collection": "excluded"},
        ),
        "usd 1000 -1000 policy pause_collection = 0",
    ),
    "a cancellation that was asked for": (
        bought(
            sub(cancel_at=APRIL, canceled_at=FEB),
            policy={"churn": "requested"},
        ),
        "usd 1000 -1000 policy churn = 0",
    ),
    "two keys at once": (
        bought(
            sub(item(MONTHLY), item(USAGE, None), discounts=[RUNS]),
            invoices=[USED],
            policy={"metered": "invoiced"},
        ),
        "usd 1000 -200 policy repeating_coupon +280 policy metered = 1080",
    ),
}

REFUSED = {
    "an interval that nobody knows": (
        bought(sub(item(ODD), item(MONTHLY))),
        "usd 1000 +0 refused price_odd recurring.interval is 1 fortnight = 1000",
    ),
    "a coupon that is named only": (
        bought(sub(discounts=[discount("di_gone", "GONE", START)])),
        "usd 1000 +0 refused di_gone source.coupon is GONE = 1000",
    ),
}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(*case, id=name)
        for table in (AGREE, BY_POLICY, REFUSED)
        for name, case in table.items()
    ],
)
def test_right_after_a_sync(seen: Told, expected: str) -> None:
    shown = seen.seen()
    with booked([shown]) as connection:
        assert told(beside(connection, shown)) == expected


AFTERWARDS = {
    "more seats": (
        bought(sub(item(MONTHLY, 3))),
        "usd 3000 -2000 not yet synced sub_1 = 1000",
    ),
    "another subscription": (
        bought(sub(), sub(item(YEARLY), sub_id="sub_2")),
        "usd 1825 -825 not yet synced sub_2 = 1000",
    ),
    "ended": (
        bought(sub(status="canceled", ended_at=NOW_S - 60)),
        "usd 0 +1000 not yet synced sub_1 = 1000",
    ),
    "unpaid": (
        bought(sub(status="unpaid")),
        "usd 0 +1000 not yet synced sub_1 = 1000",
    ),
    "a coupon": (
        bought(sub(discounts=[off(HALF)])),
        "usd 500 +500 not yet synced sub_1 = 1000",
    ),
    "a price that the mirror does not know": (
        bought(sub(item(price("price_newest", 1_500)))),
        "usd 1500 -500 not yet synced sub_1 = 1000",
    ),
    "somebody new": (
        bought(sub(), sub(sub_id="sub_new", customer="cus_new")),
        "usd 1000 = 1000; usd 1000 -1000 not yet synced sub_new = 0",
    ),
    "another currency beside": (
        bought(sub(), sub(item(EUROS), sub_id="sub_e")),
        "eur 700 -700 not yet synced sub_e = 0; usd 1000 = 1000",
    ),
    "a repeating coupon, by two reasons": (
        bought(sub(discounts=[RUNS])),
        "usd 1000 -200 policy repeating_coupon +200 not yet synced sub_1 = 1000",
    ),
    "seats that have no price for us": (
        bought(sub(item(MONTHLY), item(ODD))),
        "usd 1000 +0 refused price_odd recurring.interval is 1 fortnight = 1000",
    ),
}


@pytest.mark.parametrize(
    ("live", "expected"), AFTERWARDS.values(), ids=AFTERWARDS.keys()
)
def test_what_changed_since_the_sync_is_gone_after_the_next(
    live: Told, expected: str
) -> None:
    """A monthly subscription was synced; Stripe shows something else by now."""
    with booked([bought(sub()).seen()]) as connection:
        shown = live.seen()
        rows = beside(connection, shown)
        assert told(rows) == expected
        assert unexplained(StripeComparison(rows, 0, 0)) == []
        see(connection, shown)
        after = {part.reason for row in beside(connection, shown) for part in row.parts}
        assert GapReason.NOT_SYNCED not in after


def test_who_is_dirty_waits() -> None:
    """The mirror has the change already, the ledger has not derived it."""
    with booked([bought(sub()).seen()]) as connection:
        grown = bought(sub(item(MONTHLY, 3))).seen()
        look(connection, grown, NOW_S)
        assert told(beside(connection, grown)) == "usd 3000 -2000 waiting = 1000"
        settle(connection, NOW_S)
        assert told(beside(connection, grown)) == "usd 3000 = 3000"


def test_who_is_due_waits() -> None:
    """A discount ran out as it said it would, and nobody has derived that yet."""
    with booked([bought(sub(discounts=[RUNS])).seen()]) as connection:
        later = bought(sub(discounts=[RUNS]), seen_at="2025-04-02T00:00").seen()
        assert told(beside(connection, later)) == "usd 1000 -200 waiting = 800"
        settle(connection, at(later))
        assert told(beside(connection, later)) == "usd 1000 = 1000"


def test_a_policy_that_is_not_in_force_yet_lets_everybody_wait() -> None:
    seen = bought(sub(discounts=[off(HALF)]), invoices=[BILLED_ONCE]).seen()
    with booked([seen]) as connection:
        config = parse('[policy]\nonce_coupon = "subtracted"', {})
        found = told(beside(connection, seen, config))
        assert found == "usd 500 -50 policy once_coupon +50 waiting = 500"


def test_what_nothing_explains_is_a_finding() -> None:
    """A ledger that says something else than the mirror, and nobody is waiting."""
    seen = bought(sub(), sub(item(EUROS), sub_id="sub_e")).seen()
    with booked([seen]) as connection:
        post(connection, lived_by_month("cus_1", "900"))
        rows = beside(connection, seen)
    assert told(rows) == (
        "eur 700 -700 unexplained = 0; usd 1000 -100 unexplained = 900"
    )
    subjects = [f.subject for f in unexplained(StripeComparison(rows, 2, 3))]
    assert subjects == ["cus_1 eur", "cus_1 usd"], "the largest first"


def test_the_sums_are_those_of_the_rows() -> None:
    subs = [
        sub(discounts=[RUNS]),
        sub(sub_id="sub_2", customer="cus_2", discounts=[RUNS | {"id": "di_2"}]),
        sub(item(EUROS), sub_id="sub_3", customer="cus_3"),
    ]
    seen = bought(*subs).seen()
    with booked([seen]) as connection:
        rows = beside(connection, bought(*subs[1:]).seen())
    none = dict.fromkeys(GapReason, 0)
    explained = none | {GapReason.POLICY: -200, GapReason.NOT_SYNCED: 800}
    assert totals(rows) == [
        CurrencyComparison(
            currency="usd",
            stripe_minor=1000,
            ledger_minor=1600,
            explained=explained,
            remainder_minor=0,
        ),
        CurrencyComparison(
            currency="eur",
            stripe_minor=700,
            ledger_minor=700,
            explained=none,
            remainder_minor=0,
        ),
    ]
    assert [row.customer for row in differing(rows)] == ["cus_1", "cus_2"]


def test_a_sync_that_writes_meanwhile_is_not_half_seen(tmp_path: Path) -> None:
    """The mirror and the ledger are read as of one moment."""
    path = tmp_path / "ledger.db"
    seen, grown_seen = bought(sub()).seen(), bought(sub(item(MONTHLY, 3))).seen()
    with (
        closing(open_database(path, create=True)) as reader,
        closing(open_database(path)) as writer,
    ):
        see(writer, seen)
        with snapshot(reader):
            assert told(beside(reader, seen)) == "usd 1000 = 1000"
            look(writer, grown_seen, NOW_S)
            settle(writer, NOW_S)
            assert told(beside(reader, seen)) == "usd 1000 = 1000"
        assert told(beside(reader, grown_seen)) == "usd 3000 = 3000"


# --- every situation that we know, under every policy ---


@pytest.mark.parametrize("policy", [None, OTHERWISE], ids=["its own", "all otherwise"])
@pytest.mark.parametrize("case", [*everyday.CASES, *odd.CASES], ids=folders.name)
def test_nothing_is_unexplained(
    case: Callable[[], object], policy: Policy | None
) -> None:
    """The timeline of each folder of ``fixtures/`` ends where its live objects are."""
    with empty_ledger() as connection:
        for seen in folders.looks(folders.place(case)):
            config = folders.settings(seen)
            config = replace(config, policy=policy or config.policy)
            look(connection, seen, at(seen))
            zone = folders.zone_of(seen)
            settle(connection, at(seen), zone, config.policy, config.merge)
            rows = beside(connection, seen, config)
            assert [told([row]) for row in rows if row.remainder_minor] == []


# --- laws ---


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(max_examples=wanted or 60, derandomize=not wanted, deadline=None)


def shown_by(life: Lived, *, with_events: bool = False) -> Look:
    seen: dict[str, object] = dict(life.account.snapshot())
    if with_events:
        seen["events"] = [event for _, event in life.account.events]
    return seen | {"seen_at": instant(life.account.now).isoformat()}


def test_after_a_sync_stripe_and_the_ledger_agree(trial: settings) -> None:
    """One look is enough for that: no difference at all where the policy is Stripe's."""

    @trial
    @given(life=lives)
    def holds(life: Life) -> None:
        played = Lived(life.mode)
        for act in life.acts:
            played.do(act)
        seen = shown_by(played)
        with booked([seen]) as connection:
            assert differing(beside(connection, seen)) == []

    holds()


@pytest.mark.parametrize("policy", [Policy(), OTHERWISE], ids=["default", "otherwise"])
def test_any_policy_is_explained_by_its_keys(trial: settings, policy: Policy) -> None:
    @trial
    @given(life=lives)
    def holds(life: Life) -> None:
        played = Lived(life.mode, is_watched=True)
        for act in life.acts:
            played.do(act)
        seen = shown_by(played, with_events=True)
        config = replace(parse("", {}), policy=policy)
        with empty_ledger() as connection:
            look(connection, seen, at(seen))
            settle(connection, at(seen), policy=policy)
            rows = beside(connection, seen, config)
        assert not any(row.remainder_minor for row in rows)
        assert {part.reason for row in rows for part in row.parts} <= {GapReason.POLICY}

    holds()


def test_what_happens_at_stripe_is_not_yet_synced_until_it_is(trial: settings) -> None:
    """Every difference is the change's, and the next sync takes it away."""

    @trial
    @given(life=lives, changes=st.integers(1, 3))
    def holds(life: Life, changes: int) -> None:
        played = Lived(life.mode)
        for act in life.acts[:-changes]:
            played.do(act)
        with booked([shown_by(played)]) as connection:
            for act in life.acts[-changes:]:
                played.do(act)
            seen = shown_by(played)
            rows = differing(beside(connection, seen))
            assert not any(row.remainder_minor for row in rows)
            reasons = {part.reason for row in rows for part in row.parts}
            assert reasons <= {GapReason.NOT_SYNCED}
            see(connection, seen)
            assert differing(beside(connection, seen)) == []

    holds()


# --- which subscriptions are asked for ---


def test_only_those_that_count_are_fetched() -> None:
    wire = Wire(shop(), SEEN)
    with StripeApi("rk_test", transport=httpx.MockTransport(wire.handle)) as api:
        live = live_subscriptions(api)
    counted = [s for s in shop().objects["subscriptions"] if s["status"] in COUNTED]
    assert sorted(each.id for each in live) == sorted(s["id"] for s in counted)
    assert len(live) < len(shop().objects["subscriptions"])
    assert len(wire.asked) == 3


@pytest.mark.parametrize("turned", ["past_due", "active"])
def test_who_turns_from_one_status_to_the_other_meanwhile_is_met(turned: str) -> None:
    """It happens just before the second request of the three."""
    (before,) = {*COUNTED} - {turned}
    changing = sub(sub_id="sub_changes", status=before)

    def change(wire: Wire, _: httpx.Request) -> None:
        status = before if not wire.asked else turned
        wire.account = SimulatedAccount(
            {"subscriptions": [changing | {"status": status}]}
        )

    wire = Wire(SimulatedAccount({}), SEEN, before=change)
    with StripeApi("rk_test", transport=httpx.MockTransport(wire.handle)) as api:
        (found,) = live_subscriptions(api)
    assert (found.id, found.status) == ("sub_changes", turned)


# --- the command ---

CONFIG = 'timezone = "Europe/Berlin"\n'


def business() -> Account:
    """Three customers: one with a repeating coupon, one late, one who may change."""
    acc = Account(instant_of("2026-09-01T09:00:00Z"))
    team = acc.add_price(acc.add_product("Team", unit_label="seat"), 1_500)
    spring = acc.add_coupon("SPRING", percent_off=20, duration="repeating", months=24)
    acc.subscribe(acc.add_customer("Saves"), [(team, 2)], coupon=spring)
    acc.subscribe(acc.add_customer("Steady"), team)
    acc.subscribe(acc.add_customer("Grows"), [(team, 4)])
    acc.advance(instant_of("2026-11-10T12:00:00Z"))
    return acc


def grown() -> SimulatedAccount:
    acc = business()
    acc.change_quantity(acc.subscriptions[2].items[0], 10)
    return SimulatedAccount(acc.snapshot())


@pytest.fixture(scope="module")
def synced_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synced")
    with serving(SimulatedAccount(business().snapshot())) as stripe:
        ran = Workdir(folder, stripe.url).configure(CONFIG).call("sync")
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture
def stripe() -> Iterator[Served]:
    with serving(SimulatedAccount(business().snapshot())) as served:
        yield served


@pytest.fixture
def workdir(tmp_path: Path, stripe: Served, synced_folder: Path) -> Workdir:
    shutil.copytree(synced_folder, tmp_path, dirs_exist_ok=True)
    return Workdir(tmp_path, stripe.url)


def test_what_the_policy_explains_is_no_finding(
    workdir: Workdir, stripe: Served
) -> None:
    before = workdir.ledger.read_bytes()
    ran = workdir.call("check", "--stripe")
    assert ran.code == 0, ran.err
    saves = workdir.call("movements", "--customer", "Saves", "--format", "json").json
    customer_id = saves["movements"][0]["customer"]
    told = f"Saves ({customer_id}): Stripe $30.00; policy repeating_coupon −$6.00"
    head, *lines = ran.out.splitlines()
    assert "(3 live subscriptions in 4 requests)" in head
    assert lines == [
        "  USD: Stripe $105.00; policy −$6.00; ledger $99.00",
        f"{told}; ledger $24.00",
        "3 movements checked, 0 findings.",
    ]
    assert workdir.ledger.read_bytes() == before
    paths = {request.path for request in stripe.requests}
    assert paths == {"/v1/account", "/v1/subscriptions"}


def test_what_is_not_synced_is_listed_until_the_next_sync(
    workdir: Workdir, stripe: Served
) -> None:
    stripe.account = grown()
    ran = workdir.call("check", "--stripe")
    assert ran.code == 0, ran.err
    assert "Stripe $150.00; not yet synced sub_" in ran.out
    assert "−$90.00; ledger $60.00" in ran.out
    assert "run `stripe-nrr sync`" in ran.out
    assert workdir.call("sync", "--full").code == 0
    assert "ot yet synced" not in workdir.call("check", "--stripe").out


def test_the_comparison_as_json(workdir: Workdir, stripe: Served) -> None:
    stripe.account = grown()
    found = workdir.call("check", "--stripe", "--format", "json").json
    assert found["findings"] == []
    stripes = found["stripe"]
    assert (stripes["subscriptions"], stripes["requests"]) == (3, 4)
    assert stripes["sums"] == [
        {
            "currency": "usd",
            "stripe_minor": 19500,
            "policy_minor": -600,
            "not_yet_synced_minor": -9000,
            "refused_minor": 0,
            "waiting_minor": 0,
            "remainder_minor": 0,
            "ledger_minor": 9900,
        }
    ]
    first, second = stripes["rows"]
    assert first.keys() == second.keys()
    assert set(first) == {
        *("customer", "currency", "stripe_minor", "reasons"),
        *("remainder_minor", "ledger_minor"),
    }
    assert (first["stripe_minor"], first["ledger_minor"]) == (15000, 6000)
    assert second["reasons"] == [
        {"reason": "policy", "what": "repeating_coupon", "amount_minor": -600}
    ]


def test_what_nothing_explains_exits_3(workdir: Workdir) -> None:
    moved = workdir.call("movements", "--customer", "Steady", "--format", "json").json
    steady = moved["movements"][0]["customer"]
    with closing(open_database(workdir.ledger)) as connection:
        post(connection, lived_by_month(steady, "1400"))
    ran = workdir.call("check", "--stripe")
    assert ran.code == 3
    assert f"as Stripe says: {steady} usd is 1400, and 1500 by Stripe" in ran.out
    assert "unexplained −$1.00" in ran.out
    assert workdir.call("check").code == 0, "only Stripe knows"


def test_it_needs_no_lock_and_waits_for_no_sync(workdir: Workdir) -> None:
    with exclusive_sync(workdir.ledger):
        assert workdir.call("sync").code == 75
        assert workdir.call("check", "--stripe").code == 0


@pytest.mark.parametrize(
    ("key", "said"),
    [
        pytest.param(None, "no Stripe key", id="no key"),
        pytest.param("rk_test_wrongwrong1234", "HTTP 401", id="a wrong key"),
    ],
)
def test_without_the_right_key_it_says_so(
    workdir: Workdir, key: str | None, said: str
) -> None:
    ran = Workdir(workdir.folder, workdir.stripe, key=key).call("check", "--stripe")
    assert ran.code == 1
    assert said in ran.err
    assert "\n  fix: " in ran.err
    assert "Traceback" not in ran.err


def test_the_demo_is_compared_with_its_own_account(tmp_path: Path) -> None:
    """No key, no network: all is explained there."""
    workdir = Workdir(tmp_path, key=None)
    assert workdir.call("demo", "--keep", "kept").code == 0
    ran = workdir.call("--config", "kept/config.toml", "check", "--stripe")
    assert ran.code == 0, ran.out
    assert "USD: Stripe $" in ran.out
