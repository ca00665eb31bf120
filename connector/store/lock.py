"""One sync at a time: the lock beside the ledger file, and who holds it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connector.core.errors import LedgerBusy, LedgerUnusable
from connector.store.database import unwritable
from connector.store.files import is_same, open_private

OURS = b"stripe-nrr: "
FORMER = b"SQLite format 3\0"  # as versions before this one left it
LOOKS, LOOK_AGAIN_S = 10, 0.01  # who only looks whether it is held, holds it a moment
WHO_BYTES = 500


@contextmanager
def exclusive_sync(path: Path, who: str = "another sync") -> Iterator[None]:
    """Hold ``<ledger>.lock`` while a sync runs; ``LedgerBusy`` where somebody else does.

    The system frees it however we end. Who comes too late reads in it ``who`` it was.
    Only who may write the file can open it, so nobody who may only read stops a sync.
    """
    lock_path = lock_of(path)
    file = _held(lock_path, path)
    try:
        _say(file, who)
        yield
    finally:
        _say(file, "")
        os.close(file)


def lock_of(path: Path) -> Path:
    """One for each ledger, by whatever links it is reached."""
    return Path(f"{path.resolve() if os.path.islink(path) else path}.lock")  # noqa: PTH114


def _held(lock_path: Path, path: Path) -> int:
    who = ""
    for _ in range(LOOKS):
        try:
            file = open_private(lock_path)
        except OSError as error:
            raise unwritable(lock_path) from error
        if not _is_ours(file):
            os.close(file)
            raise _another_s(lock_path)
        if _taken(file, fcntl.LOCK_EX) and is_same(file, lock_path):
            return file
        who = _who(file)
        os.close(file)
        time.sleep(LOOK_AGAIN_S)
    raise LedgerBusy(
        f"{who or 'another sync'} holds {path}",
        fix="wait until it has finished; reports can be made meanwhile",
    )


def _is_ours(file: int) -> bool:
    content = os.pread(file, WHO_BYTES, 0)
    return not content or content.startswith((OURS, FORMER))


def _another_s(lock_path: Path) -> LedgerUnusable:
    return LedgerUnusable(
        f"{lock_path} is no lock of stripe-nrr's",
        fix="move it away, or set `database` in config.toml to another place",
    )


def _taken(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say(file: int, who: str) -> None:
    """In one write, so that nobody reads the half of it."""
    os.pwrite(file, (OURS + who.encode(errors="replace")).ljust(WHO_BYTES), 0)
    os.ftruncate(file, WHO_BYTES)


def _who(file: int) -> str:
    content = os.pread(file, WHO_BYTES, 0)
    if not content.startswith(OURS):
        return ""
    return content.removeprefix(OURS).decode(errors="replace").strip()


def sync_at_work(path: Path) -> str | None:
    """Who holds ``<ledger>.lock`` at this moment; None where nobody does."""
    return _looked_at(path)[0]


def ended_unsaid(path: Path) -> str | None:
    """Who held it last, where that one ended without a word: it was killed."""
    return _looked_at(path)[1]


def _looked_at(path: Path) -> tuple[str | None, str | None]:
    lock_path = lock_of(path)
    try:
        file = os.open(lock_path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise LedgerUnusable(
            f"{lock_path} cannot be read",
            fix="ask as the user who syncs: it is the only one who may",
        ) from error
    try:
        if not _is_ours(file):
            raise _another_s(lock_path)
        is_free = _taken(file, fcntl.LOCK_SH)
        who = _who(file)
    finally:
        os.close(file)
    return (None, who or None) if is_free else (who or "another sync", None)
