"""Tiers of a price's other currencies: Stripe shows them only to those who ask."""

from contextlib import closing
from pathlib import Path

import pytest

from connector.store.opening import open_database
from tests.support.commands import Workdir
from tests.support.ledgers import Known, known_in
from tests.support.loopback import Fault, Reply, Request, Served, serving
from tests.support.shapes import (
    Json,
    customer,
    event,
    moment,
    product,
    subscription,
    subscription_item,
    tier,
    tiered,
)
from tests.support.simulator import SimulatedAccount
from tests.support.simulator_rules import refusal

START = moment("2025-01-01T10:00")
LATER = moment("2025-01-02T12:00")
DOLLARS = [tier(5, 1_000), tier(None, 800)]
EUROS = [tier(5, 900), tier(None, 700)]


def option(tiers: list[Json], behavior: str = "unspecified") -> Json:
    return {"tax_behavior": behavior, "unit_amount": None, "tiers": tiers}


def priced(price_id: str = "price_t") -> Json:
    options = {code: option(EUROS) for code in ("eur", "chf")}
    options["usd"] = option(DOLLARS)
    made = tiered(price_id, "graduated", DOLLARS)
    return made | {"currency_options": options}


def account(*events: Json, of: Json, also: Json | None = None) -> SimulatedAccount:
    """Eight seats in euro: 5 × 9.00 + 3 × 7.00; nothing bills them yet."""
    items = [subscription_item("si_1", of, 8)]
    bought = subscription(START, items, currency="eur")
    return SimulatedAccount(
        {
            "products": [product(of["product"])],
            "prices": [of] if also is None else [of, also],
            "customers": [customer()],
            "subscriptions": [bought],
            "events": list(events),
        }
    )


def synced(stripe: Served, workdir: Workdir, at_s: int) -> Known:
    stripe.now_s = lambda: at_s
    ran = workdir.call("sync")
    with closing(open_database(workdir.ledger)) as connection:
        found = known_in(connection)
    assert ran.code == (3 if found.refusals else 0), ran.err
    return found


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    return Workdir(tmp_path).configure('timezone = "UTC"')


def expanded(stripe: Served) -> list[tuple[str, int]]:
    """Each request for prices, and how many currencies' tiers it asked for."""
    return [
        (each.path, sum(".tiers" in value for _, value in each.params))
        for each in stripe.requests
        if each.path.startswith("/v1/prices") and ("limit", "1") not in each.params
    ]


def at(stripe: Served, workdir: Workdir) -> Workdir:
    return Workdir(workdir.folder, stripe.url)


def test_they_are_asked_for_once_a_price_has_them(workdir: Workdir) -> None:
    with serving(account(of=priced())) as stripe:
        found = synced(stripe, at(stripe, workdir), LATER)
        asked = expanded(stripe)
    assert [m.after_minor for m in found.movements] == [6_600]
    # Active prices twice, as they lack the tiers of two currencies; archived ones once.
    assert sorted(asked) == [("/v1/prices", 1), ("/v1/prices", 1), ("/v1/prices", 3)]


def test_a_price_that_an_event_names_has_them_too(workdir: Workdir) -> None:
    plain = tiered("price_t", "graduated", DOLLARS)
    other = priced("price_u")
    with serving(account(of=plain)) as stripe:
        first = synced(stripe, at(stripe, workdir), LATER)
        moved = account(
            event("price.created", LATER + 60, other),
            event("customer.subscription.updated", LATER + 60, {"id": "sub_1"}),
            of=other,
            also=plain,
        )
        stripe.account = moved
        stripe.requests.clear()
        found = synced(stripe, at(stripe, workdir), LATER + 600)
        asked = expanded(stripe)
    assert [r.field for r in first.refusals] == ["currency_options"]
    assert [m.after_minor for m in found.movements] == [6_600]
    assert ("/v1/prices/price_u", 2) in asked


def test_who_sells_in_no_other_currency_is_asked_for_nothing_more(
    workdir: Workdir,
) -> None:
    of = tiered("price_t", "graduated", EUROS) | {"currency": "eur"}
    of["currency_options"] = {"eur": option(EUROS)}
    with serving(account(of=of)) as stripe:
        found = synced(stripe, at(stripe, workdir), LATER)
        assert [tiers for _, tiers in expanded(stripe)] == [1, 1]
    assert [m.after_minor for m in found.movements] == [6_600]


@pytest.mark.parametrize(
    "said",
    [
        "This property cannot be expanded (data.currency_options.{}.tiers).",
        "You cannot expand that many properties of a list.",
    ],
)
def test_where_stripe_does_not_show_them_the_refusal_says_what_to_do(
    workdir: Workdir, said: str
) -> None:
    def refuse(request: Request) -> Fault | None:
        for code in ("chf", "eur"):
            if ("expand[]", f"data.currency_options.{code}.tiers") in request.params:
                _, body = refusal(400, said.format(code))
                return lambda *_: Reply(status=400, body=body)
        return None

    with serving(account(of=priced()), faults=refuse) as stripe:
        mine = at(stripe, workdir)
        found = synced(stripe, mine, LATER)
        report = mine.call("check")
    [refused] = found.refusals
    assert (refused.object_id, refused.field) == (
        "price_t",
        "currency_options.eur.tiers",
    )
    assert "sync once more" in refused.value
    assert "price of that currency's own" in refused.value
    assert report.code == 3
    assert "currency_options.eur.tiers" in report.out
