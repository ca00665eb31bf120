"""A file that cannot be used: one sentence that says why, what to do, and the exit code."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.commands import Ran, Workdir
from tests.support.folders import ROOT
from tests.support.loopback import serving
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import account, lay_out

# Root may do everything, but for a root without its privileges.
UNPRIVILEGED = (
    [shutil.which("setpriv") or "/usr/bin/setpriv", "--bounding-set=-all"]
    if os.geteuid() == 0
    else []
)


class Case(NamedTuple):
    words: str
    code: int
    problem: str
    fix: str
    config: str = ""


LACKS, LET = "this user lacks the permission", "let this user read and write there"
MAY_NOT = "cannot be written: this user may not write in"
FOLDER = "folder is a folder, and a file is meant"
FILE = "file is a file, and a folder is meant"
TOTAL = '[reporting]\ncurrency = "eur"\nrates = "{}"\n'
CASES = (
    # what is not there
    Case(
        "--config no.toml report", 1, "no.toml cannot be read: it is not there", "init"
    ),
    Case(
        "reconcile no.csv", 2, "no.csv cannot be read: it is not there", "give the path"
    ),
    Case("restore no.db", 1, "there is no backup at no.db", "name a file"),
    Case("--config no/x.toml config init --timezone UTC", 1, "it is not there", "path"),
    Case(
        "report", 1, "rates no.csv cannot be read: it is not there", "correct", "no.csv"
    ),
    # a file in the place of a folder, and the other way round
    Case("--config file/x.toml report", 1, "a part of its path is a file", "the path"),
    Case("--config folder report", 2, FOLDER, "name a file"),
    Case("reconcile folder", 2, FOLDER, "name a file"),
    Case("restore folder", 2, FOLDER, "name a file"),
    Case("backup folder", 2, FOLDER, "name a file"),
    Case("report -o folder", 2, FOLDER, "name a file"),
    Case("export --what movements -o folder", 2, FOLDER, "name a file"),
    Case("demo --keep file", 2, FILE, "name a folder"),
    Case("lake file out", 2, FILE, "name a folder"),
    Case("report --lake file", 2, FILE, "name a folder"),
    Case(
        "report", 1, "rates folder cannot be read: it is a folder", "correct", "folder"
    ),
    # what this user may not
    Case("--config secret report", 1, f"secret cannot be read: {LACKS}", LET),
    Case("--config closed/x report", 1, f"closed/x cannot be read: {LACKS}", LET),
    Case("reconcile secret", 2, f"secret cannot be read: {LACKS}", "give the path"),
    Case("restore secret", 1, "secret cannot be read by this user", "name another"),
    Case("restore closed/x", 1, f"closed/x cannot be used: {LACKS}", LET),
    Case("report", 1, f"rates secret cannot be read: {LACKS}", "correct", "secret"),
    Case("report -o still/x", 2, MAY_NOT, "write elsewhere"),
    Case("report -o still/there", 2, MAY_NOT, "write elsewhere"),
    Case("export --what mirror -o still/x", 2, MAY_NOT, "write elsewhere"),
    Case("backup still/x", 2, MAY_NOT, "write elsewhere"),
    Case("report -o closed/x", 1, f"closed/x cannot be used: {LACKS}", LET),
    Case("demo --keep still/x", 1, f"still/x cannot be used: {LACKS}", LET),
    Case(
        "--config still/x config init --timezone UTC",
        1,
        f"cannot be used: {LACKS}",
        LET,
    ),
)


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    """Beside a ledger: what is another kind of thing, and what only others may use."""
    for name, mode in (("folder", 0o755), ("closed", 0o000), ("still", 0o555)):
        (tmp_path / name).mkdir()
        if name == "still":
            (tmp_path / name / "there").write_text("there")
        (tmp_path / name).chmod(mode)
    for name, mode in (("file", 0o644), ("secret", 0o000)):
        (tmp_path / name).write_text("text")
        (tmp_path / name).chmod(mode)
    return lay_out(tmp_path)


def unprivileged(workdir: Workdir, *words: str) -> Ran:
    done = subprocess.run(
        [*UNPRIVILEGED, *workdir.command(*words)],
        cwd=workdir.folder,
        env={**workdir.environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.words} {case.config}")
def test_why_a_file_cannot_be_used(workdir: Workdir, case: Case) -> None:
    if case.config:
        workdir.configure(TOTAL.format(case.config))
    ran = unprivileged(workdir, *case.words.split())
    assert ran.code == case.code, ran.err
    problem, fix = ran.err.splitlines()
    assert problem.startswith("error: ")
    assert case.problem in problem
    assert fix.startswith("  fix: ")
    assert case.fix in fix
    assert "Errno" not in ran.err


@pytest.mark.parametrize(
    "words", [("lake", "", "out"), ("lake", "folder", ""), ("demo", "--keep", " ")]
)
def test_a_folder_without_a_name_is_none(
    workdir: Workdir, words: tuple[str, ...]
) -> None:
    ran = workdir.call(*words)
    assert (ran.code, "the name of a folder is missing" in ran.err) == (2, True)


def test_a_first_sync_into_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    (tmp_path / "still").mkdir()
    with serving(SimulatedAccount(account("Plain"))) as stripe:
        workdir = Workdir(tmp_path / "still", stripe.url).configure("timezone='UTC'")
        workdir.folder.chmod(0o555)
        ran = unprivileged(workdir, "sync")
    assert ran.code == 1
    assert "cannot be written" in ran.err
    assert "make its folder writable for this user" in ran.err
    assert "Errno" not in ran.err
    assert len(list(workdir.folder.iterdir())) == 1


def test_a_status_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "still").mkdir(0o555)
    with serving(SimulatedAccount(account("Plain"))) as stripe:
        workdir = Workdir(tmp_path, stripe.url)
        workdir.configure('timezone = "UTC"\n[sync]\nstatus_file = "still/status"\n')
        ran = unprivileged(workdir, "sync")
    assert ran.code == 1
    assert f"still/status cannot be used: {LACKS}" in ran.err
    assert workdir.call("report").code == 0


@pytest.mark.parametrize("words", ["report", "sync", "check"])
def test_a_folder_in_the_ledger_s_place(workdir: Workdir, words: str) -> None:
    workdir.configure('database = "folder"\ntimezone = "UTC"\n')
    ran = workdir.call(words)
    assert ran.code == 1
    assert "folder is a folder, and a ledger is a file" in ran.err
    assert "such as folder/stripe-nrr.db" in ran.err


def test_a_german_is_told_in_german(workdir: Workdir) -> None:
    workdir.configure('[reporting]\nlanguage = "de"\n')
    ran = unprivileged(workdir, "demo", "--keep", "still/x")
    assert ran.code == 1
    assert (
        "still/x lässt sich nicht verwenden: diesem Benutzer fehlt das Recht dazu"
        in ran.err
    )
    ran = unprivileged(workdir, "reconcile", "no.csv")
    assert "no.csv lässt sich nicht lesen: dort gibt es nichts" in ran.err
