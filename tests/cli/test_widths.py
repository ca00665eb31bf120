"""On a terminal no line is longer than it is wide, and no figure and no id is cut.

Every command's text, of the demo and of an account whose names and ids are long, in
English and in German. Only what cannot be broken may be longer: a line of one word, or
of one command to copy, which the terminal breaks without losing anything.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from rich.cells import cell_len

from connector.cli.app import COMMANDS
from connector.core.text import wrapped
from connector.store.opening import open_database
from tests.support.commands import Ran, Workdir
from tests.support.schemas import with_theirs
from tests.support.small_ledger import CONFIG, GROWS, account, lay_out_of
from tests.support.synced import settled_demo

COLUMNS = {"en": (80, 100, 140), "de": (80,)}
GERMAN = '[reporting]\nlanguage = "de"\nlocale = "de_DE"\n'
LONG_NAME = (
    "Donaudampfschifffahrtsgesellschaft Elbe-Saale mit beschränkter Haftung & Co"
)
LONG_ID = f"cus_{'Zx9' * 14}"
WHY = (
    "one contract is still being read by hand, and the board meets before that is done"
)
ASKED: Mapping[str, Sequence[Sequence[str]]] = {
    name: [line.split() for line in lines]
    for name, lines in {
        "report": [
            "report",
            "report --window month",
            "report --window quarter --arr --causes",
            "report --by plan --causes",
            "report --by product --window year",
        ],
        "cohorts": ["cohorts", "cohorts --by quarter"],
        "at-risk": ["at-risk"],
        "churn": ["churn", "churn --by plan"],
        "coverage": ["coverage", "coverage --window quarter"],
        "movements": ["movements", "movements --by product"],
        "explain": [
            "explain --window ..2026-09",
            "explain --window 2026-09 --metric crr",
            "explain {customer}",
        ],
        "drift": ["drift", "drift --to 2026-09 --against 107%"],
        "compare": ["compare --mrr 900 --on 2026-09-30"],
        "reconcile": ["reconcile theirs.csv"],
        "close": ["close 2026-08 --despite {why}", "close 2026-08", "close 2026-12"],
        "restatements": ["restatements"],
        "note": ["note 2026-08 {why} --url https://example.com/why"],
        "notes": ["notes"],
        "digest": ["digest --peek", "digest --peek --since 2026-05-01"],
        "check": ["check"],
        "doctor": ["doctor --offline"],
        "inbox": ["inbox"],
        "recompute": ["recompute"],
        "backup": ["backup copy.db"],
        "restore": ["restore copy.db"],
        "export": ["export --what mirror -o mirror2"],
        "lake": ["lake mirror lake", "report --lake lake"],
        "webhook-setup": ["webhook-setup https://nrr.example.com/stripe/webhooks"],
        "config": ["config init", "config"],
        "sync": ["sync"],
        "forget": ["forget {customer}"],
    }.items()
}
# What is asked twice and says the same.
READ_ONLY = {
    *("report", "cohorts", "at-risk", "churn", "coverage", "movements", "explain"),
    *("drift", "compare", "reconcile", "restatements", "digest", "check"),
}
STAY = {"dashboard", "mcp", "serve"}  # they write no report: only their help is shown


def long_ones() -> Mapping[str, object]:
    """Every customer and product has the long name, one customer the long id."""
    return dict(json.loads(json.dumps(account(LONG_NAME)).replace(GROWS, LONG_ID)))


@pytest.fixture(scope="module", params=["demo", "long names"])
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workdir, str]:
    folder = tmp_path_factory.mktemp("widths")
    if request.param == "demo":
        with settled_demo() as connection:
            connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
        workdir = Workdir(folder).configure("")
    else:
        workdir = lay_out_of(folder, long_ones(), CONFIG)
    with_theirs(workdir)
    with closing(open_database(workdir.ledger)) as connection:
        query = (
            "SELECT customer FROM stripe_subscriptions ORDER BY length(customer) DESC"
        )
        [customer] = connection.execute(query).fetchone()
    return workdir, customer


def test_every_command_is_asked() -> None:
    assert ASKED.keys() | STAY | {"demo"} == COMMANDS.keys()


@pytest.mark.parametrize("language", COLUMNS)
def test_the_demo_fits(tmp_path: Path, language: str) -> None:
    workdir = Workdir(tmp_path).configure(GERMAN if language == "de" else "")
    assert not too_long(workdir.call("demo", columns=80), 80)


@pytest.mark.parametrize("language", COLUMNS)
@pytest.mark.parametrize("name", ASKED)
def test_no_line_is_longer_than_the_terminal(
    told: tuple[Workdir, str], name: str, language: str
) -> None:
    workdir, customer = told
    base = (workdir.folder / "config.toml").read_text().partition("[reporting]")[0]
    workdir.configure(base + (GERMAN if language == "de" else ""))
    named = {"customer": customer, "why": WHY}
    for words in ASKED[name]:
        asked = [word.format(**named) for word in words]
        for columns in COLUMNS[language]:
            ran = workdir.call(*asked, columns=columns)
            assert "Traceback" not in ran.err
            assert not too_long(ran, columns), (columns, words, ran.code)
            if columns == 80 and name in READ_ONLY:
                piped = workdir.call(*asked)
                assert ids(ran.out) >= ids(piped.out), words


@pytest.mark.parametrize("name", COMMANDS)
def test_nor_of_the_help(tmp_path: Path, name: str) -> None:
    ran = Workdir(tmp_path).call(name, "--help", columns=80)
    assert not too_long(ran, 80)


def test_each_line_says_of_which_account_it_is(tmp_path: Path) -> None:
    """And has so much less room."""
    for name in ("de", "uk"):
        (tmp_path / name).mkdir()
        lay_out_of(tmp_path / name, long_ones(), CONFIG)
    accounts = "".join(
        f'[[account]]\nname = "{name}"\ndatabase = "{name}/stripe-nrr.db"\n'
        f'key_file = "{name}.key"\n'
        for name in ("de", "uk")
    )
    workdir = Workdir(tmp_path).configure(CONFIG + accounts)
    for line, code in {
        "check": 0,
        "close 2026-08 --account de --account uk": 0,
        "doctor --offline": 3,
        "inbox": 0,
        "recompute": 0,
        "backup copy.db": 0,
        "restatements --account de": 0,
        "digest --peek": 0,
        "report": 0,
    }.items():
        ran = workdir.call(*line.split(), columns=80)
        assert ran.code == code, ran.err
        assert not too_long(ran, 80), line
        assert "x1b" not in ran.out, line


def test_what_a_terminal_needs_is_not_written_into_a_file(
    told: tuple[Workdir, str],
) -> None:
    workdir, _ = told
    for name in ("report", "cohorts", "at-risk"):
        for words in ([name, "-o", "told.txt"], [name]):
            ran = workdir.call(*words, columns=100)
            assert ran.code == 0, ran.err
            assert "x1b" not in ran.out
        assert "x1b" not in (workdir.folder / "told.txt").read_text()


def ids(text: str) -> set[str]:
    return set(re.findall(r"\b(?:cus|sub|in|il|price)_\w{8,}", text))


def too_long(ran: Ran, columns: int) -> list[str]:
    lines = [line.rstrip() for line in re.split("[\r\n]+", ran.out + ran.err)]
    return [
        line for line in lines if cell_len(line) > columns and not is_one_piece(line)
    ]


def is_one_piece(line: str) -> bool:
    """One word, or one command to copy, whatever stands before it as a mark."""
    text = re.sub(r"^(\w+: )? *(│ *)?", "", line)
    return " " not in text or text.startswith(("stripe-nrr ", "pip install "))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("short", ["short"]),
        ("one two three four", ["one two", "three four"]),
        ("- one two three", ["- one two", "  three"]),
        ("ok  one two three", ["ok  one", "    two", "    three"]),
        ("  one two three", ["  one two", "    three"]),
        ("see `a b c`, then", ["see", "`a b c`,", "then"]),
        ("costs 1.200\xa0€ now", ["costs", "1.200\xa0€", "now"]),
        ("an_id_longer_than_that x", ["an_id_longer_than_that", "x"]),
        ("`a command longer`", ["`a command", "longer`"]),
        ("明和電気 明和", ["明和電気", "明和"]),
    ],
)
def test_where_a_line_ends(line: str, expected: list[str]) -> None:
    assert wrapped(line, 10).split("\n") == expected
