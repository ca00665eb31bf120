"""One request → its whole answer, in time and within bounds, whoever sends it how.

A timeout of a socket is only between two bytes: a trickle never runs into one, and
nothing ends the wait for a name server. So each request has a thread of its own, and who
asked waits no longer than it wants to. The one retry policy is here, too: what is asked
for again, how often, and after how long.
"""

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import httpx
import tenacity

from connector.core.errors import Stopped

log = logging.getLogger(__name__)
T = TypeVar("T")

DEADLINE_S = 80.0  # Stripe's own client waits as long
GRACE_S = 4.0  # for what is under way when the process is asked to end
LOOK_S = 0.25
# A page of 100 invoices is one at the most.
MOST_BYTES = 64 << 20
GZIP = 31  # zlib's word for it


class Answer(NamedTuple):
    """``content`` is as it was before it was compressed."""

    status: int
    headers: httpx.Headers
    content: bytes

    @property
    def media_type(self) -> str:
        """Such as ``application/json``; "" where it does not say."""
        named = str(self.headers.get("Content-Type", ""))
        return named.partition(";")[0].strip().lower()

    @property
    def claims_json(self) -> bool:
        return self.media_type in ("", "application/json")


class Clients:
    """Connections to one host, each used and closed by one thread at a time.

    A client that threads share takes a connection for one that its server has closed,
    where an answer comes in while another thread looks at it (httpcore's ``has_expired``
    looks twice), and closes it under who reads: "[Errno 9] Bad file descriptor", in
    OpenSSL on a number that may be another file's by then.
    """

    def __init__(self, make: Callable[[], httpx.Client]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._free: list[httpx.Client] = []
        self._is_closed = False

    @contextmanager
    def one(self) -> Iterator[httpx.Client]:
        with self._lock:
            client = self._free.pop() if self._free else None
        client = client or self._make()
        try:
            yield client
        finally:
            with self._lock:
                is_closed = self._is_closed
                if not is_closed:
                    self._free.append(client)
            if is_closed:
                client.close()

    def close(self) -> None:
        """Those in use are closed by who uses them."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for client in free:
            client.close()


def answer_in_time(
    clients: Clients,
    path: str,
    params: Sequence[tuple[str, str]],
    *,
    deadline_s: float,
    stopping: Callable[[], bool],
) -> Answer:
    """The whole answer. Raises ``TryAgain`` after the deadline, or where it is unusable.

    ``Stopped`` a few seconds after a stop; and what httpx raises.
    """
    is_left = threading.Event()

    def ask() -> Answer:
        with (
            clients.one() as client,
            client.stream("GET", path, params=list(params)) as response,
        ):
            assert isinstance(response.stream, httpx.SyncByteStream)
            chunks = _until(is_left, response.stream)
            encoding = response.headers.get("Content-Encoding", "identity")
            content = b"".join(_bounded(_decompressed(chunks, encoding)))
            return Answer(response.status_code, response.headers, content)

    try:
        return _in_time(ask, deadline_s, stopping)
    finally:
        is_left.set()


def _in_time(
    job: Callable[[], T], deadline_s: float, stopping: Callable[[], bool]
) -> T:
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(job())
        except BaseException as error:  # noqa: BLE001 - raised again by who asked
            outcome.set_exception(error)

    threading.Thread(target=work, name="request", daemon=True).start()
    until_s, is_stopping = time.monotonic() + deadline_s, False
    while (left_s := until_s - time.monotonic()) > 0:
        if wait([outcome], min(left_s, LOOK_S)).done:
            return outcome.result()
        if not is_stopping and stopping():
            is_stopping = True
            until_s = min(until_s, time.monotonic() + GRACE_S)
    if is_stopping:
        raise Stopped
    raise TryAgain(f"no whole answer within {deadline_s:.0f} s")


def _until(is_left: threading.Event, chunks: httpx.SyncByteStream) -> Iterator[bytes]:
    for chunk in chunks:
        if is_left.is_set():  # nobody waits for it any more
            return
        yield chunk


def _decompressed(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """By one gzip at the most, and never more at once than may come in all."""
    if encoding.strip().lower() == "identity":
        yield from chunks
        return
    if encoding.strip().lower() != "gzip":
        problem = f"an answer compressed as {encoding!r}, which was not asked for"
        raise TryAgain(problem, tries=CONNECT_ATTEMPTS)
    inflating = zlib.decompressobj(GZIP)
    try:
        for chunk in chunks:
            yield inflating.decompress(chunk, MOST_BYTES + 1)
    except zlib.error as error:
        raise TryAgain(f"an answer that cannot be decompressed ({error})") from error
    if not inflating.eof:
        raise TryAgain("an answer that is cut off, or too large")


def _bounded(chunks: Iterator[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > MOST_BYTES:
            raise TryAgain(
                f"an answer of more than {MOST_BYTES >> 20} MiB", tries=CONNECT_ATTEMPTS
            )
        yield chunk


# --- asking again ---

ATTEMPTS = 8
# A host that cannot even be reached is more likely misspelt than busy.
CONNECT_ATTEMPTS = 4
RETRIED_STATUS = frozenset({409, 429})


class TryAgain(Exception):
    """The same request may succeed a little later. ``wait_s`` is what Stripe asked for."""

    def __init__(
        self, problem: str, wait_s: float | None = None, tries: int = ATTEMPTS
    ) -> None:
        super().__init__(problem)
        self.wait_s = wait_s
        self.tries = tries


def may_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Stripe's own word wins; else what its documentation calls transient."""
    word = headers.get("stripe-should-retry")
    if word in ("true", "false"):
        return word == "true"
    return status in RETRIED_STATUS or status >= 500


def retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        asked_s = float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return min(asked_s, 60.0) if asked_s >= 0 else None


_growing = tenacity.wait_random_exponential(multiplier=0.5, max=20)


def _refusal(state: tenacity.RetryCallState) -> TryAgain:
    """Why it is tried again: nothing else is."""
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, TryAgain)
    return error


def _wait_s(state: tenacity.RetryCallState) -> float:
    asked_s = _refusal(state).wait_s
    return _growing(state) if asked_s is None else asked_s


def retrying(
    sleep: Callable[[float], object], counted: Callable[[], None]
) -> tenacity.Retrying:
    def note(state: tenacity.RetryCallState) -> None:
        counted()
        log.warning(
            "stripe_http.retry attempt=%d %s", state.attempt_number, _refusal(state)
        )

    def nap(wait_s: float) -> None:
        sleep(wait_s)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TryAgain),
        stop=lambda state: state.attempt_number >= _refusal(state).tries,
        wait=_wait_s,
        before_sleep=note,
        sleep=nap,
        reraise=True,
    )
