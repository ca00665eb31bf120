"""The command as a user runs it: a process of its own, with an environment of its own.

Or, where the process is not the point, in this one: the same ``main``, sooner.
"""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector.cli.app import main
from tests.support.loopback import KEY

TIMEOUT_S = 300  # nothing takes so long, also where much else is run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Workdir:
    """A folder with a config.toml, where commands are run."""

    folder: Path
    stripe: str = "http://127.0.0.1:9"
    key: str | None = KEY

    def configure(self, text: str) -> "Workdir":
        (self.folder / "config.toml").write_text(text, encoding="utf-8")
        return self

    @property
    def ledger(self) -> Path:
        return self.folder / "stripe-nrr.db"

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STRIPE_")}
        given = {"STRIPE_API_BASE": self.stripe, "HOME": str(self.folder)}
        if self.key is not None:
            given["STRIPE_API_KEY"] = self.key
        return {**kept, **given, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "connector", *words]

    def run(self, *words: str) -> Ran:
        done = subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def call(self, *words: str, columns: int | None = None) -> Ran:
        """What ``run`` says, for a command that needs no process, and writes no log.

        ``columns`` is how wide the terminal is; None: there is none.
        """
        out, err = _Piped(), _Piped()
        shown: dict[str, str] = {}
        if columns is not None:
            out, err = _Terminal(), _Terminal()
            shown = {"COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
        with (
            chdir(self.folder),
            _environment(self.environment() | shown, ["stripe-nrr", *words]),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        return Ran(int(ended.value.code or 0), out.text(), err.text())

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


class _Piped(io.TextIOWrapper):
    """Like a pipe: UTF-8, and no terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    def text(self) -> str:
        self.seek(0)
        return self.read()


class _Terminal(_Piped):
    """What is written is shown, without colours."""

    def isatty(self) -> bool:
        return True

    def text(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", super().text())


@contextmanager
def _environment(variables: dict[str, str], words: list[str]) -> Iterator[None]:
    before, said = dict(os.environ), sys.argv
    try:
        _set(variables)
        sys.argv = words
        yield
    finally:
        _set(before)
        sys.argv = said


def _set(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
