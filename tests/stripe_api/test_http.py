"""One request and its answer, asked for by many threads: turns, stops, clocks, counts."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connector.core.errors import Stopped, StripeRefused
from connector.stripe_api.clock import CLOSE_US, StripeClock, skew_of
from connector.stripe_api.decoding import ListOf
from connector.stripe_api.http import StripeHttp
from connector.stripe_api.objects import Product
from connector.stripe_api.rate_limit import AT_ONCE, Limiter
from tests.support.clocks import Clock

KEY = "rk_test_http"
SECOND_US = 1_000_000
NOON_US = 1_700_000_000 * SECOND_US
PAGE = {"object": "list", "data": [], "has_more": False}
Answer = Callable[[httpx.Request], httpx.Response]


def http(answer: Answer, **options: Any) -> StripeHttp:
    defaults: dict[str, Any] = {"limiter": Limiter.free(), "sleep": lambda _: None}
    transport = httpx.MockTransport(answer)
    return StripeHttp(KEY, transport=transport, **(defaults | options))


def read(stripe: StripeHttp, path: str = "/v1/products", *expands: str) -> None:
    params = [("expand[]", each) for each in expands]
    stripe.get(path, params, ListOf[Product], "Products: read")


def replies(*answers: httpx.Response) -> Answer:
    left = iter(answers)
    return lambda _: next(left)


def ok(**headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, json=PAGE, headers=names)


def no(status: int = 429, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"error": {"message": "No."}}, headers=names)


# --- turns of the limiter ---


@pytest.mark.parametrize(
    ("limited", "path", "waited_s"),
    [
        pytest.param(
            no(Stripe_Rate_Limited_Reason="endpoint-rate", Retry_After="7"),
            "/v1/products",
            7,
            id="a 429 holds up its endpoint",
        ),
        pytest.param(
            no(Stripe_Rate_Limited_Reason="endpoint-rate", Retry_After="7"),
            "/v1/prices",
            0,
            id="and no other",
        ),
        pytest.param(
            no(Stripe_Rate_Limited_Reason="global-rate", Retry_After="7"),
            "/v1/prices",
            7,
            id="but all where it says so",
        ),
        pytest.param(no(503, Retry_After="7"), "/v1/products", 0, id="a 503 does not"),
        pytest.param(no(), "/v1/products", 0, id="nor does a lock"),
    ],
)
def test_a_429_holds_up_the_requests_of_other_threads(
    limited: httpx.Response, path: str, waited_s: int
) -> None:
    """Another client shares the limiter, as another thread would."""
    clock = Clock(NOON_US)
    limiter = clock.limiter()
    stopped_after = iter([False, True])
    with (
        http(
            replies(limited), limiter=limiter, stopping=lambda: next(stopped_after)
        ) as one,
        pytest.raises(Stopped),
    ):
        read(one)
    with http(replies(ok()), limiter=limiter) as other:
        read(other, path)
    assert clock.us - NOON_US == pytest.approx(waited_s * SECOND_US)


def test_each_try_takes_a_turn() -> None:
    """Four in a burst, the fifth 50 ms later, whoever asks."""
    clock = Clock(NOON_US)
    limiter = clock.limiter()
    answers = replies(*[no(503)] * 4, ok())
    with http(answers, limiter=limiter) as stripe:
        read(stripe)
    assert clock.us - NOON_US == pytest.approx(50_000, abs=1_000)


def test_429s_are_counted() -> None:
    with http(replies(no(), no(503), no(), ok())) as stripe:
        read(stripe)
    reads = stripe.reads
    assert (reads.requests, reads.retries, reads.limited) == (4, 3, 2)


# --- stopping ---


def test_nothing_is_asked_after_a_stop() -> None:
    with http(replies(), stopping=lambda: True) as stripe:
        with pytest.raises(Stopped):
            read(stripe)
        assert stripe.reads.requests == 0


def test_a_stop_ends_the_waiting_for_a_retry() -> None:
    stop = threading.Event()

    def sleep(_: float) -> None:
        stop.set()

    answers = replies(no(503), ok())
    with http(answers, sleep=sleep, stopping=stop.is_set) as stripe:
        with pytest.raises(Stopped):
            read(stripe)
        assert stripe.reads.requests == 1


# --- clocks ---


@pytest.mark.parametrize(
    ("stripe_s", "took_s", "expected_s"),
    [
        pytest.param(0.0, 0.0, (0.0, 1.0), id="equal"),
        pytest.param(3_600.0, 0.0, (3_600.0, 3_601.0), id="an hour behind Stripe's"),
        pytest.param(-3_600.0, 0.0, (-3_600.0, -3_599.0), id="an hour ahead of it"),
        pytest.param(-5.5, 0.0, (-6.0, -5.0), id="Stripe's second has begun"),
        pytest.param(-5.0, 2.0, (-7.0, -4.0), id="the answer took its time"),
    ],
)
def test_what_an_answer_tells_of_the_clock(
    stripe_s: float, took_s: float, expected_s: tuple[float, float]
) -> None:
    """``stripe_s`` is its clock when it answers, right after it was asked."""
    date = formatdate((NOON_US + round(stripe_s * SECOND_US)) // SECOND_US, usegmt=True)
    ended_us = NOON_US + round(took_s * SECOND_US)
    least_s, most_s = expected_s
    assert skew_of(date, NOON_US, ended_us) == (least_s * SECOND_US, most_s * SECOND_US)


@pytest.mark.parametrize("date", ["", "soon", "Fri, 99 Dec 1999 23:59:59 GMT"])
def test_no_date_no_skew(date: str) -> None:
    assert skew_of(date, NOON_US, NOON_US) is None


@given(
    skew_us=st.integers(-20 * SECOND_US, 20 * SECOND_US),
    answers=st.lists(
        st.tuples(
            st.integers(0, 90 * SECOND_US),  # since the one before
            st.integers(0, 5 * SECOND_US),  # until Stripe dated it
            st.integers(0, 5 * SECOND_US),  # until it was here
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_what_is_asked_is_never_dated_later_than_by_stripe(
    skew_us: int, answers: list[tuple[int, int, int]]
) -> None:
    """But for the two seconds by which a clock may be off."""
    clock = Clock(NOON_US)
    known = StripeClock(clock.now_us)
    for since_us, before_us, after_us in answers:
        clock.us += since_us
        began_us = clock.us
        date = formatdate((began_us + before_us + skew_us) // SECOND_US, usegmt=True)
        clock.us += before_us + after_us
        known.compare(date, began_us)
        doubt_us = before_us + after_us + SECOND_US
        late_us = known.by_stripe(clock.us) - (clock.us + skew_us)
        assert -CLOSE_US - doubt_us <= late_us <= CLOSE_US + doubt_us
        if known.skew_us:
            assert late_us <= 0


def dated(clock: Clock, skew_s: int, takes_s: Iterable[float] = repeat(0.0)) -> Answer:
    takes = iter(takes_s)

    def answer(_: httpx.Request) -> httpx.Response:
        date = formatdate(clock.us // SECOND_US + skew_s, usegmt=True)
        clock.sleep(next(takes))
        return ok(Date=date)

    return answer


def test_requests_are_dated_by_stripe_s_clock_once_it_is_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock(NOON_US)
    with http(dated(clock, -60), now_us=clock.now_us) as stripe:
        assert (stripe.clock.skew_us, stripe.clock.by_stripe(clock.us)) == (
            None,
            NOON_US,
        )
        read(stripe)
        assert stripe.clock.skew_us == -60 * SECOND_US
        assert stripe.clock.by_stripe(clock.us) == NOON_US - 60 * SECOND_US
        read(stripe)
    assert [record.getMessage() for record in caplog.records] == [
        "stripe_clock.off ours_ahead_s=+60"
    ]


def test_a_clock_that_was_set_is_believed() -> None:
    """Ours was a minute ahead, and then somebody put it right."""
    clock = Clock(NOON_US)
    known = StripeClock(clock.now_us)
    date = formatdate(NOON_US // SECOND_US - 60, usegmt=True)
    known.compare(date, NOON_US)
    assert known.skew_us == -60 * SECOND_US
    clock.us -= 60 * SECOND_US
    known.compare(date, clock.us)
    assert known.skew_us == 0
    assert known.by_stripe(clock.us) == clock.us


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{1,6} .*"))
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Mon, 01 Jan 2026 00:00:00 +999999")
def test_a_date_that_is_none_says_nothing(date: str) -> None:
    """Nor one of another age; and no date ends the process."""
    clock = Clock(NOON_US)
    known = StripeClock(clock.now_us)
    known.compare(date, NOON_US)
    datetime.fromtimestamp(known.by_stripe(NOON_US) / SECOND_US, tz=UTC)


def test_only_a_good_answer_sets_the_clock() -> None:
    """A proxy that is broken may have a clock that is, too."""
    clock = Clock(NOON_US)
    wrong = formatdate(0, usegmt=True)
    right = formatdate(NOON_US // SECOND_US, usegmt=True)
    answers = replies(no(502, Date=wrong), ok(Date=right))
    with http(answers, now_us=clock.now_us) as stripe:
        read(stripe)
        assert stripe.clock.skew_us == 0


def test_the_version_that_stripe_answered_in_is_kept() -> None:
    answers = replies(ok(Stripe_Version="2026-10-28.endive"), ok(), no(404))
    with http(answers) as stripe:
        before = stripe.answered_version
        read(stripe)
        read(stripe)
        with pytest.raises(StripeRefused):
            read(stripe)
    assert (before, stripe.answered_version) == (None, "2026-10-28.endive")


# --- threads ---


def test_nothing_is_miscounted_by_many_threads() -> None:
    """Each page is limited once; the one expand that is refused, perhaps by several."""
    seen, lock = dict[str, int](), threading.Lock()

    def answer(request: httpx.Request) -> httpx.Response:
        if "expand[]" in request.url.params:
            return httpx.Response(400, json={"error": {"message": NOT_EXPANDED}})
        with lock:
            times = seen[request.url.path] = seen.get(request.url.path, 0) + 1
        return no() if times == 1 else ok()

    paths = [f"/v1/products/prod_{number}" for number in range(200)]
    with (
        http(answer) as stripe,
        ThreadPoolExecutor(AT_ONCE) as threads,
    ):
        list(threads.map(lambda path: read(stripe, path, "data.tiers"), paths))
        asked = stripe.reads.requests
        read(stripe, "/v1/products/prod_0", "data.tiers")
    assert set(seen.values()) <= {2, 3}
    assert stripe.reads.limited == stripe.reads.retries == len(paths)
    assert 2 * len(paths) < asked <= 2 * len(paths) + AT_ONCE
    assert stripe.reads.requests == asked + 1  # what is refused is known by then


NOT_EXPANDED = "This property cannot be expanded (data.tiers)."


class Meeting(BaseHTTPRequestHandler):
    """Answers only once all are there, so that each needs a connection of its own."""

    protocol_version = "HTTP/1.1"
    everybody = threading.Barrier(AT_ONCE)
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_GET(self) -> None:
        self.everybody.wait(60)
        self.send_response_only(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


def test_as_many_connections_as_workers_stay_open() -> None:
    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * AT_ONCE

    with Server(("127.0.0.1", 0), Meeting) as server, ThreadPoolExecutor() as pool:
        pool.submit(server.serve_forever, 0.01)
        base = f"http://127.0.0.1:{server.server_port}"
        stripe = StripeHttp(KEY, base, limiter=Limiter.free())
        with stripe, ThreadPoolExecutor(AT_ONCE) as workers:
            for _ in range(3):
                list(workers.map(lambda _: read(stripe), range(AT_ONCE)))
        server.shutdown()
    assert Meeting.connections == AT_ONCE
