"""Reports in German: every text translated, and the same figures as in English."""

import re
import sqlite3
import string
import subprocess
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Message

from connector.core.language import LANGUAGES, _, speaking
from connector.store.ledger.posting import LedgerRun
from tests.render.test_golden import REPORTS
from tests.support import catalogues
from tests.support.books import settle_one
from tests.support.commands import Workdir
from tests.support.schemas import with_theirs
from tests.support.sheets import SOFFICE, needs_libreoffice
from tests.support.synced import settled_demo

OTHERS = catalogues.OTHERS


def lay_out(folder: Path, language: str) -> Workdir:
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    text = f'timezone = "Europe/Berlin"\n[reporting]\nlanguage = "{language}"\n'
    return Workdir(folder).configure(text)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workdir, Workdir]:
    """The same ledger, told in English and in German."""
    english = lay_out(tmp_path_factory.mktemp("en"), "en")
    return english, lay_out(tmp_path_factory.mktemp("de"), "de")


# The catalogues


def translated(code: str) -> list[Message]:
    return [each for each in catalogues.read(code) if each.id]


def forms(message: Message) -> list[tuple[str, str]]:
    """Each English form with its translation."""
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    texts = [message.string] if isinstance(message.string, str) else message.string
    return list(zip(ids, texts or [""] * len(ids), strict=True))


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_is_in_the_catalogue_and_no_other(code: str) -> None:
    found = {each.id for each in translated(code)}
    wanted = {each.id for each in catalogues.template_catalogue() if each.id}
    assert (found - wanted, wanted - found) == (set(), set())


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_is_translated(code: str) -> None:
    missing = [
        each.id
        for each in translated(code)
        if each.fuzzy or not all(text for _id, text in forms(each))
    ]
    assert missing == []


def placeholders(text: str) -> list[str]:
    named = [
        name for _, name, _, _ in string.Formatter().parse(text) if name is not None
    ]
    return sorted({*named, *re.findall(r"%\((\w+)\)s", text)})


@pytest.mark.parametrize("code", OTHERS)
def test_a_translation_has_the_text_s_placeholders(code: str) -> None:
    wrong = [
        (one, text)
        for each in translated(code)
        for one, text in forms(each)
        if placeholders(one) != placeholders(text)
        or one.count("`") != text.count("`")
        or re.findall("<[^>]+>", one) != re.findall("<[^>]+>", text)
        or (one[:1].isspace(), one[-1:].isspace())
        != (text[:1].isspace(), text[-1:].isspace())
    ]
    assert wrong == []


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_read_is_what_was_translated(code: str) -> None:
    """The compiled catalogue is the text beside it; see ``catalogues``."""
    compiled = catalogues.path_of(code, "mo").read_bytes()
    assert compiled == catalogues.mo_bytes(catalogues.read(code))


def test_a_language_is_spoken_where_it_was_asked_for_alone() -> None:
    with speaking("de"):
        assert _("Customer") == "Kunde"
    assert _("Customer") == "Customer"


# Reports


DAYS = r"\d{4}-\d{2}-\d{2}|\d{2}\.\d{2}\.\d{4}|\d{1,2} \w{3} \d{4}"
MONTHS = "|".join(
    [each.rstrip(".") for each in LANGUAGES["de"].months]
    + [f"{date(2026, month, 1):%b}" for month in range(1, 13)]
)


def figures(text: str) -> list[str]:
    """Every number in its order, but for days and months, without marks in it."""
    plain = re.sub(rf"{DAYS}|\d{{4}}-\d{{2}}\b|(?:{MONTHS})\.? \d{{4}}", "", text)
    whole = re.sub(r"(?<=\d)k\b", ",000", plain.replace("Q", " "))
    numbers = re.findall(r"[−+-]?[$€]?\d[\d.,]*", whole)
    return [re.sub(r"\D", "", each) for each in numbers]


TOLD = [
    pytest.param(name, form, id=f"{name} as {form}")
    for name, (_words, forms) in REPORTS.items()
    for form in forms
]


@pytest.mark.parametrize(("name", "form"), TOLD)
def test_both_languages_tell_the_same_figures(
    both: tuple[Workdir, Workdir], name: str, form: str
) -> None:
    words, _forms = REPORTS[name]
    english, german = (each.call(*words.split(), "--format", form) for each in both)
    assert (english.code, german.code) == (0, 0)
    if form in ("json", "csv"):  # for programs: in no language
        moment = r'"generated_at": ".*?"'
        assert re.sub(moment, "", german.out) == re.sub(moment, "", english.out)
        return
    ours, theirs = figures(german.out), figures(english.out)
    if form == "text":  # longer words: where there is no room, a column is left out
        assert set(ours) <= set(theirs)
    else:
        assert sorted(ours) == sorted(theirs)
    assert german.out != english.out


ENGLISH = re.compile(
    r"\b(the|and|customers?|opening|closing|churn|renewed|since|months?|of)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize(("name", "form"), TOLD)
def test_no_english_is_left(
    both: tuple[Workdir, Workdir], name: str, form: str
) -> None:
    if form in ("json", "csv"):
        return
    words, _forms = REPORTS[name]
    out = both[1].call(*words.split(), "--format", form).out
    plain = re.sub(r"`[^`]*`", "", out)
    assert sorted({found[0] for found in ENGLISH.finditer(plain)}) == []


def test_the_page_says_which_language_it_is_in(both: tuple[Workdir, Workdir]) -> None:
    for each, code in zip(both, ("en", "de"), strict=True):
        page = each.call("report", "--format", "html").out
        assert f'<html lang="{code}">' in page


def test_the_locale_follows_the_language_unless_it_is_told(tmp_path: Path) -> None:
    german = lay_out(tmp_path, "de")
    words = ("report", "--to", "2026-10", "--format", "markdown")
    assert "27.952,60\N{NO-BREAK SPACE}$" in german.call(*words).out
    text = (german.folder / "config.toml").read_text() + 'locale = "en_US"\n'
    assert "$27,952.60" in german.configure(text).call(*words).out


def test_an_unknown_language_is_a_fault(tmp_path: Path) -> None:
    done = lay_out(tmp_path, "tlh").call("report")
    assert done.code == 1
    assert 'a language: "en" or "de"' in done.err
    assert set(LANGUAGES) == {"en", "de"}


# What else is told, and what the ledger keeps in words

ALSO = {
    "explain {customer}": ("text",),
    "explain {customer} --on 2026-10-01": ("text",),
    "digest --peek --since 2026-03-01": ("text", "markdown", "slack", "html"),
    "reconcile theirs.csv": ("text", "html"),
    "restatements": ("text",),
    "notes": ("text",),
    "inbox": ("text",),
}


@pytest.fixture(scope="module")
def lived_in(both: tuple[Workdir, Workdir]) -> tuple[Workdir, Workdir]:
    """With a month that was closed and is another one since, a note, another's file."""
    for each in both:
        with_theirs(each)
        assert each.call("note", "2026-03", "1").code == 0
        assert each.call("close", "2026-06", "--despite", "-").code == 0
        with closing(sqlite3.connect(each.ledger)) as connection, connection:
            later = datetime(2026, 11, 3, tzinfo=UTC)
            [policy] = connection.execute("SELECT max(policy) FROM runs").fetchone()
            run = LedgerRun(connection, later, "sync", code_version="1", policy=policy)
            settle_one(connection, run, FIRST, [])
    return both


FIRST = "cus_1qyw2BMPorWZ65"  # of the demo's


@pytest.mark.parametrize(
    ("words", "form"),
    [(words, form) for words, forms in ALSO.items() for form in forms],
)
def test_the_rest_is_told_in_german_too(
    lived_in: tuple[Workdir, Workdir], words: str, form: str
) -> None:
    who = lived_in[0].call("movements", "--format", "json").json["movements"][-1]
    line = words.format(customer=who["customer"]).split()
    english, german = (each.call(*line, *_as(line, form)) for each in lived_in)
    assert english.code == german.code
    assert german.out != english.out
    plain = re.sub(
        r"`[^`]*`|<style>.*?</style>|<[^>]+>", "", german.out, flags=re.DOTALL
    )
    assert sorted({found[0] for found in ENGLISH.finditer(plain)}) == []
    if form == "text" and "doctor" not in words:
        assert set(figures(german.out)) == set(figures(english.out))


def _as(line: list[str], form: str) -> list[str]:
    has_forms = line[0] not in ("explain", "restatements", "check", "inbox", "doctor")
    return ["--format", form] if has_forms else []


def test_the_demo_speaks_as_the_configuration_here(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path).configure('[reporting]\nlanguage = "de"\n')
    out = workdir.call("demo", "--keep", "kept").out
    assert "27.952,60\N{NO-BREAK SPACE}$" in out
    plain = re.sub(r"Customers, .*|stripe-nrr .*", "", out)
    assert sorted({found[0] for found in ENGLISH.finditer(plain)}) == []
    kept = workdir.call("--config", "kept/config.toml", "notes").out
    assert kept == "Es ist nichts notiert.\n"


# CSV for a German Excel


@needs_libreoffice
def test_excel_opens_numbers_as_numbers(
    both: tuple[Workdir, Workdir], tmp_path: Path
) -> None:
    """LibreOffice with a German locale reads what the JSON says."""
    assert SOFFICE is not None
    words = ("report", "--to", "2026-10", "--format", "csv")
    made = tmp_path / "report.csv"
    both[1].call(*words, "--dialect", "excel-de", "-o", str(made))
    assert made.read_bytes().startswith(b"\xef\xbb\xbfcurrency;window;from;")
    german = "CSV:59,34,76,1,,1031,false,true"
    subprocess.run(
        [
            *(
                SOFFICE,
                "--headless",
                f"-env:UserInstallation=file://{tmp_path}/profile",
            ),
            *(
                f"--infilter={german}",
                "--convert-to",
                "fods",
                "--outdir",
                str(tmp_path),
            ),
            str(made),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    sheet = (tmp_path / "report.fods").read_text("utf-8")
    numbers = set(re.findall(r'value-type="float" office:value="([^"]+)"', sheet))
    assert {"27952.6", "1.066299", "147"} <= numbers
    assert "2025-11-01" in set(re.findall(r'office:date-value="([^"]+)"', sheet))


@pytest.mark.parametrize("what", ["mrr", "movements", "customers"])
def test_an_export_has_the_dialect_too(
    both: tuple[Workdir, Workdir], what: str
) -> None:
    out = both[1].call("export", "--what", what, "--dialect", "excel-de").out
    plain = both[1].call("export", "--what", what).out
    assert out[0] == "\ufeff"
    assert out[1:].splitlines()[0] == plain.splitlines()[0].replace(",", ";")
