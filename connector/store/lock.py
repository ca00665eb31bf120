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
from connector.core.language import message
from connector.store.files import is_same, open_private
from connector.store.opening import unwritable

# The system frees it however we end. A look at it takes it for a moment, too, and who holds
# it has its name in it a moment later: who wants to hold it asks again for so long.
PATIENCE_S = 5.0
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

    Who comes too late reads in it ``who`` it was; by itself, this process. Only who may
    write the file can open it, so nobody who may only read stops a sync.
    """
    lock = _held(path)
    try:
        _name(lock, who or this_process())
        yield
    finally:
        _name(lock, "")
        os.close(lock)


def _held(path: Path) -> int:
    lock_path, until_s = lock_of(path), time.monotonic() + PATIENCE_S
    before = ""
    while True:
        try:
            lock = _checked(open_private(lock_path), lock_path)
        except OSError as error:
            raise unwritable(lock_path) from error
        if _taken(lock, fcntl.LOCK_EX) and is_same(lock, lock_path):
            return lock
        # Where others only look, so can we: nobody holds it then, whatever is named in it.
        holder = "" if _taken(lock, fcntl.LOCK_SH) else _named(lock)
        os.close(lock)
        if (holder and holder == before) or time.monotonic() > until_s:
            raise LedgerBusy(
                f"{holder or 'another sync'} holds {path}",
                fix="wait until it has finished; reports can be made meanwhile",
            )
        before = holder  # which may be of one who was killed, the first time
        time.sleep(AGAIN_S)


def lock_of(path: Path) -> Path:
    """One for each ledger, by whatever links it is reached."""
    return Path(f"{path.resolve() if os.path.islink(path) else path}.lock")  # noqa: PTH114


def this_process() -> str:
    where = f"process {os.getpid()} on {platform.node()}"
    since = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    return message(f"another sync ({where}, since {since} UTC)")


def lock_state(path: Path) -> LockState:
    """Who holds ``<ledger>.lock`` at this moment, or was killed while holding it."""
    lock_path = lock_of(path)
    try:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        lock = _checked(os.open(lock_path, flags), lock_path)
    except FileNotFoundError:
        return LockState()
    except OSError as error:
        raise LedgerUnusable(
            f"{lock_path} cannot be read",
            fix="ask as the user who syncs: it is the only one who may",
        ) from error
    try:
        if not _taken(lock, fcntl.LOCK_SH):  # which no other look stands in the way of
            return LockState(held_by=_named(lock) or "another sync")
        return LockState(left_by=_named(lock) or None)
    finally:
        os.close(lock)


def _checked(lock: int, lock_path: Path) -> int:
    """The open file; closed, and ``LedgerUnusable``, where it is no lock of ours."""
    start = os.pread(lock, MOST_BYTES, 0)
    if start and not start.startswith((OURS, FORMER)):
        os.close(lock)
        raise LedgerUnusable(
            f"{lock_path} is no lock of stripe-nrr's",
            fix="move it away, or set `database` in config.toml to another place",
        )
    return lock


def _taken(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
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
