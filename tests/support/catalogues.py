"""The catalogues of translations: what is extracted, brought up to date, compiled.

``python -m tests.support.catalogues`` finds every text in the package, brings each
language's ``.po`` up to date (a new text is there without its translation, what is used no
more is gone), and writes the ``.mo`` beside it, which the package reads. Both are kept.
"""

import ast
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from connector.cli.app import COMMANDS, stripe_nrr
from connector.cli.help_texts import told
from connector.core.dates import EPOCH
from connector.core.figures import Waterfall, names_of
from connector.core.language import DOMAIN, LANGUAGES
from connector.core.messages import CONTEXT
from connector.core.model import ACCOUNT, SEGMENTS, Cause, MovementKind
from connector.core.policy import POLICY_RULES
from connector.metrics.benchmarks import parse_benchmarks
from connector.metrics.published_formulas import FORMULAS
from connector.mrr.risks import RiskReason
from connector.reconcile.files.headers import FileKind
from connector.render.report.reasons import REASON_WORDS
from connector.reports.benchmarks import PUBLISHED
from connector.stripe_api.lists import LISTINGS
from connector.valuation.reconciliation import GapReason
from tests.support import message_texts

PACKAGE = Path(__file__).parents[2] / "connector"
LOCALES = PACKAGE / "locale"
OTHERS = [code for code in LANGUAGES if code != "en"]
WIDTH = 88
KEYWORDS: dict[str, tuple[int | tuple[int, int] | tuple[int, str], ...] | None] = {
    "_": None,
    "marked": None,
    "ngettext": (1, 2),
    "format_count": (2,),
}

Text = str | tuple[str, str]  # with its plural


class Message(NamedTuple):
    text: Text
    place: str  # the module or template, without lines: these move too often
    context: str | None = None


def path_of(code: str, kind: str) -> Path:
    return LOCALES / code / "LC_MESSAGES" / f"{DOMAIN}.{kind}"


def messages() -> Iterator[Message]:
    """Every text of the package, in the order of its files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from _of_module(path)
    for path in sorted(PACKAGE.rglob("*.j2")):
        yield from _of_template(path)
    yield from _of_tables()
    yield from _of_help()
    yield from _taken_apart()


def _of_help() -> Iterator[Message]:
    """What commands and their options say of themselves."""
    found: list[str] = []

    def say(text: str) -> str:
        found.append(text)
        return text

    told(stripe_nrr, say)
    for name, said in COMMANDS.items():
        found.append(said)
        command = stripe_nrr.get_command(click.Context(stripe_nrr), name)
        assert command is not None
        told(command, say)
    for text in dict.fromkeys(filter(None, found)):
        yield Message(text, "help")


def _taken_apart() -> Iterator[Message]:
    """Those that are made in English, and taken apart where they are shown."""
    trees = {
        path: ast.parse(path.read_bytes()) for path in sorted(PACKAGE.rglob("*.py"))
    }
    named: dict[str, ast.expr] = {}
    for tree in trees.values():
        named |= message_texts.constants(tree)
    for path, tree in trees.items():
        for text in message_texts.templates(tree, named):
            yield Message(text, str(path.relative_to(PACKAGE)), CONTEXT)


def _of_module(path: Path) -> Iterator[Message]:
    place = str(path.relative_to(PACKAGE))
    source = io.BytesIO(path.read_bytes())
    every: Iterator[Any] = extract_python(source, KEYWORDS, [], {})
    for _, name, found, _ in every:
        texts = [found] if isinstance(found, str) else list(found or ())
        match name, texts:
            case "format_count", [_, str(noun), *_]:
                yield Message((f"{{number}} {noun}", f"{{number}} {noun}s"), place)
            case "ngettext", [str(one), str(many), *_]:
                yield Message((one, many), place)
            case (("_" | "marked"), [str(text), *_]):
                yield Message(text, place)
            case _:
                pass  # a call with what is found elsewhere


def _of_template(path: Path) -> Iterator[Message]:
    place = str(path.relative_to(PACKAGE))
    options = dict.fromkeys(
        ("trim_blocks", "lstrip_blocks", "newstyle_gettext"), "true"
    )
    with path.open("rb") as source:
        names = ["_", "ngettext", "gettext", "counted"]
        for _, name, found, _ in babel_extract(source, names, [], options):
            match name, found:
                case "ngettext", (str(one), str(many), *_):
                    yield Message((one, many), place)
                case _, str(text):
                    yield Message(text, place)
                case _, (str(text), *_):
                    yield Message(text, place)
                case _:
                    raise AssertionError(f"{place}: {found} is no text")
    for noun in re.findall(r'counted\("([a-z ]+)"\)', path.read_text("utf-8")):
        yield Message((f"{{number}} {noun}", f"{{number}} {noun}s"), place)


def _of_tables() -> Iterator[Message]:
    """What is put together of a table's texts, or is a value's own name."""
    for rule in POLICY_RULES.values():
        values = [rule.said.get(value, value) for value in rule.values]
        for words in dict.fromkeys([*values, *rule.others.values()]):
            yield Message(f"{rule.subject} {re.sub(r'[0-9]+', 'N', words)}", "policy")
            if re.search("[0-9]", words):
                yield Message(f"{rule.subject} {words}", "policy")
    names = [name.removesuffix("_minor").capitalize() for name in names_of(Waterfall)]
    values = [
        *(name for name in names if name != "Fx"),
        *(*SEGMENTS, ACCOUNT),
        *(kind.value for kind in MovementKind),
        *(cause.value.replace("_", "-") for cause in Cause),
        *(reason.value for reason in RiskReason),
        *(reason.value for reason in GapReason),
        *(kind.value for kind in FileKind),
        *(words.capitalize() for words in REASON_WORDS.values()),
        *_FEEDBACK,
        *LISTINGS,
        *(
            "invoice line",
            *("observed", "subscription item", "None", "True", "False"),
            "subscription version",
            "subscription",
            "event",
            "invoice",
        ),
        *("logo churn", "month", "quarter", "year", "reason", "(none)"),
    ]
    for text in values:
        yield Message(text, "values")
    seen = [kind.removesuffix("s") for kind in LISTINGS]
    for noun in ("month", "quarter", "year", "such customer", *seen):
        yield Message((f"{{number}} {noun}", f"{{number}} {noun}s"), "values")
    for formula in FORMULAS:
        for text in (formula.why, formula.printed):
            if text:
                yield Message(text, "formulas")
    published = parse_benchmarks(PUBLISHED.read_text("utf-8"), PUBLISHED.name)
    for band in published.bands:
        yield Message(band.says, "benchmarks")
        yield Message(band.source, "benchmarks")
    for typical in published.typical:
        yield Message(typical.who, "benchmarks")


# What customers tick in Stripe's portal (``cancellation_details.feedback``).
_FEEDBACK = (
    *("customer service", "low quality", "missing features", "other"),
    *("switched service", "too complex", "too expensive", "unused"),
)


def template_catalogue() -> Catalog:
    """Every text once, with where it is."""
    made = Catalog(project="stripe-nrr", charset="utf-8", header_comment="#")
    for text, place, context in messages():
        made.add(text, locations=[(place, 0)], context=context)
    return made


def read(code: str) -> Catalog:
    path = path_of(code, "po")
    if not path.exists():
        return Catalog(locale=code)
    with path.open("rb") as file:
        return read_po(file, locale=code, domain=DOMAIN)


def updated(code: str) -> Catalog:
    """The catalogue with all texts of now, and no other."""
    found = read(code)
    found.update(template_catalogue(), no_fuzzy_matching=True)
    found.obsolete.clear()
    return found


def po_text(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_po(out, catalogue, width=WIDTH, omit_header=False, include_lineno=False)
    return re.sub(rb'"(POT-Creation|PO-Revision)-Date.*\n', b"", out.getvalue())


def mo_bytes(catalogue: Catalog) -> bytes:
    """Compiled; the same texts are the same bytes, whenever that is done."""
    catalogue.creation_date = catalogue.revision_date = EPOCH
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def main() -> None:
    for code in OTHERS:
        path_of(code, "po").parent.mkdir(parents=True, exist_ok=True)
        path_of(code, "po").write_bytes(po_text(updated(code)))
        path_of(code, "mo").write_bytes(mo_bytes(read(code)))
        missing = [each.id for each in read(code) if each.id and not each.string]
        sys.stdout.write(f"{code}: {len(missing)} texts are not translated yet\n")


if __name__ == "__main__":
    main()
