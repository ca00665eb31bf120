"""All that Stripe tells is text, in every command, form, page and tool that there is.

Here everything that people choose at Stripe is hostile at once: names, the ids of prices,
products and coupons, metadata, the account's own name, and what is noted of a month.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import pytest

from connector.assistants.tools import TOOLS
from connector.cli.app import stripe_nrr
from connector.core.account import StripeIdentity
from connector.store.account import belong_to
from connector.store.database import transaction
from connector.store.opening import open_database
from tests.assistants.asked import ask
from tests.cli.test_hostile_names import CONTROL, HOSTILE, elements, is_harmless
from tests.support.all_forms import ASKED, ELSEWHERE, PAGES, as_form, forms_of
from tests.support.commands import Workdir
from tests.support.site import Site, site_of
from tests.support.small_ledger import GROWS, account, lay_out_of

LONG = "=<img src=x onerror=1>[x](y)|`" + "long " * 2_000
# Half a character is in no JSON that Stripe sends.
ALL = " ".join(text.strip() for text in HOSTILE if "half" not in text)
TEXTS = [
    "Plain",
    *(start + ALL for start in ("", "=", "+", "-", "@", "\t=", "＝")),
    LONG,
]
CONFIG = 'timezone = "UTC"\n[customers]\nmetadata = ["tier"]\n'


def everything_is(text: str, folder: Path) -> Workdir:
    shown: Any = json.dumps(account(text))
    told = json.loads(shown)
    named = [f"{text[:200]} {number}" for number in range(20)]
    renamed = {
        thing["id"]: name
        for thing, name in zip(
            [*told["prices"], *told["products"]], named, strict=False
        )
    }
    for old, new in renamed.items():
        shown = shown.replace(json.dumps(old), json.dumps(new))
    told = json.loads(shown)
    for price in told["prices"]:
        price.update(nickname=text, lookup_key=text)
    for invoice in told["invoices"]:
        for line in invoice["lines"]["data"]:
            line["description"] = text
    config = f"{CONFIG}label = {json.dumps('name')}\n"
    workdir = lay_out_of(folder, told, config)
    with closing(open_database(workdir.ledger)) as db, transaction(db):
        name = StripeIdentity(id="acct_1", name=text, livemode=False)
        belong_to(db, name)
    rows = [["customer", "customer_name", "month", "mrr", "currency"]]
    rows += [[key, text, "2026-03", "12.00", "usd"] for key in (GROWS, text)]
    made = io.StringIO()
    csv.writer(made).writerows(rows)
    (folder / "theirs.csv").write_text(made.getvalue(), "utf-8", "replace")
    return workdir


def test_every_command_is_asked_here_or_known_to_tell_no_name() -> None:
    commands = set(stripe_nrr.list_commands(click.Context(stripe_nrr)))
    assert commands - ELSEWHERE == ASKED.keys()


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text)[:8])
def test_in_every_command_and_form(text: str, tmp_path: Path) -> None:
    workdir = everything_is(text, tmp_path)
    noted = workdir.call("note", "2026-03", text[:400])
    assert noted.code in {0, 2}, noted.err
    for command, ways in ASKED.items():
        for words in ways:
            for form in forms_of(command):
                given = (command, *words, "--format", form)
                if form in {"xlsx", "parquet"}:
                    ran = workdir.call(*given, "-o", "made")
                    assert ran.code == 0, (given, ran.err)
                    check_file(form, tmp_path / "made", text)
                    continue
                ran = workdir.call(*given)
                assert ran.code in {0, 1, 2, 3}, (given, ran.err)
                assert "Traceback" not in ran.err, (given, ran.err)
                assert not CONTROL.search(ran.err), given
                CHECKS[form](ran.out, given)


def check_text(out: str, given: Sequence[str]) -> None:
    assert not CONTROL.search(out), given


def check_csv(out: str, given: Sequence[str]) -> None:
    check_text(out, given)
    rows = list(csv.reader(io.StringIO(out)))
    assert len({len(row) for row in rows}) <= 1, given
    assert all(is_harmless(cell) for row in rows for cell in row), given


def check_markdown(out: str, given: Sequence[str]) -> None:
    check_text(out, given)
    rest = re.sub(r"`stripe-nrr [^`]*`|(?m:^Ledger of `[^`]*`)", "", out)
    assert not re.search(r"(?<!\\)[<`]", rest), (given, rest)


def check_json(out: str, given: Sequence[str]) -> None:
    assert out.isascii(), given
    if out.strip():
        json.loads(out)


def check_slack(out: str, given: Sequence[str]) -> None:
    check_json(out, given)
    for said in strings(json.loads(out)):
        assert not CONTROL.search(said), given
        assert not re.search(r"<(?!https://|http://127)[!@#]?", said), (given, said)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def check_html(out: str, given: Sequence[str]) -> None:
    assert not CONTROL.search(out), given
    found = elements(out)
    names = {key for _, keys in found for key in keys}
    assert not {name for name in names if name.startswith("on")}, given
    assert not [tag for tag, _ in found if tag in {"img", "iframe"}], given
    assert "<script>alert" not in out, given


CHECKS = {
    "text": check_text,
    "csv": check_csv,
    "markdown": check_markdown,
    "json": check_json,
    "slack": check_slack,
    "html": check_html,
}


def check_file(form: str, path: Path, text: str) -> None:
    if form == "parquet":
        assert path.read_bytes()[:4] == b"PAR1"
        return
    with zipfile.ZipFile(path) as book:
        for name in book.namelist():
            if name.endswith((".xml", ".rels")):
                root = ET.fromstring(book.read(name))  # noqa: S314 - of our own making
                for formula in root.iter():
                    if formula.tag.endswith("}f"):
                        assert text == "Plain" or text not in str(formula.text), name


# --- the dashboard, and the assistant's tools ---


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text)[:8])
def test_in_every_page_of_the_dashboard(text: str, tmp_path: Path) -> None:
    everything_is(text, tmp_path)
    with site_of(tmp_path) as site:
        for path in PAGES:
            page = site.get(path)
            assert page.status_code == 200, (path, page.text[:400])
            check_html(page.text, [path])
            for form in ("csv", "json", "xlsx"):
                check_answer(site, as_form(path, form), form, tmp_path, text)


def check_answer(site: Site, path: str, form: str, folder: Path, text: str) -> None:
    answer = site.get(path)
    assert answer.status_code in {200, 404}, (path, answer.text[:400])
    if answer.status_code == 404:
        return
    if form == "xlsx":
        (folder / "made").write_bytes(answer.content)
        check_file(form, folder / "made", text)
    else:
        CHECKS[form](answer.content.decode("utf-8-sig"), [path])


@pytest.mark.parametrize("text", ["Plain", ALL, LONG])
def test_in_every_tool_of_an_assistant(text: str, tmp_path: Path) -> None:
    workdir = everything_is(text, tmp_path)
    given = {"customer": GROWS, "window": "2026-03", "month": "2026-03"}
    questions = [
        (name, {key: given[key] for key in tool.required})
        for name, tool in TOOLS.items()
    ]
    _, results = ask(workdir, questions)
    for (name, _), result in zip(questions, results, strict=True):
        for content in result.content:
            assert not CONTROL.search(content.text), name
