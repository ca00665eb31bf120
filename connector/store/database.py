"""The one SQLite file: how it is written, read and locked."""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

ASK_EVERY_MS = 1


class LedgerConnection(sqlite3.Connection):
    """A connection that knows which file it has open, whatever stands there later.

    ``copied_at`` is set where the file is read as one that nobody writes. ``mirrors``
    are those of the ledgers that were joined in it; none: it has its own.
    """

    mirrors: Sequence[sqlite3.Connection] = ()

    opened_file: os.stat_result | None = None
    opened_log: os.stat_result | None = None  # its WAL, once it was looked for
    copied_at: os.stat_result | None = None


class LedgerReplaced(sqlite3.OperationalError):
    """Another file stands where the ledger was, or none: what is written is lost."""


def replaced(connection: sqlite3.Connection) -> str | None:
    """Where another file stands by now, or none: a sentence that says so."""
    if not isinstance(connection, LedgerConnection) or connection.opened_file is None:
        return None
    path = file_of(connection)
    assert path is not None
    name = path.name
    with suppress(OSError):
        if os.path.samestat(path.stat(), connection.opened_file):
            name = Path(f"{path}-wal").name
            if _has_its_log(connection, path.with_name(name)):
                return None
    return f"{name} was replaced or removed while it was in use: start anew"


def _has_its_log(connection: LedgerConnection, log: Path) -> bool:
    """Whether what others read is what this connection commits; SQLite keeps it open."""
    try:
        found = log.stat()
    except FileNotFoundError:
        return connection.opened_log is None
    connection.opened_log = connection.opened_log or found
    return os.path.samestat(found, connection.opened_log)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that what is read stays true.

    Raises ``LedgerReplaced`` where it would be written to a file that is not there.
    """
    try:
        _begin(connection)
        yield
        _check_in_place(connection)
        connection.commit()
    except BaseException:
        connection.rollback()  # also where a full disk stopped the commit
        raise


def _begin(connection: sqlite3.Connection) -> None:
    """Take the write lock in the moment in which it is free.

    SQLite asks for it less and less often, and would miss the milliseconds for which a
    recompute of many customers gives way.
    """
    wait_ms = scalar(connection, "PRAGMA busy_timeout")
    until_s = time.monotonic() + wait_ms / 1_000
    connection.execute(f"PRAGMA busy_timeout = {min(wait_ms, ASK_EVERY_MS)}")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() >= until_s:
                    raise
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout = {wait_ms}")


def _check_in_place(connection: sqlite3.Connection) -> None:
    why = replaced(connection)
    if why is not None:
        raise LedgerReplaced(why)


def mirrors_of(connection: sqlite3.Connection) -> Sequence[sqlite3.Connection]:
    """Where Stripe's objects are: in the ledger itself, or in those joined in it."""
    joined = isinstance(connection, LedgerConnection) and connection.mirrors
    return joined or (connection,)


def file_of(connection: sqlite3.Connection) -> Path | None:
    """The file that is open; None for a database in memory."""
    [(_, _, name), *_] = connection.execute("PRAGMA database_list").fetchall()
    return Path(name) if name else None


def commits_of_others(connection: sqlite3.Connection) -> int:
    """A number that is another one whenever another connection has committed."""
    return int(scalar(connection, "PRAGMA data_version"))


def make_durable(connection: sqlite3.Connection) -> None:
    """Let a commit return only once it would survive the loss of power."""
    connection.execute("PRAGMA synchronous = FULL")


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move what is committed from the log into the file, as far as nobody reads it."""
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def is_writable(connection: sqlite3.Connection) -> bool:
    """Whether the file may be written; while somebody else writes it, it may."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    connection.rollback()
    return True


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment, whatever a sync writes meanwhile."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def scalars(connection: sqlite3.Connection, query: str, asked: Any = ()) -> list[Any]:
    """The values of a query's one column."""
    return [value for (value,) in connection.execute(query, asked)]


def scalar(connection: sqlite3.Connection, query: str, asked: Any = ()) -> Any:
    """The first of them; None where there is no row."""
    row = connection.execute(query, asked).fetchone()
    return None if row is None else row[0]


def json_array(values: Iterable[Any]) -> str:
    """Values, in order, as ``json_each`` reads them; in no order is none."""
    return json.dumps(sorted(values))


def placeholders(count: int) -> str:
    """``(?1, ?2)``: a place for each value, numbered so that the whole can stand twice."""
    return f"({', '.join(f'?{n}' for n in range(1, count + 1))})"


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    found = scalar(connection, "SELECT value FROM settings WHERE name = ?", [name])
    return None if found is None else str(found)


def moment(connection: sqlite3.Connection, now: datetime) -> datetime:
    """Now; in the demo's ledger, the moment its account was recorded at."""
    frozen = setting(connection, "demo_now")
    return now if frozen is None else datetime.fromisoformat(frozen)


def put_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO settings VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    )


def version(connection: sqlite3.Connection, name: str) -> int:
    """How often something has changed, which a setting of this name counts."""
    return int(setting(connection, name) or 0)


def count_change(connection: sqlite3.Connection, name: str) -> None:
    """Let it be another version from now on; inside the caller's transaction."""
    put_setting(connection, name, str(version(connection, name) + 1))
