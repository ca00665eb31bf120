"""One sync at a time: the lock beside the ledger file, and who holds it."""

import fcntl
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from connector.core.errors import LedgerBusy, LedgerUnusable

# The system frees it however we end. A look at it takes it for a moment, too: who wants
# to hold it asks again for so long.
PATIENCE_S = 0.1
AGAIN_S = 0.01
OURS = b"held by "
FORMER = b"SQLite format 3\0"  # as it once began
MOST_BYTES = 1_000


class LockState(NamedTuple):
    """Who holds the lock, None: nobody; and who ended without letting go of it."""

    held_by: str | None = None
    left_by: str | None = None


@contextmanager
def exclusive_sync(path: Path, who: str | None = None) -> Iterator[None]:
    """Hold ``<ledger>.lock`` while a sync runs; ``LedgerBusy`` where somebody else does.

    Who comes too late reads in it ``who`` it was; by itself, this process.
    """
    with _opened(path, os.O_RDWR | os.O_CREAT) as lock:
        if not _taken(lock, fcntl.LOCK_EX):
            raise LedgerBusy(
                f"{_named(lock) or 'another sync'} holds {path}",
                fix="wait until it has finished; reports can be made meanwhile",
            )
        _name(lock, who or this_process())
        try:
            yield
        finally:
            _name(lock, "")


def this_process() -> str:
    where = f"process {os.getpid()} on {platform.node()}"
    return f"another sync ({where}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)"


def lock_state(path: Path) -> LockState:
    """Who holds ``<ledger>.lock`` at this moment, or was killed while holding it."""
    with suppress(FileNotFoundError), _opened(path, os.O_RDONLY) as lock:
        if not _taken(lock, fcntl.LOCK_SH):  # which no other look stands in the way of
            return LockState(held_by=_named(lock) or "another sync")
        return LockState(left_by=_named(lock) or None)
    return LockState()


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """The lock's file; ``LedgerUnusable`` where it cannot be opened, or is no lock."""
    lock_path = Path(f"{path}.lock")
    try:
        lock = os.open(lock_path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
        raise _unusable(lock_path) from None
    except OSError as error:
        raise _unusable(lock_path) from error
    try:
        start = os.pread(lock, MOST_BYTES, 0)
        if start and not start.startswith((OURS, FORMER)):
            raise LedgerUnusable(
                f"{lock_path} is not a lock of this program",
                fix="move it away, or set `database` in config.toml to another place",
            )
        yield lock
    finally:
        os.close(lock)


def _unusable(lock_path: Path) -> LedgerUnusable:
    return LedgerUnusable(
        f"{lock_path} cannot be opened",
        fix="make it and its folder writable for this user, "
        "or set `database` in config.toml to another place",
    )


def _taken(lock: int, how: int) -> bool:
    until_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                return False
            time.sleep(AGAIN_S)
        else:
            return True


def _named(lock: int) -> str:
    said = os.pread(lock, MOST_BYTES, 0)
    is_ours = said.startswith(OURS)
    return said.removeprefix(OURS).decode(errors="replace").strip() if is_ours else ""


def _name(lock: int, who: str) -> None:
    """In one write; "" where nobody holds it any more. A full disk is met elsewhere."""
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, OURS + f"{who}\n".encode(errors="replace") if who else b"", 0)
