"""Rows → what is derived of each customer, without an engine."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from connector.core.errors import LakeUnusable
from connector.lake.derive import LakeDerived, LakeTask, derived
from connector.lake.histories import LakeAccount
from connector.lake.objects import LakeRow
from connector.mrr.history import Catalogue
from connector.stripe_api.objects import Price, Recurring
from tests.support.broken_lakes import RULES

PRICE = Price(
    id="price_1",
    currency="usd",
    unit_amount=1000,
    recurring=Recurring(interval="month"),
)
DAY_S = 86_400
BORN_S = 1_735_689_600  # 2025-01-01
UNTIL_S = BORN_S + 100 * DAY_S
SHAPES = ("mirror", "objects")


def task(shape: str = "objects") -> LakeTask:
    account = LakeAccount(shape, Catalogue(prices={"price_1": PRICE}))
    return LakeTask(RULES, UNTIL_S, {"0": account, "1": account})


def subscription(key: str, customer: str, **given: Any) -> dict[str, Any]:
    item = {"id": f"si_{key}", "price": {"id": "price_1"}, "quantity": 2}
    return {
        "id": key,
        "customer": customer,
        "status": "active",
        "currency": "usd",
        "created": BORN_S,
        "start_date": BORN_S,
        "items": {"data": [item]},
        **given,
    }


def row(
    owner: str,
    thing: Mapping[str, Any] | str,
    kind: str = "subscriptions",
    customer: str | None = None,
    account: str = "0",
) -> LakeRow:
    text = thing if isinstance(thing, str) else json.dumps(thing)
    key = "" if isinstance(thing, str) else str(thing["id"])
    return LakeRow(owner, account, kind, key, customer or owner, UNTIL_S, text.encode())


def told(rows: Iterable[LakeRow], shape: str = "objects") -> list[LakeDerived]:
    return list(derived(rows, task(shape)))


def refused(found: LakeDerived) -> list[tuple[str, str, str]]:
    return [(r.object_id, r.field, found.why) for r in found.refusals]


def mrr_minor(found: LakeDerived) -> int:
    assert found.derived is not None
    return sum(each.amount_minor for each in found.derived.movements)


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_one_owner_are_one_history(shape: str) -> None:
    rows = [
        row("cus_1", subscription("sub_1", "cus_1")),
        row("cus_1", subscription("sub_2", "cus_1")),
        row("cus_2", subscription("sub_3", "cus_2")),
    ]
    assert [mrr_minor(each) for each in told(rows, shape)] == [4000, 2000]


def test_former_ids_are_their_owners() -> None:
    """The owner's own id may come last among them."""
    rows = [
        row("cus_new", subscription("sub_1", "cus_a"), customer="cus_a"),
        row("cus_new", subscription("sub_2", "cus_new")),
    ]
    [found] = told(rows)
    assert mrr_minor(found) == 4000
    assert found.derived is not None
    assert {each.customer for each in found.derived.movements} == {"cus_new"}


@pytest.mark.parametrize(
    "owners",
    [
        pytest.param(["cus_1", "cus_2", "cus_1"], id="one returns"),
        pytest.param(["cus_2", "cus_1"], id="one is too late"),
        pytest.param(["cus_a", "cus_B"], id="sorted as a dictionary would"),
    ],
)
def test_rows_that_are_not_sorted_are_an_error(owners: list[str]) -> None:
    rows = [row(who, subscription(f"sub_{n}", who)) for n, who in enumerate(owners)]
    with pytest.raises(LakeUnusable, match="not sorted"):
        told(rows)


@pytest.mark.parametrize(
    ("thing", "kind", "named"),
    [
        pytest.param(
            subscription("sub_1", "cus_1", status=None),
            "subscriptions",
            ("sub_1", "status", "set_aside"),
            id="no status",
        ),
        pytest.param(
            subscription("sub_1", "cus_1", currency="zzz"),
            "subscriptions",
            ("sub_1", "currency", "set_aside"),
            id="an unknown currency",
        ),
        pytest.param(
            subscription("sub_1", "cus_1", items={"data": [], "has_more": True}),
            "subscriptions",
            ("sub_1", "items.has_more", "set_aside"),
            id="items that are cut off",
        ),
        pytest.param(
            {
                "id": "in_1",
                "customer": "cus_1",
                "status": "paid",
                "currency": "usd",
                "lines": {"data": [], "has_more": True},
            },
            "invoices",
            ("in_1", "lines.has_more", "set_aside"),
            id="lines that are cut off",
        ),
        pytest.param(
            "half an obj",
            "invoices",
            ("", "the object", "set_aside"),
            id="no JSON",
        ),
    ],
)
def test_an_object_that_does_not_fit_is_named_and_holds_its_customer_alone(
    thing: Any, kind: str, named: tuple[str, str, str]
) -> None:
    rows = [
        row("cus_0", subscription("sub_0", "cus_0")),
        row("cus_1", thing, kind),
        row("cus_1", subscription("sub_9", "cus_1")),
        row("cus_2", subscription("sub_2", "cus_2")),
    ]
    before, held, after = told(rows)
    assert held.derived is None
    assert refused(held) == [named]
    assert [mrr_minor(before), mrr_minor(after)] == [2000, 2000]


def test_a_status_that_nobody_knows_is_named_and_holds_its_subscription_alone() -> None:
    rows = [
        row("cus_1", subscription("sub_1", "cus_1", status="dreaming")),
        row("cus_1", subscription("sub_9", "cus_1")),
    ]
    [found] = told(rows)
    assert refused(found) == [("sub_1", "status", "not_valued")]
    assert mrr_minor(found) == 2000


def test_an_event_that_does_not_fit_holds_nobody() -> None:
    event = {"id": "evt_1", "type": "customer.subscription.updated", "created": "soon"}
    rows = [
        row("cus_1", event, "events"),
        row("cus_1", subscription("sub_1", "cus_1")),
    ]
    [found] = told(rows)
    assert mrr_minor(found) == 2000


def test_a_history_that_breaks_is_set_aside_by_name() -> None:
    """A mirror's body fitted when it was stored; nobody looks at it again."""
    broken = subscription("sub_1", "cus_1", start_date=-(10**15))
    rows = [row("cus_1", broken), row("cus_2", subscription("sub_2", "cus_2"))]
    held, after = told(rows, "mirror")
    assert held.derived is None
    assert refused(held) == [("cus_1", "history", "not_derived")]
    assert mrr_minor(after) == 2000


def test_what_the_mirror_could_not_take_holds_its_customer() -> None:
    aside = '{"kind": "invoices", "field": "status", "value": "dreaming"}'
    rows = [
        LakeRow("cus_1", "0", "set_aside", "in_9", "cus_1", 0, aside.encode()),
        row("cus_1", subscription("sub_1", "cus_1")),
    ]
    [held] = told(rows, "mirror")
    assert refused(held) == [("in_9", "status", "set_aside")]


def in_two_accounts(**given: Any) -> tuple[list[LakeRow], LakeTask]:
    rows = [
        row("cus_1", subscription("sub_1", "cus_1"))._replace(**given),
        row("cus_1", subscription("sub_2", "cus_1"), account="1"),
    ]
    every = task()
    named = {
        key: account._replace(name=name)
        for (key, account), name in zip(
            every.accounts.items(), ("de", "uk"), strict=True
        )
    }
    return rows, every._replace(accounts=named)


def test_one_id_in_two_accounts_is_two_customers() -> None:
    found = list(derived(*in_two_accounts()))
    assert [(it.derived and it.derived.customer) for it in found] == [
        "de/cus_1",
        "uk/cus_1",
    ]
    assert [mrr_minor(each) for each in found] == [2000, 2000]


def test_a_company_of_two_accounts_is_one() -> None:
    *apart, found = derived(*in_two_accounts(member="cus_2"))
    assert [each.derived for each in apart] == [None, None]
    assert mrr_minor(found) == 4000
    assert found.derived is not None
    [movement] = found.derived.movements
    assert (movement.customer, movement.kind) == ("cus_1", "new")


def test_what_one_account_has_of_a_company_does_not_hold_the_other() -> None:
    rows, every = in_two_accounts(member="cus_2", body=b"half an obj")
    first, _, found = derived(rows, every)
    assert refused(first) == [("", "the object", "set_aside")]
    assert mrr_minor(found) == 2000
