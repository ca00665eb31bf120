"""What ``.ci/run`` installs before the tests, with an apt-get that only notes it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.folders import ROOT

NEEDED = ("chromium", "chromium-driver", "default-jre-headless", "libreoffice-calc")
SHELLS = ("zsh", "fish")  # which tests/cli/test_completion.py asks
APT = """#!/bin/sh
echo "$*" >> "{folder}/asked"
case "$*" in *{refused}*) exit 100 ;; esac
"""


def ran(folder: Path, here: tuple[str, ...] = (), refused: str = "nothing") -> str:
    """What was asked of apt-get on a machine that has these; then tests would begin."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "id", "env"):
        (programs / name).symlink_to(shutil.which(name) or "")
    for name in (*here, "sudo"):
        (programs / name).write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "apt-get").write_text(APT.format(folder=folder, refused=refused))
    (programs / "python3").write_text(f'#!/bin/sh\n: > "{folder}/begun"\nexit 1\n')
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", folder / ".ci")
    for each in programs.iterdir():
        if not each.is_symlink():
            each.chmod(0o755)
    subprocess.run(
        [folder / ".ci" / "run"],
        env={"PATH": str(programs), "HOME": str(folder)},
        capture_output=True,
        check=False,
    )
    asked = folder / "asked"
    return asked.read_text() if asked.exists() else ""


def has_begun(folder: Path) -> bool:
    return (folder / "begun").exists()


def test_what_is_not_here_is_installed(tmp_path: Path) -> None:
    asked = ran(tmp_path).split()
    assert {*NEEDED, *SHELLS} <= set(asked)
    assert has_begun(tmp_path)


def test_what_is_here_is_not(tmp_path: Path) -> None:
    there = ("chromium", "chromedriver", "java", "soffice", *SHELLS)
    assert ran(tmp_path, there) == ""
    assert has_begun(tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_cannot_be_had_stops_nothing(tmp_path: Path, shell: str) -> None:
    asked = ran(tmp_path, refused=shell).split()
    assert {*NEEDED, *SHELLS} <= set(asked)
    assert has_begun(tmp_path)


def test_without_a_browser_it_does_not_begin(tmp_path: Path) -> None:
    ran(tmp_path, refused="chromium")
    assert not has_begun(tmp_path)


def test_no_registry_is_named() -> None:
    assert "://" not in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
