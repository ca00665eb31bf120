"""One sync at a time, whoever comes when, and however the one before ended."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from connector.core.errors import LedgerBusy, LedgerUnusable
from connector.store.lock import LockState, exclusive_sync, lock_state
from connector.store.opening import open_database

REPOSITORY = Path(__file__).parents[2]
ROUNDS = 400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


HOLD = """
import sys
from pathlib import Path
from connector.store.lock import exclusive_sync
with exclusive_sync(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until its stdin closes."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def test_a_second_sync_is_told_to_try_later(path: Path) -> None:
    with holder(path), pytest.raises(LedgerBusy) as raised, exclusive_sync(path):
        pass
    assert raised.value.exit_code == 75
    assert str(path) in raised.value.problem
    with exclusive_sync(path):  # the other has ended
        pass


def test_a_sync_that_was_killed_holds_nothing(path: Path) -> None:
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        with exclusive_sync(path):
            pass


def test_a_sync_that_failed_holds_nothing(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), exclusive_sync(path):
        _ = 1 / 0
    with exclusive_sync(path):
        pass


def test_reports_are_read_while_a_sync_runs(path: Path) -> None:
    open_database(path, create=True).close()
    with holder(path), closing(open_database(path)) as connection:
        assert connection.execute("SELECT count(*) FROM movements").fetchone() == (0,)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        pytest.param("missing/ledger.db", "cannot be written", id="without a folder"),
        pytest.param("taken.db", "is no lock", id="on another's file"),
    ],
)
def test_where_no_lock_can_be_held(tmp_path: Path, place: str, problem: str) -> None:
    (tmp_path / "taken.db.lock").write_text("Dear diary, " * 100)
    with (
        pytest.raises(LedgerUnusable, match=problem),
        exclusive_sync(tmp_path / place),
    ):
        pass


def test_of_two_in_the_same_millisecond_exactly_one_gets_it(tmp_path: Path) -> None:
    """Who holds it lets go once both know; nobody looks on in vain, nobody is second."""

    def round_of_two(number: int) -> list[bool]:
        start, end = threading.Barrier(2), threading.Barrier(2)

        def attempt(_: int) -> bool:
            start.wait()
            try:
                with exclusive_sync(tmp_path / f"{number}.db"):
                    end.wait()
            except LedgerBusy:
                end.wait()
                return False
            return True

        with ThreadPoolExecutor(2) as both:
            return sorted(both.map(attempt, range(2)))

    with ThreadPoolExecutor(20) as many:
        outcomes = list(many.map(round_of_two, range(ROUNDS)))
    assert outcomes == [[False, True]] * ROUNDS


def test_of_processes_that_start_together_exactly_one_gets_it(path: Path) -> None:
    """Each says so and stays; those who did not have ended."""
    for _ in range(3):
        command = [sys.executable, "-c", HOLD, str(path)]
        all_of_them = [
            subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(3)
        ]
        said = [it.stdout.readline() for it in all_of_them if it.stdout is not None]
        for process in all_of_them:
            process.communicate()
        assert sorted(said) == [b"", b"", b"held\n"]


def test_looking_at_it_does_not_stop_who_wants_it(path: Path) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            lock_state(path)

    with exclusive_sync(path):
        pass
    with ThreadPoolExecutor(2) as lookers:
        for _ in range(2):
            lookers.submit(look)
        try:
            for _ in range(50):
                with exclusive_sync(path):
                    pass
        finally:
            stop.set()


def test_it_says_who_where_and_since_when(path: Path) -> None:
    assert lock_state(path) == LockState()
    with exclusive_sync(path):
        held_by = lock_state(path).held_by or ""
        with pytest.raises(LedgerBusy, match=re.escape(f"{held_by} holds")):
            exclusive_sync(path).__enter__()
    said = re.fullmatch(
        r"another sync \(process (\d+) on (.+), since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\)",
        held_by,
    )
    assert said is not None
    assert (int(said[1]), said[2]) == (os.getpid(), os.uname().nodename)
    assert lock_state(path) == LockState()


def test_who_was_killed_is_named_and_holds_nothing(path: Path) -> None:
    with holder(path) as process:
        assert f"process {process.pid} " in (lock_state(path).held_by or "")
        process.kill()
        process.wait()
        left = lock_state(path)
        assert left.held_by is None
        assert f"process {process.pid} " in (left.left_by or "")
        with exclusive_sync(path):
            assert f"process {os.getpid()} " in (lock_state(path).held_by or "")
    assert lock_state(path) == LockState()


def test_a_lock_of_an_earlier_version_is_taken_over(path: Path) -> None:
    with closing(sqlite3.connect(f"{path}.lock")) as former:
        former.execute("CREATE TABLE holders (who TEXT NOT NULL)")
        former.execute("INSERT INTO holders VALUES ('another sync')")
        former.commit()
    assert lock_state(path) == LockState()
    with exclusive_sync(path):
        assert lock_state(path).held_by is not None
    assert lock_state(path) == LockState()
