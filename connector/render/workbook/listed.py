"""The rows of a list's CSV as a workbook of one sheet: numbers and days are such there."""

import csv
import io
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from connector.core.language import _
from connector.render.workbook.cells import SheetCell
from connector.render.workbook.sheet import SheetWriter
from connector.render.workbook.workbook import new_book

# Columns of names, which may be made of digits, and are names all the same.
_NAMES = {"customer", "label", "owner", "segment", "subscription", "proof", "object"}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


class ListedRows(NamedTuple):
    """``text`` is the list's CSV; ``warnings`` stand first; ``command`` gives the same."""

    title: str
    text: str
    warnings: Sequence[str]
    command: str


def list_xlsx(found: ListedRows, locale: str) -> bytes:
    """The file. Raises ``MissingExtra`` without XlsxWriter."""
    with new_book(found.title, {"in_memory": True}) as (book, file):
        _write(SheetWriter(book, _("List"), locale, {}), found)
    return file.getvalue()


def _write(writer: SheetWriter, found: ListedRows) -> None:
    writer.title(found.title)
    for line in found.warnings:
        writer.line(line, bold=True)
    if found.command:
        writer.line(found.command, italic=True)
    writer.row += 1
    heads, *rows = csv.reader(io.StringIO(found.text))
    if rows:
        writer.filtered(heads, [_typed(heads, row) for row in rows])
    else:
        writer.heads(heads)
        writer.line(_("There is nothing to list."))
    writer.close()


def _typed(heads: Sequence[str], row: Sequence[str]) -> list[SheetCell]:
    return [
        text or None if head in _NAMES else _cell(text)
        for head, text in zip(heads, row, strict=False)
    ]


def _cell(text: str) -> SheetCell:
    if not text:
        return None
    if _DAY.fullmatch(text):
        return date.fromisoformat(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else text
