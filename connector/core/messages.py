"""What was said in English, in the language of who reads it: errors, verdicts, findings.

They are made where nobody knows who reads them: they are kept in the ledger, logged, and
go from one process to another. So a message is English, an f-string as a rule, and taken
apart where it is shown: the catalogue has each of them as a template, under ``CONTEXT``,
with the names that its code gives to what stands in it. What stands in it may be a message
itself; what another program has said stays as it is.

The catalogue finds what is given to an error, and what else ``message`` marks.
"""

import re
from datetime import date
from functools import cache, lru_cache
from operator import attrgetter
from string import Formatter
from typing import NamedTuple

from connector.core.dates import parse_month
from connector.core.language import (
    DEFAULT,
    _,
    contexts,
    group,
    grouped,
    language,
    message,
    month_text,
    pgettext,
    point,
    table_day,
)
from connector.core.money import format_count

CONTEXT = "message"
QUOTED = r"""(?:'.*?'|".*?")"""  # what stands in one as ``{name!r}``
MOST = 3  # parts that one template has between semicolons
KEPT = 1_000  # texts whose reading is remembered
OF_ONE = r"(?:(?!; ).)*?"  # what stands in one message, not in several
ANY = ".*?"
WORD = r"\S+"  # what stands in one that hardly says anything itself
LEAST = 6
DAY = re.compile(r"(\d{4}-\d\d-\d\d)( .*)?")
MONTH = re.compile(r"\d{4}-\d\d")
AMOUNT = re.compile(r"([−-]?)([^\W\d]{3}\W|[^\w\s,.−-])(\d[\d,]*)(\.\d+)?")
COUNT = re.compile(r"(\d[\d,]*) ([a-z][a-z ]*)")


# What the system says, in Python's words.
SYSTEM = (
    message("[Errno {number}] {why}: {path}"),
    message("[Errno {number}] {why}"),
    message("No such file or directory"),
    message("Permission denied"),
    message("Is a directory"),
    message("Not a directory"),
    message("Read-only file system"),
    message("No space left on device"),
    message("File name too long"),
    message("Connection refused"),
    message("Address already in use"),
    message("Cannot assign requested address"),
)

# What is wrong with a TOML file, in Python's words.
TOML = (
    message("{wrong} (at line {line}, column {column})"),
    message("{wrong} (at end of document)"),
    message("Invalid statement"),
    message("Invalid value"),
    message("Invalid date or datetime"),
    message("Invalid initial character for a key part"),
    message("Expected newline or end of document after a statement"),
    message("Expected '=' after a key in a key/value pair"),
    message("Expected ']' at the end of a table declaration"),
    message("Cannot declare {key} twice"),
    message("Cannot overwrite a value"),
    message("Unclosed array"),
    message("Unclosed inline table"),
    message("Unterminated string"),
    message("Unescaped '\\' in a string"),
    message("Found invalid character {character!r}"),
    message("Illegal character {character!r}"),
)


class Template(NamedTuple):
    """``literals`` are what stands between its fields."""

    text: str
    literals: tuple[str, ...]

    @property
    def weight(self) -> int:
        """How much it says itself: of two that fit, the heavier is meant."""
        return sum(map(len, self.literals)) + 2 * self.text.count("!r}")

    def found_in(self, text: str, last: str) -> re.Match[str] | None:
        """``last`` is what a field at its end may be."""
        if not all(literal in text for literal in self.literals):
            return None
        fields = (OF_ONE, last) if self.weight >= LEAST else (WORD, WORD)
        return re.fullmatch(_pattern(self.text, *fields), text, re.DOTALL)


class Spoken(NamedTuple):
    """``said`` is the text in the language; ``weight`` how much of it was recognized."""

    weight: int
    said: str


def spoken(text: str) -> str:
    """A message in the language spoken; what is none stays as it is."""
    return text if language() == DEFAULT or not text else _read(text, language()).said


@lru_cache(KEPT)
def _read(text: str, code: str) -> Spoken:
    """The reading that recognizes the most."""
    at_once = _counted(text) or _as_one(text, code, OF_ONE)
    if at_once is not None:
        return at_once
    others = (
        _as_several(text, code, "; "),
        _as_one(text, code, ANY),
        _as_several(text, code, ": "),
    )
    return max(
        (each for each in others if each is not None),
        key=attrgetter("weight"),
        default=Spoken(0, text),
    )


def _counted(text: str) -> Spoken | None:
    """``3 customers``, as ``format_count`` says it."""
    found = COUNT.fullmatch(text)
    if found is None:
        return None
    number = int(found[1].replace(",", ""))
    noun = found[2] if number == 1 else found[2].removesuffix("s")
    said = format_count(number, noun)
    return None if said.endswith((noun, f"{noun}s")) else Spoken(len(noun), said)


def _as_one(text: str, code: str, last: str) -> Spoken | None:
    """By the template that says the most of it."""
    for template in _templates(code):
        found = template.found_in(text, last)
        if found is not None:
            read = {name: _read(told, code) for name, told in found.groupdict().items()}
            fields = {name: Field(each.said) for name, each in read.items()}
            weight = template.weight + sum(each.weight for each in read.values())
            return Spoken(weight, pgettext(CONTEXT, template.text).format(**fields))
    return None


def _as_several(text: str, code: str, between: str) -> Spoken | None:
    """As many of the first parts as one template says, then the rest."""
    parts = text.split(between)
    for many in range(min(MOST, len(parts) - 1), 0, -1):
        head, rest = between.join(parts[:many]), between.join(parts[many:])
        first = _as_one(head, code, OF_ONE)
        if first is not None or many == 1:
            first, then = first or _read(head, code), _read(rest, code)
            said = f"{first.said}{between}{then.said}"
            return Spoken(first.weight + then.weight, said)
    return None


class Field(str):
    """What stands in a message, as the translation asks for it.

    ``{month:date}`` is a day or a month, ``{count:number}`` a grouped number,
    ``{mrr:money}`` an amount, ``{reason:word}`` a text of the catalogues by itself.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return self  # quoted already

    def __format__(self, form: str) -> str:
        if form == "date":
            return _dated(self)
        if form == "money":
            return AMOUNT.sub(_amount, self)
        if form == "word":
            return _(str(self))
        return grouped(int(self.replace(",", ""))) if form == "number" else str(self)


def _amount(found: re.Match[str]) -> str:
    """``$1,234.50``, as it is made in English, as the language writes it."""
    sign, symbol, whole, part = found.groups("")
    number = f"{sign}{whole.replace(',', group())}{part.replace('.', point())}"
    return f"{number}\N{NO-BREAK SPACE}{symbol.strip()}"


def _dated(text: str) -> str:
    day = DAY.fullmatch(text)
    if day is not None:
        return f"{table_day(date.fromisoformat(day[1]))}{day[2] or ''}"
    return month_text(parse_month(text)) if MONTH.fullmatch(text) else text


@cache
def _templates(code: str) -> tuple[Template, ...]:
    """Those that say the most first."""
    found = (Template(text, _literals(text)) for text in contexts(code, CONTEXT))
    return tuple(sorted(found, key=lambda each: (-each.weight, each.text)))


def _literals(template: str) -> tuple[str, ...]:
    return tuple(literal for literal, *_ in Formatter().parse(template) if literal)


@cache
def _pattern(template: str, field: str, last: str) -> str:
    *others, (literal, name, _spec, how) = Formatter().parse(template)
    met: set[str] = set()
    pieces = [_piece(*each[:2], each[3], field, met) for each in others]
    return "".join([*pieces, _piece(literal, name, how, last, met)])


def _piece(
    literal: str, name: str | None, how: str | None, field: str, met: set[str]
) -> str:
    if name is None:
        return re.escape(literal)
    text = QUOTED if how == "r" else field
    group = f"(?P={name})" if name in met else f"(?P<{name}>{text})"
    met.add(name)
    return f"{re.escape(literal)}{group}"
