"""When requests may start: first a table of cases, then laws for any interleaving.

Time is a number that the tests move; only one test has threads, and it has no clock.
"""

import heapq
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import itemgetter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.errors import Stopped
from connector.stripe_api.rate_limit import (
    AT_ONCE,
    BURST_S,
    Ceiling,
    Limiter,
    Limiters,
    RequestQueue,
    Turn,
    endpoint_of,
)
from tests.support.clocks import Clock

PER_ENDPOINT, TOTAL = 20.0, 30.0
RATES = {"": TOTAL, "A": PER_ENDPOINT, "B": PER_ENDPOINT, "C": PER_ENDPOINT}  # "": all


class Wanted(NamedTuple):
    """A request: by when a worker is free for it, and how it goes."""

    at_s: float
    endpoint: str
    takes_s: float = 0.0
    reason: str | None = None  # of a 429 at its end
    is_limited: bool = False


class Begun(NamedTuple):
    at_s: float
    wanted: Wanted
    under_way: int  # with itself


def simulated(
    wanted: Iterable[Wanted],
    line: RequestQueue | None = None,
    late_s: Callable[[], float] = lambda: 0.0,
) -> list[Begun]:
    """What begins when, if each worker looks again when it was told to, or later."""
    line = line or RequestQueue(PER_ENDPOINT, TOTAL)
    numbers = itertools.count()
    moments = [(each.at_s, next(numbers), each, Turn(each.endpoint)) for each in wanted]
    heapq.heapify(moments)
    waiting, begun = set[Turn](), list[Begun]()
    under_way = 0
    while moments:
        now_s, _, each, turn = heapq.heappop(moments)
        if turn.began_s is not None:
            if each.is_limited:
                line.limited(turn, each.reason, None, now_s)
            line.leave(turn)
            under_way -= 1
            continue
        if turn not in waiting:
            line.join(turn)
            waiting.add(turn)
        wait_s = line.wait_s(turn, now_s)
        if wait_s:
            again_s = now_s + wait_s + late_s()
        else:
            under_way += 1
            begun.append(Begun(now_s, each, under_way))
            again_s = now_s + each.takes_s
        heapq.heappush(moments, (again_s, next(numbers), each, turn))
    return begun


def drawn(begun: Iterable[Begun]) -> str:
    """Hundredths of a second at which each began, with its endpoint."""
    return " ".join(f"{round(each.at_s * 100)}{each.wanted.endpoint}" for each in begun)


def at_0(endpoints: str, **how: object) -> list[Wanted]:
    return [Wanted(0, endpoint, **how) for endpoint in endpoints]  # type: ignore[arg-type]


# --- cases: 20 a second to one endpoint, 30 in all ---


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param(at_0("A"), "0A", id="one at once"),
        pytest.param(
            at_0("AAAAAAAA"),
            "0A 0A 0A 0A 5A 10A 15A 20A",
            id="a small burst, then one every 50 ms",
        ),
        pytest.param(
            [*at_0("AAAA"), *(Wanted(1, "A") for _ in range(5))],
            "0A 0A 0A 0A 100A 100A 100A 100A 105A",
            id="who waited long bursts no more",
        ),
        pytest.param(
            at_0("AAAAAB"), "0A 0A 0A 0A 0B 5A", id="a queue holds up its own only"
        ),
        pytest.param(
            at_0("ABCABCABC"),
            "0A 0B 0C 0A 0B 0C 3A 7B 10C",
            id="all together keep to 30 a second, and to their order",
        ),
        pytest.param(
            [Wanted(0.16, "A"), *at_0("AAAAAA"), Wanted(0.11, "A")],
            "0A 0A 0A 0A 5A 10A 15A 20A",
            id="whoever comes later is later",
        ),
    ],
)
def test_when_requests_begin(wanted: list[Wanted], expected: str) -> None:
    assert drawn(simulated(wanted)) == expected


class Flow(NamedTuple):
    """How many of A and of B begin in the second after, and how many at most at once."""

    a: int
    b: int
    at_once: int


def after(reason: str | None, *, is_limited: bool = True) -> Flow:
    """Of a flood to two endpoints that follows a 429 of A's while 20 are under way."""
    line = RequestQueue(PER_ENDPOINT, 2 * PER_ENDPOINT)
    before = [Turn(endpoint) for endpoint in "ABAB" * 5]
    for number, turn in enumerate(before):
        line.join(turn)
        assert not line.wait_s(turn, number)
    if is_limited:
        line.limited(before[0], reason, None, 99)
    for turn in before:
        line.leave(turn)
    flood = [Wanted(100, each, takes_s=0.5) for each in "AB" * 40]
    begun = [each for each in simulated(flood, line) if each.at_s < 101]
    by_endpoint = Counter(each.wanted.endpoint for each in begun)
    most = max(each.under_way for each in begun)
    return Flow(by_endpoint["A"], by_endpoint["B"], most)


@pytest.mark.parametrize(
    ("reason", "slower"),
    [
        pytest.param("endpoint-rate", "a", id="its endpoint, slower"),
        pytest.param("resource-specific", "a", id="the same for one resource"),
        pytest.param("global-rate", "a b", id="all, slower"),
        pytest.param("endpoint-concurrency", "a", id="its endpoint, fewer at once"),
        pytest.param("global-concurrency", "a b", id="all, fewer at once"),
        pytest.param("some-new-reason", "a", id="what we do not know: its endpoint"),
        pytest.param(None, "", id="a lock: nobody"),
    ],
)
def test_what_a_429_slows(reason: str | None, slower: str) -> None:
    usual, limited = after(None, is_limited=False), after(reason)
    assert [name for name in "ab" if getattr(limited, name) < getattr(usual, name)] == (
        slower.split()
    )


def test_fewer_at_once_is_half_of_what_was() -> None:
    """Twenty were under way, ten of them A's; a second has given one back by then."""
    assert after("global-concurrency").at_once == 20 / 2 + 1


@pytest.mark.parametrize(
    ("taken", "later"),
    [
        pytest.param("AAAA", "A", id="of those to one endpoint"),
        pytest.param("AABBCC", "B", id="of those to any"),
    ],
)
def test_who_came_first_begins_first_even_if_it_wakes_last(
    taken: str, later: str
) -> None:
    line = RequestQueue(PER_ENDPOINT, TOTAL)
    first, second = Turn("A"), Turn(later)
    for turn in [*map(Turn, taken), first, second]:
        line.join(turn)
        line.wait_s(turn, 0.0)
    assert line.wait_s(second, 0.06) > 0
    assert line.wait_s(first, 0.06) == 0
    assert line.wait_s(second, 0.12) == 0


# --- halving and growing back ---


@pytest.mark.parametrize(
    ("halved", "expected"),
    [
        pytest.param(
            "", "20 20 20 20 20 20 20 20", id="never above what is configured"
        ),
        pytest.param(
            "1", "20 10 12 14 16 18 20 20", id="a tenth comes back each second"
        ),
        pytest.param("1 1", "20 10 12 14 16 18 20 20", id="once for all under way"),
        pytest.param("1 3", "20 10 12 7 9 11 13 15", id="again for one begun after it"),
        pytest.param("1 2 3 4 5 6 7", "20 10 6 4 3 2 2 2", id="again and again"),
    ],
)
def test_a_ceiling(halved: str, expected: str) -> None:
    """``halved`` are moments at which a 429 comes to what was asked half a second ago."""
    ceiling, heights = Ceiling(20.0, 2.0), list[str]()
    for now_s in range(8):
        for _ in range(halved.split().count(str(now_s))):
            ceiling.halve(now_s - 0.5, now_s)
        heights.append(f"{ceiling.at(now_s):.0f}")
    assert " ".join(heights) == expected


def test_a_429_to_what_began_before_the_last_one_halves_nothing() -> None:
    ceiling = Ceiling(20.0, 2.0)
    ceiling.halve(1.0, 2.0)
    ceiling.halve(1.9, 3.0)
    assert ceiling.at(3.0) == 12.0


def test_never_below_one() -> None:
    ceiling = Ceiling(20.0, 0.0)
    for moment_s in range(1, 20):
        ceiling.halve(moment_s, moment_s)
    assert ceiling.at(20.0) == 1.0


@pytest.mark.parametrize(
    ("reason", "a_s", "b_s"),
    [
        pytest.param("endpoint-rate", 7.0, 0.0, id="its endpoint"),
        pytest.param(None, 7.0, 0.0, id="its endpoint, where something was locked"),
        pytest.param("global-rate", 7.0, 7.0, id="all"),
        pytest.param("global-concurrency", 7.0, 7.0, id="all, if too many at once"),
    ],
)
def test_nobody_asks_before_retry_after(
    reason: str | None, a_s: float, b_s: float
) -> None:
    line, first = RequestQueue(PER_ENDPOINT, TOTAL), Turn("A")
    line.join(first)
    assert not line.wait_s(first, 0.0)
    line.limited(first, reason, 7.0, 0.0)
    line.limited(first, reason, 3.0, 0.0)
    line.leave(first)
    begun = simulated(at_0("AB"), line)
    moments = {each.wanted.endpoint: each.at_s for each in begun}
    assert moments == {"A": pytest.approx(a_s), "B": pytest.approx(b_s)}


# --- laws ---

seconds = st.floats(0, 2)
limits = st.sampled_from(
    [
        *("endpoint-rate", "endpoint-concurrency", "resource-specific"),
        *("global-rate", "global-concurrency", None),
    ]
)
wants = st.builds(
    Wanted,
    at_s=seconds.map(lambda at_s: at_s / 4),
    endpoint=st.sampled_from("AAABC"),
    takes_s=seconds,
    reason=limits,
    is_limited=st.booleans(),
)
crowds = st.lists(wants, min_size=10, max_size=AT_ONCE)
lateness = st.floats(0, 0.3)


def assert_paced(begun: Sequence[tuple[float, str]]) -> None:
    """In every window no more than the rate allows, and one burst."""
    for endpoint, rate in RATES.items():
        moments = [at_s for at_s, of in sorted(begun) if endpoint in ("", of)]
        for i, first_s in enumerate(moments):
            for count, last_s in enumerate(moments[i:], 1):
                assert count <= rate * (last_s - first_s) + rate * BURST_S + 1e-6


@given(wanted=crowds, late=st.lists(lateness, min_size=1))
def test_no_window_ever_sees_more_and_everybody_comes_to_its_turn(
    wanted: list[Wanted], late: list[float]
) -> None:
    late_s = itertools.cycle(late)
    begun = simulated(wanted, late_s=lambda: next(late_s))
    assert_paced([(each.at_s, each.wanted.endpoint) for each in begun])
    assert Counter(each.wanted for each in begun) == Counter(wanted)
    assert all(each.under_way <= AT_ONCE for each in begun)


@given(crowds)
def test_nobody_waits_longer_than_for_those_before_it(wanted: list[Wanted]) -> None:
    asked = sorted((it._replace(is_limited=False) for it in wanted), key=itemgetter(0))
    places = {id(it): place for place, it in enumerate(asked)}
    for each in simulated(asked):
        before = asked[: places[id(each.wanted)]]
        same = sum(it.endpoint == each.wanted.endpoint for it in before)
        longest_s = same / PER_ENDPOINT + len(before) / TOTAL
        assert each.at_s - each.wanted.at_s <= longest_s + 0.1


@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=30))
def test_workers_that_wake_late_keep_nine_tenths_of_the_rate(late: list[float]) -> None:
    late_s = itertools.cycle(late)
    wanted = at_0("A" * 44, takes_s=0.2)
    moments = [each.at_s for each in simulated(wanted, late_s=lambda: next(late_s))]
    burst = PER_ENDPOINT * BURST_S
    assert (len(moments) - burst) / moments[-1] >= 0.9 * PER_ENDPOINT


# --- for threads ---


def test_threads_take_turns() -> None:
    limiter = Clock().limiter(PER_ENDPOINT, TOTAL)
    begun: list[tuple[float, str]] = []

    def work(endpoint: str) -> None:
        for number in range(20):
            with limiter.turn(endpoint) as turn:
                assert turn.began_s is not None
                begun.append((turn.began_s, endpoint))
                if number % 7 == 3:
                    limiter.limited(turn, "endpoint-concurrency")

    threads = [threading.Thread(target=work, args=each) for each in "ABC" * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(endpoint for _, endpoint in begun) == dict.fromkeys("ABC", 80)
    assert_paced(begun)


def test_a_failing_request_gives_its_place_back() -> None:
    clock = Clock()
    limiter = clock.limiter(PER_ENDPOINT, TOTAL)
    for _ in range(2 * AT_ONCE):
        clock.sleep(1.0)
        with pytest.raises(OSError, match="hung up"), limiter.turn("A"):
            raise OSError("hung up")
    with limiter.turn("A") as turn:
        assert turn.began_s == 2 * AT_ONCE


def is_stopped(limiter: Limiter, stopping: Callable[[], bool]) -> bool:
    """Whether it waits for a turn of A's in vain."""
    try:
        with limiter.turn("A", stopping=stopping):
            return False
    except Stopped:
        return True


def test_a_stop_ends_the_waiting_and_nobody_waits_for_who_left() -> None:
    clock = Clock()
    limiter = clock.limiter(PER_ENDPOINT, TOTAL)
    with limiter.turn("A") as turn:
        limiter.limited(turn, "endpoint-rate", 60.0)
    for _ in range(9):
        answers = iter([False, False, True])
        assert is_stopped(limiter, partial(next, answers))
    assert clock.now_s() < 9.0
    with limiter.turn("A") as turn:
        assert turn.began_s == pytest.approx(60.0)


# --- accounts of one key ---


def shared(clock: Clock) -> tuple[list[Limiter], Limiter]:
    """Three accounts', and their key's."""
    paced = partial(Limiter, now_s=clock.now_s, sleep=clock.sleep)
    by_key = paced()
    return [paced(shared=by_key) for _ in range(3)], by_key


def begun_at(limiter: Limiter, clock: Clock, endpoint: str = "A") -> float:
    with limiter.turn(endpoint):
        return clock.now_s()


def test_accounts_of_one_key_are_together_no_faster_than_one() -> None:
    clock = Clock()
    accounts, _ = shared(clock)
    began_s = [begun_at(accounts[n % 3], clock) for n in range(60)]
    for at_s in began_s:
        within = [each for each in began_s if at_s <= each < at_s + 1]
        assert len(within) <= 24


def test_accounts_of_two_keys_do_not_wait_for_each_other() -> None:
    clock = Clock()
    (one, *_), _ = shared(clock)
    (other, *_), _ = shared(clock)
    for _ in range(20):
        begun_at(one, clock)
    before_s = clock.now_s()
    assert begun_at(other, clock) == before_s


def test_a_429_of_one_slows_all_of_its_key() -> None:
    clock = Clock()
    (one, other, _), _ = shared(clock)
    with one.turn("A") as turn:
        one.limited(turn, "endpoint-rate", 5.0)
    before_s = clock.now_s()
    assert begun_at(other, clock) >= before_s + 5.0


def test_each_is_made_once_a_process() -> None:
    limiters, made = Limiters(), []

    def make(by_key: Limiter | None) -> Limiter:
        made.append(by_key)
        return Limiter(shared=by_key)

    asked = [("k1", None), ("k1", "a"), ("k1", "b"), ("k2", "c"), ("k1", "a")]
    found = [limiters.of("https://x", key, account, make) for key, account in asked]
    assert found[1] is found[4]
    assert len({id(each) for each in found}) == 4
    assert made == [None, found[0], found[0], None, made[4]]
    assert made[4] not in found
    assert limiters.of("https://y", "k1", "a", make) is not found[1]


def test_a_stop_gives_back_the_turns_of_both() -> None:
    clock = Clock()
    (one, *_), by_key = shared(clock)
    stops = iter([False, True])
    with (
        by_key.turn("A"),
        pytest.raises(Stopped),
        one.turn("A", stopping=lambda: next(stops)),
    ):
        pass
    assert begun_at(one, clock) == clock.now_s()


def test_a_free_limiter_lets_everybody_go() -> None:
    limiter = Limiter.free()
    for _ in range(1_000):
        with limiter.turn("A"):
            pass


# --- what counts as one endpoint ---


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        pytest.param("/v1/invoices", "/v1/invoices", id="a list"),
        pytest.param("/v1/invoices/in_1", "/v1/invoices/{id}", id="one of it"),
        pytest.param(
            "/v1/invoices/in_1/lines", "/v1/invoices/{id}/lines", id="what it holds"
        ),
        pytest.param("/v1/coupons/SPRING 24", "/v1/coupons/{id}", id="any id"),
        pytest.param("/v1/account", "/v1/account", id="the account"),
    ],
)
def test_endpoint(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint
