"""What is asked of Stripe, how answers are read, and what happens to bad ones.

respx stands in for the network; nobody sleeps, the waits are written down.
"""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import respx
import stripe
from hypothesis import given
from hypothesis import strategies as st

from connector.core.errors import (
    ConfigError,
    ConnectorError,
    StripeRefused,
    StripeUnavailable,
    UnknownStripeShape,
)
from connector.stripe_api.answer import ATTEMPTS, CONNECT_ATTEMPTS
from connector.stripe_api.client import StripeApi
from connector.stripe_api.credentials import shown
from connector.stripe_api.decoding import ref
from connector.stripe_api.http import checked_base
from connector.stripe_api.lists import LISTINGS
from connector.stripe_api.paging import TOP, going_on, page_by_page
from connector.stripe_api.rate_limit import Limiter
from tests.support.clocks import Clock

BASE = "https://api.stripe.com"
KEY = "rk_live_51AbCdEfGhIjKlMnOpQrStUv"
PRODUCTS = f"{BASE}/v1/products"
Thing = dict[str, Any]


class Client(NamedTuple):
    api: StripeApi
    waits: list[float]

    def ids(self, kind: str = "products", after: str | None = None) -> list[str]:
        pages = self.api.pages(kind)
        if after is not None:
            start = going_on(after)
            pages = page_by_page(
                lambda it: self.api.page(kind, place=start if it == TOP else it)
            )
        return [ref(thing) for page in pages for thing in page.data]


@pytest.fixture
def client() -> Iterator[Client]:
    waits: list[float] = []
    with StripeApi(KEY, sleep=waits.append, limiter=Clock().limiter()) as api:
        yield Client(api, waits)


def page(*ids: str, more: bool = False) -> httpx.Response:
    return listing([{"id": each, "object": "product"} for each in ids], more=more)


def listing(things: list[Thing], *, more: bool = False) -> httpx.Response:
    return httpx.Response(
        200, json={"object": "list", "data": things, "has_more": more}
    )


def saying(status: int, message: str = "", **headers: str) -> httpx.Response:
    error = {"error": {"type": "api_error", "message": message}}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=error, headers=names)


def asked(call: respx.models.Call) -> list[tuple[str, str]]:
    return call.request.url.params.multi_items()


# --- what is asked ---


@respx.mock
def test_pages_follow_the_last_id_until_there_are_no_more(client: Client) -> None:
    route = respx.get(PRODUCTS).mock(
        side_effect=[
            page("p5", "p4", more=True),
            page("p3", "p2", more=True),
            page("p1"),
        ]
    )
    assert client.ids() == ["p5", "p4", "p3", "p2", "p1"]
    assert [asked(call) for call in route.calls] == [
        [("limit", "100")],
        [("limit", "100"), ("starting_after", "p4")],
        [("limit", "100"), ("starting_after", "p2")],
    ]


@respx.mock
def test_a_walk_can_begin_after_an_id(client: Client) -> None:
    route = respx.get(PRODUCTS).mock(return_value=page("p1"))
    assert client.ids(after="p2") == ["p1"]
    assert ("starting_after", "p2") in asked(route.calls.last)


@pytest.mark.parametrize("kind", [pytest.param(k, id=f"of {k}") for k in LISTINGS])
@respx.mock
def test_every_page_has_100_objects_filtered_and_expanded(
    client: Client, kind: str
) -> None:
    route = respx.get(f"{BASE}{LISTINGS[kind].path}").mock(return_value=listing([]))
    assert client.ids(kind) == []
    assert asked(route.calls.last) == [("limit", "100"), *LISTINGS[kind].params]


@pytest.mark.parametrize(
    ("kind", "param"),
    [
        pytest.param("subscriptions", ("status", "all"), id="customers who left too"),
        pytest.param("prices", ("expand[]", "data.tiers"), id="tiers of prices"),
        pytest.param("archived prices", ("active", "false"), id="archived prices too"),
        pytest.param(
            "coupons", ("expand[]", "data.applies_to"), id="products of coupons"
        ),
        pytest.param(
            "invoices",
            ("expand[]", "data.lines.data.discounts"),
            id="discounts of invoice lines",
        ),
        pytest.param("invoice items", ("pending", "true"), id="pending items only"),
    ],
)
def test_what_stripe_shows_only_if_asked(kind: str, param: tuple[str, str]) -> None:
    assert param in LISTINGS[kind].params


def test_no_list_asks_for_more_than_stripe_allows() -> None:
    """Four levels of expansion, counting ``data``; twenty types of events."""
    for each in LISTINGS.values():
        expands = [value for name, value in each.params if name == "expand[]"]
        assert all(path.count(".") < 4 for path in expands)
        assert len([1 for name, _ in each.params if name == "types[]"]) <= 20


@respx.mock
def test_every_request_is_pinned_and_carries_the_key_in_one_place(
    client: Client,
) -> None:
    route = respx.get(PRODUCTS).mock(return_value=page())
    client.ids()
    request = route.calls.last.request
    assert request.headers["Stripe-Version"] == stripe.api_version
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    elsewhere = {k: v for k, v in request.headers.items() if k != "authorization"}
    assert KEY not in f"{request.url} {elsewhere} {request.content!r}"


@respx.mock
def test_a_page_knows_when_its_request_began() -> None:
    clock = Clock(10)

    def answer(_: httpx.Request) -> httpx.Response:
        clock.us = 20  # time passes while Stripe answers
        return page("p1")

    respx.get(PRODUCTS).mock(side_effect=answer)
    with StripeApi(KEY, now_us=clock.now_us) as api:
        [only] = api.pages("products")
    assert only.asked_us == 10


# --- guards against lists without an end ---


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param([page(more=True)] * 4, [], id="an empty page that claims more"),
        pytest.param(
            [page("p2", "p1", more=True), page("p2", "p1", more=True), page("p0")],
            ["p2", "p1", "p0"],
            id="the same page once again",
        ),
        pytest.param(
            [page("p3", "p2", more=True), page("p2", "p1")],
            ["p3", "p2", "p1"],
            id="a page that overlaps the one before",
        ),
        pytest.param(
            [page("p3", "p1", "p2", more=True), page("p1", "p0")],
            ["p3", "p1", "p2", "p0"],
            id="a page out of order",
        ),
    ],
)
@respx.mock
def test_a_list_ends_and_shows_each_object_once(
    client: Client, pages: list[httpx.Response], expected: list[str]
) -> None:
    route = respx.get(PRODUCTS).mock(side_effect=pages)
    assert client.ids() == expected
    assert route.call_count == len(pages)


@respx.mock
def test_a_list_that_only_repeats_itself_is_a_failure(client: Client) -> None:
    """Taking it for the end would leave out what comes after it, in silence."""
    respx.get(PRODUCTS).mock(return_value=page("p2", "p1", more=True))
    with pytest.raises(StripeUnavailable, match="repeats itself"):
        client.ids()


@respx.mock
def test_the_cursor_itself_is_not_shown_again(client: Client) -> None:
    respx.get(PRODUCTS).mock(return_value=page("p2", "p1"))
    assert client.ids(after="p2") == ["p1"]


@respx.mock
def test_a_list_that_is_cut_short_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    respx.get(PRODUCTS).mock(return_value=page(more=True))
    client.ids()
    assert "stripe_api.stuck path=/v1/products" in caplog.text


# --- nested lists ---

PERIOD = {"start": 1, "end": 2}


def line(object_id: str) -> Thing:
    return {"id": object_id, "amount": 1, "period": PERIOD}


def with_lines(*lines: Thing, more: bool) -> Thing:
    return {"id": "in_1", "lines": {"data": list(lines), "has_more": more}}


def with_items(*ids: str, more: bool) -> Thing:
    items = {"data": [{"id": each} for each in ids], "has_more": more}
    return {"id": "sub_1", "customer": "cus_1", "status": "active", "items": items}


@respx.mock
def test_an_invoice_s_lines_are_whole(client: Client) -> None:
    cut = with_lines(line("il_1"), more=True)
    respx.get(f"{BASE}/v1/invoices").mock(return_value=listing([cut]))
    lines = respx.get(f"{BASE}/v1/invoices/in_1/lines").mock(
        side_effect=[listing([line("il_1")], more=True), listing([line("il_2")])]
    )
    [[invoice]] = [each.data for each in client.api.pages("invoices")]
    assert [each.id for each in invoice.lines.data] == ["il_1", "il_2"]
    assert asked(lines.calls[0]) == [("limit", "100"), ("expand[]", "data.discounts")]
    assert ("starting_after", "il_1") in asked(lines.calls[1])


@respx.mock
def test_a_subscription_s_items_are_whole(client: Client) -> None:
    cut = with_items("si_1", more=True)
    respx.get(f"{BASE}/v1/subscriptions/sub_1").mock(
        return_value=httpx.Response(200, json=cut)
    )
    items = respx.get(f"{BASE}/v1/subscription_items").mock(
        return_value=listing([{"id": "si_1"}, {"id": "si_2"}])
    )
    found = client.api.one("subscriptions", "sub_1")
    assert found is not None
    assert [each.id for each in found[0].items.data] == ["si_1", "si_2"]
    assert asked(items.calls.last) == [
        ("limit", "100"),
        ("subscription", "sub_1"),
        ("expand[]", "data.discounts"),
    ]


@respx.mock
def test_what_is_whole_costs_no_request(client: Client) -> None:
    whole = with_lines(line("il_1"), more=False)
    respx.get(f"{BASE}/v1/invoices").mock(return_value=listing([whole]))
    assert client.ids("invoices") == ["in_1"]
    assert client.api.reads.requests == 1


# --- expands that an account does not allow ---


def not_expandable(path: str) -> httpx.Response:
    return saying(400, f"This property cannot be expanded ({path}).")


@pytest.mark.parametrize(
    ("refused", "left"),
    [
        pytest.param(
            ["data.items.data.discounts"],
            ["data.discounts.source.coupon"],
            id="is left out",
        ),
        pytest.param(
            ["items.data.discounts"],
            ["data.discounts.source.coupon"],
            id="is left out, however Stripe calls it",
        ),
        pytest.param(
            ["data.discounts.source.coupon"],
            ["data.discounts", "data.items.data.discounts"],
            id="keeps the discount where only its coupon is refused",
        ),
        pytest.param(
            ["data.items.data.discounts", "data.discounts.source.coupon"],
            ["data.discounts"],
            id="one after the other",
        ),
    ],
)
@respx.mock
def test_an_expand_that_is_refused(
    client: Client, refused: list[str], left: list[str]
) -> None:
    route = respx.get(f"{BASE}/v1/subscriptions").mock(
        side_effect=[*map(not_expandable, refused), listing([with_items(more=False)])]
    )
    assert client.ids("subscriptions") == ["sub_1"]
    asked_last = asked(route.calls.last)
    assert [value for name, value in asked_last if name == "expand[]"] == left
    assert ("status", "all") in asked_last


@respx.mock
def test_a_refused_expand_that_was_never_asked_for_is_an_error(client: Client) -> None:
    route = respx.get(PRODUCTS).mock(return_value=not_expandable("data.colour"))
    with pytest.raises(StripeRefused):
        client.ids()
    assert route.call_count == 1


@respx.mock
def test_a_probe_is_one_cheap_request(client: Client) -> None:
    route = respx.get(f"{BASE}/v1/prices").mock(return_value=listing([]))
    client.api.probe()
    assert [asked(call) for call in route.calls] == [[("limit", "1")]]


# --- one object ---


@respx.mock
def test_one_object_is_expanded_as_in_its_list(client: Client) -> None:
    route = respx.get(f"{BASE}/v1/invoices/in_1").mock(
        return_value=httpx.Response(200, json=with_lines(more=False))
    )
    assert client.api.one("invoices", "in_1") is not None
    assert asked(route.calls.last) == [
        ("expand[]", "discounts.source.coupon"),
        ("expand[]", "lines.data.discounts"),
    ]


@respx.mock
def test_an_object_that_has_vanished_is_none(client: Client) -> None:
    respx.get(f"{BASE}/v1/invoices/in_1").mock(return_value=saying(404))
    assert client.api.one("invoices", "in_1") is None


@respx.mock
def test_an_object_that_is_refused_is_not_none(client: Client) -> None:
    respx.get(f"{BASE}/v1/invoices/in_1").mock(return_value=saying(403))
    with pytest.raises(StripeRefused):
        client.api.one("invoices", "in_1")


# --- what is asked again ---

Spoiled = httpx.Response | Exception


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(saying(429), id="429 without a reason"),
        pytest.param(
            saying(429, Stripe_Rate_Limited_Reason="endpoint-rate"), id="429 with one"
        ),
        pytest.param(saying(409), id="409"),
        pytest.param(saying(500), id="500"),
        pytest.param(saying(503), id="503"),
        pytest.param(httpx.Response(502, text="<html>"), id="502 from a proxy"),
        pytest.param(httpx.ReadTimeout("slow"), id="a timeout"),
        pytest.param(httpx.ConnectError("refused"), id="no connection"),
        pytest.param(httpx.RemoteProtocolError("hung up"), id="a hang-up"),
        pytest.param(httpx.Response(200, content=b'{"data": [{"i'), id="a cut-off 200"),
        pytest.param(httpx.Response(200), id="an empty 200"),
        pytest.param(httpx.Response(200, text="<html>"), id="a 200 that is not JSON"),
        pytest.param(
            saying(400, stripe_should_retry="true"), id="400 if Stripe says so"
        ),
    ],
)
@respx.mock
def test_what_may_pass_is_asked_again(client: Client, first: Spoiled) -> None:
    respx.get(PRODUCTS).mock(side_effect=[first, page("p1")])
    assert client.ids() == ["p1"]
    assert len(client.waits) == 1
    assert (client.api.reads.requests, client.api.reads.retries) == (2, 1)


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(saying(s), id=str(s)) for s in (302, 400, 401, 402, 403, 404)),
        pytest.param(
            saying(429, stripe_should_retry="false"), id="429 if Stripe says so"
        ),
        pytest.param(
            saying(500, stripe_should_retry="false"), id="500 if Stripe says so"
        ),
    ],
)
@respx.mock
def test_a_no_is_asked_once(client: Client, answer: httpx.Response) -> None:
    route = respx.get(PRODUCTS).mock(return_value=answer)
    with pytest.raises(StripeRefused) as raised:
        client.ids()
    assert raised.value.status == answer.status_code
    assert route.call_count == 1
    assert client.waits == []


@pytest.mark.parametrize(
    ("retry_after", "waited_s"),
    [
        pytest.param("7", 7.0, id="the seconds Stripe gives"),
        pytest.param("0", 0.0, id="at once"),
        pytest.param("3600", 60.0, id="a minute at most"),
    ],
)
@respx.mock
def test_retry_after_is_honoured(
    client: Client, retry_after: str, waited_s: float
) -> None:
    limited = saying(429, Retry_After=retry_after)
    respx.get(PRODUCTS).mock(side_effect=[limited, page()])
    client.ids()
    assert client.waits == [waited_s]


@pytest.mark.parametrize("nonsense", ["-1", "nan", "soon", "Fri, 31 Dec 1999 23:59:59"])
@respx.mock
def test_a_retry_after_that_is_no_number_is_left_to_us(
    client: Client, nonsense: str
) -> None:
    limited = saying(429, Retry_After=nonsense)
    respx.get(PRODUCTS).mock(side_effect=[limited, page()])
    client.ids()
    assert 0 <= client.waits[0] <= 20


@respx.mock
def test_waits_grow_but_not_past_20_seconds(client: Client) -> None:
    respx.get(PRODUCTS).mock(return_value=saying(503))
    with pytest.raises(StripeUnavailable):
        client.ids()
    assert len(client.waits) == ATTEMPTS - 1
    for i, wait_s in enumerate(client.waits):
        assert 0 <= wait_s <= min(0.5 * 2**i, 20)


@pytest.mark.parametrize(
    ("failure", "tries", "said"),
    [
        pytest.param(saying(503, "Busy."), ATTEMPTS, "HTTP 503 Busy.", id="503"),
        pytest.param(
            saying(429, Stripe_Rate_Limited_Reason="global-rate"),
            ATTEMPTS,
            "HTTP 429 global-rate",
            id="429 with Stripe's reason",
        ),
        pytest.param(
            httpx.ReadTimeout("slow"), ATTEMPTS, "ReadTimeout: slow", id="a timeout"
        ),
        pytest.param(
            httpx.Response(200, content=b'{"da'),
            ATTEMPTS,
            "not JSON",
            id="a cut-off 200",
        ),
        pytest.param(
            httpx.ConnectError("refused"),
            CONNECT_ATTEMPTS,
            "no connection (refused)",
            id="no connection, which is given up sooner",
        ),
        pytest.param(
            httpx.ConnectError("[Errno 111] Connection refused"),
            CONNECT_ATTEMPTS,
            "no connection (Connection refused)",
            id="no connection, in words without a number",
        ),
    ],
)
@respx.mock
def test_what_does_not_pass_is_unavailable(
    client: Client, failure: Spoiled, tries: int, said: str
) -> None:
    route = respx.get(PRODUCTS).mock(side_effect=lambda _: thrown(failure))
    with pytest.raises(StripeUnavailable) as raised:
        client.ids()
    assert route.call_count == tries
    assert f"/v1/products after {tries} tries" in raised.value.problem
    assert said in raised.value.problem
    assert BASE in raised.value.fix


def thrown(failure: Spoiled) -> httpx.Response:
    if isinstance(failure, Exception):
        raise failure
    return failure


@respx.mock
def test_each_retry_is_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    respx.get(PRODUCTS).mock(side_effect=[saying(503), saying(429), page()])
    client.ids()
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("WARNING", "stripe_http.retry attempt=1 HTTP 503"),
        ("WARNING", "stripe_http.retry attempt=2 HTTP 429"),
    ]


# --- what errors say ---


@pytest.mark.parametrize(
    ("answer", "problem", "fix"),
    [
        pytest.param(
            saying(401, "Invalid API Key provided: rk_live_****stUv"),
            "Stripe does not know the key rk_live_…StUv (HTTP 401)",
            "STRIPE_API_KEY",
            id="401 shows which key, and where it comes from",
        ),
        pytest.param(
            saying(403, "does not have the required permissions"),
            "the key rk_live_…StUv may not read /v1/products (HTTP 403)",
            LISTINGS["products"].needs,
            id="403 names the permission",
        ),
        pytest.param(
            saying(400, "Received unknown parameter: created"),
            "Stripe refused /v1/products (HTTP 400): Received unknown parameter: created",
            "see the message",
            id="400 repeats what Stripe says",
        ),
    ],
)
@respx.mock
def test_a_no_says_what_to_do(
    client: Client, answer: httpx.Response, problem: str, fix: str
) -> None:
    respx.get(PRODUCTS).mock(return_value=answer)
    with pytest.raises(StripeRefused) as raised:
        client.ids()
    assert raised.value.problem == problem
    assert fix in raised.value.fix


@respx.mock
def test_items_need_the_permission_of_subscriptions(client: Client) -> None:
    cut = with_items("si_1", more=True)
    respx.get(f"{BASE}/v1/subscriptions").mock(return_value=listing([cut]))
    respx.get(f"{BASE}/v1/subscription_items").mock(return_value=saying(403))
    with pytest.raises(StripeRefused) as raised:
        client.ids("subscriptions")
    assert LISTINGS["subscriptions"].needs in raised.value.fix


@respx.mock
def test_a_refusal_carries_stripe_s_code(client: Client) -> None:
    error = {"code": "resource_missing", "param": "starting_after", "message": "No."}
    gone = httpx.Response(400, json={"error": error})
    respx.get(PRODUCTS).mock(return_value=gone)
    with pytest.raises(StripeRefused) as raised:
        client.ids(after="p9")
    assert raised.value.code == "resource_missing"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"data": {"id": "prod_1"}}, id="an object for a list"),
        pytest.param({"data": [], "has_more": "yes"}, id="an end that nobody knows"),
        pytest.param({"data": None}, id="a list without data"),
        pytest.param({"object": "list"}, id="a list that leaves its data out"),
        pytest.param([], id="no list object at all"),
    ],
)
@respx.mock
def test_an_answer_of_unknown_shape_is_named_and_not_asked_again(
    client: Client, body: Any
) -> None:
    route = respx.get(PRODUCTS).mock(return_value=httpx.Response(200, json=body))
    with pytest.raises(UnknownStripeShape, match="a list of Product"):
        client.ids()
    assert route.call_count == 1


# --- the key stays secret ---


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(saying(400, f"No key like {KEY}."), id="in a refusal"),
        pytest.param(saying(401, f"Invalid API Key: {KEY}"), id="in an unknown key"),
        pytest.param(saying(403, f"{KEY} may not"), id="in a missing permission"),
        pytest.param(saying(503, f"{KEY} is busy"), id="in what is retried"),
        pytest.param(
            httpx.Response(200, json={"data": {"id": 1, "name": KEY}}),
            id="in an unknown shape",
        ),
    ],
)
@respx.mock
def test_the_key_is_never_repeated(
    client: Client, caplog: pytest.LogCaptureFixture, answer: httpx.Response
) -> None:
    caplog.set_level(logging.DEBUG)
    respx.get(PRODUCTS).mock(return_value=answer)
    with pytest.raises(ConnectorError) as raised:
        client.ids()
    told = f"{raised.value} {raised.value.fix} {client.api!r} {caplog.text}"
    assert KEY not in told
    assert KEY.removeprefix("rk_live_")[:8] not in told


@given(st.from_regex(r"((sk|rk)_(live|test)_)?[A-Za-z0-9_]{0,40}", fullmatch=True))
def test_at_most_the_kind_and_four_characters_of_a_key_are_shown(key: str) -> None:
    secret = key.removeprefix("sk_").removeprefix("rk_")
    secret = secret.removeprefix("live_").removeprefix("test_")
    known = key.removesuffix(secret)
    told = shown(key)
    assert told in (f"{known}…", f"{known}…{key[-4:]}", "…", f"…{key[-4:]}")
    assert len(told) - len(known) - 1 <= len(secret) / 2


# --- a key only travels encrypted ---


@pytest.mark.parametrize(
    "base",
    [
        pytest.param("https://api.stripe.com", id="Stripe"),
        pytest.param("https://proxy.example/stripe/", id="a proxy over https"),
        pytest.param("http://127.0.0.1:12111", id="a stand-in on this machine"),
        pytest.param("http://[::1]:12111", id="the same over IPv6"),
        pytest.param("http://localhost:12111", id="the same by name"),
    ],
)
def test_bases_a_key_may_be_sent_to(base: str) -> None:
    assert checked_base(base) == base.rstrip("/")


@pytest.mark.parametrize(
    "base",
    [
        pytest.param("http://api.stripe.com", id="plain http"),
        pytest.param("http://localhost.example.com", id="a name that begins like ours"),
        pytest.param("http://127.0.0.1.example.com", id="a name like an address"),
        pytest.param("http://10.0.0.1", id="another machine of the network"),
        pytest.param("http://user@example.com:80@127.0.0.1x", id="a disguised host"),
        pytest.param("ftp://api.stripe.com", id="another protocol"),
        pytest.param("api.stripe.com", id="no protocol"),
        pytest.param("https://", id="no host"),
        pytest.param("https://[::1", id="no URL at all"),
        pytest.param("", id="nothing"),
    ],
)
def test_bases_a_key_is_not_sent_to(base: str) -> None:
    with pytest.raises(ConfigError, match="give an https URL") as raised:
        StripeApi(KEY, base)
    assert repr(base) in raised.value.problem


# --- laws ---


class Answering(httpx.BaseTransport):
    """A network that is one function."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self.answer(request)


def walked(answer: Callable[[httpx.Request], httpx.Response]) -> list[str]:
    transport, free = Answering(answer), Limiter.free()
    with StripeApi(KEY, transport=transport, sleep=lambda _: None, limiter=free) as api:
        return Client(api, []).ids()


ids = st.integers(0, 12).map(lambda number: f"p{number}")


@given(pages=st.lists(st.lists(ids, unique=True, max_size=4), min_size=1, max_size=8))
def test_whatever_comes_each_object_is_shown_once_and_the_walk_ends(
    pages: list[list[str]],
) -> None:
    replies = iter(page(*each, more=True) for each in pages)
    try:
        seen = walked(lambda _: next(replies, page()))
    except StripeUnavailable:
        return  # it ended, and did not pretend to be whole
    assert len(seen) == len(set(seen))
    assert set(pages[0]) <= set(seen) <= {each for some in pages for each in some}


@given(
    size=st.integers(1, 5),
    count=st.integers(0, 12),
    spoilt=st.lists(st.integers(0, 3), max_size=12),
)
def test_transient_failures_between_pages_change_nothing(
    size: int, count: int, spoilt: list[int]
) -> None:
    """``spoilt`` is how often each page fails before it comes."""
    things = [f"p{number}" for number in range(count)]
    failures = iter([fails for times in spoilt for fails in [True] * times + [False]])

    def answer(request: httpx.Request) -> httpx.Response:
        if next(failures, False):
            return saying(503)
        after = request.url.params.get("starting_after")
        first = 0 if after is None else things.index(after) + 1
        shown_ids = things[first : first + size]
        return page(*shown_ids, more=first + size < count)

    assert walked(answer) == things


# --- threads ---

FIRST_ANSWERS = """
import sys
from threading import Barrier, Thread
import httpx
from connector.stripe_api.client import StripeApi
from connector.stripe_api.rate_limit import Limiter

sys.setswitchinterval(1e-6)
KINDS = ("customers", "subscriptions", "invoices", "prices", "events") * 2
empty = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": []}))
api = StripeApi("rk_test", transport=empty, limiter=Limiter.free())
ready = Barrier(len(KINDS))

def ask(kind):
    ready.wait()
    list(api.pages(kind))

threads = [Thread(target=ask, args=[kind]) for kind in KINDS]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("alive")
"""


def test_the_first_answers_may_come_all_at_once() -> None:
    """A type that two threads describe to msgspec at once would crash the process."""
    for _ in range(5):
        ran = subprocess.run(
            [sys.executable, "-c", FIRST_ANSWERS],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout) == (0, "alive\n"), ran.stderr
