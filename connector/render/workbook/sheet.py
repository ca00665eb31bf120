"""One sheet of a workbook: cells, whole lines, tables, and how wide its columns are."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from itertools import chain, islice
from textwrap import wrap
from typing import Any

from connector.core.money import major
from connector.core.text import printable, spreadsheet
from connector.render.table import Money, Part, Percent, Points, Table, Title
from connector.render.workbook.cells import (
    QUIET,
    ExactMoney,
    Live,
    SheetCell,
    day_format,
    fitting,
    money_format,
    plain_format,
    signed,
)

WIDEST = 48  # characters of a column
MOST_LINES = 8  # of a cell
LINE_WIDTH = 130  # characters of a sentence
MEASURED = 1_000  # rows by which a column is as wide as it is, and left or right
HEAD_WIDTH, LINE_POINTS = 13, 15.5  # a longer heading takes two lines
ALL = range(16_384)  # columns of a sheet
DAY_0 = date(1899, 12, 30)  # a day is a number: how many days after this one


@lru_cache(maxsize=65_536)  # ids and names come again in each sheet
def _plain(text: str) -> tuple[str, bool]:
    """What a cell holds, and whether it would be a formula for who types it."""
    return fitting(text), spreadsheet(text) != printable(text)


@cache
def _plain_formulas(kind: type[Any]) -> type[Any]:
    """Sheets whose formulas are written as they are.

    XlsxWriter looks through each for thirty functions of newer Excels, none of which is
    used here: a fifth of a large workbook's time.
    """

    def plain(_sheet: Any, formula: str, *_more: Any) -> str:
        return formula.removeprefix("=")

    return type("PlainFormulas", (kind,), {"_prepare_formula": plain})


class SheetWriter:
    """Writes on one sheet of a workbook; ``row`` is the next that is free, from 0.

    One that ``is_long`` keeps no row before the one that is written.
    """

    def __init__(
        self,
        book: Any,
        name: str,
        locale: str,
        formats: dict[Any, Any],
        *,
        is_long: bool = False,
    ) -> None:
        book.constant_memory = is_long  # rows go to a file; charts could not read them
        self.sheet = book.add_worksheet(name, _plain_formulas(book.worksheet_class))
        book.constant_memory = False
        self.name, self.locale, self.row = name, locale, 0
        self._book, self._formats = book, formats
        self._widths: dict[int, int] = {}

    def format(self, **properties: Any) -> Any:
        """The workbook's own of these properties; made once."""
        key = tuple(properties.items())  # in another order it is made a second time
        found = self._formats.get(key)
        if found is None:
            found = self._formats[key] = self._book.add_format(properties)
        return found

    def put(self, row: int, column: int, cell: SheetCell, **look: Any) -> None:
        """Write one cell; None and a dash that stands for nothing leave it empty."""
        if cell is None or cell == "–":
            if look:
                self.sheet.write_blank(row, column, None, self.format(**look))
        elif isinstance(cell, str):
            self._text(row, column, cell, look)
        elif isinstance(cell, Live):
            told = self._number(cell.now)
            value, form = told if told is not None else (cell.now or "", "General")
            shape = self.format(num_format=form, **look)
            self.sheet.write_formula(row, column, cell.formula, shape, value)
        elif isinstance(cell, datetime):
            shape = self.format(
                num_format=f"{day_format()} hh:mm", align="left", **look
            )
            self.sheet.write_datetime(row, column, cell, shape)
        elif isinstance(cell, date):
            shape = self.format(num_format=day_format(), align="left", **look)
            self.sheet.write_number(row, column, (cell - DAY_0).days, shape)
        else:
            told = self._number(cell)
            if told is None:
                shape = self.format(align="right", **look)
                self.sheet.write_string(row, column, "–", shape)
            else:
                value, form = told
                shape = self.format(num_format=form, **look)
                self.sheet.write_number(row, column, value, shape)

    def _text(self, row: int, column: int, text: str, look: dict[str, Any]) -> None:
        shown, is_formula = _plain(text)
        if is_formula:
            look = {**look, "quote_prefix": True}  # stays a text where it is edited
        shape = self.format(**look) if look else None
        self.sheet.write_string(row, column, shown, shape)

    def _number(self, cell: SheetCell) -> tuple[Any, str] | None:
        """A figure, and its format; None where it has no value."""
        match cell:
            case Money(minor, currency, is_signed, whole):
                form = money_format(currency, self.locale, whole=whole)
                return major(minor, currency), signed(form) if is_signed else form
            case ExactMoney(exact, currency):
                return major(exact, currency), money_format(currency, self.locale)
            case Percent(Fraction() as ratio, decimals):
                return float(ratio), f"0.{'0' * decimals}%" if decimals else "0%"
            case Points(Fraction() as points):
                return float(points), signed("0.0")
            case int() | Decimal():
                return cell, plain_format(cell)
            case _:
                return None

    # Whole lines

    def line(self, text: str, **look: Any) -> None:
        """A sentence, or a title; a long one in lines that a page has room for."""
        for part in wrap(text, LINE_WIDTH) or [""]:
            self.put(self.row, 0, part, **look)
            self.row += 1

    def title(self, text: str) -> None:
        self.line(text, bold=True, font_size=13)

    def heads(
        self, heads: Collection[str], first: int = 0, right: Container[int] = ALL
    ) -> None:
        """A row of headings, from column ``first`` on; those of figures to the right."""
        for column, head in enumerate(heads, first):
            side = {"align": "right"} if column in right else {}
            self.put(self.row, column, head or " ", **HEAD, **side)
            self._widen(column, max(head.split(), key=len, default=""))
        if any(len(head) > HEAD_WIDTH for head in heads):
            self.sheet.set_row(self.row, 2 * LINE_POINTS)
        self.row += 1

    def rows(self, rows: Iterable[Iterable[SheetCell]]) -> None:
        """Texts beside figures stand a little apart from them.

        A long one takes more lines where the next cell would hide its end.
        """
        for each in rows:
            cells = tuple(each)
            for column, cell in enumerate(cells):
                if cell is None:
                    continue
                look = APART if column and _is_text(cell) else {}
                if _is_cut(cell, cells[column + 1 :]):
                    look = {**look, **IN_LINES}
                    lines = len(wrap(str(cell), WIDEST))
                    self.sheet.set_row(self.row, lines * LINE_POINTS)
                self.put(self.row, column, cell, **look)
                if self.row < MEASURED:
                    self._widen(column, cell)
            self.row += 1

    def table(self, heads: Sequence[str], rows: Iterable[Iterable[SheetCell]]) -> range:
        """Headings and rows from the first column on; returns where the rows are."""
        all_rows = map(tuple, rows)
        first = list(islice(all_rows, MEASURED))
        self.heads(heads, right=_figures(first))
        began = self.row
        self.rows(chain(first, all_rows))
        return range(began, self.row)

    def filtered(
        self, heads: Sequence[str], rows: Iterable[Iterable[SheetCell]]
    ) -> range:
        """The table that the sheet is for: its head stays in view and filters."""
        found = self.table(heads, rows)
        self.keep_in_view(found.start - 1)
        last = max(found.stop - 1, found.start)
        self.sheet.autofilter(found.start - 1, 0, last, len(heads) - 1)
        return found

    def parts(self, parts: Iterable[Part]) -> None:
        """A document, as every other form writes it."""
        for part in parts:
            match part:
                case Title(text):
                    self.row += 1 if self.row else 0
                    self.title(text)
                case Table(heads, rows):
                    self.table(heads, rows)
                    self.row += 1
                case note:
                    self.line(note, italic=True, font_color=QUIET)

    def keep_in_view(self, head: int) -> None:
        """All down to this row, and the first column; printed atop each page too."""
        self.sheet.freeze_panes(head + 1, 1)
        self.sheet.repeat_rows(head)

    def _widen(self, column: int, cell: SheetCell) -> None:
        now = cell.now if isinstance(cell, Live) else cell
        if isinstance(now, str):
            width = len(now) + 2
        else:
            width = 11 if now is None or isinstance(now, int) else 14
        known = self._widths.get(column, 0)
        if width > known:
            self._widths[column] = min(width, WIDEST)

    def close(self) -> None:
        """Set what is known only once everything is written."""
        for column, width in self._widths.items():
            self.sheet.set_column(column, column, max(width, 9))
        self.sheet.set_landscape()
        self.sheet.set_paper(9)  # A4
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        self.sheet.set_footer("&L&A&R&P / &N")
        self.sheet.hide_gridlines(2)


def _is_text(cell: SheetCell) -> bool:
    now = cell.now if isinstance(cell, Live) else cell
    return isinstance(now, str) and now not in ("", "–")


def _is_cut(cell: SheetCell, after: Sequence[SheetCell]) -> bool:
    """Whether the next cell would hide its end; a text that fills a page stays so."""
    is_long = isinstance(cell, str) and WIDEST < len(cell) <= WIDEST * MOST_LINES
    return is_long and any(after)


def _figures(rows: Sequence[Sequence[SheetCell]]) -> set[int]:
    """The columns that have no text and no day."""
    others = {
        column
        for row in rows
        for column, cell in enumerate(row)
        if isinstance(cell, date) or _is_text(cell)
    }
    return set(range(max(map(len, rows), default=0))) - others


APART: Mapping[str, Any] = {"indent": 1}
IN_LINES: Mapping[str, Any] = {"align": "left", "text_wrap": True}
HEAD = {
    "bold": True,
    "bottom": 1,
    "bg_color": "#EEF1F5",
    "text_wrap": True,
    "valign": "top",
}
