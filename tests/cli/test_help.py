"""What `--help` says: of every command, in the language that the configuration names.

``pytest --accept`` rewrites fixtures/output/help; git shows the difference.
"""

import re
from pathlib import Path

import click
import pytest

from connector.cli.app import COMMANDS, stripe_nrr
from connector.cli.help_texts import told
from connector.core.language import LANGUAGES
from tests.support import catalogues
from tests.support.commands import Workdir
from tests.support.folders import FIXTURES

GOLDEN = FIXTURES / "output" / "help"
COLUMNS = 80
TO_COPY = "    stripe-nrr "  # a line of its own, whatever its length
BELOW = {"config": [("init",)], "inbox": [("retry",)]}
PATHS = [
    (),
    *((name, *each) for name in COMMANDS for each in [(), *BELOW.get(name, [])]),
]


def speaking(folder: Path, code: str) -> Workdir:
    return Workdir(folder).configure(f'[reporting]\nlanguage = "{code}"\n')


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_command_s_help_is_as_it_was_accepted(
    tmp_path: Path, code: str, pytestconfig: pytest.Config
) -> None:
    workdir = speaking(tmp_path, code)
    parts = []
    for words in PATHS:
        ran = workdir.call(*words, "--help", columns=COLUMNS)
        assert (ran.code, ran.err) == (0, "")
        parts.append(f"$ {' '.join(['stripe-nrr', *words, '--help'])}\n{ran.out}")
    text = "\n".join(parts)
    too_long = [line for line in text.splitlines() if len(line) > COLUMNS]
    assert [each for each in too_long if not each.startswith(TO_COPY)] == []
    kept = GOLDEN / f"{code}.txt"
    if pytestconfig.getoption("--accept"):
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


def texts() -> list[str]:
    """All that is said in a help, but for names."""
    found: list[str] = []

    def say(text: str) -> str:
        found.append(text)
        return text

    for name in COMMANDS:
        command = stripe_nrr.get_command(click.Context(stripe_nrr), name)
        assert command is not None
        told(command, say)
    told(stripe_nrr, say)
    return sorted({text for text in (*found, *COMMANDS.values()) if " " in text})


@pytest.mark.parametrize("code", catalogues.OTHERS)
def test_no_text_of_a_help_is_left_in_english(code: str) -> None:
    said = {each.id: each.string for each in catalogues.read(code)}
    assert [text for text in texts() if said[text] in ("", text)] == []


ENGLISH = re.compile(
    r"\b(the|and|of|for|is|are|with|only|each|every|what|it|its|Usage|Options|Commands|"
    r"Examples?|default|required|Show|exit|FILE|PATH|YYYY|OPTIONS)\b"
)


def test_no_word_of_english_is_left() -> None:
    german = (GOLDEN / "de.txt").read_text(encoding="utf-8")
    names = r"^ +stripe-nrr .*$|^\$ .*$|`[^`]*`|--[\w-]+|\w+:\w+"
    plain = re.sub(names, "", german, flags=re.MULTILINE)
    assert len(plain) > len(german) / 2
    assert [found[0] for found in ENGLISH.finditer(plain)] == []


def test_what_an_example_says_to_people_is_in_german_too() -> None:
    """Why a month is closed, say: it is copied with the command."""
    english, german = (
        set(re.findall(r'^ +stripe-nrr .*"([A-Za-z][^"]* [^"]*)"', text, re.MULTILINE))
        for text in (
            (GOLDEN / f"{code}.txt").read_text(encoding="utf-8")
            for code in ("en", "de")
        )
    )
    assert len(english) >= 4
    assert english & german == {"Ada Byron"}


# Which language it is in: before anything else is read of the configuration.

CONFIGURATIONS = {
    "none": ("", "Usage:"),
    "English": ('[reporting]\nlanguage = "en"\n', "Usage:"),
    "German": ('[reporting]\nlanguage = "de"\n', "Aufruf:"),
    "with its section before it": ('reporting.language = "de"\n', "Aufruf:"),
    "in one line": ("reporting = { locale = 'de_AT', language = 'de' }\n", "Aufruf:"),
    "as a comment": ('[reporting]\n# language = "de"\n', "Usage:"),
    "an unknown one": ('[reporting]\nlanguage = "tlh"\n', "Usage:"),
    "wrong otherwise": ('nonsense = 7\n[reporting]\nlanguage = "de"\n', "Aufruf:"),
    "no TOML at all": ("}{\n", "Usage:"),
}


@pytest.mark.parametrize(("text", "first"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_it_is_in_the_language_that_the_configuration_names(
    tmp_path: Path, text: str, first: str
) -> None:
    workdir = Workdir(tmp_path).configure(text)
    for words in PATHS[:3]:
        ran = workdir.call(*words, "--help")
        assert (ran.code, ran.out.split()[0], ran.err) == (0, first, "")


def test_of_another_file_it_is_that_one_s(tmp_path: Path) -> None:
    (tmp_path / "de.toml").write_text('[reporting]\nlanguage = "de"\n')
    workdir = Workdir(tmp_path).configure("")
    assert workdir.call("--help").out.startswith("Usage:")
    for named in (("--config", "de.toml"), ("--config=de.toml",)):
        assert workdir.call(*named, "report", "--help").out.startswith("Aufruf:")
    missing = workdir.call("--config", "no.toml", "report", "--help")
    assert missing.out.startswith("Usage:")


def test_the_environment_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report by hand and one by a scheduler are in one language, and so is help."""
    for name in ("LANGUAGE", "LC_ALL", "LANG"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    assert Workdir(tmp_path).configure("").call("--help").out.startswith("Usage:")


# Wrong usage


@pytest.mark.parametrize("words", [(), ("config",)], ids=["no command", "a group"])
@pytest.mark.parametrize(("code", "first"), [("en", "Usage:"), ("de", "Aufruf:")])
def test_who_names_no_command_is_shown_which_there_are(
    tmp_path: Path, words: tuple[str, ...], code: str, first: str
) -> None:
    workdir = speaking(tmp_path, code)
    ran = workdir.call(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == workdir.call(*words, "--help").out
    assert ran.err.startswith(first)


def test_where_all_is_json_an_error_says_so(tmp_path: Path) -> None:
    ran = Workdir(tmp_path).configure("").call("--log-format", "json", "config")
    assert ran.code == 2
    assert '"why": "Missing command."' in ran.err


WRONG = {
    "explain --on": (
        "Die Option '--on' braucht einen Wert.",
        "siehe `stripe-nrr explain --help`",
    ),
    "close": ("Das Argument 'MONAT' fehlt.", "siehe `stripe-nrr close --help`"),
    "lake a b --processes x": (
        "Ungültiger Wert für '--processes': 'x' ist kein gültiger Wert (ganze Zahl).",
        "siehe `stripe-nrr lake --help`",
    ),
    "-v": ("Der Befehl fehlt.", "siehe `stripe-nrr --help`"),
    "config begin": (
        "Es gibt keinen Befehl 'begin'.",
        "siehe `stripe-nrr config --help`",
    ),
}


@pytest.mark.parametrize(("words", "said"), WRONG.items(), ids=WRONG)
def test_wrong_usage_is_told_in_german(
    tmp_path: Path, words: str, said: tuple[str, str]
) -> None:
    ran = speaking(tmp_path, "de").call(*words.split())
    assert (ran.code, ran.err) == (2, f"Fehler: {said[0]}\n  Abhilfe: {said[1]}\n")
