"""One request → its whole answer, in time and within bounds, whoever sends it how.

A timeout of a socket is only between two bytes: a trickle never runs into one, and
nothing ends the wait for a name server. So each request has a thread of its own, and who
asked waits no longer than it wants to.
"""

import queue
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, NoReturn, TypeVar

import httpx

from connector.core.errors import Stopped
from connector.stripe_api.retries import CONNECT_ATTEMPTS, TryAgain

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


def answer_in_time(
    client: httpx.Client,
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
        with client.stream("GET", path, params=list(params)) as response:
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
    ended: queue.SimpleQueue[Callable[[], T]] = queue.SimpleQueue()

    def work() -> None:
        try:
            ended.put(partial(_same, job()))
        except BaseException as error:  # noqa: BLE001 - raised again by who asked
            ended.put(partial(_raised, error))

    threading.Thread(target=work, name="request", daemon=True).start()
    until_s, is_stopping = time.monotonic() + deadline_s, False
    while (left_s := until_s - time.monotonic()) > 0:
        try:
            outcome = ended.get(timeout=min(left_s, LOOK_S))
        except queue.Empty:
            if not is_stopping and stopping():
                is_stopping = True
                until_s = min(until_s, time.monotonic() + GRACE_S)
        else:
            return outcome()
    if is_stopping:
        raise Stopped
    raise TryAgain(f"no whole answer within {deadline_s:.0f} s")


def _same(result: T) -> T:
    return result


def _raised(error: BaseException) -> NoReturn:
    raise error


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
