"""Work that is shared out among processes, each with a pipe that ends with it.

Nobody waits for one that was killed, at whatever instant; nor for the others after that.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from typing import TypeVar

from connector.core.errors import LakeUnusable

Share = TypeVar("Share")


def in_processes(work: Callable[[Share], None], shares: Sequence[Share]) -> None:
    """Do every share in a process of its own; the first that fails ends all others.

    Raises what that one raised, or ``LakeUnusable`` where it was killed.
    """
    with ExitStack() as stack:
        pipes = [stack.enter_context(_process()) for _ in shares]
        try:
            for pipe, share in zip(pipes, shares, strict=True):
                pipe.send(
                    (work, share)
                )  # once it listens: however much there is to say
            failed = next(filter(None, _told(pipes)), None)
        except (EOFError, ConnectionError) as error:
            raise LakeUnusable(
                "a process that derived was killed, perhaps for want of memory; nothing "
                "of this run was kept",
                fix="run it again with fewer --processes",
            ) from error
        if failed is not None:
            raise failed


@contextmanager
def _process() -> Iterator[Connection]:
    """One that waits for its share; spawned, as a fork would take over our threads."""
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe()
    with ours:
        with theirs:  # else the pipe would not end with the process
            process = spawn.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
        try:
            yield ours
        finally:
            process.kill()
            process.join()


def _told(pipes: Sequence[Connection]) -> Iterator[Exception | None]:
    """What came of each share, the first that is done first."""
    waiting = list(pipes)
    while waiting:
        for pipe in connection.wait(waiting):
            assert isinstance(pipe, Connection)
            yield pipe.recv()
            waiting.remove(pipe)


def _serve(pipe: Connection) -> None:
    """In a process: the share that is asked for. Ctrl-C is for the one that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pipe:
        work, share = pipe.recv()
        try:
            work(share)
        except Exception as error:  # noqa: BLE001 - handed to who asked
            pipe.send(error)
        else:
            pipe.send(None)
