"""A customer's or product's name is text, in every command and every form.

A name is whatever somebody typed at a checkout. It may look like markup, a formula, a
command to a terminal; it must come out as what it is.
"""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connector.core.text import markdown, printable, printable_lines, spreadsheet
from tests.support.commands import Workdir
from tests.support.served import PATIENCE_S
from tests.support.small_ledger import GROWS, lay_out, lay_out_of, plain_account

HOSTILE = [
    "X [/sales]",
    "Pro [legacy]",
    "[bold red]not bold[/]",
    ":boom: [link=https://evil.example]here[/link]",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "\x9b31mC1\x85",
    "NUL\x00 and \u202egnp.exe\u2066",
    "two\nlines\r\nof error: forged",
    '=HYPERLINK("https://evil.example";"x")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "＝1+1",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a | b `c` *d* [e](https://evil.example) www.evil.example &lt;",
    "{{ 7 * 7 }} {% raw %} %s {0}",
    "'); DROP TABLE movements; --",
    '\\" # quote } 1\n# HELP',
    "del\x7f and \xa0blank",
    "\ud800 half",
]
# Printable and not, and what forms have a meaning for, more often than by chance.
names = st.text(
    st.one_of(
        st.sampled_from(
            "[]()<>&|`*_~=+-@\t\r\n\x00\x1b\x07\x9b\u202e\u2028'\"\\/#$%{}:;,"
        ),
        st.characters(codec="utf-8"),
    ),
    min_size=1,
    max_size=30,
).filter(lambda name: bool(name.strip()))
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
# A figure below zero may begin as a formula does; nothing else may.
FIGURE = re.compile(r"-\d+([.,]\d+)?")


# Another tool's files, as ``another_tool`` lays them out.
THEIRS = ("months", "wide", "changes", "no_file", "no_month")
TEXT: Sequence[Sequence[str]] = [
    ("report",),
    ("report", "--by", "product", "--causes"),
    ("report", "--by", "plan"),
    ("report", "--by", "metadata:tier"),
    ("cohorts",),
    ("at-risk",),
    ("movements",),
    ("movements", "--by", "product"),
    ("movements", "--by", "metadata:tier"),
    ("explain", "--window", "2026-03"),
    ("explain", GROWS),
    ("explain", "a"),
    ("drift",),
    ("restatements",),
    ("check",),
    ("inbox",),
    ("doctor", "--offline"),
    ("recompute",),
    ("churn",),
    ("churn", "--by", "plan"),
    ("coverage",),
    *(("reconcile", f"{name}.csv") for name in THEIRS),
]
CSV: Sequence[Sequence[str]] = [
    ("report", "--by", "product", "--format", "csv"),
    ("report", "--by", "metadata:tier", "--format", "csv"),
    ("cohorts", "--format", "csv"),
    ("at-risk", "--format", "csv"),
    ("movements", "--format", "csv"),
    ("movements", "--by", "plan", "--format", "csv"),
    ("explain", "--window", "2026-03", "--format", "csv"),
    ("drift", "--format", "csv"),
    ("restatements", "--format", "csv"),
    ("churn", "--format", "csv"),
    ("churn", "--by", "metadata:tier", "--format", "csv"),
    ("coverage", "--format", "csv"),
    *(("export", "--what", w) for w in ("movements", "components", "mrr", "customers")),
]
MARKDOWN: Sequence[Sequence[str]] = [
    ("report", "--by", "product", "--causes", "--format", "markdown"),
    ("report", "--by", "metadata:tier", "--format", "markdown"),
    ("at-risk", "--format", "markdown"),
    ("cohorts", "--format", "markdown"),
    ("drift", "--format", "markdown"),
    ("churn", "--format", "markdown"),
    ("churn", "--by", "metadata:tier", "--format", "markdown"),
    ("coverage", "--format", "markdown"),
]
JSON: Sequence[Sequence[str]] = [
    ("report", "--by", "product", "--format", "json"),
    ("movements", "--format", "json"),
    ("explain", GROWS, "--format", "json"),
    ("at-risk", "--format", "json"),
]


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(
        self, tag: str, attrs: Sequence[tuple[str, str | None]]
    ) -> None:
        self.found.append((tag, tuple(key for key, _ in attrs)))


def elements(page: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


def is_harmless(cell: str) -> bool:
    return (
        not cell[:1]
        or cell[0] not in "=+-@\t\r＝＋－＠"
        or bool(FIGURE.fullmatch(cell))
    )


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(name=names)
@example("X [/sales]")
@example("0\t")
@example("\x1b]0;owned\x07\n=1+1")
@example("-2+3 | <script> `x` [a](b)")
def test_a_name_is_text_in_every_command_and_form(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workdir = lay_out(Path(folder), name)
        another_tool(Path(folder), name)
        for words in TEXT:
            ran = workdir.call(*words)
            assert "Traceback" not in ran.err, (words, ran.err)
            assert ran.code in {0, 1, 2, 3}, (words, ran.err)
            assert not CONTROL.search(ran.out + ran.err), (words, ran.out)
        told = workdir.call("restatements").out + workdir.call("movements").out
        assert printable(name).split()[0][:8] in told
        for words in CSV:
            ran = workdir.call(*words)
            assert ran.code == 0, (words, ran.err)
            assert re.fullmatch(r"(warning: The last sync .*\n)?", ran.err), ran.err
            assert not CONTROL.search(ran.out), words
            cells = [cell for row in csv.reader(io.StringIO(ran.out)) for cell in row]
            assert all(map(is_harmless, cells)), (words, cells)
            german = workdir.call(*words, "--dialect", "excel-de").out
            lines = list(csv.reader(io.StringIO(german[1:]), delimiter=";"))
            assert len({len(line) for line in lines}) == 1, words
            assert all(is_harmless(cell) for line in lines for cell in line), words
        exported = workdir.call("export", "--what", "customers").out
        rows = list(csv.DictReader(io.StringIO(exported)))
        assert {row["label"] for row in rows} == {spreadsheet(name)}
        for words in MARKDOWN:
            ran = workdir.call(*words)
            assert ran.code == 0, (words, ran.err)
            assert re.fullmatch(r"(warning: The last sync .*\n)?", ran.err), ran.err
            assert not CONTROL.search(ran.out), words
            rest = re.sub(r"`stripe-nrr [^`]*`", "", ran.out)
            rest = rest.replace(markdown(name), "")
            assert not re.search(r"(?<!\\)[<`]", rest), (words, rest)
        for words in JSON:
            ran = workdir.call(*words)
            assert ran.code == 0, (words, ran.err)
            assert ran.json is not None
            assert ran.out.isascii()
        page = workdir.call("report", "--by", "product", "--format", "html").out
        assert not CONTROL.search(page)
        assert elements(page) == elements(plain_page())


@cache
def plain_page() -> str:
    """The same page of a business whose names are nothing but names."""
    with tempfile.TemporaryDirectory() as folder:
        plain = lay_out(Path(folder), "Plain")
        return plain.call("report", "--by", "product", "--format", "html").out


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_every_form_of_a_name(name: str) -> None:
    assert not CONTROL.search(printable(name))
    assert "\n" not in printable(name)
    assert not CONTROL.search(printable_lines(name).replace("\t", ""))
    assert is_harmless(spreadsheet(name))
    assert not re.search(r"(?<!\\)[|<`\[\]]", markdown(name))
    printable(name).encode()


@pytest.mark.parametrize(
    ("name", "shown", "in_a_cell", "in_markdown"),
    [
        ("Acme", "Acme", "Acme", "Acme"),
        ("Müller & Söhne", "Müller & Söhne", "Müller & Söhne", "Müller & Söhne"),
        (
            "明和電気 👩\u200d💻",
            "明和電気 👩\u200d💻",
            "明和電気 👩\u200d💻",
            "明和電気 👩\u200d💻",
        ),
        ("\x1b[2J", r"\x1b[2J", r"\x1b[2J", r"\\x1b\[2J"),
        ("=1+1", "=1+1", "'=1+1", "=1+1"),
        (" -1", " -1", "' -1", " -1"),
        ("\t@x", r"\t@x", r"'\t@x", r"\\t@x"),
        ("a|b", "a|b", "a|b", r"a\|b"),
        ("a_b _c_", "a_b _c_", "a_b _c_", r"a_b \_c\_"),
        ("&lt; R&D", "&lt; R&D", "&lt; R&D", r"\&lt; R&D"),
        (
            "https://x.example",
            "https://x.example",
            "https://x.example",
            r"https:\//x.example",
        ),
        ("\u202egpj", r"\u202egpj", r"\u202egpj", r"\\u202egpj"),
    ],
)
def test_a_name_as_it_is_shown(
    name: str, shown: str, in_a_cell: str, in_markdown: str
) -> None:
    assert printable(name) == shown
    assert spreadsheet(name) == in_a_cell
    assert markdown(name) == in_markdown


def on_a_terminal(workdir: Workdir, *words: str) -> str:
    """What a process writes to a pseudo-terminal, 200 columns wide."""
    ours, theirs = pty.openpty()
    environment = {**workdir.environment(), "COLUMNS": "200", "TERM": "xterm-256color"}
    with subprocess.Popen(
        workdir.command(*words),
        cwd=workdir.folder,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = bytearray()
        with suppress(OSError):  # the other end is closed
            while some := os.read(ours, 65_536):
                written += some
        os.close(ours)
        process.wait(PATIENCE_S)
    return written.decode()


COLOUR = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.parametrize(
    "words",
    [
        ("movements",),
        ("movements", "--by", "product", "--format", "csv"),
        ("at-risk",),
        ("report", "--by", "product", "--causes"),
        ("explain", "--window", "2026-03"),
        ("explain", "/sales"),
        ("export", "--what", "customers"),
    ],
    ids=" ".join,
)
def test_nothing_in_a_name_commands_a_terminal(
    tmp_path: Path, words: Sequence[str]
) -> None:
    name = "\x1b]0;owned\x07X [/sales]\x1b[31m\x9b2J\u202e\x00"
    workdir = lay_out(tmp_path, name)
    seen = on_a_terminal(workdir, *words)
    assert "Traceback" not in seen
    assert r"\x1b]0;owned\x07X [/sales]\x1b[31m" in seen
    assert not CONTROL.search(COLOUR.sub("", seen).replace("\r\n", "\n"))


def test_a_name_in_a_log_is_one_line() -> None:
    code = (
        "import logging; from connector.cli.shell import Shell\n"
        "Shell(None, 0).log_to_stderr()\n"
        "logging.getLogger('x').warning('said %s', 'a\\nERROR forged \\x1b[2J')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    [line] = done.stderr.splitlines()
    assert line.endswith(r'level=WARNING event=x why="said a\nERROR forged \u001b[2J"')


def another_tool(folder: Path, name: str) -> None:
    """Its files, in which customers are called so; two of them can be held to nothing."""
    months = ["2026-02", "2026-03"]
    day = "2026-02-03"
    tables: dict[str, list[list[str]]] = {
        "months": [["customer", "customer_name", "month", "mrr", "currency"]]
        + [
            [key, name, month, "12.00", "usd"]
            for key in (GROWS, name)
            for month in months
        ],
        "wide": [["customer", name, *months], [GROWS, name, "1", "2"]],
        "changes": [["customer", "name", "date", "change", "reason", "currency"]]
        + [[key, name, day, "5.00", name, "usd"] for key in (GROWS, name)],
        "no_file": [[name, f"{name} too"], ["a", "b"]],
        "no_month": [["customer", "month", "mrr"], ["a", name, "1"]],
        name_of_file(name): [["customer", "month", "mrr"], [GROWS, months[0], "1"]],
    }
    for title, rows in tables.items():
        text = io.StringIO()
        csv.writer(text).writerows(rows)
        (folder / f"{title}.csv").write_text(text.getvalue(), "utf-8", "replace")


def name_of_file(name: str) -> str:
    return (
        name.encode("utf-8", "replace").decode().replace("/", "").replace("\0", "")[:60]
    )


@pytest.mark.parametrize("name", HOSTILE, ids=repr)
def test_what_is_in_another_tool_s_file_is_text(tmp_path: Path, name: str) -> None:
    """Its columns, cells and its own name, also in what is wrong with it."""
    workdir = lay_out(tmp_path, "Plain")
    another_tool(tmp_path, name)
    for title in (*THEIRS, name_of_file(name)):
        for form in ("text", "csv", "json", "html"):
            ran = workdir.call("reconcile", f"./{title}.csv", "--format", form)
            assert ran.code in {0, 2, 3}, (title, ran.err)
            assert not CONTROL.search(ran.out + ran.err), (title, form)
            if form == "html":
                assert "<img" not in ran.out
                assert "<script>alert" not in ran.out
                keys = [key for _, keys in elements(ran.out) for key in keys]
                assert not any(key.startswith("on") for key in keys)
            if form == "csv":
                cells = [c for row in csv.reader(io.StringIO(ran.out)) for c in row]
                assert all(map(is_harmless, cells)), cells


KEYS = ["[bold]k", "<b>k`", "k|\x1b[2J", "=k", "\u202ek", "k\nl"]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_a_key_of_metadata_is_text(tmp_path: Path, key: str) -> None:
    """As a heading of columns, and of a report of one segment."""
    value = "=1 [x] <i>`\x1b[2J"
    shown = json.loads(plain_account())
    for customer in shown["customers"]:
        customer["metadata"] = {key: value}
    config = f"[customers]\nmetadata = [{json.dumps(key)}]\n"
    workdir = lay_out_of(tmp_path, shown, f'timezone = "UTC"\n{config}')
    by = f"metadata:{key}"
    for words in (
        ("report", "--by", by),
        ("report", "--segment", f"{by}={value}"),
        ("churn", "--by", by),
        ("explain", "--window", "2026-03", "--segment", f"{by}={value}"),
        ("movements", "--by", by),
    ):
        forms = ["text", "json", "csv"]
        for form in [
            *forms,
            *(["markdown"] if words[0] in {"report", "churn"} else []),
        ]:
            ran = workdir.call(*words, "--format", form)
            assert ran.code == 0, (words, ran.err)
            assert not CONTROL.search(ran.out + ran.err), (words, form)
            if form == "csv":
                rows = list(csv.reader(io.StringIO(ran.out)))
                assert all(is_harmless(cell) for row in rows for cell in row)
            if form == "text":
                assert "\nl" not in ran.out, "one line"
            if form == "markdown":
                rest = re.sub(r"`stripe-nrr [^`]*`", "", ran.out)
                assert not re.search(r"(?<!\\)[<`]|\nl", rest), (words, rest)


@pytest.mark.parametrize(
    "words", [("movements",), ("churn",), ("at-risk",)], ids=" ".join
)
def test_json_on_a_terminal_is_json(tmp_path: Path, words: Sequence[str]) -> None:
    workdir = lay_out(tmp_path, "\x1b]0;owned\x07[red]\x9b2J\u202e")
    seen = on_a_terminal(workdir, *words, "--format", "json")
    assert seen.isascii()
    assert not CONTROL.search(seen.replace("\r\n", "\n"))
    assert json.loads(seen[seen.index("{") :])["schema"] == 1
