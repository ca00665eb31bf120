"""The one file: what opens, what does not and why."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import chdir, closing, contextmanager, suppress
from pathlib import Path

import pytest

from connector.cli.shell import Shell
from connector.core.errors import LedgerUnusable
from connector.store.database import put_setting, setting, transaction
from connector.store.opening import open_database
from connector.store.schema import MIGRATIONS

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def make(path: Path) -> None:
    open_database(path, create=True).close()


def run(path: Path, script: str) -> None:
    """Change a file from outside."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


# --- what opens ---


def test_a_new_ledger_has_every_table_once(path: Path) -> None:
    with closing(open_database(path, create=True)) as connection:
        names = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema")
        }
        assert {"movements", "runs", "stripe_invoices", "nrr_by_month"} <= names
        [mode] = connection.execute("PRAGMA journal_mode").fetchone()
        assert mode == "wal"
        [keys] = connection.execute("PRAGMA foreign_keys").fetchone()
        assert keys == 1


def test_opening_again_changes_nothing(path: Path) -> None:
    with closing(open_database(path, create=True)) as connection:
        put_setting(connection, "colour", "blue")
        [before] = connection.execute("PRAGMA schema_version").fetchone()
    with closing(open_database(path)) as connection:
        [after] = connection.execute("PRAGMA schema_version").fetchone()
        assert setting(connection, "colour") == "blue"
    assert after == before


def test_an_older_ledger_is_brought_up_to_date(path: Path) -> None:
    """As if the views had come with a later version."""
    make(path)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")
        for (name,) in rows.fetchall():
            connection.execute(f"DROP VIEW {name}")
        connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm003_views'")
        connection.commit()
    with closing(open_database(path)) as connection:
        assert connection.execute("SELECT * FROM nrr_by_month").fetchall() == []


# --- what does not open ---


def foreign(path: Path) -> Path:
    run(path, "CREATE TABLE invoices (id)")
    return path


def with_foreign_migrations(path: Path) -> Path:
    run(
        path,
        "CREATE TABLE _sqlite_migrations (migration_set, name); CREATE TABLE dogs(id)",
    )
    return path


def newer(path: Path) -> Path:
    make(path)
    insert = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
    run(path, f"{insert} VALUES ('stripe-nrr', 'm900_teleport', 'tomorrow')")
    return path


UNWRITABLE, WRITABLE = "cannot be written", "make its folder writable"


def a_text(path: Path) -> Path:
    path.write_text("Dear diary, " * 100)
    return path


def damaged(path: Path) -> Path:
    make(path)
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * (4096 - 100)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("prepare", "problem", "fix"),
    [
        pytest.param(
            lambda path: path, "there is no ledger", "stripe-nrr sync", id="nothing"
        ),
        pytest.param(
            lambda path: path.parent, "is a folder", "database", id="a folder"
        ),
        pytest.param(
            a_text, "is not a SQLite database", "a file of its own", id="a text"
        ),
        pytest.param(
            foreign, "database of something else", "a file of its own", id="another's"
        ),
        pytest.param(
            with_foreign_migrations,
            "database of something else",
            "a file of its own",
            id="another's that sqlite-utils migrates too",
        ),
        pytest.param(
            newer,
            "written by a newer stripe-nrr (its schema has m900_teleport)",
            "upgrade",
            id="one of a newer version",
        ),
        pytest.param(damaged, "cannot be used", "check the file", id="a damaged one"),
    ],
)
def test_what_is_no_ledger_is_refused_and_left_alone(
    path: Path, prepare: object, problem: str, fix: str
) -> None:
    assert callable(prepare)
    target = prepare(path)
    before = target.read_bytes() if target.is_file() else None
    with pytest.raises(LedgerUnusable) as raised:
        open_database(target)
    assert problem in raised.value.problem
    assert str(target) in raised.value.problem
    assert fix in raised.value.fix
    assert (target.read_bytes() if target.is_file() else None) == before


@pytest.mark.parametrize(
    ("place", "why", "fix"),
    [
        pytest.param(
            "missing/ledger.db", UNWRITABLE, WRITABLE, id="below a folder not there"
        ),
        pytest.param("file/ledger.db", UNWRITABLE, WRITABLE, id="below a file"),
        pytest.param(".", "is a folder", "to a file, such as", id="a folder itself"),
        pytest.param(
            *("/proc/ledger.db", UNWRITABLE, WRITABLE),
            id="where the system lets nobody write",
        ),
    ],
)
def test_where_no_ledger_can_be_made(
    tmp_path: Path, place: str, why: str, fix: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LedgerUnusable, match=why) as raised:
        open_database(tmp_path / place, create=True)
    assert fix in raised.value.fix


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("empty", id="with an empty file"),
        pytest.param("old", id="with a ledger, whose readers need a file beside it"),
        pytest.param("new", id="with nothing"),
    ],
)
def test_a_folder_that_may_only_be_read(name: str) -> None:
    with (
        a_place_nobody_can_write() as place,
        as_nobody(),
        pytest.raises(LedgerUnusable, match=f"{name} (cannot be written|is empty)"),
    ):
        open_database(place / name, create=True)


@contextmanager
def a_place_nobody_can_write() -> Iterator[Path]:
    """A folder with an empty file and a finished ledger, all of it only to be read."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "empty").touch()
        make(place / "old")
        for each in place.iterdir():
            each.chmod(0o444)
        place.chmod(0o555)
        try:
            yield place
        finally:
            place.chmod(0o755)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write anywhere; nobody may not."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


# --- transactions ---


def test_a_transaction_is_all_or_nothing(path: Path) -> None:
    with closing(open_database(path, create=True)) as connection:
        with suppress(KeyboardInterrupt), transaction(connection):
            put_setting(connection, "colour", "blue")
            raise KeyboardInterrupt
        assert setting(connection, "colour") is None
        with transaction(connection):
            put_setting(connection, "colour", "green")
        assert setting(connection, "colour") == "green"


def test_what_a_transaction_reads_stays_true(path: Path) -> None:
    """It holds the write lock from its beginning, not from its first write."""
    with (
        closing(open_database(path, create=True)) as one,
        closing(open_database(path)) as other,
    ):
        other.execute("PRAGMA busy_timeout = 0")
        with transaction(one):
            assert setting(one, "colour") is None
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                put_setting(other, "colour", "blue")


def test_a_setting_is_replaced(path: Path) -> None:
    with closing(open_database(path, create=True)) as connection:
        put_setting(connection, "colour", "blue")
        put_setting(connection, "colour", "red")
        assert setting(connection, "colour") == "red"
        assert setting(connection, "size") is None


def test_migrations_are_numbered_in_order() -> None:
    assert [int(name[1:4]) for name in MIGRATIONS] == list(
        range(1, len(MIGRATIONS) + 1)
    )


def test_a_command_reads_one_moment(tmp_path: Path) -> None:
    """Else a webhook between two queries would make figures that do not add up."""
    path = tmp_path / "stripe-nrr.db"
    with closing(open_database(path, create=True)) as writer, chdir(tmp_path):
        put_setting(writer, "rules", '{"timezone": "UTC"}')
        with Shell(None, 0).reading() as reader:
            assert setting(reader.connection, "size") is None
            put_setting(writer, "size", "2")
            assert setting(reader.connection, "size") is None
        with Shell(None, 0).reading() as reader:
            assert setting(reader.connection, "size") == "2"
