"""The one SQLite file: how it is opened, brought up to date, written and locked."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.core.errors import LedgerUnusable
from connector.store.schema import MIGRATIONS

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations


SET_NAME = "stripe-nrr"
BUSY_TIMEOUT_MS = 30_000
SQLITE_VERSION, LEAST_SQLITE = sqlite3.sqlite_version_info, (3, 38)  # JSON by ``->>``


def _migrations() -> "Migrations":
    from sqlite_utils import Migrations  # noqa: PLC0415 - 0.4 s that reading never needs

    schema = Migrations(SET_NAME)
    for name, statements in MIGRATIONS.items():

        def apply(db: "Database", statements: tuple[str, ...] = statements) -> None:
            for statement in statements:
                db.conn.execute(statement)

        schema(name=name)(apply)
    return schema


def check_sqlite() -> str:
    """The version of this Python's SQLite; ``LedgerUnusable`` where it is too old."""
    version, least = (".".join(map(str, it)) for it in (SQLITE_VERSION, LEAST_SQLITE))
    if SQLITE_VERSION < LEAST_SQLITE:
        raise LedgerUnusable(
            f"this Python has SQLite {version}, and a ledger needs {least} or newer",
            fix="use a Python with a newer SQLite: `uv python install` brings one",
        )
    return version


def open_database(path: Path | str, *, create: bool = False) -> sqlite3.Connection:
    """Open the file in WAL mode and bring its schema up to date.

    Raises ``LedgerUnusable`` where it does not exist (unless ``create``), is not a
    ledger, was written by a newer version, or cannot be written; and where SQLite is too
    old for it.
    """
    check_sqlite()
    if not create and str(path) != ":memory:" and not Path(path).is_file():
        raise LedgerUnusable(
            f"there is no ledger at {path}",
            fix="run `stripe-nrr sync` to make one, or set `database` in config.toml",
        )
    return _opened(path, partial(sqlite3.connect, path), _brought_up_to_date)


def _opened(
    path: Path | str,
    connect: Callable[..., sqlite3.Connection],
    prepare: Callable[[sqlite3.Connection, Path | str], None],
) -> sqlite3.Connection:
    try:
        connection = connect(isolation_level=None)
        try:
            prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return connection


def _brought_up_to_date(connection: sqlite3.Connection, path: Path | str) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    # A commit survives the end of the process; after a loss of power the file is what it
    # was some commits ago, whole, and whatever is missing is fetched and derived again.
    connection.execute("PRAGMA synchronous = NORMAL")
    if _recognised(connection, path) == MIGRATIONS.keys():
        return
    connection.execute("PRAGMA journal_mode = WAL")
    from sqlite_utils import Database  # noqa: PLC0415

    _migrations().apply(Database(connection, execute_plugins=False))


def _recognised(connection: sqlite3.Connection, path: Path | str) -> set[str]:
    """The migrations it has; ``LedgerUnusable`` where it is not for us to touch."""
    applied = _applied(connection)
    newer = applied - MIGRATIONS.keys()
    if newer:
        raise LedgerUnusable(
            f"{path} was written by a newer stripe-nrr (its schema has "
            f"{', '.join(sorted(newer))})",
            fix="upgrade with `pip install --upgrade stripe-nrr`",
        )
    if not applied and _tables(connection):
        raise LedgerUnusable(
            f"{path} is a SQLite database of something else",
            fix="set `database` in config.toml to a file of its own",
        )
    return applied


def open_as_it_is(path: Path) -> sqlite3.Connection:
    """Open an existing ledger to be looked at: nothing is migrated, nothing written.

    Raises ``LedgerUnusable`` where it cannot be read or is none of ours, and where
    SQLite is too old for it.
    """
    check_sqlite()
    target = f"{path.resolve().as_uri()}?mode=rw"
    return _opened(path, partial(sqlite3.connect, target, uri=True), _left_as_it_is)


def _left_as_it_is(connection: sqlite3.Connection, path: Path | str) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")
    _recognised(connection, path)


def pending_migrations(connection: sqlite3.Connection) -> list[str]:
    """What the next command that opens the ledger will do to its schema."""
    applied = _applied(connection)
    return [name for name in MIGRATIONS if name not in applied]


def damage(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's own checks find, a few of each; reads the whole file."""
    try:
        said = [text for (text,) in connection.execute("PRAGMA quick_check(5)")]
        loose = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
    except sqlite3.DatabaseError as error:
        return [str(error)]
    found = [] if said == ["ok"] else said
    return found + [
        f"row {row} of {table} names one of {parent} that is not there"
        for table, row, parent, _ in loose
    ]


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


def unusable(path: Path | str, error: sqlite3.Error) -> LedgerUnusable:
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
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.commit()
    except BaseException:
        connection.rollback()  # also where a full disk stopped the commit
        raise


def file_of(connection: sqlite3.Connection) -> Path | None:
    """The file that is open; None for a database in memory."""
    [(_, _, name), *_] = connection.execute("PRAGMA database_list").fetchall()
    return Path(name) if name else None


def commits_of_others(connection: sqlite3.Connection) -> int:
    """A number that is another one whenever another connection has committed."""
    [version] = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


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


def placeholders(count: int) -> str:
    """``(?1, ?2)``: a place for each value, numbered so that the whole can stand twice."""
    return f"({', '.join(f'?{n}' for n in range(1, count + 1))})"


def setting(connection: sqlite3.Connection, name: str) -> str | None:
    row: Any = connection.execute(
        "SELECT value FROM settings WHERE name = ?", [name]
    ).fetchone()
    return None if row is None else str(row[0])


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
