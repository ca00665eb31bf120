"""Processes that derive, while the one that asked them settles the ledger.

A worker gets rows and gives movements: it opens no file and knows no other customer. So
it does not matter how many there are, nor when one is killed: nothing is settled of
what it had not handed over.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from connector.derivation import Derived, derive
from connector.errors import WorkerLost
from connector.histories import Rows, histories
from connector.history import Catalogue
from connector.rules import Rules

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future

DeriveAll = Callable[[Iterable[Rows]], Iterator[list[Derived]]]


class Task(NamedTuple):
    """What is the same for every customer."""

    rules: Rules
    shared: Catalogue
    until_s: int


@contextmanager
def deriving(task: Task, workers: int) -> Iterator[DeriveAll]:
    """What derives batches of rows, in their order, in so many processes of their own.

    Raises ``WorkerLost`` where one of them was killed.
    """
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415
    from multiprocessing import get_context  # noqa: PLC0415

    spawn = get_context("spawn")  # a fork would share our connection to SQLite
    pool = ProcessPoolExecutor(workers, spawn, _begin, (task,))
    try:
        yield lambda batches: _in_order(pool, batches, ahead=4 * workers)
    except BrokenProcessPool as error:
        raise WorkerLost(
            f"one of {workers} processes that derived was killed",
            fix="run `stripe-nrr recompute --workers 1`; what was settled is kept",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _in_order(
    pool: "Executor", batches: Iterable[Rows], *, ahead: int
) -> Iterator[list[Derived]]:
    """So many batches are under way while the oldest is settled, and no more in memory."""
    asked: deque[Future[bytes]] = deque()
    for rows in batches:
        asked.append(pool.submit(_work, rows))
        if len(asked) > ahead:
            yield _received(asked.popleft())
    while asked:
        yield _received(asked.popleft())


def _received(found: "Future[bytes]") -> list[Derived]:
    return msgspec.msgpack.decode(found.result(), type=list[Derived])


# --- in a worker ---

_task: list[Task] = []


def _begin(task: Task) -> None:
    """Ctrl-C is for the process that asked; when that one dies, so does this."""
    import signal  # noqa: PLC0415
    import threading  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _task.append(task)


def _end_with_parent() -> None:
    from multiprocessing import parent_process  # noqa: PLC0415

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(rows: Rows) -> bytes:
    """Packed by msgspec: pickled, movements cost three times as much to hand over."""
    [task] = _task
    found = derive(histories(rows, task.shared), task.rules, task.until_s)
    return msgspec.msgpack.encode(found)
