"""The Tab key, as docs/commands.md sets it up, in the shells that people use."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from connector.cli.app import COMMANDS
from tests.support.documents import code_blocks
from tests.support.folders import ROOT


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the command on its path, and completion set up for every shell."""
    command = tmp_path / "bin" / "stripe-nrr"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m connector "$@"\n')
    command.chmod(0o755)
    (tmp_path / ".config" / "fish" / "completions").mkdir(parents=True)
    blocks = [each.text for each in code_blocks("docs/commands.md")]
    [block] = [text for text in blocks if "_COMPLETE" in text]
    shell(tmp_path, "bash", "-ec", block)
    return tmp_path


def shell(home: Path, *words: str, cwd: Path = ROOT) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STRIPE_")}
    path = f"{home / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        words,
        cwd=cwd,
        env={**kept, "HOME": str(home), "PATH": path, "TERM": "dumb"}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


ASK_BASH = """
. ~/.bashrc
COMP_WORDS=({typed}) COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_stripe_nrr_completion stripe-nrr
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param('stripe-nrr ""', set(COMMANDS), id="every command"),
        pytest.param("stripe-nrr rec", {"reconcile", "recompute"}, id="begun"),
        pytest.param("stripe-nrr config i", {"init"}, id="inside a group"),
        pytest.param("stripe-nrr report --curr", {"--currency"}, id="an option"),
        pytest.param(
            'stripe-nrr report --window ""',
            {"month", "quarter", "year", "trailing-12"},
            id="its choices",
        ),
    ],
)
def test_bash(home: Path, typed: str, expected: set[str]) -> None:
    said = shell(home, "bash", "-c", ASK_BASH.format(typed=typed))
    assert set(said.split()) == expected


def test_fish(home: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not on this machine")
    said = shell(home, "fish", "-c", "complete --do-complete 'stripe-nrr rec'")
    assert {line.split("\t")[0] for line in said.splitlines()} == {
        "reconcile",
        "recompute",
    }


def test_zsh_takes_the_script(home: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not on this machine")
    ask = "autoload -Uz compinit; compinit -u; . ~/.zshrc; print ${_comps[stripe-nrr]}"
    assert shell(home, "zsh", "-c", ask).strip() == "_stripe_nrr_completion"


ASK_ZSH = """
autoload -Uz compinit; compinit -u; . ~/.zshrc
_describe() {{ print -l -- ${{(P)3}} }}
words=({typed}) CURRENT=${{#words}}
_stripe_nrr_completion
"""
GERMAN = {
    "stripe-nrr rec": {
        "reconcile": (
            "Warum der MRR nicht der ist, den Stripe zeigt: die Ursachen jeder Zelle."
        ),
        "recompute": "Das Ledger aus dem Geholten neu ableiten; ohne Netz.",
    },
    "stripe-nrr config i": {
        "init": "config.toml schreiben, in der jeder Schlüssel erklärt ist."
    },
    "stripe-nrr report --fr": {"--from": "Der erste Monat."},
}


@pytest.mark.parametrize("is_named", [False, True], ids=["found", "named"])
@pytest.mark.parametrize("name", ["zsh", "fish"])
@pytest.mark.parametrize(("typed", "expected"), GERMAN.items())
def test_what_each_does_is_told_in_the_language_of_the_configuration(
    home: Path,
    tmp_path: Path,
    typed: str,
    expected: dict[str, str],
    name: str,
    *,
    is_named: bool,
) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not on this machine")
    file = tmp_path / ("other.toml" if is_named else "config.toml")
    file.write_text('[reporting]\nlanguage = "de"\n')
    if is_named:
        typed = typed.replace("stripe-nrr", f"stripe-nrr --config {file.name}")
    if name == "zsh":
        said = shell(home, "zsh", "-c", ASK_ZSH.format(typed=typed), cwd=tmp_path)
        told = dict(line.split(":", 1) for line in said.splitlines())
    else:
        ask = f"complete --do-complete '{typed}'"
        said = shell(home, "fish", "-c", ask, cwd=tmp_path)
        told = dict(line.split("\t") for line in said.splitlines())
    assert told == expected
