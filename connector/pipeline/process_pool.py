"""Processes that derive, while the one that asked them settles the ledger.

A worker reads the mirror for itself, writes nothing, and gives what it has derived. So
it does not matter how many there are, nor when one is killed: nothing is settled of
what it had not handed over, and whoever asked can always derive it itself.
"""

import logging
import os
import pickle
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from connector.core.policy import Rules
from connector.mrr.derive import Derived, derive
from connector.mrr.history import Catalogue
from connector.pipeline.quarantine import UNFORESEEN
from connector.store.database import open_as_it_is
from connector.store.mirror.histories import histories, rows_of

if TYPE_CHECKING:
    from concurrent.futures import Executor, Future


log = logging.getLogger(__name__)

# Why there can be no process, or no more of them: no shared memory, one too many, killed
# (a RuntimeError), or a caller that may have none.
UNAVAILABLE = (
    *(ImportError, NotImplementedError, OSError, RuntimeError),
    *(AssertionError, pickle.PicklingError),
)

Ids = Mapping[str, Sequence[str]]  # customers, each with all its ids
# What came of each batch, in their order; None, or an early end: derive it yourself.
DeriveAll = Callable[[Iterable[Ids]], Iterator[list[Derived] | None]]


class DerivationTask(NamedTuple):
    """What is the same for every customer; ``path`` is the ledger's file."""

    path: Path
    rules: Rules
    shared: Catalogue
    until_s: int


@contextmanager
def deriving(task: DerivationTask, workers: int) -> Iterator[DeriveAll]:
    """What derives batches of customers in so many processes, where there can be any."""
    try:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        spawn = get_context("spawn")  # a fork would share our connection to SQLite
        pool = ProcessPoolExecutor(workers, spawn, _begin, (task,))
    except UNAVAILABLE as error:
        log.info("processes.none %s", error)
        yield lambda _batches: iter(())
        return
    try:
        yield lambda batches: _in_order(pool, batches, ahead=4 * workers)
    finally:
        with suppress(RuntimeError):  # of threads that could not be started
            pool.shutdown(cancel_futures=True)


def _in_order(
    pool: "Executor", batches: Iterable[Ids], *, ahead: int
) -> Iterator[list[Derived] | None]:
    """So many batches are under way while the oldest is settled, and no more in memory."""
    asked: deque[Future[bytes | None]] = deque()
    try:
        for batch in batches:
            asked.append(pool.submit(_work, batch))
            if len(asked) > ahead:
                yield _received(asked.popleft())
        while asked:
            yield _received(asked.popleft())
    except UNAVAILABLE as error:
        log.warning("processes.lost going on without: %s", error)


def _received(found: "Future[bytes | None]") -> list[Derived] | None:
    packed = found.result()
    return (
        None if packed is None else msgspec.msgpack.decode(packed, type=list[Derived])
    )


# --- in a worker ---

_bench: list[
    tuple[DerivationTask, sqlite3.Connection]
] = []  # what this worker works with


def _begin(task: DerivationTask) -> None:
    """Ctrl-C is for the process that asked; when that one dies, so does this."""
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _bench.append((task, open_as_it_is(task.path)))


def _end_with_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(batch: Ids) -> bytes | None:
    """Packed by msgspec: pickled, movements cost three times as much to hand over.

    None where a history cannot be derived, or the file not be read: whoever asked will
    meet the reason.
    """
    [(task, connection)] = _bench
    try:
        rows = rows_of(connection, batch)
        found = derive(histories(rows, task.shared), task.rules, task.until_s)
        return msgspec.msgpack.encode(found)
    except (*UNFORESEEN, sqlite3.Error):
        return None
