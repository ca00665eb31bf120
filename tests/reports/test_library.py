"""The package from a program: docs/library.md, run as it stands there."""

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support.commands import Desk
from tests.support.documents import code_blocks
from tests.support.folders import ROOT

[PROGRAM] = [x.text for x in code_blocks("docs/library.md") if x.language == "python"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The demo's ledger, and its configuration."""
    desk = Desk(tmp_path_factory.mktemp("demo"), key=None)
    ran = desk.run("demo", "--keep", ".")
    assert ran.code == 0, ran.err
    return desk


def printed(folder: Path) -> str:
    program = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_gets_the_figures_that_the_command_prints(kept: Desk) -> None:
    told = [
        [
            part["currency"],
            each["from"],
            each["retention"]["nrr"],
            each["retention"]["grr"],
        ]
        for part in kept.run("report", "--format", "json").json["currencies"]
        for each in part["windows"]
    ]
    rows = [line.split() for line in printed(kept.folder).splitlines()]
    assert told == [
        [currency, first, *(round(float(Fraction(each)), 6) for each in ratios)]
        for currency, first, *ratios in rows
    ]


def test_the_program_is_short() -> None:
    assert len([line for line in PROGRAM.splitlines() if line]) <= 12
