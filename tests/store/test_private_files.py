"""What is kept is its owner's alone, and whoever may only read it gets every report."""

import fcntl
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from connector.core.errors import LedgerBusy
from connector.store.database import put_setting
from connector.store.files import draft_of
from connector.store.lock import exclusive_sync, lock_state
from connector.store.opening import open_database
from tests.support.commands import Workdir
from tests.support.loopback import serving
from tests.support.served import PATIENCE_S
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import account, lay_out

NOBODY = 65534
# Root may write anywhere, but for a root without its privileges.
SETPRIV = shutil.which("setpriv") or "/usr/bin/setpriv"
MOUNT, UMOUNT = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
IS_ROOT = os.geteuid() == 0
REPOSITORY = Path(__file__).parents[2]
READERS: Sequence[Sequence[str]] = [
    ("report",),
    ("report", "--by", "product", "--causes", "--format", "html"),
    ("cohorts",),
    ("at-risk",),
    ("movements",),
    ("explain", "--window", "2026-03"),
    ("drift",),
    ("restatements",),
    ("inbox",),
    ("check",),
    ("export", "--what", "components"),
]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def kept(folder: Path) -> dict[str, int]:
    return {p.name: mode(p) for p in folder.iterdir() if p.name != "config.toml"}


@pytest.mark.parametrize("umask", ["000", "022", "777"])
def test_what_a_sync_makes_is_private_from_the_first_byte(
    tmp_path: Path, umask: str
) -> None:
    """Watched while it is made: no file here is ever open to others."""
    with serving(SimulatedAccount(account("Plain"))) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        workdir.configure('[sync]\nstatus_file = "status.json"\n')
        script = f"umask {umask}; exec {' '.join(workdir.command('sync', '--quiet'))}"
        with subprocess.Popen(
            ["/bin/bash", "-c", script],
            cwd=tmp_path,
            env={**workdir.environment(), "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.DEVNULL,
        ) as process:
            seen: dict[str, int] = {}
            while process.poll() is None:
                with suppress(FileNotFoundError):
                    seen |= {k: seen.get(k, 0) | v for k, v in kept(tmp_path).items()}
    assert process.returncode == 0
    seen |= {name: seen.get(name, 0) | found for name, found in kept(tmp_path).items()}
    assert {"stripe-nrr.db", "stripe-nrr.db.lock", "status.json"} <= seen.keys()
    assert {name: oct(found) for name, found in seen.items() if found & 0o077} == {}


def test_a_backup_and_the_demo_s_folder_are_private(tmp_path: Path) -> None:
    workdir = lay_out(tmp_path)
    before = os.umask(0)
    try:
        assert workdir.call("backup", "copy.db").code == 0
        assert workdir.call("demo", "--keep", "shown").code == 0
    finally:
        os.umask(before)
    assert mode(tmp_path / "copy.db") == 0o600
    assert mode(tmp_path / "shown") == 0o700
    assert mode(tmp_path / "shown" / "stripe-nrr.db") == 0o600


def test_doctor_says_where_others_may_look(tmp_path: Path) -> None:
    workdir = lay_out(tmp_path)
    workdir.configure('[sync]\nstatus_file = "status.json"\n')
    for name in ("stripe-nrr.db", "status.json", "stripe-nrr.db.lock"):
        (tmp_path / name).touch(0o644)
        (tmp_path / name).chmod(0o644)
    told = workdir.call("doctor", "--offline").out
    assert "others than their owner may open stripe-nrr.db (0644)" in told
    assert "status.json (0644)" in told
    assert "stripe-nrr.db.lock (0644)" in told


# --- who may only read ---


def told(workdir: Workdir, words: Sequence[str]) -> str:
    """What a process says that can write nothing at all but its terminal."""
    limited = [SETPRIV, "--bounding-set=-all"] if IS_ROOT else []
    done = subprocess.run(
        [*limited, *workdir.command(*words)],
        cwd=workdir.folder,
        env={**workdir.environment(), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode in {0, 3}, (words, done.stderr)
    assert done.stderr == ""
    return done.stdout


@contextmanager
def only_to_read(folder: Path) -> Iterator[None]:
    for each in (*folder.parents[:3], folder):
        with suppress(PermissionError):
            each.chmod(0o755)
    for each in folder.iterdir():
        each.chmod(0o444)
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o700)


def backed_up(workdir: Workdir, copy: Path) -> None:
    assert workdir.call("backup", str(copy / "stripe-nrr.db")).code == 0


def with_its_log(workdir: Workdir, copy: Path) -> None:
    """As ``cp stripe-nrr.db*`` does while somebody has it open, the index left out."""
    with closing(open_database(workdir.ledger)) as connection:
        put_setting(connection, "colour", "blue")
        for ending in ("", "-wal"):
            shutil.copy(f"{workdir.ledger}{ending}", copy)
    assert (copy / "stripe-nrr.db-wal").stat().st_size


def with_log_and_index(workdir: Workdir, copy: Path) -> None:
    with closing(open_database(workdir.ledger)) as connection:
        put_setting(connection, "colour", "blue")
        for ending in ("", "-wal", "-shm"):
            shutil.copy(f"{workdir.ledger}{ending}", copy)


def as_it_lies(workdir: Workdir, copy: Path) -> None:
    shutil.copy(workdir.ledger, copy)


@pytest.mark.parametrize(
    "make", [backed_up, as_it_lies, with_its_log, with_log_and_index]
)
def test_every_report_is_made_from_a_copy_that_may_only_be_read(
    tmp_path: Path, make: Callable[[Workdir, Path], None]
) -> None:
    workdir = lay_out(tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "config.toml", copy)
    make(workdir, copy)
    reading = Workdir(copy)
    with only_to_read(copy):
        before = sorted(path.name for path in copy.iterdir())
        for words in READERS:
            before_it, read = workdir.call(*words).out, told(reading, words)
            # Some say how long ago something was: meanwhile a minute may have passed.
            assert read in {before_it, workdir.call(*words).out}, words
        assert sorted(path.name for path in copy.iterdir()) == before


@pytest.mark.skipif(not IS_ROOT, reason="only root may mount")
def test_every_report_is_made_from_a_file_system_that_may_only_be_read(
    tmp_path: Path,
) -> None:
    workdir = lay_out(tmp_path)
    place = tmp_path / "mounted"
    place.mkdir()
    mounted = [MOUNT, "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        shutil.copy(tmp_path / "config.toml", place)
        shutil.copy(workdir.ledger, place)
        subprocess.run([MOUNT, "-o", "remount,ro", str(place)], check=True)
        reading = Workdir(place)
        for words in READERS:
            before, read = workdir.call(*words).out, reading.run(*words).out
            assert read in {before, workdir.call(*words).out}, words
        for words in (("recompute",), ("close", "2026-09"), ("sync",)):
            ran = reading.run(*words)
            assert ran.code == 1
            assert "cannot be written" in ran.err
            assert "Traceback" not in ran.err
    finally:
        subprocess.run([UMOUNT, str(place)], check=True)


# --- the lock ---


def held_by_another_process(path: Path) -> "subprocess.Popen[str]":
    code = (
        "import sys; from pathlib import Path\n"
        "from connector.store.lock import exclusive_sync\n"
        "with exclusive_sync(Path(sys.argv[1]), f'sync {__import__(\"os\").getpid()}'):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_who_holds_the_lock_is_named_and_who_was_killed_holds_nothing(
    tmp_path: Path,
) -> None:
    workdir = lay_out(tmp_path)
    with held_by_another_process(workdir.ledger) as process:
        assert lock_state(workdir.ledger).held_by == f"sync {process.pid}"
        with pytest.raises(LedgerBusy, match=f"sync {process.pid} holds"):
            exclusive_sync(workdir.ledger).__enter__()
        process.kill()
    assert lock_state(workdir.ledger).held_by is None
    told_of = workdir.call("doctor", "--offline").out
    assert f"no sync holds the ledger; sync {process.pid} was killed" in told_of
    with exclusive_sync(workdir.ledger):
        pass
    assert "was killed" not in workdir.call("doctor", "--offline").out


@pytest.mark.skipif(not IS_ROOT, reason="only root becomes another user")
def test_who_may_only_read_cannot_hold_up_a_sync(tmp_path: Path) -> None:
    lock = tmp_path / "stripe-nrr.db.lock"
    lock.touch(0o644)
    tmp_path.chmod(0o755)
    with exclusive_sync(tmp_path / "stripe-nrr.db"):
        pass
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError):
            lock.open("rb")
    finally:
        os.seteuid(0)


def test_who_only_looks_holds_up_no_sync(tmp_path: Path) -> None:
    """A look takes the lock for a moment: a sync that starts then waits it out."""
    path = tmp_path / "stripe-nrr.db"
    with exclusive_sync(path):
        pass
    file = os.open(f"{path}.lock", os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_SH)
    release = "import time; time.sleep(0.03)"
    with subprocess.Popen([sys.executable, "-c", release]) as process:
        process.wait()
        os.close(file)
        with exclusive_sync(path):
            assert lock_state(path).held_by is not None


TRY = """
import sys
from pathlib import Path
from connector.core.errors import LedgerBusy
from connector.store.lock import exclusive_sync, lock_state
print("ready", flush=True)
for line in sys.stdin:
    try:
        with exclusive_sync(Path(sys.argv[1]), "the other"):
            print("yes", flush=True)
            sys.stdin.readline()
    except LedgerBusy as error:
        print(error.problem.partition(" holds")[0], flush=True)
        sys.stdin.readline()
"""


def test_of_several_that_start_at_once_exactly_one_gets_the_lock(
    tmp_path: Path,
) -> None:
    """100 times; who comes too late is always told who was sooner."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", TRY, str(tmp_path / "stripe-nrr.db")],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]

    def heard() -> list[str]:
        lines = [each.stdout.readline() for each in running if each.stdout is not None]
        return sorted(line.strip() for line in lines)

    def say(word: str) -> None:
        for each in running:
            assert each.stdin is not None
            print(word, file=each.stdin, flush=True)

    assert heard() == ["ready"] * 3
    for _ in range(100):
        say("go")
        assert heard() == ["the other", "the other", "yes"]
        say("enough")
    for each in running:
        each.communicate()


# --- drafts ---


def test_a_draft_laid_out_by_somebody_is_not_written_to(tmp_path: Path) -> None:
    """A second name of another file: writing to the one would write to the other."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    os.link(victim, tmp_path / ".figures.draft")
    with draft_of(tmp_path / "figures") as draft:
        draft.write_text("figures")
    assert victim.read_text() == "precious"
    assert (tmp_path / "figures").read_text() == "figures"
