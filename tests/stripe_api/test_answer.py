"""Answers that come too slowly, too large, or from something else than Stripe."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import httpx
import pytest

from connector.core.errors import Stopped, StripeRefused, StripeUnavailable
from connector.stripe_api.answer import MOST_BYTES, Clients
from connector.stripe_api.client import StripeApi
from connector.stripe_api.rate_limit import Limiter
from tests.support.loopback import (
    KEY,
    Fault,
    Reply,
    Served,
    compressed,
    delayed,
    failing,
    serving,
    told_by_a_proxy,
    trickling,
    trickling_body,
)
from tests.support.served import FOREVER_S
from tests.support.simulator import SimulatedAccount

PRODUCT = {"id": "prod_1", "object": "product", "created": 1, "name": "Plan"}


@pytest.fixture
def stripe() -> Iterator[Served]:
    with serving(SimulatedAccount({"products": [PRODUCT]})) as served:
        yield served


def asking(
    stripe: Served, deadline_s: float = 80.0, *, is_stopped: bool = False
) -> int:
    """How many products a page has; nobody waits between tries.

    ``is_stopped``: asked to end as soon as the request is under way.
    """
    with StripeApi(
        KEY,
        stripe.url,
        sleep=lambda _: None,
        limiter=Limiter.free(),
        deadline_s=deadline_s,
        stopping=lambda: is_stopped and bool(stripe.sent),
    ) as api:
        return len(api.page("products").data)


SLOW = [
    pytest.param(trickling(0.5), id="byte by byte"),
    pytest.param(trickling_body(0.5), id="the headers at once"),
    pytest.param(delayed(FOREVER_S), id="not at all"),
]


@pytest.mark.parametrize("fault", SLOW)
def test_a_whole_request_has_a_deadline(stripe: Served, fault: Fault) -> None:
    """However little time passes between two bytes; then it is tried again."""
    stripe.spoil([fault, None])
    assert asking(stripe, deadline_s=0.3) == 1
    assert len(stripe.requests) == 2
    assert not stripe.sent[0].is_set(), "nobody has waited for it"


@pytest.mark.parametrize("fault", SLOW)
def test_who_is_asked_to_end_waits_no_longer(
    stripe: Served, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connector.stripe_api.answer.GRACE_S", 0.3)
    stripe.spoil(lambda _: fault)
    with pytest.raises(Stopped):
        asking(stripe, is_stopped=True)
    assert not stripe.sent[0].is_set(), "nobody has waited for it"


def test_what_is_under_way_may_still_come(stripe: Served) -> None:
    stripe.spoil([delayed(0.6)])
    assert asking(stripe, is_stopped=True) == 1


# --- too large ---


def test_a_compressed_answer_is_read(stripe: Served) -> None:
    stripe.spoil([compressed(zeros=100_000)])
    assert asking(stripe) == 1


def cut_off(true: Reply, before: Reply | None) -> Reply:
    whole = compressed()(true, before)
    return replace(whole, keep=0.5)


class Bomb(NamedTuple):
    fault: Fault
    said: str


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(
            Bomb(compressed(zeros=4 * MOST_BYTES), "more than 64 MiB"), id="of blanks"
        ),
        pytest.param(
            Bomb(compressed(2, zeros=MOST_BYTES), "compressed as 'gzip, gzip'"),
            id="in a bomb",
        ),
        pytest.param(
            Bomb(cut_off, "cut off, or too large"),
            id="cut off",
        ),
    ],
)
def test_an_answer_has_a_largest_size(stripe: Served, bomb: Bomb) -> None:
    stripe.spoil(lambda _: bomb.fault)
    with pytest.raises(StripeUnavailable, match=bomb.said):
        asking(stripe)


# --- no JSON ---

DEEP = b"[" * 100_000 + b"]" * 100_000
NO_JSON = {
    "nothing": b"",
    "nested without end": b'{"data":' + DEEP + b"}",
    "an object nested without end": b'{"data":[{"id":"prod_1","x":' + DEEP + b"}]}",
    "an odd one": b'{"data":[{"id":7,"x":' + DEEP + b"}]}",
    "not in UTF-8": b'{"data":[{"id":"\xff"}]}',
    "an odd one that is not": b'{"data":[{"id":7,"x":"\xff"}]}',
    "in UTF-16": '{"data":[]}'.encode("utf-16"),
    "a login page": b"<html></html>",
}


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON.keys())
def test_what_is_no_json_is_asked_for_again(stripe: Served, body: bytes) -> None:
    """It is a cut-off answer for all we know, and no fault of this program."""
    stripe.spoil([lambda *_: Reply(status=200, body=body), None])
    assert asking(stripe) == 1
    stripe.spoil(lambda _: lambda *_: Reply(status=200, body=body))
    with pytest.raises(StripeUnavailable, match="not JSON"):
        asking(stripe)


# --- not Stripe ---


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 407])
@pytest.mark.parametrize("media_type", ["text/html", "application/json", "text/plain"])
def test_a_proxy_s_no_is_no_word_of_stripe_s(
    stripe: Served, status: int, media_type: str
) -> None:
    """Neither a missing permission, nor a wrong key, nor an object that is gone."""
    stripe.spoil([told_by_a_proxy(status, media_type)])
    with pytest.raises(StripeUnavailable) as raised:
        asking(stripe)
    assert f"(HTTP {status}, of type {media_type})" in raised.value.problem
    assert "proxy" in raised.value.fix
    assert "permission" not in raised.value.problem + raised.value.fix


@pytest.mark.parametrize("media_type", ["text/html", "text/plain"])
def test_a_login_page_is_named(stripe: Served, media_type: str) -> None:
    stripe.spoil(lambda _: told_by_a_proxy(200, media_type))
    with pytest.raises(StripeUnavailable, match=f"an answer of type {media_type}"):
        asking(stripe)


def test_a_gateway_s_bad_moment_is_outwaited(stripe: Served) -> None:
    stripe.spoil([told_by_a_proxy(502), told_by_a_proxy(200), failing(503)])
    assert asking(stripe) == 1


def test_stripe_s_own_no_stays_one(stripe: Served) -> None:
    stripe.forbidden = ["products"]
    with pytest.raises(StripeRefused, match="may not read"):
        asking(stripe)


def test_no_thread_closes_what_another_one_reads(stripe: Served) -> None:
    """Ten at once, who are interrupted all the time, as it happens to few of many."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with (
            StripeApi(KEY, stripe.url, limiter=Limiter.free()) as api,
            ThreadPoolExecutor(10) as threads,
        ):
            list(threads.map(lambda _: api.probe(), range(1_500)))
        assert (api.reads.requests, api.reads.retries) == (1_500, 0)
    finally:
        sys.setswitchinterval(before)


def test_who_still_asks_when_all_is_over_closes_its_own_connection() -> None:
    made: list[httpx.Client] = []

    def make() -> httpx.Client:
        made.append(httpx.Client(trust_env=False))
        return made[-1]

    clients = Clients(make)
    with clients.one() as first, clients.one() as second:
        assert first is not second
    with clients.one() as again:
        assert again in (first, second)
        clients.close()
        assert [each.is_closed for each in made].count(True) == 1
        assert not again.is_closed
    assert all(each.is_closed for each in made)
