"""Ids that people chose: plans, coupons, products, as paths of a real server have them."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from connector.store.opening import open_database
from tests.support.commands import Ran, Workdir
from tests.support.ledgers import Known, known_in
from tests.support.loopback import Served, serving
from tests.support.shapes import (
    Json,
    coupon,
    customer,
    discount,
    event,
    moment,
    price,
    product,
    subscription,
    subscription_item,
    tier,
    tiered,
)
from tests.support.simulator import SimulatedAccount

START = moment("2025-01-01T10:00")
FIRST_LOOK, SECOND_LOOK = moment("2025-01-02"), moment("2025-01-03")
JOINED = moment("2025-01-02T12:00")
PLAIN = price("price_plain", 1_000)
CHOSEN = (
    "Pro plan $699/month",
    "gold?v=2",
    "100%25",
    "100%",
    "a/../b",
    "../customers",
    "#1 & more; +1",
    "Größe 日本 🙂",
    " ",
    "two\nlines",
    "...",
    "%2e%2e",
    "[x]{y}|z",
)
IN_NO_URL = (".", "..", "x" * 5_000)


def account(*more: Json, events: Sequence[Json] = ()) -> SimulatedAccount:
    """The plain customer, and with ``more`` another: product, price, coupon, and so on."""
    kinds = ("products", "prices", "coupons", "customers", "subscriptions")
    bought = subscription(START, [subscription_item("si_1", PLAIN)])
    basic = (product(PLAIN["product"]), PLAIN, None, customer(), bought)
    added = dict(zip(kinds, more, strict=False))
    held = {
        kind: [thing for thing in (first, added.get(kind)) if thing is not None]
        for kind, first in zip(kinds, basic, strict=True)
    }
    return SimulatedAccount({**held, "events": events})


def named(chosen: str) -> tuple[Json, ...]:
    """Product, tiered price and coupon of that id, and a customer who buys three seats."""
    steps = tiered("price_x", "graduated", [tier(2, 700), tier(None, 500)])
    steps |= {"id": chosen, "product": chosen}
    half = coupon(chosen, 50)
    given = discount("di_1", chosen, JOINED, sub="sub_2", customer="cus_2")
    bought = subscription(
        JOINED,
        [subscription_item("si_2", steps, 3)],
        "sub_2",
        customer="cus_2",
        discounts=[given],
    )
    return product(chosen), steps, half, customer("cus_2", created=JOINED), bought


def told_of(things: Sequence[Json]) -> list[Json]:
    nouns = ("product", "price", "coupon", "customer", "customer.subscription")
    pairs = zip(nouns, things, strict=True)
    found = [event(f"{noun}.created", JOINED, thing) for noun, thing in pairs]
    return [each | {"id": f"evt_{n}"} for n, each in enumerate(found)]


def synced(stripe: Served, workdir: Workdir, at_s: int, *words: str) -> Ran:
    stripe.now_s = lambda: at_s
    return workdir.call("sync", *words)


def known(workdir: Workdir) -> Known:
    with closing(open_database(workdir.ledger)) as connection:
        return known_in(connection)


def joined(stripe: Served, workdir: Workdir, chosen: str) -> Ran:
    """A first sync, then one by the events of somebody who buys what has that id."""
    assert synced(stripe, workdir, FIRST_LOOK).code == 0
    things = named(chosen)
    stripe.account = account(*things, events=told_of(things))
    stripe.requests.clear()
    return synced(stripe, workdir, SECOND_LOOK)


@pytest.mark.parametrize("chosen", CHOSEN)
def test_what_people_call_their_plans_is_fetched_by_its_id(
    chosen: str, tmp_path: Path
) -> None:
    with serving(account()) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure('timezone = "UTC"')
        ran = joined(stripe, workdir, chosen)
        assert ran.code == 0, ran.err
        assert "/v1/prices" not in {each.path for each in stripe.requests}
    found = known(workdir)
    assert not found.refusals
    # (2 × 7.00 + 5.00) at half the price: the tiers came with the price, by itself
    assert [(m.customer, m.after_minor) for m in found.movements] == [
        ("cus_1", 1_000),
        ("cus_2", 950),
    ]


@pytest.mark.parametrize("chosen", IN_NO_URL, ids=lambda each: repr(each[:3]))
def test_an_id_that_no_url_can_hold_is_named_and_ends_nothing(
    chosen: str, tmp_path: Path
) -> None:
    with serving(account()) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure('timezone = "UTC"')
        ran = joined(stripe, workdir, chosen)
        assert ran.code == 3
        assert f"{chosen}: id is " in ran.out
        assert "which no URL can hold" in ran.out
        refused = {(it.customer, it.field) for it in known(workdir).refusals}
        assert ("cus_2", "tiers") in refused
        # From their lists they can be read.
        assert synced(stripe, workdir, SECOND_LOOK + 60, "--full").code == 0
        assert synced(stripe, workdir, SECOND_LOOK + 120).code == 0
    assert [m.after_minor for m in known(workdir).movements] == [1_000, 950]


def test_a_ledger_that_sells_nothing_else_is_synced_all_the_same(
    tmp_path: Path,
) -> None:
    """The price by which an account is told from another may be no path."""
    things = named("..")
    held = {**account(*things).objects, "subscriptions": [things[-1]]}
    with serving(SimulatedAccount(held)) as stripe:
        workdir = Workdir(tmp_path, stripe.url).configure('timezone = "UTC"')
        assert synced(stripe, workdir, SECOND_LOOK).code == 0
        assert synced(stripe, workdir, SECOND_LOOK + 60).code == 0
    assert [m.after_minor for m in known(workdir).movements] == [950]
