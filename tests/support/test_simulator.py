"""The account in memory answers as Stripe does; so does the server in front of it."""

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.errors import ConnectorError
from tests.support import loopback
from tests.support.loopback import serving
from tests.support.simulator import AccountTransport, SimulatedAccount

Thing = dict[str, Any]

# --- the account all tests ask: ids end in the second in which the object was created ---


def coupon(name: str) -> Thing:
    return {"id": name, "object": "coupon", "created": 1, "percent_off": 50}


GONE = coupon("GONE")  # deleted since: it lives on in its discounts only


def discount(object_id: str, off: Any) -> Thing:
    source = {"type": "coupon", "coupon": off}
    return {"id": object_id, "object": "discount", "start": 1, "source": source}


def customer(second: int, **more: Any) -> Thing:
    object_id = f"cus_{second}"
    return {"id": object_id, "object": "customer", "created": second} | more


def item(number: int, **more: Any) -> Thing:
    item_id = f"si_{number}"
    price = {"id": "price_1", "object": "price", "tiers": [{"up_to": None}]}
    return {"id": item_id, "object": "subscription_item", "price": price} | more


def subscription(second: int, status: str = "active", **more: Any) -> Thing:
    made = {"object": "subscription", "status": status, "customer": "cus_1"}
    items = {"object": "list", "data": [item(1)], "has_more": False}
    return {"id": f"sub_{second}", "created": second, "items": items} | made | more


def line(number: int, **more: Any) -> Thing:
    return {"id": f"il_{number}", "object": "line_item", "amount": number} | more


def invoice(second: int, *lines: Thing, of: str = "sub_9", **more: Any) -> Thing:
    parent = {"subscription_details": {"subscription": of}}
    held = {"object": "list", "data": list(lines), "has_more": False}
    made = {"object": "invoice", "customer": "cus_1", "lines": held, "parent": parent}
    return {"id": f"in_{second}", "created": second, "status": "paid"} | made | more


def invoice_item(second: int, invoice_id: str | None) -> Thing:
    made = {"object": "invoiceitem", "customer": "cus_1", "invoice": invoice_id}
    return {"id": f"ii_{second}", "date": second} | made


def price(second: int, **more: Any) -> Thing:
    made = {"object": "price", "product": "prod_1", "active": True}
    return {"id": f"price_{second}", "created": second} | made | more


def event(second: int, kind: str, thing: Thing) -> Thing:
    data = {"object": thing, "previous_attributes": {"items": {"data": [item(1)]}}}
    made = {"object": "event", "type": kind, "data": data}
    return {"id": f"evt_{second}", "created": second} | made


HALF = discount("di_half", "HALF")
OBJECTS: dict[str, list[Thing]] = {
    "customers": [
        customer(1, discount=discount("di_1", GONE), email="a@example.com"),
        customer(2, test_clock="clock_1"),
        customer(3, deleted=True),
        customer(4),
    ],
    "products": [{"id": "prod_1", "object": "product", "created": 1, "active": True}],
    "prices": [
        price(1, tiers=[{"up_to": None}], currency_options={"eur": {}}),
        price(2, active=False),
    ],
    "coupons": [coupon("HALF") | {"applies_to": {"products": ["prod_1"]}}],
    "subscriptions": [
        subscription(5, "canceled"),
        subscription(6, "incomplete_expired"),
        subscription(7, "past_due", customer="cus_4"),
        subscription(8, test_clock="clock_1", customer="cus_2"),
        subscription(
            9,
            discounts=[HALF],
            items={"data": [item(n, discounts=["di_half"]) for n in range(12)]},
        ),
    ],
    "invoices": [
        invoice(10, *[line(n) for n in range(25)]),
        invoice(12, line(1, discounts=["di_half"]), discounts=["di_half"]),
        invoice(11, discounts=[discount("di_gone", GONE)], status="open", of="sub_7"),
        invoice(13, *[line(n) for n in range(10)], customer=customer(4)),
        invoice(12, customer="cus_3") | {"id": "in_12b"},
    ],
    "invoiceitems": [invoice_item(14, None), invoice_item(15, "in_10")],
    "events": [
        event(16, "invoice.paid", invoice(10, *[line(n) for n in range(25)])),
        event(17, "invoice.voided", invoice(11, discounts=[discount("di_gone", GONE)])),
        event(18, "customer.subscription.updated", subscription(9, discounts=[HALF])),
    ],
}
ACCOUNT = SimulatedAccount(OBJECTS)


def ask(url: str, account: SimulatedAccount = ACCOUNT) -> tuple[int, Thing]:
    split = urlsplit(url)
    return account.answer(f"/v1/{split.path}", parse_qsl(split.query))


def asked(url: str) -> Thing:
    status, body = ask(url)
    assert status == 200, body
    return body


def refused(url: str) -> tuple[int, Thing]:
    status, body = ask(url)
    return status, body["error"]


def listed(page: Thing) -> str:
    """The ids' endings in order, then dots where there is more."""
    endings = [thing["id"].partition("_")[2] or thing["id"] for thing in page["data"]]
    return " ".join(endings + ["…"] * page["has_more"])


def at(body: Any, *keys: str | int) -> Any:
    return reduce(lambda value, key: value[key], keys, body)


# --- lists ---


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("invoices", "13 12b 12 11 10", id="newest first, then by id"),
        pytest.param("invoices?limit=2", "13 12b …", id="a page says there is more"),
        pytest.param("invoices?limit=5", "13 12b 12 11 10", id="a full last page"),
        pytest.param(
            "invoices?limit=2&starting_after=in_12b", "12 11 …", id="the next page"
        ),
        pytest.param("invoices?starting_after=in_10", "", id="after the last"),
        pytest.param(
            "invoices?limit=2&ending_before=in_11", "12b 12 …", id="the page before"
        ),
        pytest.param("invoices?ending_before=in_12b", "13", id="the first page again"),
        pytest.param(
            "invoices?created[gte]=11&created[lt]=13", "12b 12 11", id="a created range"
        ),
        pytest.param(
            "invoices?created[gt]=11&created[lte]=13",
            "13 12b 12",
            id="the other bounds",
        ),
        pytest.param("invoices?created=11", "11", id="one created second"),
        pytest.param("invoices?customer=cus_1", "12 11 10", id="of one customer"),
        pytest.param("invoices?customer=cus_4", "13", id="of one stored as an object"),
        pytest.param("invoices?customer=cus_3", "12b", id="of a deleted customer"),
        pytest.param("invoices?subscription=sub_7", "11", id="of one subscription"),
        pytest.param("invoices?status=open", "11", id="of one status"),
        pytest.param("subscriptions", "9 7", id="ended subscriptions are left out"),
        pytest.param("subscriptions?status=all", "9 7 6 5", id="unless all are asked"),
        pytest.param("subscriptions?status=canceled", "5", id="or the canceled ones"),
        pytest.param("subscriptions?status=ended", "6 5", id="or those that ended"),
        pytest.param("subscriptions?status=past_due", "7", id="or those past due"),
        pytest.param("subscriptions?test_clock=clock_1", "8", id="of a test clock"),
        pytest.param("subscriptions?customer=cus_2", "8", id="of a clock's customer"),
        pytest.param("customers", "4 1", id="no deleted customers, none on a clock"),
        pytest.param("customers?email=a@example.com", "1", id="by email"),
        pytest.param("prices", "2 1", id="prices, active or not"),
        pytest.param("prices?active=true", "1", id="active prices"),
        pytest.param("prices?active=false", "2", id="inactive prices"),
        pytest.param("products?active=false", "", id="nothing of the kind"),
        pytest.param("coupons", "HALF", id="coupons that still exist"),
        pytest.param("invoiceitems", "15 14", id="invoice items, by date"),
        pytest.param("invoiceitems?pending=true", "14", id="pending ones"),
        pytest.param("invoiceitems?pending=false", "15", id="ones on an invoice"),
        pytest.param("invoiceitems?created[gte]=15", "15", id="their date is created"),
        pytest.param("events?type=invoice.paid", "16", id="events of a type"),
        pytest.param("events?type=invoice.*", "17 16", id="of a family of types"),
        pytest.param(
            "events?types[]=invoice.paid&types[]=customer.*", "18 16", id="of types"
        ),
        pytest.param(
            "events?types[0]=invoice.paid&types[1]=invoice.voided",
            "17 16",
            id="of types, numbered",
        ),
        pytest.param(
            "invoices/in_10/lines?limit=3", "0 1 2 …", id="an invoice's lines"
        ),
        pytest.param(
            "invoices/in_10/lines?limit=100&starting_after=il_22",
            "23 24",
            id="the lines beyond a cursor",
        ),
        pytest.param(
            "subscription_items?subscription=sub_9&starting_after=si_9",
            "10 11",
            id="the items beyond a cursor",
        ),
    ],
)
def test_lists(url: str, expected: str) -> None:
    assert listed(asked(url)) == expected


@given(limit=st.integers(1, 9))
def test_pages_add_up_to_the_list_in_both_directions(limit: int) -> None:
    url, whole = "invoices/in_10/lines", [f"il_{n}" for n in range(25)]
    down = list(walked(f"{url}?limit={limit}", "starting_after", -1))
    up = list(walked(f"{url}?limit={limit}&ending_before=il_24", "ending_before", 0))
    assert [it for page in down for it in page] == whole
    assert [it for page in reversed(up) for it in page] == whole[:-1]


def walked(url: str, cursor: str, end: int) -> Iterator[list[str]]:
    page = asked(url)
    while True:
        ids = [thing["id"] for thing in page["data"]]
        yield ids
        if not page["has_more"]:
            return
        page = asked(f"{url}&{cursor}={ids[end]}")


def test_a_page_of_an_empty_account() -> None:
    assert ask("invoices", SimulatedAccount({})) == (
        200,
        {"object": "list", "data": [], "has_more": False, "url": "/v1/invoices"},
    )


# --- what is shown ---

SUB, INV = ("data", 0), ("data", 2)  # sub_9 and in_12 in their lists
LINE = (*INV, "lines", "data", 0)
BARE = {"id": "HALF", "object": "coupon", "created": 1, "percent_off": 50}


@pytest.mark.parametrize(
    ("url", "path", "expected"),
    [
        pytest.param(
            "subscriptions", (*SUB, "discounts"), ["di_half"], id="discounts are ids"
        ),
        pytest.param(
            "subscriptions?expand[]=data.discounts",
            (*SUB, "discounts"),
            [HALF],
            id="an expanded discount names its coupon by id",
        ),
        pytest.param(
            "subscriptions?expand[0]=data.discounts.source.coupon",
            (*SUB, "discounts", 0, "source", "coupon"),
            BARE,
            id="an expanded coupon, still without applies_to",
        ),
        pytest.param(
            "subscriptions/sub_9?expand[]=discounts.source.coupon",
            ("discounts", 0, "source", "coupon"),
            BARE,
            id="the same of a single subscription",
        ),
        pytest.param(
            "invoices?expand[]=data.discounts",
            (*INV, "discounts"),
            [HALF],
            id="a discount stored as an id is found where it was given",
        ),
        pytest.param(
            "invoices/in_11?expand[]=discounts",
            ("discounts", 0, "source", "coupon"),
            "GONE",
            id="a deleted coupon is an id too",
        ),
        pytest.param(
            "invoices/in_11?expand[]=discounts.source.coupon",
            ("discounts", 0, "source", "coupon"),
            GONE,
            id="and lives on in its discounts",
        ),
        pytest.param("invoices", (*LINE, "discounts"), ["di_half"], id="on lines alike"),
        pytest.param(
            "invoices?expand[]=data.lines.data.discounts",
            (*LINE, "discounts"),
            [HALF],
            id="a line's expanded discounts",
        ),
        pytest.param(
            "invoices/in_12/lines?expand[]=data.discounts.source.coupon",
            ("data", 0, "discounts", 0, "source", "coupon"),
            BARE,
            id="a line's coupon, in the list of lines only",
        ),
        pytest.param(
            "customers", ("data", 1, "discount", "source", "coupon"), "GONE",
            id="a customer's discount is whole, its coupon an id",
        ),
        pytest.param(
            "invoices", ("data", 0, "customer"), "cus_4", id="a stored object is an id"
        ),
        pytest.param(
            "invoices/in_13?expand[]=customer",
            ("customer",),
            customer(4),
            id="an expanded customer",
        ),
        pytest.param(
            "invoices/in_12b?expand[]=customer",
            ("customer",),
            {"id": "cus_3", "object": "customer", "deleted": True},
            id="a deleted one is a stub",
        ),
        pytest.param(
            "customers/cus_3",
            (),
            {"id": "cus_3", "object": "customer", "deleted": True},
            id="also when asked for",
        ),
        pytest.param(
            "prices?expand[]=data.tiers", ("data", 1, "tiers"), [{"up_to": None}],
            id="tiers when expanded",
        ),
        pytest.param(
            "subscriptions/sub_9?expand[]=items.data.price.tiers",
            ("items", "data", 0, "price", "tiers"),
            [{"up_to": None}],
            id="an item's tiers, of a single subscription only",
        ),
        pytest.param(
            "coupons/HALF?expand[]=applies_to",
            ("applies_to",),
            {"products": ["prod_1"]},
            id="a coupon's products when expanded",
        ),
        pytest.param(
            "events", ("data", 0, "data", "object", "discounts"), ["di_half"],
            id="an event shows ids",
        ),
    ],
)  # fmt: skip
def test_shown(url: str, path: tuple[str | int, ...], expected: Any) -> None:
    assert at(asked(url), *path) == expected


@pytest.mark.parametrize(
    ("url", "path", "hidden"),
    [
        pytest.param("prices", ("data", 1), "tiers", id="a price's tiers"),
        pytest.param("prices", ("data", 1), "currency_options", id="its currencies"),
        pytest.param("prices?expand[]=data.tiers", ("data", 1), "currency_options",
                     id="unless they too are expanded"),
        pytest.param("coupons", ("data", 0), "applies_to", id="a coupon's products"),
        pytest.param("subscriptions", (*SUB, "items", "data", 0, "price"), "tiers",
                     id="the tiers of an item's price"),
    ],
)  # fmt: skip
def test_hidden_until_expanded(
    url: str, path: tuple[str | int, ...], hidden: str
) -> None:
    assert hidden not in at(asked(url), *path)


@pytest.mark.parametrize(
    ("url", "path", "count", "more_at"),
    [
        pytest.param("invoices/in_10", ("lines",), 10, "/v1/invoices/in_10/lines",
                     id="an invoice shows ten of its lines"),
        pytest.param("invoices", ("data", 4, "lines"), 10, "/v1/invoices/in_10/lines",
                     id="also in a list"),
        pytest.param("invoices/in_13", ("lines",), 10, None, id="ten of ten are all"),
        pytest.param("invoices/in_11", ("lines",), 0, None, id="none"),
        pytest.param("subscriptions", (*SUB, "items"), 10,
                     "/v1/subscription_items?subscription=sub_9", id="and of its items"),
        pytest.param("events/evt_16", ("data", "object", "lines"), 10,
                     "/v1/invoices/in_10/lines", id="also inside an event"),
    ],
)  # fmt: skip
def test_inner_lists_are_cut_to_ten(
    url: str, path: tuple[str | int, ...], count: int, more_at: str | None
) -> None:
    inner = at(asked(url), *path)
    assert len(inner["data"]) == count
    assert inner["has_more"] is (more_at is not None)
    assert more_at in (None, inner["url"])


def test_an_answer_never_changes_the_account() -> None:
    before = json.dumps(OBJECTS)
    asked("subscriptions?status=all&expand[]=data.discounts.source.coupon")[
        "data"
    ].pop()
    asked("invoices?expand[]=data.lines.data.discounts")["data"][0]["lines"].clear()
    assert json.dumps(OBJECTS) == before


# --- saying no ---


@pytest.mark.parametrize(
    ("url", "status", "param", "message"),
    [
        pytest.param("invoices?limit=0", 400, "limit", "must be greater than or equal",
                     id="a page of none"),
        pytest.param("invoices?limit=101", 400, "limit", "must be less than or equal",
                     id="a page of too many"),
        pytest.param("invoices?limit=ten", 400, "limit", "Invalid integer: ten",
                     id="a page of words"),
        pytest.param("invoices?created[gte]=May", 400, "created[gte]", "Invalid integer",
                     id="a date that is no number"),
        pytest.param("invoices?starting_after=in_0", 400, "starting_after",
                     "No such invoice: 'in_0'", id="an unknown cursor"),
        pytest.param("invoices?ending_before=in_0", 400, "ending_before",
                     "No such invoice: 'in_0'", id="an unknown cursor backwards"),
        pytest.param("subscriptions?starting_after=sub_5", 400, "starting_after",
                     "No such subscription", id="a cursor that has left the list"),
        pytest.param("invoices?starting_after=in_10&ending_before=in_10", 400, None,
                     "not both", id="both directions"),
        pytest.param("invoices/in_10/lines?starting_after=il_99", 400, "starting_after",
                     "No such line_item", id="an unknown line"),
        pytest.param("invoices/in_0", 404, "id", "No such invoice: 'in_0'",
                     id="an unknown object"),
        pytest.param("invoices/in_0/lines", 404, "id", "No such invoice: 'in_0'",
                     id="the lines of an unknown invoice"),
        pytest.param("subscription_items?subscription=sub_0", 400, "subscription",
                     "No such subscription: 'sub_0'", id="items of an unknown one"),
        pytest.param("charges", 404, None, "Unrecognized request URL (GET: /v1/charges)",
                     id="a list that is not here"),
        pytest.param("prices?unit=1", 400, "unit", "Received unknown parameter: unit",
                     id="an unknown parameter"),
        pytest.param("coupons?expand[]=applies_to", 400, "expand",
                     "(applies_to). You may want to try expanding 'data.applies_to'",
                     id="an expand without data, in a list"),
        pytest.param("coupons?expand[]=data.name", 400, "expand",
                     "This property cannot be expanded (data.name)",
                     id="an expand of what is plain"),
        pytest.param("events?expand[]=data.data.object.discounts", 400, "expand",
                     "cannot be expanded", id="an expand inside an event"),
        pytest.param("subscriptions?expand[]=data.items.data.price.tiers", 400, "expand",
                     "more than 4 levels", id="an item's tiers in a list: too deep"),
        pytest.param("invoices?expand[]=data.lines.data.discounts.source.coupon", 400,
                     "expand", "more than 4 levels", id="a line's coupon: too deep"),
    ],
)  # fmt: skip
def test_refusals(url: str, status: int, param: str | None, message: str) -> None:
    answered, error = refused(url)
    assert answered == status
    assert error.get("param") == param
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"


def test_what_is_missing_has_a_code_and_a_page() -> None:
    _, error = refused("invoices?starting_after=in_0")
    assert error["code"] == "resource_missing"
    assert error["doc_url"] == "https://stripe.com/docs/error-codes/resource-missing"


# --- files ---


def test_an_account_is_read_from_one_file(tmp_path: Path) -> None:
    (tmp_path / "stripe.json").write_text(json.dumps(OBJECTS))
    facts = '{"now": "2026-11-01T00:00:00Z", "timezone": "Asia/Tokyo", "label": "Acme"}'
    (tmp_path / "account.json").write_text(facts)
    account = SimulatedAccount.load(tmp_path)
    assert ask("invoices", account) == ask("invoices")
    assert account.now == datetime(2026, 11, 1, tzinfo=UTC)
    assert (account.timezone, account.label) == ("Asia/Tokyo", "Acme")


def test_an_account_is_read_from_lines(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(thing) for thing in OBJECTS["invoices"])
    (tmp_path / "invoices.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    account = SimulatedAccount.load(tmp_path)
    assert listed(ask("invoices", account)[1]) == "13 12b 12 11 10"
    assert (account.now, account.timezone, account.label) == (None, "UTC", None)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("stripe.jsn", b"{}", "no Stripe account in", id="nothing there"),
        pytest.param("stripe.json", b"{", "cannot be read: Input", id="half a file"),
        pytest.param("stripe.json", b'{"plans": []}', "'plans'", id="an unknown kind"),
        pytest.param("events.jsonl.gz", b"{}", "cannot be read: Not a gzipped",
                     id="not gzip"),
        pytest.param("account.json", b'{"now": "2026-11-01T00:00:00"}',
                     "with a timezone component", id="a now without a zone"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConnectorError) as raised:
        SimulatedAccount.load(tmp_path)
    assert problem in raised.value.problem
    assert raised.value.fix


# --- in process and over HTTP ---


def client(url: str, key: str = loopback.KEY) -> httpx.Client:
    headers = {"Authorization": f"Bearer {key}", "Stripe-Version": "2026-10-28.endive"}
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60)


def test_the_transport_answers_as_stripe_in_bytes_and_headers() -> None:
    transport = AccountTransport(ACCOUNT)
    headers = {"Stripe-Version": "2026-10-28.endive"}
    with httpx.Client(transport=transport, base_url="https://api.stripe.com") as http:
        answers = [http.get("/v1/invoices?limit=1", headers=headers) for _ in range(2)]
        assert http.post("/v1/invoices").status_code == 404
    assert answers[0].json() == asked("invoices?limit=1")
    assert answers[0].headers["Stripe-Version"] == "2026-10-28.endive"
    assert answers[0].headers["Date"].endswith(" GMT")
    assert len({answer.headers["Request-Id"] for answer in answers}) == 2


def test_the_server_answers_as_the_account_and_remembers_the_requests() -> None:
    with serving(ACCOUNT) as stripe, client(stripe.url) as http:
        answer = http.get(
            "/v1/invoices", params={"limit": 2, "expand[0]": "data.customer"}
        )
        assert answer.json() == asked("invoices?limit=2&expand[0]=data.customer")
        assert answer.headers["Request-Id"].startswith("req_")
        path, params, headers, method = stripe.requests[0]
    assert (method, path) == ("GET", "/v1/invoices")
    assert params == [("limit", "2"), ("expand[0]", "data.customer")]
    assert headers["stripe-version"] == "2026-10-28.endive"


def test_the_server_keeps_connections_and_serves_many_at_once() -> None:
    with serving(ACCOUNT) as stripe, client(stripe.url) as http:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(http.get, ["/v1/invoices?limit=1"] * 64))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.headers["Request-Id"] for answer in answers}) == 64
        assert len(stripe.requests) == 64


def test_the_account_may_change_between_requests() -> None:
    with serving(ACCOUNT) as stripe, client(stripe.url) as http:
        stripe.put("customers", customer(4, email="new"), customer(5))
        stripe.remove("customers", "cus_1")
        page = http.get("/v1/customers").json()
    assert listed(page) == "5 4"
    assert page["data"][1]["email"] == "new"
    assert listed(asked("customers")) == "4 1"


@pytest.mark.parametrize(
    ("key", "status", "message"),
    [
        pytest.param(loopback.KEY, 403, "Having the 'rak_plan_read' permission would",
                     id="a key that may not read prices"),
        pytest.param("sk_test_wrong_key", 401, "Invalid API Key provided: sk_test_*****",
                     id="a wrong key"),
        pytest.param("", 401, "You did not provide an API key", id="no key"),
    ],
)  # fmt: skip
def test_keys(key: str, status: int, message: str) -> None:
    with serving(ACCOUNT, forbidden={"prices"}) as stripe, client(stripe.url) as http:
        http.headers["Authorization"] = f"Bearer {key}" if key else ""
        answer = http.get("/v1/prices")
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fault", "status", "headers"),
    [
        pytest.param(loopback.rate_limited(3), 429,
                     {"Retry-After": "3", "Stripe-Rate-Limited-Reason": "endpoint-rate"},
                     id="limited, with the seconds to wait"),
        pytest.param(loopback.rate_limited(), 429,
                     {"Stripe-Rate-Limited-Reason": "endpoint-rate"}, id="limited"),
        pytest.param(loopback.rate_limited(reason=None), 429, {}, id="locked"),
        pytest.param(loopback.failing(), 500, {}, id="an error of Stripe's"),
        pytest.param(loopback.failing(503, should_retry=False), 503,
                     {"Stripe-Should-Retry": "false"}, id="one not to be retried"),
        pytest.param(loopback.conflicting(), 409, {}, id="a conflict"),
        pytest.param(loopback.forbidding("events", reworded=True), 403, {},
                     id="forbidden, in new words"),
        pytest.param(loopback.delayed(0.001), 200, {}, id="late but well"),
    ],
)  # fmt: skip
def test_a_fault_spoils_one_reply(
    fault: loopback.Fault, status: int, headers: dict[str, str]
) -> None:
    with serving(ACCOUNT, faults=[fault]) as stripe, client(stripe.url) as http:
        spoiled, well = http.get("/v1/events"), http.get("/v1/events")
    assert spoiled.status_code == status
    given = {name.lower(): value for name, value in headers.items()}
    told = ("retry-after", "stripe-rate-limited-reason", "stripe-should-retry")
    assert {it: spoiled.headers[it] for it in told if it in spoiled.headers} == given
    assert ("error" in spoiled.json()) is (status != 200)
    assert well.status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(loopback.hung_up(), id="hung up before a word"),
        pytest.param(loopback.truncated(claims_all=True), id="hung up in the body"),
    ],
)
def test_a_dropped_connection(fault: loopback.Fault) -> None:
    with serving(ACCOUNT, faults=[fault]) as stripe, client(stripe.url) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            http.get("/v1/events")
        assert http.get("/v1/events").status_code == 200


def test_half_a_page_with_status_200() -> None:
    plan = [loopback.truncated(0.5)]
    with serving(ACCOUNT, faults=plan) as stripe, client(stripe.url) as http:
        answer = http.get("/v1/events")
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_pages_that_would_make_a_pager_turn_in_circles() -> None:
    plan = loopback.on(
        "/v1/invoices", None, loopback.same_page_again(), loopback.empty_with_more()
    )
    with serving(ACCOUNT, faults=plan) as stripe, client(stripe.url) as http:
        urls = [f"/v1/invoices?limit=1&starting_after=in_{n}" for n in (13, 12, 11)]
        assert http.get("/v1/customers").status_code == 200  # not on the plan
        pages = [listed(http.get(url).json()) for url in urls]
    assert pages == ["12b …", "12b …", "…"]


def test_a_plan_may_be_a_function_of_the_request_and_be_changed() -> None:
    with serving(ACCOUNT) as stripe, client(stripe.url) as http:
        stripe.spoil(
            lambda it: loopback.failing() if ("limit", "1") in it.params else None
        )
        statuses = [http.get(f"/v1/events?limit={n}").status_code for n in (1, 2, 1)]
        stripe.spoil([])
        statuses.append(http.get("/v1/events?limit=1").status_code)
    assert statuses == [500, 200, 500, 200]
