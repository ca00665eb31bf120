"""A table of typed cells → aligned text or Markdown.

    Table
      heads   a heading a column
      row     a cell a column: a text, a count, a day, ``Money``, ``Percent``, ``Points``

A report says once what stands in a cell; ``shown`` writes it as a reader expects it,
``csv_table`` as a program does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from connector.core.figures import RATIOS, Retention
from connector.core.language import _, grouped, table_day
from connector.core.model import CustomerName
from connector.core.money import format_minor, format_points, format_ratio
from connector.core.text import cells, clipped, markdown, printable

GAP = "  "


class Money(NamedTuple):
    """``signed`` shows a plus above 0; ``whole`` leaves the decimals out."""

    amount_minor: int
    currency: str
    signed: bool = False
    whole: bool = False


class Percent(NamedTuple):
    """A ratio, shown in per cent; None has no value."""

    ratio: Fraction | None
    decimals: int = 1


class Points(NamedTuple):
    """Percentage points with their sign; None where there are none to tell."""

    points: Fraction | None


Cell = str | int | date | Money | Percent | Points | None


def amount(amount_minor: int, currency: str, *, signed: bool = False) -> Cell:
    """A dash where there is none."""
    return Money(amount_minor, currency, signed) if amount_minor else "–"


def shown(cell: Cell, locale: str) -> str:
    """As a reader expects it; None is blank."""
    match cell:
        case None:
            return ""
        case Money(minor, currency, signed, whole):
            return format_minor(minor, currency, locale, signed=signed, whole=whole)
        case Percent(ratio, decimals):
            return format_ratio(ratio, decimals)
        case Points(points):
            return format_points(points)
        case int():
            return grouped(cell)
        case _:
            return printable(_text(cell))


def _text(cell: date | str) -> str:
    match cell:
        case date():
            return table_day(cell)
        case StrEnum():
            return _(cell.value)
        case str():
            return cell


LONGEST_NAME = 60  # cells of a customer's name in a table; JSON and CSV have all of it


def customer_cell(customer: str, labels: Mapping[str, str | None]) -> str:
    """``Acme (cus_1)``, as two may have one name; the id alone where there is none."""
    name = labels.get(customer) or customer
    own = CustomerName(customer, None if name == customer else name)
    if own.label is not None:
        own = own._replace(label=clipped(printable(own.label), LONGEST_NAME))
    return own.with_id


class Table(NamedTuple):
    """``right`` are the columns of figures, aligned right; columns count from 0.

    ``spare`` are heads of columns that may be left out where there is no room for all.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    right: frozenset[int] = frozenset()
    spare: tuple[str, ...] = ()

    def texts(self, locale: str) -> list[list[str]]:
        """The rows as a reader expects them, without the heads."""
        return [[shown(cell, locale) for cell in row] for row in self.rows]


Row = TypeVar("Row")


class Column(NamedTuple, Generic[Row]):
    """What stands below a heading in each row; figures are aligned right."""

    head: str
    cell: Callable[[Row], Cell]
    is_figure: bool = False


def figure(head: str, cell: Callable[[Row], Cell]) -> Column[Row]:
    return Column(head, cell, is_figure=True)


def ratio_figures(kept: Callable[[Any], Retention]) -> Iterator[Column[Any]]:
    """NRR, GRR and CRR of what a row retains."""

    def ratio(name: str, row: Any) -> Cell:
        return Percent(kept(row).ratios[name])

    return (figure(name.upper(), partial(ratio, name)) for name in RATIOS)


def table_of(
    rows: Iterable[Row], *columns: Column[Row], spare: tuple[str, ...] = ()
) -> Table:
    heads, cells, are_figures = zip(*columns, strict=True)
    right = frozenset(place for place, is_one in enumerate(are_figures) if is_one)
    return Table(heads, [[of(row) for of in cells] for row in rows], right, spare)


def text_table(table: Table, locale: str) -> str:
    """Aligned columns under their heads, indented by two; no line ends in blanks."""
    lines = [list(map(printable, table.heads)), *table.texts(locale)]
    widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
    drawn = [_line(line, widths, table.right) for line in lines]
    rule = "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    return "\n".join(f"{GAP}{line}" for line in [drawn[0], rule, *drawn[1:]]) + "\n"


def _line(texts: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    padded = []
    for column, (text, width) in enumerate(zip(texts, widths, strict=True)):
        blanks = " " * (width - cells(text))
        padded.append(blanks + text if column in right else text + blanks)
    return GAP.join(padded).rstrip()


def markdown_table(table: Table, locale: str) -> str:
    rule = [
        "---:" if column in table.right else "---" for column in range(len(table.heads))
    ]
    rows = [[_in_markdown(cell, locale) for cell in row] for row in table.rows]
    lines = [list(map(markdown, table.heads)), rule, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _in_markdown(cell: Cell, locale: str) -> str:
    is_text = isinstance(cell, str) and not isinstance(cell, StrEnum)
    return markdown(str(cell)) if is_text else shown(cell, locale)


def figures(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table whose first column is text, and all others figures."""
    return Table(heads, rows, frozenset(range(1, len(heads))))


class Title(NamedTuple):
    """What stands above the tables of one currency."""

    text: str


Part = Title | Table | str  # of a document; a text is a note


def to_plain(parts: Iterable[Part], locale: str) -> str:
    """As a pipe or a file is given it, however wide it is."""

    def written(part: Part) -> str:
        match part:
            case Title(text):
                return f"{text}\n"
            case Table():
                return text_table(part, locale)
            case note:
                return f"{note}\n"

    return "\n".join(map(written, parts))


def to_markdown(parts: Iterable[Part], locale: str) -> str:
    """Every table with all columns but the first aligned right."""

    def written(part: Part) -> str:
        match part:
            case Title(text):
                return f"## {markdown(text)}\n"
            case Table(heads, rows, _, _):
                return markdown_table(figures(heads, rows), locale)
            case note:
                return f"{note}\n"

    return "\n".join(map(written, parts))
