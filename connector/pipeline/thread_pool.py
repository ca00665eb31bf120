"""Threads that wait for Stripe while one thread stores what came.

Jobs go in with what they are about; what they return, or raise, comes out in the order
in which it was done.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from math import inf
from typing import Any, Generic, NamedTuple, Self, TypeVar

from connector.core.errors import Stopped

T = TypeVar("T")
LINGER_S = 1.0
TOGETHER = 4  # results at a time: fewer cost more, more keep the others waiting
POLL_S = 0.5  # how soon a request to stop is noticed
DRAIN_S = 6  # for what is under way after a request to stop


class FinishedTask(NamedTuple, Generic[T]):
    """A job's end: ``result``, or the ``error`` it raised."""

    about: T
    result: Any
    error: BaseException | None


class _Task(NamedTuple, Generic[T]):
    about: T
    fetch: Callable[[], Any]
    answers: "queue.SimpleQueue[FinishedTask[T]]"


def taken(
    waiting: "queue.SimpleQueue[T]", timeout_s: float | None, most: int
) -> list[T]:
    """What waits in a queue by now; waits for the first, empty after ``timeout_s``."""
    found: list[T] = []
    with suppress(queue.Empty):
        found.append(waiting.get(timeout=timeout_s))
        while len(found) < most:
            found.append(waiting.get_nowait())
    return found


class ThreadPool(Generic[T]):
    """So many jobs at once. Close it, or use it as a context manager.

    Closing waits a moment for what is under way, as it uses what is closed next. The
    threads are daemons: a job that hangs in the network does not keep a process alive
    that was asked to end.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.under_way = 0
        self._jobs: queue.SimpleQueue[_Task[T] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[FinishedTask[T]] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(
                target=copy_context().run,  # they log whose they are, too
                args=(self._work,),
                name=f"threads-{number}",
                daemon=True,
            )
            for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._jobs.put(None)
        until_s = time.monotonic() + LINGER_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    @property
    def idle(self) -> int:
        return self.size - self.under_way

    def ask(self, about: T, job: Callable[[], Any]) -> None:
        self.under_way += 1
        self._jobs.put(_Task(about, job, self._done))

    def forget(self) -> None:
        """What is under way will be nobody's."""
        if self.under_way:
            self._done = queue.SimpleQueue()
            self.under_way = 0

    def done(
        self, timeout_s: float | None = None, *, most: int = 64
    ) -> list[FinishedTask[T]]:
        """What is done by now; waits for the first, empty after ``timeout_s``."""
        ended = taken(self._done, timeout_s, most)
        self.under_way -= len(ended)
        return ended

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                ended = FinishedTask(job.about, job.fetch(), None)
            except BaseException as error:  # noqa: BLE001 - raised again by who asked
                ended = FinishedTask(job.about, None, error)
            job.answers.put(ended)


# What is to be done next, and what it is about; None: nothing for now.
NextTask = Callable[[], tuple[Any, Callable[[], Any]] | None]
TakeTasks = Callable[[Sequence[FinishedTask[Any]]], None]


def drive(
    threads: ThreadPool[Any],
    stopping: Callable[[], bool],
    more: NextTask,
    store: TakeTasks,
    came: TakeTasks = lambda _ended: None,
) -> None:
    """Keep everybody busy until nothing is left or something fails.

    What ``came`` may lead to more, which is asked for before it is stored: so nobody
    waits for the disk. After a failure what is under way is still stored, then the
    failure is raised; ``Stopped``, where the process is asked to end.
    """
    trouble: BaseException | None = None
    until_s = inf
    good: list[FinishedTask[Any]] = []
    try:
        while True:
            if until_s == inf and stopping():
                trouble = trouble or Stopped()
                until_s = time.monotonic() + DRAIN_S
            while trouble is None and threads.idle and (job := more()) is not None:
                threads.ask(*job)
            if good:
                store(good)
            if not threads.under_way or time.monotonic() > until_s:
                break
            ended = threads.done(POLL_S, most=TOGETHER)
            trouble = trouble or next((d.error for d in ended if d.error), None)
            good = [done for done in ended if done.error is None]
            came(good)
    finally:
        threads.forget()  # what is still under way after a failure is nobody's
    if trouble is not None:
        raise trouble
