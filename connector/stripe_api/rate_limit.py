"""How fast Stripe may be asked: one limiter an account for all threads of a process.

Accounts of one key share the key's, too.

    with limiter.turn("/v1/invoices") as turn:  # waits until it is this thread's turn
        answer = …                              # one request
        limiter.limited(turn, "endpoint-rate")  # only where the answer is a 429

Stripe allows 25 requests a second to one endpoint, 100 in all, and an unpublished number
at once. Requests start one after the other in the order in which they were wanted, evenly,
at 20 and 80 a second. A 429 halves what its reason names: the rate, or how many may be
under way at once, of its endpoint or of all, never below 1. Each second without another
gives back a tenth of the configured rate, or one more at once, up to what is configured.

``RequestQueue`` is the arithmetic, without a clock or a thread; ``Limiter`` lends it both.
"""

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Self

from connector.core.errors import Stopped

PER_ENDPOINT = 20.0  # a second
TOTAL = 80.0
AT_ONCE = 64  # more workers than this wait for each other
# How late a thread may wake without a loss. At 20 a second, at most 4 then start together,
# 24 in any one second: Stripe's limit is 25.
BURST_S = 0.2
REGAINED_PER_S = 0.1  # of the configured rate
LEAST_RATE = 1.0
# Nobody sleeps longer before looking again: rates grow back, and there is a stop signal.
NAP_S = 0.25
# Where all are under way that may be, nothing tells when the first will be done.
POLL_S = 0.02
BLINK_S = 0.001  # sleeping less would not move a clock


@dataclass(slots=True, eq=False)
class Turn:
    """One request's. ``began_s`` is None until it may start.

    ``shared`` is its turn of the limiter that others share.
    """

    endpoint: str
    began_s: float | None = None
    shared: "Turn | None" = None


@dataclass(slots=True)
class Ceiling:
    """How much may be had: halved by a 429, then growing back evenly.

    ``regained`` is what comes back each second.
    """

    full: float
    regained: float
    _low: float = inf
    _halved_s: float = -inf

    def at(self, now_s: float) -> float:
        return min(self.full, self._low + self.regained * (now_s - self._halved_s))

    def halve(self, began_s: float, now_s: float, used: float = inf) -> None:
        """For a request of ``began_s``; once for all that began before the last time.

        Half of what was really ``used``, where that is less than was allowed.
        """
        if began_s > self._halved_s:
            self._low = max(LEAST_RATE, min(self.at(now_s), used) / 2)
            self._halved_s = now_s


@dataclass(slots=True)
class RequestPace:
    """When requests may start that follow each other evenly, of an endpoint or of all.

    In any ``w`` seconds at most rate × w + burst start, where burst is as many as come
    in ``BURST_S`` and at least 1. (The generic cell rate algorithm of ATM networks.)
    """

    rate: Ceiling
    at_once: Ceiling = field(default_factory=lambda: Ceiling(AT_ONCE, 1.0))
    under_way: int = 0
    shut_until_s: float = -inf  # what a Retry-After said
    _due_s: float = -inf  # when the next would start if nobody were ever early or late

    @classmethod
    def of(cls, rate: float) -> Self:
        return cls(Ceiling(rate, rate * REGAINED_PER_S))

    def starts_s(self, ahead: int, now_s: float) -> float:
        """When the next may start after ``ahead`` others; ``now_s`` or before: now."""
        each_s = 1 / self.rate.at(now_s)
        early_s = max(0.0, BURST_S - each_s)
        starts_s = max(self._due_s, now_s) + ahead * each_s - early_s
        if self.under_way + ahead >= int(self.at_once.at(now_s)):
            starts_s = max(starts_s, now_s + POLL_S)
        return max(starts_s, self.shut_until_s)

    def start(self, now_s: float) -> None:
        self._due_s = max(self._due_s, now_s) + 1 / self.rate.at(now_s)
        self.under_way += 1


class RequestQueue:
    """Who waits, in the order in which they came, and how fast it moves on."""

    def __init__(self, per_endpoint: float, total: float) -> None:
        self._waiting: list[Turn] = []
        self._endpoints = defaultdict[str, RequestPace](
            lambda: RequestPace.of(per_endpoint)
        )
        self._total = RequestPace.of(total)

    def join(self, turn: Turn) -> None:
        self._waiting.append(turn)

    def wait_s(self, turn: Turn, now_s: float) -> float:
        """0: it has begun. Else ask again after so many seconds."""
        starts_s = self._starts_s(turn, now_s)
        if starts_s > now_s:
            return min(max(starts_s - now_s, BLINK_S), NAP_S)
        self._waiting.remove(turn)
        turn.began_s = now_s
        self._endpoints[turn.endpoint].start(now_s)
        self._total.start(now_s)
        return 0.0

    def _starts_s(self, turn: Turn, now_s: float) -> float:
        """No sooner than those who came before, but not behind other endpoints' queues."""
        ahead: Counter[str] = Counter()
        ready = 0
        for other in self._waiting:
            pace = self._endpoints[other.endpoint]
            starts_s = pace.starts_s(ahead[other.endpoint], now_s)
            if other is turn:
                return max(starts_s, self._total.starts_s(ready, now_s))
            ahead[other.endpoint] += 1
            ready += starts_s <= now_s
        raise AssertionError("who waits has joined")

    def leave(self, turn: Turn) -> None:
        """It is over, or was given up before it began."""
        if turn.began_s is None:
            self._waiting.remove(turn)
            return
        self._endpoints[turn.endpoint].under_way -= 1
        self._total.under_way -= 1

    def limited(
        self, turn: Turn, reason: str | None, wait_s: float | None, now_s: float
    ) -> None:
        assert turn.began_s is not None, "only what was asked is answered"
        everywhere = reason is not None and reason.startswith("global")
        pace = self._total if everywhere else self._endpoints[turn.endpoint]
        if reason is not None and reason.endswith("concurrency"):
            pace.at_once.halve(turn.began_s, now_s, used=pace.under_way)
        elif reason is not None:
            pace.rate.halve(turn.began_s, now_s)
        if wait_s is not None:
            pace.shut_until_s = max(pace.shut_until_s, now_s + wait_s)


class Limiter:
    """A ``RequestQueue`` for threads; ``per_endpoint`` and ``total`` are requests a second.

    ``sleep`` may return early (where it waits for a stop signal) if ``stopping`` says so.
    ``shared`` is asked after this one: a turn is a turn of both, and a refusal slows both.
    """

    def __init__(
        self,
        *,
        per_endpoint: float = PER_ENDPOINT,
        total: float = TOTAL,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        shared: "Limiter | None" = None,
    ) -> None:
        self._queue = RequestQueue(per_endpoint, total)
        self._lock = threading.Lock()
        self._now_s = now_s
        self._sleep = sleep
        self._shared = shared

    @classmethod
    def free(cls) -> Self:
        """For an account in memory: nobody ever has to wait."""
        return cls(per_endpoint=1e6, total=1e6)

    @contextmanager
    def turn(
        self, endpoint: str, *, stopping: Callable[[], bool] = lambda: False
    ) -> Iterator[Turn]:
        """Waits, and counts as under way inside. Raises ``Stopped``, also while waiting."""
        turn = Turn(endpoint)
        with self._lock:
            self._queue.join(turn)
        try:
            while wait_s := self._wait_s(turn, stopping):
                self._sleep(wait_s)
            if self._shared is None:
                yield turn
            else:
                with self._shared.turn(endpoint, stopping=stopping) as turn.shared:
                    yield turn
        finally:
            with self._lock:
                self._queue.leave(turn)

    def _wait_s(self, turn: Turn, stopping: Callable[[], bool]) -> float:
        if stopping():
            raise Stopped
        with self._lock:
            return self._queue.wait_s(turn, self._now_s())

    def limited(
        self, turn: Turn, reason: str | None, wait_s: float | None = None
    ) -> None:
        """Its answer was a 429, with Stripe's ``reason`` and ``Retry-After``.

        None is no such header: then only an object was locked, and nothing slows.
        """
        with self._lock:
            self._queue.limited(turn, reason, wait_s, self._now_s())
        if self._shared is not None and turn.shared is not None:
            self._shared.limited(turn.shared, reason, wait_s)


class Limiters:
    """Those of a process, each made once: one a key, and one an account of a key's.

    The paces are those of the first that asks.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], Limiter] = {}
        self._lock = threading.Lock()

    def of(
        self,
        base: str,
        key: str,
        account: str | None,
        make: Callable[[Limiter | None], Limiter],
    ) -> Limiter:
        """The account's; ``make`` is given the limiter that is to be shared."""
        with self._lock:
            by_key = self._made.get((base, key)) or make(None)
            self._made[base, key] = by_key
            if account is None:
                return by_key
            by_account = self._made.get((base, account)) or make(by_key)
            self._made[base, account] = by_account
            return by_account


def endpoint_of(path: str) -> str:
    """What Stripe's limit per endpoint counts: the path without its object's id."""
    return re.sub(r"^(/v1/[^/]+/)[^/]+", r"\1{id}", path)


@dataclass(slots=True)
class RequestCounts:
    """What a run has cost of Stripe's read allowance."""

    requests: int = 0
    retries: int = 0
    limited: int = 0  # answers 429

    def since(self, before: "RequestCounts") -> "RequestCounts":
        """What was added to an earlier copy."""
        return RequestCounts(
            self.requests - before.requests,
            self.retries - before.retries,
            self.limited - before.limited,
        )
