"""A backup is whole and the same; a restore loses nothing; what is changed is found."""

import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from connector.core.account import StripeIdentity
from connector.store.account import NAME, belong_to
from connector.store.database import LedgerReplaced, put_setting, setting, transaction
from connector.store.lock import exclusive_sync
from connector.store.opening import open_database
from tests.support.commands import Ran, Workdir
from tests.support.served import PATIENCE_S
from tests.support.small_ledger import lay_out


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    """A ledger in which a month is closed."""
    made = lay_out(tmp_path)
    assert made.call("close", "2026-03").code == 0
    return made


def report(workdir: Workdir) -> str:
    return workdir.call("report", "--window", "month", "--format", "csv").out


def change(path: Path, *statements: str) -> None:
    """As somebody does who opens the file with sqlite3."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# --- backup and restore ---


def test_a_ledger_comes_back_from_its_backup(workdir: Workdir) -> None:
    """The restore that the documentation tells, from a lost ledger to a checked one."""
    before = report(workdir)
    made = workdir.call("backup", "copy.db", "--format", "json")
    assert made.code == 0, made.err
    assert made.json["closed_months"] == ["2026-03"]
    assert made.json["seal"] == workdir.call("check", "--format", "json").json["seal"]
    for path in workdir.folder.glob("stripe-nrr.db*"):
        path.unlink()
    assert workdir.call("report").code == 1
    restored = workdir.call("restore", "copy.db")
    assert restored.code == 0, restored.err
    assert report(workdir) == before
    assert workdir.call("check").code == 0
    assert workdir.call("close", "2026-03", "--format", "json").json["was_closed"]


def test_a_backup_has_what_was_committed_last_and_cp_has_not(workdir: Workdir) -> None:
    with closing(open_database(workdir.ledger)) as connection:
        put_setting(connection, "colour", "blue")
        shutil.copy(workdir.ledger, workdir.folder / "copied.db")
        assert workdir.call("backup", "copy.db").code == 0
    with closing(open_database(workdir.folder / "copied.db")) as connection:
        assert setting(connection, "colour") is None
    with closing(open_database(workdir.folder / "copy.db")) as connection:
        assert setting(connection, "colour") == "blue"


def test_a_backup_is_of_one_moment_while_somebody_writes(workdir: Workdir) -> None:
    with closing(open_database(workdir.ledger)) as writer, transaction(writer):
        put_setting(writer, "one", "1")
        ran = workdir.run("backup", "copy.db")
        assert ran.code == 0, ran.err
        put_setting(writer, "two", "2")
    with closing(open_database(workdir.folder / "copy.db")) as copy:
        assert (setting(copy, "one"), setting(copy, "two")) == (None, None)


def test_so_many_backups_are_kept(workdir: Workdir) -> None:
    place = workdir.folder / "kept"
    place.mkdir()
    (place / "copy.db.txt").write_text("not ours")
    for number in range(5):
        assert workdir.call("backup", "kept/copy.db", "--keep", "3").code == 0
        at = time.time() - (10 - number) * 86_400
        os.utime(place / "copy.db", (at, at))
    names = sorted(path.name for path in place.iterdir())
    assert len(names) == 4
    assert names[0] == "copy.db"
    dated = [n for n in names if re.fullmatch(r"copy\.db\.\d{4}-\d\d-\d\dT\d{6}Z", n)]
    assert len(dated) == 2
    for name in ("copy.db", *dated):
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o600
        assert workdir.call("restore", f"kept/{name}").code == 0


def test_a_schedule_goes_on_until_it_is_told_to_end(workdir: Workdir) -> None:
    process = workdir.start("backup", "copy.db", "--every", "1s", "--keep", "2")
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(3)]  # and the seal between
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, err
    assert "".join([*told, out]).count("Backed up") >= 2
    assert list(workdir.folder.glob("copy.db.*"))
    assert not list(workdir.folder.glob(".*draft*"))


@pytest.mark.parametrize(
    "name",
    ["stripe-nrr.db", "stripe-nrr.db-wal", "config.toml", "notes.txt", "/dev/null"],
)
def test_a_backup_is_written_over_nothing_else(workdir: Workdir, name: str) -> None:
    (workdir.folder / "notes.txt").write_text("not a database")
    before = {p: p.read_bytes() for p in workdir.folder.iterdir()}
    ran = workdir.call("backup", name)
    assert ran.code in {1, 2}
    assert {p: p.read_bytes() for p in workdir.folder.iterdir()} == before


def older_than_closed(workdir: Workdir) -> str:
    assert workdir.call("backup", "copy.db").code == 0
    assert workdir.call("close", "2026-04").code == 0
    return "older than the closing of 2026-04"


def belongs_to(workdir: Workdir, account: str, *, livemode: bool) -> None:
    """As its first sync writes it down."""
    whose = StripeIdentity(id=account, livemode=livemode)
    with closing(open_database(workdir.ledger)) as connection, transaction(connection):
        connection.execute("DELETE FROM settings WHERE name = ?", [NAME])
        belong_to(connection, whose)


def of_another_account(workdir: Workdir) -> str:
    belongs_to(workdir, "acct_1", livemode=True)
    assert workdir.call("backup", "copy.db").code == 0
    belongs_to(workdir, "acct_2", livemode=True)
    return "it is of acct_1, live mode, not of acct_2, live mode"


def of_another_mode(workdir: Workdir) -> str:
    belongs_to(workdir, "acct_1", livemode=False)
    assert workdir.call("backup", "copy.db").code == 0
    belongs_to(workdir, "acct_1", livemode=True)
    return "it is of acct_1, test mode, not of acct_1, live mode"


@pytest.mark.parametrize(
    "make", [older_than_closed, of_another_account, of_another_mode]
)
def test_what_is_refused_is_restored_for_a_reason_that_is_kept(
    workdir: Workdir, make: Callable[[Workdir], str]
) -> None:
    objection = make(workdir)
    before = workdir.ledger.read_bytes()
    refused = workdir.call("restore", "copy.db")
    assert refused.code == 1
    assert objection in refused.err
    assert workdir.ledger.read_bytes() == before
    done = workdir.call("restore", "copy.db", "--despite", "the disk failed in May")
    assert done.code == 0, done.err
    (kept,) = workdir.folder.glob("stripe-nrr.db.replaced-*")
    with closing(open_database(kept)) as former:
        assert former.execute("SELECT count(*) FROM restores").fetchone() == (0,)
    with closing(open_database(workdir.ledger)) as connection:
        (row,) = connection.execute("SELECT objections, despite FROM restores")
    assert objection in json.loads(row[0])[0]
    assert row[1] == "the disk failed in May"


def newer(workdir: Workdir) -> str:
    assert workdir.call("backup", "copy.db").code == 0
    insert = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
    change(
        workdir.folder / "copy.db",
        f"{insert} VALUES ('stripe-nrr', 'm900_teleport', 'tomorrow')",
    )
    return "written by a newer stripe-nrr"


def damaged(workdir: Workdir) -> str:
    assert workdir.call("backup", "copy.db").code == 0
    content = bytearray((workdir.folder / "copy.db").read_bytes())
    content[8_192:12_288] = b"\xff" * 4_096
    (workdir.folder / "copy.db").write_bytes(content)
    return ""


def empty(workdir: Workdir) -> str:
    (workdir.folder / "copy.db").touch()
    return "0 bytes are no ledger"


def another_s(workdir: Workdir) -> str:
    change(workdir.folder / "copy.db", "CREATE TABLE dogs (name)")
    return "database of something else"


@pytest.mark.parametrize("make", [newer, damaged, empty, another_s])
def test_what_is_no_good_backup_is_never_restored(
    workdir: Workdir, make: Callable[[Workdir], str]
) -> None:
    problem = make(workdir)
    before = report(workdir)
    ran = workdir.call("restore", "copy.db", "--despite", "because")
    assert ran.code == 1
    assert problem in ran.err
    assert "Traceback" not in ran.err
    assert report(workdir) == before
    assert not list(workdir.folder.glob("*replaced*"))


@pytest.mark.parametrize("content", [b"", b"Dear diary, " * 500])
def test_a_ledger_that_is_none_any_more_is_replaced_and_kept(
    workdir: Workdir, content: bytes
) -> None:
    before = report(workdir)
    assert workdir.call("backup", "copy.db").code == 0
    workdir.ledger.write_bytes(content)
    Path(f"{workdir.ledger}-wal").write_bytes(b"left behind" * 100)
    done = workdir.call("restore", "copy.db")
    assert done.code == 0, done.err
    assert report(workdir) == before
    assert workdir.call("check").code == 0
    (kept,) = workdir.folder.glob("*replaced-*Z")
    assert kept.read_bytes() == content


def test_no_restore_while_a_sync_holds_the_ledger(workdir: Workdir) -> None:
    assert workdir.call("backup", "copy.db").code == 0
    with exclusive_sync(workdir.ledger, "the nightly sync"):
        ran = workdir.run("restore", "copy.db")
    assert ran.code == 75
    assert "the nightly sync holds" in ran.err


# --- a file that is replaced under somebody ---


@pytest.mark.parametrize("how", ["replaced", "removed", "restored"])
def test_nothing_is_committed_to_a_file_that_is_not_there(
    workdir: Workdir, how: str
) -> None:
    assert workdir.call("backup", "copy.db").code == 0
    with closing(open_database(workdir.ledger)) as connection:
        with transaction(connection):
            put_setting(connection, "colour", "blue")
        if how == "replaced":
            shutil.copy(workdir.folder / "copy.db", workdir.folder / "new.db")
            (workdir.folder / "new.db").replace(workdir.ledger)
        elif how == "removed":
            workdir.ledger.unlink()
        else:
            assert workdir.call("restore", "copy.db").code == 0
        with (
            pytest.raises(LedgerReplaced, match="replaced or removed"),
            transaction(connection),
        ):
            put_setting(connection, "colour", "red")
    if how == "restored":
        assert workdir.call("check").code == 0
        with closing(open_database(workdir.ledger)) as connection:
            assert setting(connection, "colour") is None


# --- seals ---


def check(workdir: Workdir) -> Ran:
    return workdir.call("check", "--format", "json")


def rules(ran: Ran) -> set[str]:
    return {finding["rule"] for finding in ran.json["findings"]}


UNLOCKED = ("edited", "deleted", "replaced")


def without_triggers(table: str) -> list[str]:
    return [f"DROP TRIGGER {table}_are_never_{done}" for done in UNLOCKED]


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        (
            "closed_figures",
            "UPDATE closed_figures SET closing_minor = closing_minor + 1",
        ),
        (
            "closed_figures",
            "UPDATE closed_figures SET churn_minor = 7 WHERE kind = 'month'",
        ),
        ("closings", "UPDATE closings SET policy = '{}'"),
        ("closings", "UPDATE closings SET code_version = '9.9'"),
        ("closings", "UPDATE closings SET despite = 'nobody asked'"),
        ("closings", "UPDATE closings SET lacked = '[\"nothing\"]'"),
        ("withdrawals", "UPDATE withdrawals SET reason = 'nobody asked'"),
        ("withdrawals", "UPDATE withdrawals SET withdrawn_at = '2026-12-01'"),
        ("withdrawals", "DELETE FROM withdrawals"),
        ("withdrawals", "INSERT INTO withdrawals VALUES (1, '2026-12-01', 'forged')"),
        ("runs", "UPDATE runs SET cause = 'manual'"),
        ("movements", "UPDATE movements SET day = date(day, '+1 day')"),
        (
            "movements",
            "UPDATE movements SET customer = 3 - customer WHERE customer < 3",
        ),
        ("components", "UPDATE components SET evidence = '[]'"),
        ("components", "UPDATE components SET subscription = 'sub_other'"),
        ("seals", "UPDATE seals SET hash = replace(hash, substr(hash, 1, 1), 'x')"),
        ("seals", "UPDATE seals SET previous = hash WHERE position = 2"),
        ("seals", "DELETE FROM seals WHERE position = 1"),
    ],
)
def test_a_change_behind_a_closed_month_is_found(
    workdir: Workdir, table: str, statement: str
) -> None:
    assert workdir.call("close", "2026-04").code == 0
    assert workdir.call("close", "2026-04", "--withdraw", "too early").code == 0
    assert workdir.call("close", "2026-04").code == 0
    assert check(workdir).code == 0
    change(workdir.ledger, *without_triggers(table), statement)
    found = check(workdir)
    assert found.code == 3
    assert "as it was sealed" in rules(found)


def test_an_older_backup_brings_no_withdrawn_closing_back(workdir: Workdir) -> None:
    assert workdir.call("backup", "copy.db").code == 0
    assert workdir.call("close", "2026-03", "--withdraw", "too early").code == 0
    ran = workdir.call("restore", "copy.db")
    assert ran.code == 1
    assert "it is older than the withdrawal of 2026-03" in ran.err
    assert workdir.call("backup", "copy.db").code == 0
    assert workdir.call("restore", "copy.db").code == 0


def test_later_bookings_break_no_seal(workdir: Workdir) -> None:
    workdir.configure('timezone = "UTC"\n[policy]\nchurn = "requested"\n')
    assert workdir.call("recompute").code == 0
    assert workdir.call("restatements", "--format", "json").json["restated"]
    assert "as it was sealed" not in rules(check(workdir))
    assert workdir.call("close", "2026-04").code == 0
    assert "as it was sealed" not in rules(check(workdir))


SEALED = """
    SELECT month, previous, hash FROM seals JOIN closings ON closings.id = closing
    ORDER BY position
"""


def test_each_seal_goes_on_from_the_one_before(workdir: Workdir) -> None:
    closed = workdir.call("close", "2026-01", "--format", "json").json
    with closing(open_database(workdir.ledger)) as connection:
        rows = connection.execute(SEALED).fetchall()
    (march, none, first), (january, previous, second) = rows
    assert (march, january) == ("2026-03", "2026-01")
    assert (none, previous) == ("", first)
    assert second == closed["seal"] != first
    assert (
        f"the last 2026-01; newest seal: {second}"
        in workdir.call("doctor", "--offline").out
    )


def test_a_month_closed_before_there_were_seals_is_sealed_by_the_next(
    workdir: Workdir,
) -> None:
    change(workdir.ledger, *without_triggers("seals"), "DELETE FROM seals")
    told = workdir.call("check")
    assert told.code == 0
    assert "not checked: 1 months were closed before there were seals" in told.out
    assert workdir.call("close", "2026-04").code == 0
    with closing(open_database(workdir.ledger)) as connection:
        rows = connection.execute(SEALED).fetchall()
    assert [month for month, _, _ in rows] == ["2026-03", "2026-04"]
    assert "not checked" not in workdir.call("check").out


# --- stored objects ---


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        (
            "invoices",
            "UPDATE stripe_invoices SET body = CAST(body || x'20' AS BLOB)",
        ),
        ("customers", "UPDATE stripe_customers SET created_s = 1"),
        ("prices", "UPDATE stripe_prices SET body = CAST(body || ' ' AS BLOB)"),
        ("subscriptions", "UPDATE stripe_subscriptions SET customer = 'cus_other'"),
    ],
)
def test_changed_bytes_of_a_stored_object_are_found(
    workdir: Workdir, kind: str, statement: str
) -> None:
    change(workdir.ledger, statement)
    found = check(workdir)
    assert found.code == 3
    assert "as it was stored" in rules(found)
    assert all(
        each["subject"].startswith(f"{kind} ")
        for each in found.json["findings"]
        if each["rule"] == "as it was stored"
    )


def test_objects_stored_before_there_were_checksums_are_told(workdir: Workdir) -> None:
    change(workdir.ledger, "DELETE FROM checksums WHERE kind = 'invoices'")
    told = workdir.call("check")
    assert told.code == 0
    assert "objects were stored before there were checksums" in told.out


# --- an empty file ---


@pytest.mark.parametrize(
    "words", [("report",), ("check",), ("close", "2026-03"), ("sync",)]
)
def test_an_empty_file_is_no_ledger(workdir: Workdir, words: tuple[str, ...]) -> None:
    for path in workdir.folder.glob("stripe-nrr.db*"):
        path.unlink()
    workdir.ledger.touch()
    ran = workdir.run(*words)
    assert ran.code == 1
    assert "0 bytes are no ledger" in ran.err
    assert workdir.ledger.stat().st_size == 0
