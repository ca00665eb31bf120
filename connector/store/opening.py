"""How a ledger's file is opened, made, and brought up to date."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from connector.core.errors import LedgerNewer, LedgerUnusable
from connector.store.database import LedgerConnection, file_of, scalar, scalars
from connector.store.files import held_draft, put_in_place
from connector.store.schema import MIGRATIONS, statements

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations

SET_NAME = "stripe-nrr"
BUSY_TIMEOUT_MS = 30_000
SQLITE_VERSION, LEAST_SQLITE = sqlite3.sqlite_version_info, (3, 38)  # JSON by ``->>``


def _migrations() -> "Migrations":
    from sqlite_utils import Migrations

    schema = Migrations(SET_NAME)
    for name in MIGRATIONS:

        def apply(db: "Database", name: str = name) -> None:
            for statement in statements(name):
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


def open_database(
    path: Path | str, *, create: bool = False, is_copy: bool = False
) -> sqlite3.Connection:
    """Open the file in WAL mode and bring its schema up to date.

    Raises ``LedgerUnusable`` where it does not exist (unless ``create``), is not a
    ledger, was written by a newer version, or cannot be written; and where SQLite is too
    old for it. A new one is its owner's alone, and there as a whole or not at all. Before
    an older schema changes, the file as it was is kept beside it, once; not where it
    ``is_copy`` already.
    """
    check_sqlite()
    if str(path) == ":memory:":
        return opened(path, path, _brought_up_to_date)
    if create and not Path(path).exists():
        _make(Path(path))
    elif create and not (Path(path).is_file() or Path(path).is_dir()):
        raise unwritable(path)
    check_there(Path(path))
    return opened(path, path, partial(_brought_up_to_date, is_copy=is_copy))


def check_there(path: Path) -> None:
    if path.is_dir():
        raise LedgerUnusable(
            f"{path} is a folder, and a ledger is a file",
            fix=f"set `database` in config.toml to a file, such as {path}/stripe-nrr.db",
        )
    if not path.is_file():
        raise LedgerUnusable(
            f"there is no ledger at {path}",
            fix="run `stripe-nrr sync` to make one, or set `database` in config.toml",
        )
    if path.stat().st_size == 0:
        raise LedgerUnusable(
            f"{path} is empty: 0 bytes are no ledger",
            fix="run `stripe-nrr restore` with a backup of it; where it never was one, "
            "remove it and run `stripe-nrr sync`",
        )


def _make(path: Path) -> None:
    """Lay out a new ledger, unless another process is sooner."""
    try:
        with held_draft(path.resolve()) as (file, draft):
            if not path.exists():
                with (
                    closing(open_database(":memory:")) as empty,
                    closing(sqlite3.connect(draft, isolation_level=None)) as laid_out,
                ):
                    empty.backup(laid_out)
                    laid_out.execute("PRAGMA journal_mode = WAL").fetchone()
                put_in_place(file, draft, path.resolve())
    except (OSError, sqlite3.OperationalError) as error:
        raise unwritable(path) from error


def opened(
    path: Path | str,
    target: Path | str,
    prepare: Callable[[sqlite3.Connection, Path | str], None],
) -> sqlite3.Connection:
    """Connect to a target, which is the path or its URI, and get it ready for use."""
    try:
        connection = sqlite3.connect(
            target,
            isolation_level=None,
            factory=LedgerConnection,
            uri=str(target).startswith("file:"),
        )
        try:
            if str(path) != ":memory:":
                connection.opened_file = Path(path).stat()
            prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    return connection


def _brought_up_to_date(
    connection: sqlite3.Connection, path: Path | str, *, is_copy: bool = False
) -> None:
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys = ON")
    # A commit survives the end of the process; after a loss of power the file is what it
    # was some commits ago, whole, and whatever is missing is fetched and derived again.
    connection.execute("PRAGMA synchronous = NORMAL")
    known = recognised(connection, path)
    if scalar(connection, "PRAGMA journal_mode") == "delete":
        connection.execute("PRAGMA journal_mode = WAL").fetchone()  # it was a backup
    if known == set(MIGRATIONS):
        return
    if known and not is_copy:
        _keep_as_it_was(connection, known)
    from sqlite_utils import Database

    _migrations().apply(Database(connection, execute_plugins=False))


def _keep_as_it_was(connection: sqlite3.Connection, known: set[str]) -> None:
    """Copy a ledger of an older version beside it: the way back to that version."""
    path = file_of(connection)
    missing = next(name for name in MIGRATIONS if name not in known)
    if path is None or (kept := Path(f"{path}.before-{missing}")).exists():
        return
    with held_draft(kept) as (file, draft):
        with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
        put_in_place(file, draft, kept)


def recognised(connection: sqlite3.Connection, path: Path | str) -> set[str]:
    """The migrations it has; ``LedgerUnusable`` where it is not for us to touch."""
    found = applied(connection)
    newer = found.difference(MIGRATIONS)
    if newer:
        raise LedgerNewer(
            f"{path} was written by a newer stripe-nrr (its schema has "
            f"{', '.join(sorted(newer))})",
            fix="upgrade with `pip install --upgrade stripe-nrr`",
        )
    if not found and _tables(connection):
        raise LedgerUnusable(
            f"{path} is a SQLite database of something else",
            fix="set `database` in config.toml to a file of its own",
        )
    return found


def _tables(connection: sqlite3.Connection) -> set[str]:
    query = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    return set(scalars(connection, query))


def applied(connection: sqlite3.Connection) -> set[str]:
    if "_sqlite_migrations" not in _tables(connection):
        return set()
    query = "SELECT name FROM _sqlite_migrations WHERE migration_set = ?"
    return set(scalars(connection, query, [SET_NAME]))


def unwritable(path: Path | str) -> LedgerUnusable:
    return LedgerUnusable(
        f"{path} cannot be written",
        fix="make its folder writable for this user, "
        "or set `database` in config.toml to another place",
    )


def unusable(path: Path | str, error: sqlite3.Error) -> LedgerUnusable:
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return LedgerUnusable(
            f"{path} is not a SQLite database",
            fix="set `database` in config.toml to a file of its own",
        )
    if "readonly" in str(error) or "unable to open" in str(error):
        return unwritable(path)
    return LedgerUnusable(
        f"{path} cannot be used: {error}", fix="check the file and the disk"
    )
