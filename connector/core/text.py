"""Text that others chose → text that nobody obeys: names, ids and metadata of Stripe's.

    printable     a terminal, an error, a log: control characters are shown, not sent
    spreadsheet   a cell of CSV: never a formula
    markdown      a cell, a heading: never markup

    json_text     JSON in ASCII, which keeps every character as it is
    wrapped       lines no longer than a terminal is wide

HTML is escaped by its templates.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from unicodedata import category, combining, east_asian_width

import msgspec

# What a terminal obeys (C0, DEL, C1), what turns the reading direction or is not seen,
# line ends of other alphabets, tags, and halves of a character that UTF-8 cannot hold.
# U+200C and U+200D stay: Persian and emoji are written with them.
_OBEYED = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
_CONTROL = re.compile(f"[{_OBEYED}]")
_CONTROL_IN_LINES = re.compile(f"(?![\n\t])[{_OBEYED}]")
# As Excel, LibreOffice and Google Sheets begin one; the wide ones in Japanese.
_FORMULA = re.compile(r"[\s']*[=+\-@＝＋－＠]")
_IN_A_CELL = re.compile(f"^{_FORMULA.pattern}|[{_OBEYED}]")  # either: mostly neither
# Where it would be markup: `*` alone, `_` inside a word, `&` before none of HTML's names
# and `$` before a digit are not. "www." and "://" alone make a link.
_MARKUP = re.compile(
    r"[\\`\[\]<>|~]|(?<!\s)\*|\*(?!\s|$)|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|\$(?!\d)"
    r"|(?<=:)/|(?<=[wW])\."
)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def printable(text: str) -> str:
    r"""One line in which a control character stands as its escape, such as ``\x1b``."""
    return _CONTROL.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same of a text of our own making, whose lines and tabs stay."""
    return _CONTROL_IN_LINES.sub(_escaped, text)


def spreadsheet(text: str) -> str:
    """What a spreadsheet shows as it is; ``'`` stands before what would be a formula."""
    if not _IN_A_CELL.search(text):
        return text
    plain = printable(text)
    return f"'{plain}" if _FORMULA.match(text) else plain


def markdown(text: str) -> str:
    """What Markdown shows as it is."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def json_text(value: Any) -> str:
    """Indented, and ASCII without a control character, which no terminal obeys."""
    try:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    except UnicodeEncodeError:  # a path may be no text
        text = json.dumps(value, indent=2)
    if not text.isascii():
        text = json.dumps(json.loads(text), indent=2)
    return text.replace("\x7f", r"\u007f")


def cells(text: str) -> int:
    """What a text takes on a terminal: two cells for each wide character."""
    if text.isascii():
        return len(text)
    return sum(
        1 + (east_asian_width(each) in "WF") for each in text if not combining(each)
    )


def clipped(text: str, room: int) -> str:
    """No wider than so many cells; where it is, it ends with ``…``."""
    if cells(text) <= room:
        return text
    kept = text[: room - 1]
    while cells(kept) > room - 1:
        kept = kept[:-1]
    return f"{kept.rstrip()}…"


# Letters that are drawn as nothing: fillers of Hangul, and the blank of Braille.
_UNSEEN = "\u115f\u1160\u2800\u3164\uffa0"


def is_seen(text: str) -> bool:
    """Whether anything is drawn of it: blanks, marks and control characters are not."""
    return any(category(each)[0] not in "CMZ" and each not in _UNSEEN for each in text)


# What no line end is put into: a word (an amount is one, by its no-break space), or a
# command between backquotes.
_PIECE = re.compile(r" *(?:[^ `]*`[^`]*`[^ `]*|[^ ]+)")
# What the lines after the first are indented by: a list's mark, a name before two blanks,
# and two more than what is indented alone.
_HANGING = re.compile(r" *(?:- |[^ ]+ {2,}(?! ))?")


def wrapped(text: str, columns: int) -> str:
    """Lines no longer than that; one piece that is longer stays whole on its own."""
    lines = text.expandtabs().split("\n")
    return "\n".join(part for line in lines for part in _wrapped(line, columns))


def _wrapped(line: str, columns: int) -> Iterator[str]:
    if cells(line) <= columns:
        yield line
        return
    mark = _HANGING.match(line)
    before = mark[0] if mark is not None else ""
    hanging = " " * (cells(before) + (2 if before and before.isspace() else 0))
    if len(hanging) > columns // 2:
        hanging = ""
    now = ""
    for piece in _pieces(line, columns - len(hanging)):
        if now.strip() and cells(now + piece) > columns:
            yield now.rstrip()
            now = hanging + piece.lstrip()
        else:
            now += piece
    yield now.rstrip()


def _pieces(line: str, room: int) -> Iterator[str]:
    """What is longer than a line can be is taken word by word."""
    for piece in _PIECE.findall(line):
        if cells(piece.strip()) <= room:
            yield piece
        else:
            yield from re.findall(r" *[^ ]+", piece)
