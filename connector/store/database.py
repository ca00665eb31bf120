"""The one SQLite file: how it is opened, brought up to date, written and locked."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector.core.errors import LedgerNewer, LedgerUnusable
from connector.store.files import held_draft, put_in_place
from connector.store.schema import MIGRATIONS, statements

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations


SET_NAME = "stripe-nrr"
BUSY_TIMEOUT_MS = 30_000
ASK_EVERY_MS = 1
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
    elif create and not Path(path).is_file():
        raise unwritable(path)
    check_there(Path(path))
    return opened(path, path, partial(_brought_up_to_date, is_copy=is_copy))


def check_there(path: Path) -> None:
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
    if connection.execute("PRAGMA journal_mode").fetchone() == ("delete",):
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


def _tables(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in rows}


def applied(connection: sqlite3.Connection) -> set[str]:
    if "_sqlite_migrations" not in _tables(connection):
        return set()
    rows = connection.execute(
        "SELECT name FROM _sqlite_migrations WHERE migration_set = ?", [SET_NAME]
    )
    return {name for (name,) in rows}


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
    [wait_ms] = connection.execute("PRAGMA busy_timeout").fetchone()
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
