"""A folder is there as a whole or not at all, whoever is killed while it is written."""

import random
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.commands import Workdir
from tests.support.served import PATIENCE_S
from tests.support.small_ledger import lay_out

COMMANDS: Sequence[Sequence[str]] = [
    ("export", "--what", "mirror", "-o", "made"),
    ("lake", "mirror", "made"),
]


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    workdir = lay_out(tmp_path)
    assert workdir.run("export", "--what", "mirror", "-o", "mirror").code == 0
    return workdir


def hidden(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob(".*")}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_whoever_is_ended_leaves_nothing_that_the_next_one_does_not_take(
    workdir: Workdir, words: Sequence[str], number: signal.Signals
) -> None:
    began_s = time.monotonic()
    assert workdir.run(*words).code == 0
    took_s = time.monotonic() - began_s
    instants = random.Random(number)
    for _ in range(5):
        process = subprocess.Popen(
            workdir.command(*words),
            cwd=workdir.folder,
            env=workdir.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(instants.uniform(0.5, 1.05) * took_s)
        process.send_signal(number)
        process.wait(PATIENCE_S)
    assert workdir.run(*words).code == 0
    assert hidden(workdir.folder) == set()


def test_a_folder_that_was_about_to_be_replaced_is_put_back(workdir: Workdir) -> None:
    """Killed between the two steps of which a replacement is made."""
    made = workdir.folder / "mirror"
    whole = files(made)
    made.rename(workdir.folder / ".mirror.former")
    (workdir.folder / ".mirror.draft").mkdir()
    (workdir.folder / ".mirror.draft" / "part.parquet").write_bytes(b"half")
    (workdir.folder / "stripe-nrr.db").rename(workdir.folder / "away.db")
    export = ("export", "--what", "mirror", "-o", "mirror")
    assert workdir.run(*export).code == 1, "there is no ledger"
    (workdir.folder / "away.db").rename(workdir.folder / "stripe-nrr.db")
    assert workdir.run(*export).code == 0
    assert files(made) == whole
    assert hidden(workdir.folder) == set()


def test_two_at_once_write_one_after_the_other(workdir: Workdir) -> None:
    export = ("export", "--what", "mirror", "-o", "mirror")
    whole = files(workdir.folder / "mirror")
    both = [workdir.start(*export) for _ in range(3)]
    said = [process.communicate(timeout=PATIENCE_S) for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], said
    assert files(workdir.folder / "mirror") == whole
    assert hidden(workdir.folder) == set()


def test_a_link_to_a_folder_stays_one(workdir: Workdir) -> None:
    (workdir.folder / "disk").mkdir()
    (workdir.folder / "link").symlink_to("disk")
    assert workdir.run("export", "--what", "mirror", "-o", "link").code == 0
    assert (workdir.folder / "link").readlink() == Path("disk")
    assert files(workdir.folder / "disk") == files(workdir.folder / "mirror")
