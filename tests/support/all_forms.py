"""Every command in every form, and every page of the dashboard, of the small company."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import pyarrow.parquet

from connector.cli.app import stripe_nrr
from tests.support.commands import Workdir
from tests.support.site import site_of
from tests.support.small_ledger import GROWS

# How each command is asked, without its form; those that give nothing of Stripe's: none.
ASKED: Mapping[str, Sequence[Sequence[str]]] = {
    "report": [
        (),
        ("--by", "product", "--causes"),
        ("--by", "plan"),
        ("--by", "metadata:tier"),
    ],
    "cohorts": [()],
    "at-risk": [()],
    "digest": [("--peek", "--since", "2026-01-01")],
    "churn": [(), ("--by", "plan")],
    "coverage": [()],
    "movements": [(), ("--by", "product"), ("--by", "metadata:tier")],
    "explain": [(GROWS,), ("--window", "2026-03")],
    "drift": [()],
    "compare": [("1000", "--currency", "usd")],
    "reconcile": [("theirs.csv",)],
    "notes": [()],
    "restatements": [()],
    "recompute": [(), (GROWS,)],
    "backup": [("copy.db",)],
    "check": [()],
    "export": [("--what", w) for w in ("movements", "components", "mrr", "customers")],
    "doctor": [("--offline",)],
    "inbox": [()],
    "close": [("2026-03",), ("--withdraw", "2026-03")],
    "note": [("2026-03", "more"), ("2026-03", "of one", "--customer", GROWS)],
    "forget": [(GROWS,)],  # the last: then its name is nowhere
}
ELSEWHERE = {  # shown below, or by what no name of Stripe's goes into
    *("demo", "config", "sync", "dashboard", "mcp", "restore", "lake", "serve"),
    *("webhook-setup", "accounts"),
}


def forms_of(command: str) -> Sequence[str]:
    found = stripe_nrr.get_command(click.Context(stripe_nrr), command)
    assert found is not None, command
    [*chosen] = (p.type.choices for p in found.params if p.name == "form")  # type: ignore[attr-defined]
    return [str(form) for form in chosen[0]]


# --- the dashboard ---

PAGES = [
    *("/", "/window?window=2026-03", "/customers", f"/customer/{GROWS}", "/movements"),
    *("/cohorts", "/at-risk", "/churn", "/coverage", "/restatements", "/differences"),
    *("/?by=product", "/?by=metadata:tier", "/counts"),
]


def as_form(path: str, form: str) -> str:
    before, mark, query = path.partition("?")
    return f"{before if before != '/' else '/overview'}.{form}{mark}{query}"


def all_told(
    workdir: Workdir, instead: Mapping[str, str], without: Sequence[str] = ()
) -> Iterator[tuple[str, bytes]]:
    """What each of them tells, by its name.

    ``instead`` of what is asked for of the small company; ``without`` are left out.
    """
    made = workdir.folder / "made"
    for command, ways in ASKED.items():
        for words in [] if command in without else ways:
            asked = [instead.get(word, word) for word in words]
            for form in forms_of(command):
                given = (command, *asked, "--format", form)
                ran = workdir.call(*given, *(("-o", "made") if form in FILES else ()))
                assert ran.code in {0, 1, 2, 3}, (given, ran.err)
                told = (ran.out + ran.err).encode()
                yield (
                    " ".join(given),
                    told + (read_file(made) if form in FILES else b""),
                )
    with site_of(workdir.folder) as site:
        for page in PAGES:
            path = page
            for before, now in instead.items():
                path = path.replace(before, now)
            for form in ("html", "json", "csv", "xlsx"):
                answer = site.get(path if form == "html" else as_form(path, form))
                is_book = form == "xlsx" and answer.status_code == 200
                if is_book:
                    made.write_bytes(answer.content)
                yield f"{path} {form}", read_file(made) if is_book else answer.content
    made.unlink()


FILES = {"xlsx", "parquet"}


def read_file(path: Path) -> bytes:
    """What a workbook or a table holds, as text."""
    if path.read_bytes()[:2] == b"PK":
        with zipfile.ZipFile(path) as book:
            return b"".join(map(book.read, book.namelist()))
    return str(pyarrow.parquet.read_table(path).to_pylist()).encode()
