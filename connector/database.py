"""The one SQLite file: how it is opened, brought up to date, written and locked."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.errors import LedgerBusy, LedgerUnusable
from connector.schema import MIGRATIONS

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations

SET_NAME = "stripe-nrr"
BUSY_TIMEOUT_MS = 30_000


def _migrations() -> "Migrations":
    from sqlite_utils import Migrations  # noqa: PLC0415 - 0.4 s that reading never needs

    schema = Migrations(SET_NAME)
    for name, statements in MIGRATIONS.items():

        def apply(db: "Database", statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                db.conn.execute(statement)

        schema(name=name)(apply)
    return schema


def open_database(path: Path | str, *, create: bool = False) -> sqlite3.Connection:
    """Open the file in WAL mode and bring its schema up to date.

    Raises ``LedgerUnusable`` where it does not exist (unless ``create``), is not a
    ledger, was written by a newer version, or cannot be written.
    """
    if not create and str(path) != ":memory:" and not Path(path).is_file():
        raise LedgerUnusable(
            f"there is no ledger at {path}",
            fix="run `stripe-nrr sync` to make one, or set `database` in config.toml",
        )
    try:
        connection = sqlite3.connect(path, isolation_level=None)
    except sqlite3.Error as error:
        raise _unusable(path, error) from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path | str) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    applied = _applied(connection)
    newer = applied - MIGRATIONS.keys()
    if newer:
        raise LedgerUnusable(
            f"{path} was written by a newer stripe-nrr (its schema has "
            f"{', '.join(sorted(newer))})",
            fix="upgrade with `pip install --upgrade stripe-nrr`",
        )
    if applied == MIGRATIONS.keys():
        return
    if not applied and _tables(connection):
        raise LedgerUnusable(
            f"{path} is a SQLite database of something else",
            fix="set `database` in config.toml to a file of its own",
        )
    connection.execute("PRAGMA journal_mode = WAL")
    from sqlite_utils import Database  # noqa: PLC0415

    _migrations().apply(Database(connection, execute_plugins=False))


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in rows}


def _applied(connection: sqlite3.Connection) -> set[str]:
    if "_sqlite_migrations" not in _tables(connection):
        return set()
    rows = connection.execute(
        "SELECT name FROM _sqlite_migrations WHERE migration_set = ?", [SET_NAME]
    )
    return {name for (name,) in rows}


def _unusable(path: Path | str, error: sqlite3.Error) -> LedgerUnusable:
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return LedgerUnusable(
            f"{path} is not a SQLite database",
            fix="set `database` in config.toml to a file of its own",
        )
    if "readonly" in str(error) or "unable to open" in str(error):
        return LedgerUnusable(
            f"{path} cannot be written",
            fix="make its folder writable for this user, "
            "or set `database` in config.toml to another place",
        )
    return LedgerUnusable(
        f"{path} cannot be used: {error}", fix="check the file and the disk"
    )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that what is read stays true."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def commits_of_others(connection: sqlite3.Connection) -> int:
    """A number that is another one whenever another connection has committed."""
    [version] = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


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
def exclusive_sync(path: Path) -> Iterator[None]:
    """Hold ``<ledger>.lock`` while a sync runs; ``LedgerBusy`` where somebody else does.

    The lock is SQLite's own on that file, so the system frees it however we end.
    """
    lock_path = Path(f"{path}.lock")
    try:
        lock = sqlite3.connect(lock_path, isolation_level=None, timeout=0)
    except sqlite3.Error as error:
        raise _unusable(lock_path, error) from error
    with closing(lock):
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if "locked" not in str(error):
                raise _unusable(lock_path, error) from error
            raise LedgerBusy(
                f"another sync holds {path}",
                fix="wait until it has finished; reports can be made meanwhile",
            ) from error
        yield


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    row: Any = connection.execute(
        "SELECT value FROM settings WHERE name = ?", [name]
    ).fetchone()
    return None if row is None else str(row[0])


def put_setting(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute(
        "INSERT INTO settings VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        [name, value],
    )
