"""Threads that wait for others: everything comes out, errors too, and nobody hangs."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.pipeline.thread_pool import FinishedTask, ThreadPool
from tests.support.served import PATIENCE_S


class Broken(Exception):
    """What the job was made to raise."""


def job(number: int, *, fails: bool) -> Callable[[], int]:
    def work() -> int:
        if fails:
            raise Broken(number)
        return number * number

    return work


def all_of(threads: ThreadPool[int]) -> list[FinishedTask[int]]:
    ended: list[FinishedTask[int]] = []
    while threads.under_way:
        ended += threads.done()
    return ended


@settings(max_examples=40)
@given(size=st.integers(1, 6), failing=st.lists(st.booleans(), max_size=30))
def test_whatever_goes_in_comes_out_as_a_result_or_as_its_error(
    size: int, failing: list[bool]
) -> None:
    """Also more than there are threads: what is asked too early waits."""
    with ThreadPool[int](size) as threads:
        for number, fails in enumerate(failing):
            threads.ask(number, job(number, fails=fails))
        ended = {done.about: done for done in all_of(threads)}
        assert threads.idle == size
    assert ended.keys() == set(range(len(failing)))
    for number, fails in enumerate(failing):
        _, result, error = ended[number]
        assert result == (None if fails else number * number)
        assert isinstance(error, Broken) == fails


def test_one_worker_does_them_in_the_order_asked() -> None:
    with ThreadPool[int](1) as threads:
        for number in range(20):
            threads.ask(number, job(number, fails=number % 3 == 0))
        assert [done.about for done in all_of(threads)] == [*range(20)]


def test_results_come_in_the_order_in_which_they_were_done() -> None:
    """The first asked is done last; the one that asks sees what is done by now."""
    gates = [threading.Event() for _ in range(3)]
    with ThreadPool[int](3) as threads:
        for number, gate in enumerate(gates):
            threads.ask(number, gate.wait)
        assert (threads.idle, threads.done(timeout_s=0)) == (0, [])
        for number in (2, 0, 1):
            gates[number].set()
            assert [done.about for done in threads.done()] == [number]
        assert threads.idle == 3


def test_as_many_at_once_as_there_are_threads() -> None:
    """They all meet: with fewer threads nobody would come through."""
    meeting = threading.Barrier(4, timeout=PATIENCE_S)
    with ThreadPool[int](4) as threads:
        for number in range(4):
            threads.ask(number, meeting.wait)
        assert all(done.error is None for done in all_of(threads))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_no_error_ends_a_thread(error: type[BaseException]) -> None:
    def fail() -> Any:
        raise error

    with ThreadPool[int](1) as threads:
        threads.ask(1, fail)
        threads.ask(2, job(2, fails=False))
        first, second = all_of(threads)
    assert isinstance(first.error, error)
    assert second.result == 4


def test_a_closed_crew_ends_its_threads_after_their_job() -> None:
    before = threading.active_count()
    gate = threading.Event()
    with ThreadPool[int](2) as threads:
        threads.ask(1, gate.wait)
    gate.set()
    workers = [t for t in threading.enumerate() if t.name.startswith("threads-")]
    for thread in workers:
        thread.join(PATIENCE_S)
    assert threading.active_count() <= before


MANY_DECODE = """
import sys, threading, msgspec
from connector.stripe_api.decoding import decode
sys.setswitchinterval(1e-6)
for _ in range(40):
    inner = msgspec.defstruct("Inner", [("name", str, ""), ("all", "list[int]", [])])
    kinds = [msgspec.defstruct("Kind", [("inner", inner | None, None)]) for _ in "1234"]
    meeting = threading.Barrier(8)
    def work(shape):
        meeting.wait()
        decode(b'{"inner": {"name": "it"}}', shape)
    threads = [threading.Thread(target=work, args=[it]) for it in kinds + kinds]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_many_may_decode_a_type_for_the_first_time() -> None:
    """Else msgspec ends the process, in the first second of some syncs."""
    ran = subprocess.run(
        [sys.executable, "-c", MANY_DECODE], check=False, timeout=PATIENCE_S
    )
    assert ran.returncode == 0


def test_closing_waits_for_what_is_under_way() -> None:
    """Also for what was forgotten: its connection is closed next."""
    go_on, ended = threading.Event(), threading.Event()

    def slow() -> None:
        go_on.wait(PATIENCE_S)
        ended.set()

    with ThreadPool[str](1) as threads:
        threads.ask("slow", slow)
        threads.forget()
        threading.Timer(0.05, go_on.set).start()
    assert ended.is_set()


def test_what_was_forgotten_is_nobody_s() -> None:
    """After a failure the next reading does not get the answers of the one before."""
    go_on = threading.Event()
    with ThreadPool[str](1) as threads:
        threads.ask("slow", lambda: go_on.wait(PATIENCE_S))
        threads.forget()
        threads.ask("next", lambda: 7)
        go_on.set()
        assert threads.done(PATIENCE_S) == [("next", 7, None)]
        assert threads.idle == 1
