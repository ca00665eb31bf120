"""One sync at a time: the lock beside the ledger file, and who holds it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from connector.core.errors import LedgerBusy
from connector.store.database import unusable


@contextmanager
def exclusive_sync(path: Path, who: str = "another sync") -> Iterator[None]:
    """Hold ``<ledger>.lock`` while a sync runs; ``LedgerBusy`` where somebody else does.

    The lock is SQLite's own on that file, so the system frees it however we end. Who
    comes too late reads in it ``who`` it was.
    """
    lock_path = Path(f"{path}.lock")
    try:
        lock = sqlite3.connect(lock_path, isolation_level=None, timeout=0)
    except sqlite3.Error as error:
        raise unusable(lock_path, error) from error
    with closing(lock):
        try:
            lock.execute("BEGIN IMMEDIATE")
            lock.execute("CREATE TABLE IF NOT EXISTS holders (who TEXT NOT NULL)")
            lock.execute("DELETE FROM holders")
            lock.execute("INSERT INTO holders VALUES (?)", [who])
            lock.execute("COMMIT")
            lock.execute("BEGIN IMMEDIATE")  # readers may look; nobody else may write
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise unusable(lock_path, error) from error
            raise LedgerBusy(
                f"{_holder(lock)} holds {path}",
                fix="wait until it has finished; reports can be made meanwhile",
            ) from error
        yield


def _holder(lock: sqlite3.Connection) -> str:
    try:
        row = lock.execute("SELECT who FROM holders").fetchone()
    except sqlite3.Error:  # not written yet
        row = None
    return "another sync" if row is None else str(row[0])


def sync_at_work(path: Path) -> str | None:
    """Who holds ``<ledger>.lock`` at this moment; None where nobody does."""
    lock_path = Path(f"{path}.lock")
    if not lock_path.exists():
        return None
    try:
        with closing(
            sqlite3.connect(lock_path, isolation_level=None, timeout=0)
        ) as lock:
            try:
                lock.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                return _holder(lock)
            lock.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise unusable(lock_path, error) from error
    return None
