"""What the documents say is what the program does."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from connector import config
from connector.cli.app import COMMANDS, stripe_nrr
from connector.core.policy import Policy

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
RUNS_MAIN_JOB = (
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/stripe-nrr demo"
)
RUNS_TESTS = (
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]'"
    " && .venv/bin/python -m tests.all"
)


def command(name: str) -> click.Command:
    found = stripe_nrr.get_command(click.Context(stripe_nrr), name)
    assert isinstance(found, click.Command)
    return found


def test_readme_gives_the_two_commands() -> None:
    assert RUNS_MAIN_JOB in README.splitlines()
    assert RUNS_TESTS in README.splitlines()


def test_ci_runs_exactly_the_test_command() -> None:
    assert RUNS_TESTS in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("name", COMMANDS)
def test_readme_tells_each_command_and_all_its_options(name: str) -> None:
    (row,) = [x for x in README.splitlines() if x.startswith(f"| `stripe-nrr {name}")]
    for parameter in command(name).params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.opts[-1] in row or parameter.opts[0] in row


def test_readme_names_no_command_that_is_not_there() -> None:
    told = re.findall(r"`stripe-nrr ([a-z-]+)", README)
    assert set(told) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_worth_reading(name: str) -> None:
    text = command(name).help or ""
    assert len(text) > 200, "more than the one line of the list"
    assert COMMANDS[name]
    for parameter in command(name).params:
        if isinstance(parameter, click.Option) and "--format" not in parameter.opts:
            assert parameter.help, parameter.opts


def test_the_example_configuration_is_whole_and_gives_the_defaults() -> None:
    table = tomllib.loads(EXAMPLE)
    keys = set()
    for name, value in table.items():
        inner = value if isinstance(value, dict) else {}
        keys |= {f"{name}.{key}" for key in inner} or {name}
    assert keys == set(config.KEYS)
    assert config.parse(EXAMPLE, {}) == config.parse("", {})


def what_counts() -> str:
    _, _, rest = README.partition("### What counts")
    table, _, _ = rest.partition("The policy in force")
    return table


def test_readme_tells_every_switch_of_the_policy() -> None:
    told = re.findall(r'`(\w+) = "', what_counts())
    assert sorted(told) == sorted(Policy().settings())


@pytest.mark.parametrize(
    ("switch", "value"), re.findall(r'`(\w+) = "([^"]+)"`', what_counts())
)
def test_what_readme_says_can_be_set_is_another_policy(switch: str, value: str) -> None:
    text = f'[policy]\n{switch} = "{value.replace("N", "30")}"'
    changed = config.parse(text, {}).policy.settings()
    default = Policy().settings()
    assert {key for key in changed if changed[key] != default[key]} == {switch}


@pytest.mark.parametrize("view", re.findall(r"`((?:live|mrr|nrr)_\w+)`", README))
def test_readme_names_views_that_are_there(view: str) -> None:
    from connector.store.database import open_database  # noqa: PLC0415

    connection = open_database(":memory:", create=True)
    connection.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608
    connection.close()


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("connector/*.py")), ROOT / "README.md", ROOT / "pyproject.toml"],
    ids=lambda path: path.name,
)
def test_no_file_names_a_registry(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"pypi\.org|pythonhosted|npmjs", text)
