"""``python -m tests.support.running_at MOMENT WORDS…``: the command, at another moment.

Nothing but the clock of the shell, which every command asks, is another one.
"""

import sys
from dataclasses import dataclass
from datetime import datetime
from unittest.mock import patch

from connector.cli.app import main
from connector.cli.shell import Shell
from tests.support.commands import Workdir
from tests.support.folders import ROOT


@dataclass(frozen=True)
class ClockedWorkdir(Workdir):
    """One whose commands run at a moment (``at``, as 2026-11-02T06:30:00Z)."""

    at: str = ""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(ROOT)}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tests.support.running_at", self.at, *words]


if __name__ == "__main__":  # a process that derives imports this file too
    moment = datetime.fromisoformat(sys.argv.pop(1))
    with patch.object(Shell, "now", lambda _shell: moment):
        main()
