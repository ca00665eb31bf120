"""Rows of texts → an aligned table, Markdown or CSV.

A table knows nothing of what it holds: every figure comes as the text to be shown.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from unicodedata import east_asian_width

GAP = "  "


class Table(NamedTuple):
    """``right`` are the columns of figures, aligned right; columns count from 0."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: frozenset[int] = frozenset()


def text_table(table: Table) -> str:
    """Aligned columns under their heads, indented by two; no line ends in blanks."""
    lines = [table.heads, *table.rows]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    drawn = [_line(line, widths, table.right) for line in lines]
    rule = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    return "\n".join(f"{GAP}{line}" for line in [drawn[0], rule, *drawn[1:]]) + "\n"


def _line(texts: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    cells = []
    for column, (text, width) in enumerate(zip(texts, widths, strict=True)):
        blanks = " " * (width - _width(text))
        cells.append(blanks + text if column in right else text + blanks)
    return GAP.join(cells).rstrip()


def _width(text: str) -> int:
    """The cells of a terminal that a text takes: two for each wide character."""
    return sum(1 + (east_asian_width(each) in "WF") for each in text)


def markdown_of(table: Table) -> str:
    rule = [
        "---:" if column in table.right else "---" for column in range(len(table.heads))
    ]
    lines = [table.heads, rule, *table.rows]
    return "".join(f"| {' | '.join(map(_safe, line))} |\n" for line in lines)


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first column is text, the others are figures."""
    return markdown_of(Table(heads, rows, frozenset(range(1, len(heads)))))


def _safe(text: str) -> str:
    return text.replace("|", "\\|")


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Comma-separated, a row a line; None is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()
