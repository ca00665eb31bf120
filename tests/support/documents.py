"""README and the pages of docs/: their links, anchors, snippets and commands."""

import re
import shlex
from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import NamedTuple

import click

from connector.cli.app import stripe_nrr
from connector.cli.shell import Shell
from tests.support.folders import ROOT

PATHS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
# Each page's text, by its path below the project's folder.
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in PATHS
}
_FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class CodeBlock(NamedTuple):
    """``language`` is "" where none is given."""

    language: str
    text: str


def code_blocks(page: str) -> list[CodeBlock]:
    return [
        CodeBlock(found[2], dedent(found[3])) for found in _FENCED.finditer(PAGES[page])
    ]


def prose(page: str) -> str:
    """The page without its blocks of code."""
    return _FENCED.sub("", PAGES[page])


def spans(page: str) -> list[str]:
    """What stands in backticks; a line's end is a blank."""
    return [" ".join(found.split()) for found in re.findall(r"`([^`]+)`", prose(page))]


def links(page: str) -> list[str]:
    """Where its links and pictures lead, within the project."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in targets if not target.startswith("https://")]


def anchors(page: str) -> set[str]:
    """Its headings, as a link names them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {text.replace(" ", "-") for text in plain}


def section(page: str, heading: str) -> str:
    """What stands between a heading and the next one of its level or above."""
    level = heading.partition(" ")[0]
    _, found, rest = PAGES[page].partition(f"{heading}\n")
    assert found, heading
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(table: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def parse(words: Sequence[str]) -> None:
    """As the command line does, without doing what it says."""
    shell = Shell(ROOT / "config.example.toml", 0)
    # With its settings: a command keeps the option `--help` of whoever asks for it first.
    outer = click.Context(
        stripe_nrr, info_name="stripe-nrr", obj=shell, **stripe_nrr.context_settings
    )
    with outer:
        _, [name, *rest], _ = stripe_nrr.make_parser(outer).parse_args(list(words))
        found = stripe_nrr.get_command(outer, name)
        assert found is not None, f"{name} is no command"
        found.make_context(name, rest, parent=outer).close()


def commands(page: str) -> Iterator[Sequence[str]]:
    """What follows `stripe-nrr` in its blocks of code, however it is started there."""
    for language, text in code_blocks(page):
        if language in ("sh", "cron"):
            for line in text.splitlines():
                yield from started(line)


def started(line: str) -> Iterator[Sequence[str]]:
    """What follows `stripe-nrr` in a line of a shell, of cron, systemd or Kubernetes."""
    if "stripe-nrr" not in line:
        return
    listed = re.fullmatch(r"\s*command: \[(.*)\]", line)
    if listed is not None:
        line = listed[1].replace(",", "")
    line = re.sub(r"\$\(.*?\)", "2026-10", line.removeprefix("ExecStart="))
    for part in line.split("&&"):
        words = shlex.split(part.partition(" > ")[0], comments=True)
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words[1:] and words[0].rpartition("/")[2] == "stripe-nrr":
            yield words[1:]
