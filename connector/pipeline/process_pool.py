"""Processes that derive, while the one that asked them settles the ledger.

A worker reads the mirror for itself, writes nothing, and gives what it has derived. So
it does not matter how many there are, nor when one is killed: nothing is settled of
what it had not handed over, and whoever asked can always derive it itself. Each has a
pipe of its own, which ends with it: nobody waits for what a killed one left half said.
"""

import logging
import pickle
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from connector.core.errors import LedgerUnusable
from connector.core.policy import Rules
from connector.mrr.derive import Derived, derive
from connector.mrr.history import Catalogue
from connector.pipeline.quarantine import UNFORESEEN
from connector.store.mirror.histories import Ids, histories, rows_of
from connector.store.read_only import open_as_it_is

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnContext, SpawnProcess


log = logging.getLogger(__name__)

# Why there can be no process, or no more of them: no file to spare, one too many, killed
# (its pipe ends), or a caller that may have none.
UNAVAILABLE = (
    *(ImportError, NotImplementedError, OSError, RuntimeError, EOFError),
    *(AssertionError, pickle.PicklingError),
)
ENDING_S = 5.0  # for the batches in hand
AHEAD = 2  # batches that a worker has been asked for
MOST_BYTES = 3_500  # of a batch: as many fit into the smallest pipe twice

Batch = dict[str, list[list[str]]]  # ``Ids`` as they come through a pipe
# What came of each batch, in their order; None, or an early end: derive it yourself.
DeriveAll = Callable[[Iterable[Ids]], Iterator[list[Derived] | None]]


class DerivationTask(NamedTuple):
    """What is the same for every customer; ``path`` is the ledger's file."""

    path: Path
    rules: Rules
    shared: Catalogue
    until_s: int


class _Worker(NamedTuple):
    process: "SpawnProcess"
    pipe: "Connection"


@contextmanager
def deriving(task: DerivationTask, workers: int) -> Iterator[DeriveAll]:
    """What derives batches of customers in so many processes, where there can be any."""
    started: list[_Worker] = []
    try:
        try:
            from multiprocessing import get_context

            spawn = get_context("spawn")  # a fork would share our connection to SQLite
            for _ in range(workers):
                # Not all at once: where one cannot be had, the others are ended.
                started.append(_start(spawn))  # noqa: PERF401
            for worker in started:
                worker.pipe.send(
                    task
                )  # once it listens; with `start` nobody would know
        except UNAVAILABLE as error:
            log.info("processes.none %s", error)
            yield lambda _batches: iter(())
        else:
            yield partial(_in_order, started)
    finally:
        for worker in started:
            worker.pipe.close()
        until_s = time.monotonic() + ENDING_S
        for worker in started:
            worker.process.join(max(0.0, until_s - time.monotonic()))
            worker.process.kill()
            worker.process.join()


def _start(spawn: "SpawnContext") -> _Worker:
    ours, theirs = spawn.Pipe()
    with theirs:  # else it would not end with the worker
        try:
            process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
        except BaseException:
            ours.close()
            raise
    return _Worker(process, ours)


def _in_order(
    workers: Sequence[_Worker], batches: Iterable[Ids]
) -> Iterator[list[Derived] | None]:
    """What came of each batch; meanwhile every worker has the next ones of its own.

    What a worker is asked fits into its pipe, also while it waits to be heard itself:
    else both sides could wait for each other. A larger batch is left to whoever asked.
    """
    turns = cycle(workers)
    asked: deque[_Worker | None] = deque()
    try:
        for batch in batches:
            packed = msgspec.msgpack.encode(batch)
            worker = next(turns) if len(packed) <= MOST_BYTES else None
            is_full = len(asked) == AHEAD * len(workers)
            found = _received(asked.popleft()) if is_full else None
            if worker is not None:
                worker.pipe.send_bytes(packed)
            asked.append(worker)
            if is_full:
                yield _unpacked(found)
        while asked:
            yield _unpacked(_received(asked.popleft()))
    except UNAVAILABLE as error:
        log.warning("processes.lost going on without: %r", error)


def _received(worker: _Worker | None) -> bytes | None:
    return None if worker is None else worker.pipe.recv_bytes()


def _unpacked(found: bytes | None) -> list[Derived] | None:
    return msgspec.msgpack.decode(found, type=list[Derived]) if found else None


# --- in a worker ---


def _serve(pipe: "Connection") -> None:
    """Derive what is asked for, until the other end of the pipe is gone.

    Ctrl-C is for the process that asked.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pipe, suppress(EOFError, OSError, LedgerUnusable), ExitStack() as stack:
        task: DerivationTask = pipe.recv()
        connection = stack.enter_context(closing(open_as_it_is(task.path)))
        while True:
            batch = msgspec.msgpack.decode(pipe.recv_bytes(), type=Batch)
            pipe.send_bytes(_derived(connection, task, batch))


def _derived(connection: sqlite3.Connection, task: DerivationTask, batch: Ids) -> bytes:
    """Packed by msgspec: pickled, movements cost three times as much to hand over.

    Empty where a history cannot be derived, or the file not be read: whoever asked will
    meet the reason.
    """
    try:
        rows = rows_of(connection, batch)
        found = derive(histories(rows, task.shared), task.rules, task.until_s)
        return msgspec.msgpack.encode(found)
    except (*UNFORESEEN, sqlite3.Error):
        return b""
