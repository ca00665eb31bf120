"""What README and docs/ say is what the program does."""

import re
import shlex
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import click
import pytest

from connector import config
from connector.cli.app import COMMANDS, stripe_nrr
from connector.core.policy import Policy
from tests.support import documents
from tests.support.documents import (
    PAGES,
    PATHS,
    code_blocks,
    commands,
    parse,
    section,
    spans,
)
from tests.support.folders import ROOT

README = PAGES["README.md"]
ALL = "\n".join(PAGES.values())
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
RUNS_MAIN_JOB = (
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/stripe-nrr demo"
)
RUNS_TESTS = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]'"
    " && .venv/bin/python -m tests.all"
)
every_page = pytest.mark.parametrize("page", PAGES)


def command(name: str) -> click.Command:
    found = stripe_nrr.get_command(click.Context(stripe_nrr), name)
    assert isinstance(found, click.Command)
    return found


def test_readme_gives_the_two_commands() -> None:
    assert RUNS_MAIN_JOB in README.splitlines()
    assert RUNS_TESTS in README.splitlines()


def test_ci_runs_exactly_the_test_command() -> None:
    assert RUNS_TESTS in (ROOT / ".ci" / "run").read_text().splitlines()


# --- commands ---


def row_of(page: str, name: str) -> str:
    lines = PAGES[page].splitlines()
    [row] = [x for x in lines if re.match(rf"\| `stripe-nrr {name}[ `]", x)]
    return row


@pytest.mark.parametrize("name", COMMANDS)
def test_the_documents_tell_each_command_and_all_its_options(name: str) -> None:
    assert row_of("README.md", name)
    row = row_of("docs/commands.md", name)
    of_all = {each.name for each in stripe_nrr.params}  # told once, below the table
    for parameter in command(name).params:
        if isinstance(parameter, click.Option) and parameter.name not in of_all:
            assert parameter.opts[-1] in row or parameter.opts[0] in row


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_no_page_names_a_command_that_is_not_there(page: str) -> None:
    assert set(re.findall(r"`stripe-nrr ([a-z-]+)", PAGES[page])) == set(COMMANDS)
    assert set(re.findall(r"`stripe-nrr ([a-z-]+)", ALL)) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_worth_reading(name: str) -> None:
    text = command(name).help or ""
    assert len(text) > 200, "more than the one line of the list"
    assert COMMANDS[name]
    for parameter in command(name).params:
        if isinstance(parameter, click.Option) and "--format" not in parameter.opts:
            assert parameter.help, parameter.opts


@pytest.mark.parametrize(
    "words", [each for page in PAGES for each in commands(page)], ids=" ".join
)
def test_a_command_to_paste_is_understood(words: Sequence[str]) -> None:
    parse(words)


def test_commands_to_paste_are_found_wherever_they_are_started() -> None:
    """In a shell and by cron; what docs/deploy/ starts has a test of its own."""
    for page, count in {"README.md": 5, "docs/running.md": 3}.items():
        assert len(list(commands(page))) == count
    with pytest.raises(click.NoSuchOption):
        parse(["report", "--form", "html"])
    with pytest.raises(click.BadParameter):
        parse(["report", "--format", "pdf"])


def told_in_passing() -> list[str]:
    """Commands inside a sentence, but for those with a placeholder or a choice."""
    names = "|".join(COMMANDS)
    found = [
        span.removeprefix("stripe-nrr ")
        for span in chain.from_iterable(map(spans, PAGES))
        if re.match(rf"stripe-nrr (?!-)|({names}) --", span)
    ]
    return [each for each in found if not re.search(r"[…\[|]|\b[A-Z]{2,}\b", each)]


@pytest.mark.parametrize("text", sorted(set(told_in_passing())))
def test_a_command_that_is_told_in_passing_is_understood(text: str) -> None:
    # Named, not given; or --help, which says its text.
    with suppress(click.MissingParameter, click.BadOptionUsage, click.exceptions.Exit):
        parse(shlex.split(text))


# --- configuration ---


def test_the_example_configuration_is_whole_and_gives_the_defaults() -> None:
    table = tomllib.loads(EXAMPLE.replace("# timezone =", "timezone ="))
    keys = set()
    for name, value in table.items():
        inner = value if isinstance(value, dict) else {}
        keys |= {f"{name}.{key}" for key in inner} or {name}
    assert keys == set(config.KEYS)
    assert config.parse(EXAMPLE, {}) == config.parse("", {})


def what_counts() -> str:
    return section("docs/definitions.md", "## What counts")


def test_the_definitions_tell_every_switch_of_the_policy() -> None:
    told = re.findall(r'`(\w+) = "', what_counts())
    assert sorted(told) == sorted(Policy().settings())


@pytest.mark.parametrize(
    ("switch", "value"), re.findall(r'`(\w+) = "([^"]+)"`', what_counts())
)
def test_what_the_definitions_say_can_be_set_is_another_policy(
    switch: str, value: str
) -> None:
    text = f'[policy]\n{switch} = "{value.replace("N", "30")}"'
    changed = config.parse(text, {}).policy.settings()
    default = Policy().settings()
    assert {key for key in changed if changed[key] != default[key]} == {switch}


SETTING = re.compile(r"(?:\[(\w+)\] )?(\w+)(?: = (.+))?")


def settings() -> list[tuple[str, str]]:
    """Keys of the configuration with their values ("" for none), told in passing."""
    found = []
    for span in chain.from_iterable(map(spans, PAGES)):
        match = SETTING.fullmatch(span)
        if match is None or not (match[1] or match[3]):
            continue
        table, key, value = match.groups("")
        ends = [k for k in config.KEYS if k.split(".")[-1] == key]
        found.append((f"{table}.{key}" if table else "".join(ends), value))
    return sorted(set(found))


@pytest.mark.parametrize(("key", "value"), settings())
def test_a_setting_that_is_told_in_passing_can_be_set(key: str, value: str) -> None:
    assert key in config.KEYS
    if value:
        table, _, name = key.rpartition(".")
        head = f"[{table}]\n" if table else ""
        if key == "reporting.currency":  # which needs the other
            head += 'rates = "FILE"\n'
        config.parse(f"{head}{name} = {value.replace('days:N', 'days:30')}", {})


@every_page
def test_a_configuration_to_paste_is_one(page: str) -> None:
    for language, text in code_blocks(page):
        if language == "toml":
            config.parse(text, {})


# --- what is named is there ---


@every_page
def test_every_link_leads_somewhere(page: str) -> None:
    """To a file of this project, and to a heading of it where it names one."""
    for link in documents.links(page):
        target, _, anchor = link.partition("#")
        path = ((ROOT / page).parent / target if target else ROOT / page).resolve()
        assert path.is_file(), link
        if anchor:
            there = path.relative_to(ROOT).as_posix()
            assert anchor in documents.anchors(there), link


def test_readme_leads_to_every_page() -> None:
    there = {link.partition("#")[0] for link in documents.links("README.md")}
    assert PAGES.keys() - {"README.md"} <= there


@every_page
def test_every_path_is_there(page: str) -> None:
    for span in spans(page):
        path = re.fullmatch(r"(connector|tests|fixtures|docs)/[a-z0-9_./-]*", span)
        assert path is None or (ROOT / span).exists(), span


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", ALL))))
def test_every_module_that_can_be_run_is_there(module: str) -> None:
    assert find_spec(module) is not None


@pytest.mark.parametrize(
    "view", sorted(set(re.findall(r"`((?:live|mrr|nrr)_(?!minor)[a-z0-9_]+)`", ALL)))
)
def test_every_view_is_there(view: str) -> None:
    from connector.store.opening import open_database  # noqa: PLC0415

    connection = open_database(":memory:", create=True)
    connection.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608
    connection.close()


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("connector/**/*.py")), *PATHS, ROOT / "pyproject.toml"],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_no_file_names_a_registry(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"pypi\.org|pythonhosted|npmjs", text)
