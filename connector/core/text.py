"""Text that others chose → text that nobody obeys: names, ids and metadata of Stripe's.

    printable     a terminal, an error, a log: control characters are shown, not sent
    spreadsheet   a cell of CSV: never a formula
    markdown      a cell, a heading: never markup

    json_text     JSON in ASCII, which keeps every character as it is

HTML is escaped by its templates.
"""

import json
import re
from typing import Any

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
