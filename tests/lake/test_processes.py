"""Shares among processes: what came of them, and of one that is killed, at any instant."""

import multiprocessing
import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from connector.core.errors import ConfigError, ConnectorError, LakeUnusable
from connector.lake.processes import in_processes
from tests.support import broken_lakes
from tests.support.broken_lakes import killing

LARGE = b"more than fits into any pipe" * 100_000
TIMES = 30


def write_number(folder: Path, _: bytes, number: int) -> None:
    (folder / f"{number}").write_text(str(os.getpid()))


def fail_if_first(error: Exception, number: int) -> None:
    if number:
        time.sleep(600)
    raise error


def end_or_wait(number: int) -> None:
    if not number:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)


def test_each_share_is_done_in_a_process_of_its_own(tmp_path: Path) -> None:
    in_processes(partial(write_number, tmp_path, LARGE), range(3))
    told = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert told.keys() == {"0", "1", "2"}
    assert len({*told.values(), str(os.getpid())}) == 4
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        LakeUnusable("a file is no Parquet", fix="write it again"),
        ConfigError(["two", "faults"], source="a file"),
    ],
)
def test_what_one_raises_is_raised_and_ends_the_others(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        in_processes(partial(fail_if_first, error), range(3))
    assert raised.value.args == error.args
    if isinstance(error, ConnectorError):
        assert vars(raised.value) == vars(error)
    assert multiprocessing.active_children() == []


def test_one_that_is_killed_at_work_ends_the_others() -> None:
    with pytest.raises(LakeUnusable, match="was killed"):
        in_processes(end_or_wait, range(3))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("which", [0, 2])
def test_one_that_is_killed_at_once_ends_the_others(which: int, tmp_path: Path) -> None:
    """While others are still started, and before it has heard what to do."""
    for _ in range(TIMES):
        with pytest.raises(LakeUnusable, match="was killed"), killing(which):
            in_processes(partial(write_number, tmp_path, LARGE), range(3))
        assert multiprocessing.active_children() == []


def test_a_run_whose_processes_are_killed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(TIMES):
        with pytest.raises(LakeUnusable, match="was killed"):
            broken_lakes.killed()
        assert list(Path("lake").iterdir()) == []
        assert multiprocessing.active_children() == []
