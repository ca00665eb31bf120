"""Killed at any instant, on a full disk: nothing is lost, nothing is torn."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from connector.store.opening import open_database
from connector.store.read_only import damage, open_as_it_is
from tests.billing.account import Account
from tests.support.commands import Workdir
from tests.support.loopback import serving
from tests.support.served import PORTS, ServingWorkdir
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import lay_out
from tests.support.synced import walked_demo
from tests.webhooks.test_serve import Company, ago_s, quiet, shown

KILLS = 6  # of each command
COMMANDS: Sequence[Sequence[str]] = [
    ("close", "2026-09"),
    ("recompute",),
    ("export", "--what", "movements", "-o", "figures"),
    ("report", "--format", "html", "-o", "figures"),
    ("backup", "copy.db"),
    ("backup", "copy.db", "--keep", "3"),
    ("restore", "good.db"),
]
MOUNT, UMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"


def prepared(folder: Path) -> Workdir:
    """A closed month, an older export, a good backup and an older one."""
    workdir = lay_out(folder)
    assert workdir.call("close", "2026-03").code == 0
    for name in ("good.db", "copy.db"):
        assert workdir.call("backup", name).code == 0
    (folder / "figures").write_text("of last month")
    return workdir


def booked(workdir: Workdir) -> str:
    return workdir.call("export", "--what", "movements").out


def whole(path: Path) -> bool:
    with closing(open_as_it_is(path)) as connection:
        return damage(connection) == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_killed_at_any_instant(tmp_path: Path, words: Sequence[str]) -> None:
    workdir = prepared(tmp_path)
    before = booked(workdir)
    began_s = time.monotonic()
    assert workdir.run(*words).code == 0
    took_s = time.monotonic() - began_s
    finished = {(tmp_path / "figures").read_bytes(), b"of last month"}
    instants = random.Random(" ".join(words))
    for _ in range(KILLS):
        (tmp_path / "figures").write_text("of last month")
        with subprocess.Popen(
            workdir.command(*words),
            cwd=tmp_path,
            env=workdir.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(instants.uniform(0.5, 1.05) * took_s)
            process.kill()
        checked = workdir.call("check")
        if words[0] == "recompute" and checked.code == 3:  # who waits is told, and kept
            assert ", 0 findings" in checked.out
            assert workdir.call("recompute").code == 0
            checked = workdir.call("check")
        assert checked.code == 0, checked.out
        assert booked(workdir) == before
        left = (tmp_path / "figures").read_bytes()
        assert left in finished or (
            words[0] == "report" and left.endswith(b"</html>\n")
        )
        for path in (tmp_path / "copy.db", *tmp_path.glob("*.replaced-*Z")):
            assert whole(path)
    assert workdir.run(*words).code == 0
    assert not list(tmp_path.glob(".*.draft*")), "the next one takes what was left"


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8, 0.9, 1.0])
def test_a_month_is_closed_only_once_everybody_is_derived(
    tmp_path: Path, part: float
) -> None:
    """Killed while it derives the demo's customers, of whom the first batch stands."""
    workdir = Workdir(tmp_path).configure('timezone = "Europe/Berlin"\n')
    with (
        walked_demo() as memory,
        closing(sqlite3.connect(workdir.ledger)) as file,
    ):
        memory.backup(file)
    shutil.copy(workdir.ledger, tmp_path / "kept.db")
    began_s = time.monotonic()
    assert workdir.run("recompute").code == 0
    took_s = time.monotonic() - began_s
    figures = workdir.call("close", "2026-08", "--format", "json").json["figures"]
    (tmp_path / "kept.db").replace(workdir.ledger)
    for beside in ("-wal", "-shm"):
        (tmp_path / f"{workdir.ledger.name}{beside}").unlink(missing_ok=True)
    with subprocess.Popen(
        workdir.command("recompute"),
        cwd=tmp_path,
        env=workdir.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        time.sleep(part * took_s)
        process.kill()
    ran = workdir.call("close", "2026-08", "--format", "json")
    if ran.code:
        assert ran.code == 3
        assert "to be derived" in ran.err
        assert workdir.call("recompute").code == 0
        ran = workdir.call("close", "2026-08", "--format", "json")
    assert ran.json["figures"] == figures


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 6 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = [MOUNT, "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield place
    finally:
        subprocess.run([UMOUNT, str(place)], check=True)


@pytest.mark.parametrize("room", [0, 10_000, 100_000])
def test_a_full_disk(small_disk: Path, room: int) -> None:
    """With some room left, it is full at another step of each command."""
    workdir = prepared(small_disk)
    before = booked(workdir)
    files = {p.name: p.read_bytes() for p in (small_disk / "figures",)}
    open_database(workdir.ledger).close()
    filler = small_disk / "filler"
    fill(filler, room)
    for words in COMMANDS:
        ran = workdir.run(*words)
        assert "Traceback" not in ran.err, (words, ran.err)
        assert ran.code in {0, 1}, (words, ran.err)
        assert (ran.code == 0) or "fix:" in ran.err
        if ran.code:
            assert not list(small_disk.glob(".*.draft")), words
        if ran.code and "figures" in words:
            assert (small_disk / "figures").read_bytes() == files["figures"]
    filler.unlink()
    assert workdir.call("check").code == 0
    assert booked(workdir) == before
    assert whole(small_disk / "copy.db")
    assert workdir.call("close", "2026-10").code == 0


@pytest.mark.parametrize("has_log", [False, True])
def test_a_ledger_on_a_full_disk_can_be_read_and_saved(
    small_disk: Path, tmp_path: Path, *, has_log: bool
) -> None:
    """All that only reads works, and a backup goes to another disk."""
    workdir = prepared(small_disk)
    before = booked(workdir)
    if has_log:
        begin_log(workdir)
    fill(small_disk / "filler", 0)
    assert workdir.run("note", "2026-03", "there is no room").code == 1
    for words in (("report",), ("check",), ("at-risk",), ("movements",)):
        ran = workdir.run(*words)
        assert ran.code == 0, (words, ran)
    assert workdir.run("export", "--what", "movements").out == before
    assert workdir.run("backup", str(tmp_path / "copy.db")).code == 0
    assert whole(tmp_path / "copy.db")
    (small_disk / "filler").unlink()
    assert workdir.run("note", "2026-03", "there is room again").code == 0
    assert booked(workdir) == before


def begin_log(workdir: Workdir) -> None:
    """Somebody wrote, and was killed: what was written last stands in the WAL alone."""
    written = "import sqlite3, os; db = sqlite3.connect('stripe-nrr.db');"
    written += "db.execute(\"INSERT OR REPLACE INTO settings VALUES ('of us', '1')\");"
    written += "db.commit(); os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", written]
    subprocess.run(command, cwd=workdir.folder, check=False)
    workdir.ledger.with_name("stripe-nrr.db-shm").unlink()
    assert workdir.ledger.with_name("stripe-nrr.db-wal").stat().st_size


def fill(path: Path, room: int) -> None:
    free = shutil.disk_usage(path.parent).free
    with path.open("wb") as file:
        file.write(b"\0" * max(free - room, 0))


@pytest.fixture
def company(small_disk: Path) -> Iterator[Company]:
    """A business of three, whose ledger lies on the small disk."""
    account = Account(ago_s(60))
    with serving(SimulatedAccount(account.snapshot())) as stripe:
        workdir = ServingWorkdir(small_disk, stripe.url)
        workdir.configure(PORTS)
        yield Company(account, stripe, workdir)


@pytest.mark.parametrize("room", [0, 20_000, 200_000])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "next"])
def test_a_sync_on_a_full_disk(
    company: Company, tmp_path: Path, room: int, *, is_first: bool
) -> None:
    """It says so, tears nothing, and goes on where it was once there is room again."""
    workdir = company.workdir
    if not is_first:
        assert workdir.run("sync", "-q").code == 0
        company.grow(0, 5)
    filler = workdir.folder / "filler"
    fill(filler, room)
    ran = workdir.run("sync", "-q")
    assert "Traceback" not in ran.err
    assert ran.code in {0, 1}, ran.err
    assert ran.code == 0 or "fix:" in ran.err
    if room == 0:
        assert ran.code == 1
    assert not list(workdir.folder.glob(".*.draft"))
    filler.unlink()
    # In full: the newest events are left to a later sync, until Stripe shows them all.
    assert workdir.run("sync", "--full", "-q").code == 0
    assert workdir.call("check").code == 0
    assert shown(workdir.ledger) == quiet(company, tmp_path / "alone.db")


def test_a_read_only_mount(small_disk: Path, tmp_path: Path) -> None:
    """What only reads works; what writes says why it cannot, and what to do."""
    workdir = prepared(small_disk)
    before = booked(workdir)
    kept = {path: path.read_bytes() for path in small_disk.iterdir()}
    remounting = [MOUNT, "-o", "remount,ro", str(small_disk)]
    subprocess.run(remounting, check=True, capture_output=True)
    for words in (("sync", "-q"), *COMMANDS):
        ran = workdir.run(*words)
        assert ran.code == 1, (words, ran)
        assert "Traceback" not in ran.err, words
        assert "fix:" in ran.err, words
    assert workdir.run("check").code == 0
    elsewhere = tmp_path / "figures"
    export = ("export", "--what", "movements", "-o", str(elsewhere))
    assert workdir.run(*export).code == 0
    assert elsewhere.read_text("utf-8") == before
    assert workdir.run("backup", str(tmp_path / "copy.db")).code == 0
    assert whole(tmp_path / "copy.db")
    assert {path: path.read_bytes() for path in small_disk.iterdir()} == kept
    remounting = [MOUNT, "-o", "remount,rw", str(small_disk)]
    subprocess.run(remounting, check=True, capture_output=True)
    assert workdir.run("backup", "copy.db").code == 0
    assert workdir.run("restore", "copy.db").code == 0
    assert booked(workdir) == before
