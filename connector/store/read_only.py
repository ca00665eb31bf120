"""A ledger that is only looked at: reports from a copy, a folder or a disk to be read."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from connector.core.errors import LedgerUnusable
from connector.store.database import LedgerConnection, file_of, scalars
from connector.store.files import may, side_files
from connector.store.opening import (
    BUSY_TIMEOUT_MS,
    applied,
    check_sqlite,
    check_there,
    open_database,
    opened,
    recognised,
)
from connector.store.schema import MIGRATIONS


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing ledger for reports, also where this user may only read it.

    Where it can be written its schema is brought up to date. Raises ``LedgerUnusable``
    as ``open_database`` does, and where it is older and may only be read.
    """
    if _may_be_written(path):
        return open_database(path)
    connection = open_as_it_is(path)
    if pending_migrations(connection):
        connection.close()
        raise LedgerUnusable(
            f"{path} is of an older stripe-nrr, and may only be read",
            fix="copy it to a folder of your own, where it can be brought up to date",
        )
    return connection


def _may_be_written(path: Path) -> bool:
    """Its folder counts, because SQLite writes beside the file; and so does a full disk."""
    places = (path, path.resolve().parent)
    is_ours = all(may(each, os.W_OK) for each in places)
    return not path.is_file() or (is_ours and _has_room(path))


def _has_room(path: Path) -> bool:
    """Whether SQLite's index of the log is there, or could be made."""
    _, index, *_ = side_files(path)
    disk = os.statvfs(index.parent)
    free = disk.f_bavail * disk.f_frsize
    has_room = free >= LEAST_ROOM or not disk.f_blocks  # which some do not say
    return has_room or _is_whole(index)


def _is_whole(index: Path) -> bool:
    """Whether there is one; where it could not be made it is left too short."""
    return index.exists() and index.stat().st_size >= INDEX


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Open an existing ledger to be looked at: nothing is migrated, nothing written.

    Raises ``LedgerUnusable`` where it cannot be read or is none of ours, and where
    SQLite is too old for it.
    """
    check_sqlite()
    check_there(path)
    if not may(path, os.R_OK):
        raise LedgerUnusable(
            f"{path} cannot be read by this user",
            fix="ask its owner for a copy, such as one made with `stripe-nrr backup`",
        )
    target = f"{path.resolve().as_uri()}?{_way_to_read(path)}"
    return opened(path, target, _left_as_it_is)


WRITABLE, READABLE = "mode=rw", "mode=ro"
INDEX = 32 << 10  # bytes of the shortest one
LEAST_ROOM = 2 * INDEX  # of a disk
COPY, COPY_WITH_LOG = "mode=ro&immutable=1", "mode=ro&vfs=unix-none"


def _way_to_read(path: Path) -> str:
    """How SQLite opens it, where it may be unable to write what readers share.

    Readers of a ledger that is in use share an index of its log, the -shm file. Where
    that one is missing and cannot be made nobody has the ledger open: it is a copy.
    """
    if _may_be_written(path):
        return WRITABLE
    log, index, *_ = side_files(path)
    if _is_whole(index) or (may(log.parent, os.W_OK) and _has_room(path)):
        return READABLE
    return COPY_WITH_LOG if log.exists() and log.stat().st_size else COPY


def _left_as_it_is(connection: sqlite3.Connection, path: Path | str) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")
    how = _way_to_read(Path(path))
    if how == COPY_WITH_LOG:  # its log is read into memory
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    if how in {COPY, COPY_WITH_LOG} and isinstance(connection, LedgerConnection):
        connection.copied_at = connection.opened_file
    recognised(connection, path)


def check_unchanged(connection: sqlite3.Connection) -> None:
    """Of a copy that was read as nobody's: ``LedgerUnusable`` where somebody wrote it."""
    if not isinstance(connection, LedgerConnection) or connection.copied_at is None:
        return
    path, before = file_of(connection), connection.copied_at
    assert path is not None
    now = path.stat()
    if (now.st_mtime_ns, now.st_size, now.st_ino) != (
        before.st_mtime_ns,
        before.st_size,
        before.st_ino,
    ):
        raise LedgerUnusable(
            f"{path} was written while it was read, so these figures may be wrong",
            fix="run it again; a copy made with `stripe-nrr backup` stays as it is",
        )


def pending_migrations(connection: sqlite3.Connection) -> list[str]:
    """What the next command that opens the ledger will do to its schema."""
    known = applied(connection)
    return [name for name in MIGRATIONS if name not in known]


def damage(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's own checks find, a few of each; reads the whole file."""
    try:
        said = scalars(connection, "PRAGMA quick_check(5)")
        loose = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
    except sqlite3.DatabaseError as error:
        return [str(error)]
    found = [] if said == ["ok"] else said
    return found + [
        f"row {row} of {table} names one of {parent} that is not there"
        for table, row, parent, _ in loose
    ]


@contextmanager
def scratch_copy(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A copy to write in, on disk but without a name, that is gone afterwards."""
    with closing(sqlite3.connect("", isolation_level=None)) as copy:
        connection.backup(copy)
        copy.execute("PRAGMA journal_mode = MEMORY").fetchone()
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA foreign_keys = ON")
        yield copy
