"""The door to the internet: who is let in, what is kept, and what strangers learn."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.store.opening import open_database
from connector.stripe_api.events import EVENT_TYPES
from connector.webhooks import endpoint
from connector.webhooks.endpoint import MOST_BYTES, PATH, EndpointSettings
from connector.webhooks.group_commit import GroupCommit
from tests.support.served import JSON, SECRET, headers, signature, thin, until
from tests.support.served import webhook as told

NOW_S = 1_790_000_000
OLD = "whsec_of_last_year"
SUBSCRIPTION = {"id": "sub_1", "object": "subscription", "customer": "cus_1"}
EVENT = told("customer.subscription.updated", SUBSCRIPTION)
BODY = json.dumps(EVENT).encode()


class House:
    """The app in front of a real inbox, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counted: list[tuple[str, str]] = []
        self.now_s = float(NOW_S)
        open_database(path, create=True).close()
        self.commits = GroupCommit(
            path, lambda: NOW_S * 1_000_000, lambda: None, try_again_s=0.01
        )

    def ask(
        self,
        body: Any = BODY,
        head: Mapping[str, Any] | None = None,
        method: str = "POST",
        path: str = PATH,
    ) -> httpx.Response:
        return asyncio.run(self._ask(body, head, method, path))

    async def _ask(
        self, body: Any, head: Mapping[str, Any] | None, method: str, path: str
    ) -> httpx.Response:
        door = EndpointSettings(
            secrets=(SECRET, OLD),
            keep=self.commits.keep,
            count=lambda *each: self.counted.append(each),
            now_s=lambda: self.now_s,
        )
        wire = httpx.ASGITransport(endpoint.endpoint_app([door]))
        async with httpx.AsyncClient(transport=wire, base_url="http://nrr") as client:
            given = dict(head) if head is not None else signed(body)
            return await client.request(method, path, content=body, headers=given)

    @property
    def kept(self) -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(self.path)) as connection:
            query = "SELECT event, type, names FROM inbox ORDER BY number"
            return connection.execute(query).fetchall()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(time, "time", lambda: float(NOW_S))  # the SDK's own clock
    made = House(tmp_path / "ledger.db")
    with made.commits:
        yield made


def signed(body: bytes, at_s: float = NOW_S, secret: str = SECRET) -> dict[str, str]:
    return headers(body, at_s=at_s, secret=secret)


def with_signature(text: str | bytes) -> dict[str, Any]:
    return {"Content-Type": JSON, "Stripe-Signature": text}


# --- who is let in ---


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(signed(BODY), id="signed now"),
        pytest.param(signed(BODY, NOW_S - 300), id="signed five minutes ago"),
        pytest.param(signed(BODY, NOW_S + 300), id="by a clock five minutes fast"),
        pytest.param(signed(BODY, secret=OLD), id="with the other secret"),
        pytest.param(
            with_signature(
                signature(BODY, "whsec_unknown", NOW_S)
                + ","
                + signature(BODY, SECRET, NOW_S).partition(",")[2]
            ),
            id="with two secrets, of which we know one",
        ),
        pytest.param(
            signed(BODY) | {"Content-Type": "application/json"}, id="no charset"
        ),
    ],
)
def test_what_stripe_signed_is_kept(house: House, head: dict[str, str]) -> None:
    answer = house.ask(BODY, head)
    assert (answer.status_code, answer.content) == (200, b"")
    assert [event for event, *_ in house.kept] == ["evt_1"]
    assert house.counted == [("customer.subscription.updated", "kept")]


@pytest.mark.parametrize(
    ("body", "head", "status"),
    [
        pytest.param(BODY, {"Content-Type": JSON}, 400, id="no signature"),
        pytest.param(BODY, with_signature(""), 400, id="an empty signature"),
        pytest.param(BODY, with_signature("Bearer x"), 400, id="no such thing"),
        pytest.param(BODY, with_signature(f"t={NOW_S}"), 400, id="only a time"),
        pytest.param(BODY, with_signature(f"t={NOW_S},v1="), 400, id="nothing signed"),
        pytest.param(BODY, with_signature(f"t={NOW_S},v1=é".encode()), 400, id="é"),
        pytest.param(
            BODY, with_signature("t=" + "9" * 5_000 + ",v1=0"), 400, id="the far future"
        ),
        pytest.param(
            BODY, with_signature("t=-1,t=+1,v1=0"), 400, id="times that are none"
        ),
        pytest.param(BODY, signed(BODY, secret="whsec_x"), 400, id="forged"),  # noqa: S106
        pytest.param(BODY + b" ", signed(BODY), 400, id="a blank more"),
        pytest.param(BODY[:-1], signed(BODY), 400, id="truncated"),
        pytest.param(b"", signed(BODY), 400, id="the body left out"),
        pytest.param(BODY, signed(BODY, NOW_S - 301), 400, id="replayed"),
        pytest.param(BODY, signed(BODY, NOW_S + 301), 400, id="dated ahead"),
        pytest.param(
            BODY,
            with_signature(signature(BODY, at_s=NOW_S).replace("v1=", "v0=")),
            400,
            id="the test scheme v0",
        ),
        pytest.param(b"dogs", signed(b"dogs"), 400, id="signed, but not JSON"),
        pytest.param(b"[]", signed(b"[]"), 400, id="signed, but a list"),
        pytest.param(b"{}", signed(b"{}"), 400, id="signed, but no event"),
        pytest.param(b"\xff", signed(b"\xff"), 400, id="signed, but not UTF-8"),
        pytest.param(
            BODY, signed(BODY) | {"Content-Type": "text/plain"}, 415, id="plain text"
        ),
        pytest.param(
            BODY, {"Stripe-Signature": signature(BODY, at_s=NOW_S)}, 415, id="no type"
        ),
    ],
)
def test_all_else_is_refused_without_a_word(
    house: House, body: bytes, head: dict[str, Any], status: int
) -> None:
    answer = house.ask(body, head)
    assert (answer.status_code, answer.content) == (status, b"")
    assert house.kept == []
    assert house.counted == [("", "refused")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(house: House, method: str) -> None:
    assert house.ask(method=method).status_code == 405
    assert house.kept == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", PATH + "/", "/webhooks"])
def test_nothing_else_is_behind_this_door(house: House, path: str) -> None:
    """A redirect would count as a failure with Stripe, so there is none."""
    assert house.ask(path=path).status_code == 404


# --- too much ---


def test_too_large_a_body_is_refused_by_its_header(house: House) -> None:
    was_read = []

    async def body() -> AsyncIterator[bytes]:
        was_read.append(True)
        yield BODY

    claimed = signed(BODY) | {"Content-Length": str(MOST_BYTES + 1)}
    assert house.ask(body(), claimed).status_code == 413
    assert was_read == []


def test_too_large_a_body_is_refused_while_it_streams(house: House) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 8 * MOST_BYTES:
            sent += 65_536
            yield b" " * 65_536

    assert house.ask(endless(), signed(BODY)).status_code == 413
    assert house.kept == []


def test_the_largest_body_is_kept(house: House) -> None:
    body = BODY + b" " * (MOST_BYTES - len(BODY))
    assert house.ask(body).status_code == 200
    assert len(house.kept) == 1


# --- what is kept ---


def test_the_same_event_again_is_welcome_and_kept_once(house: House) -> None:
    assert [house.ask().status_code for _ in range(3)] == [200, 200, 200]
    assert len(house.kept) == 1
    outcomes = [outcome for _, outcome in house.counted]
    assert outcomes == ["kept", "duplicate", "duplicate"]


def test_many_at_once_are_each_kept(house: House) -> None:
    async def together() -> list[int]:
        bodies = [
            json.dumps(EVENT | {"id": f"evt_{n // 2}"}).encode() for n in range(200)
        ]
        asked = [house._ask(b, signed(b), "POST", PATH) for b in bodies]  # noqa: SLF001
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert set(asyncio.run(together())) == {200}
    assert sorted(event for event, *_ in house.kept) == sorted(
        f"evt_{n}" for n in range(100)
    )


CUSTOMER = {"id": "cus_1", "object": "customer"}
INVOICE = {"id": "in_1", "object": "invoice"}
DISCOUNT = {"id": "di_1", "object": "discount", "customer": "cus_1"}


@pytest.mark.parametrize(
    ("event", "names"),
    [
        pytest.param(
            EVENT, [("subscriptions", "sub_1"), ("events", "evt_1")], id="subscription"
        ),
        pytest.param(
            told("invoice.paid", INVOICE),
            [("invoices", "in_1"), ("events", "evt_1")],
            id="an invoice",
        ),
        pytest.param(
            told("customer.deleted", CUSTOMER),
            [("customers", "cus_1"), ("events", "evt_1")],
            id="a customer",
        ),
        pytest.param(
            told("customer.discount.created", DISCOUNT),
            [("customers", "cus_1"), ("events", "evt_1")],
            id="a customer's discount, which cannot be fetched itself",
        ),
        pytest.param(
            told(
                "customer.discount.deleted",
                DISCOUNT | {"subscription": "sub_1", "customer": CUSTOMER},
            ),
            [("customers", "cus_1"), ("subscriptions", "sub_1"), ("events", "evt_1")],
            id="a subscription's discount",
        ),
        pytest.param(
            told("invoiceitem.deleted", {"id": "ii_1", "object": "invoiceitem"}),
            [("invoice items", "ii_1"), ("events", "evt_1")],
            id="a pending item",
        ),
        pytest.param(
            told("price.updated", {"id": "price_1", "object": "price"}),
            [("prices", "price_1")],
            id="a price",
        ),
        pytest.param(
            thin("subscription", "sub_1"), [("subscriptions", "sub_1")], id="thin"
        ),
    ],
)
def test_an_event_is_kept_as_the_names_of_what_changed(
    house: House, event: dict[str, Any], names: list[tuple[str, str]]
) -> None:
    assert house.ask(json.dumps(event).encode()).status_code == 200
    [(key, kind, kept)] = house.kept
    assert (key, kind) == (event["id"], event["type"])
    assert [tuple(each) for each in json.loads(kept)] == names


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(told("charge.succeeded", {"id": "ch_1"}), id="another type"),
        pytest.param(told("invoice.upcoming", {"object": "invoice"}), id="without id"),
        pytest.param(told("invoice.paid", {"object": "invoice"}), id="of nothing"),
        pytest.param(
            told("customer.discount.created", {"object": "discount"}), id="lost"
        ),
        pytest.param(thin("meter", "mtr_1"), id="thin, about something else"),
        pytest.param(
            thin("subscription", "sub_1") | {"related_object": None}, id="thin"
        ),
    ],
)
def test_what_is_of_no_use_is_counted_and_not_kept(
    house: House, event: dict[str, Any]
) -> None:
    assert house.ask(json.dumps(event).encode()).status_code == 200
    assert house.kept == []
    assert house.counted == [("other", "ignored")]


def test_an_event_that_cannot_be_made_durable_is_not_acknowledged(house: House) -> None:
    """Stripe then sends it again."""
    with closing(sqlite3.connect(house.path)) as connection:
        connection.execute("DROP TABLE inbox")
    answer = house.ask()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert house.commits.failure == "no such table: inbox"


def test_once_events_could_be_kept_again_nobody_needs_to_send_one(house: House) -> None:
    with closing(sqlite3.connect(house.path)) as connection:
        connection.execute("ALTER TABLE inbox RENAME TO mislaid")
        assert house.ask().status_code == 503
        connection.execute("ALTER TABLE mislaid RENAME TO inbox")
    until(lambda: house.commits.failure is None)
    assert house.kept == []
    assert house.ask().status_code == 200


# --- whatever comes ---

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "object", "type", "data", "related_object", "customer"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
kinds = st.sampled_from([*EVENT_TYPES, "v1.invoice.paid", "charge.failed"])
events = st.fixed_dictionaries(
    {"id": st.just("evt_1") | values, "type": kinds | values, "data": values},
    optional={
        "object": st.sampled_from(["event", "v2.core.event"]),
        "related_object": values,
    },
)


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., httpx.Response]]:
    made = House(tmp_path_factory.mktemp("fuzzed") / "ledger.db")
    made.now_s = time.time()
    with made.commits:
        yield made.ask


@given(
    body=st.binary(max_size=200),
    given_headers=st.dictionaries(texts, texts, max_size=3),
)
@example(body=b"", given_headers={"Content-Length": "x"})
@example(body=b"", given_headers={"Content-Length": "²"})
def test_no_stranger_gets_in_or_gets_an_error_out_of_it(
    asked: Callable[..., httpx.Response], body: bytes, given_headers: dict[str, str]
) -> None:
    head = {
        "".join(filter(str.isalnum, k)) or "x": v.strip().encode()
        for k, v in given_headers.items()
    }
    status = asked(body, {"Content-Type": "application/json"} | head).status_code
    assert status in (400, 413, 415)


@given(
    body=events.map(lambda event: json.dumps(event).encode())
    | values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=60)
)
@example(b"[" * 100_000)
@example(
    json.dumps(told("price.updated", {"id": "\ud800", "object": "price"})).encode()
)
@example(
    json.dumps(told("price.updated", {"id": "\0", "object": "price"}, "\0")).encode()
)
@example(b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": ' + b"[" * 5_000)
def test_whatever_is_signed_gets_a_plain_answer(
    asked: Callable[..., httpx.Response], body: bytes
) -> None:
    status = asked(body, headers(body)).status_code
    assert status in (200, 400)
