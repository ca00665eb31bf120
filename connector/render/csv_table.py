"""Rows of typed cells → CSV, for programs or for a spreadsheet that it is opened in."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TextIO

from connector.core.money import major, ratio_number
from connector.core.text import spreadsheet
from connector.render.table import Money, Percent, Points
from connector.reports.model import code_of


def exact(cell: object) -> object:
    """As a program reads it: whole units of the currency, ratios with six decimals.

    A text is no formula, whoever chose it; a figure stays one, also below 0.
    """
    match cell:
        case str():
            return spreadsheet(cell)
        case None | Percent(None) | Points(None):
            return ""
        case Money(minor, currency):
            return major(minor, currency)
        case Percent(ratio) | Points(ratio):
            return f"{ratio_number(ratio):.6f}"
        case _:
            return cell


class CsvDialect(NamedTuple):
    """``mark`` stands before everything: by it, Excel knows UTF-8."""

    delimiter: str
    point: str
    mark: str


STANDARD = "standard"
DIALECTS = {
    STANDARD: CsvDialect(",", ".", ""),
    "excel-de": CsvDialect(";", ",", "\N{ZERO WIDTH NO-BREAK SPACE}"),
}
_chosen = ContextVar("csv_dialect", default=DIALECTS[STANDARD])


def dialect() -> CsvDialect:
    return _chosen.get()


@contextmanager
def written_as(name: str) -> Iterator[None]:
    before = _chosen.set(DIALECTS[name])
    try:
        yield
    finally:
        _chosen.reset(before)


class CsvRows(NamedTuple):
    """A head and rows of cells, each to be written exactly; None is an empty cell."""

    heads: Sequence[str]
    rows: Iterable[Sequence[object]]

    def text(self) -> str:
        """A row a line in the dialect chosen."""
        out = io.StringIO()
        self.write(out)
        return out.getvalue()

    def write(self, out: TextIO) -> None:
        """The same, row by row, however many there are."""
        chosen = dialect()
        written = exact if chosen.point == "." else partial(_with_point, chosen.point)
        writer = csv.writer(out, delimiter=chosen.delimiter, lineterminator="\n")
        writer.writerow(self.heads)
        writer.writerows(
            [cell if type(cell) is int else written(cell) for cell in row]
            for row in self.rows
        )


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    return CsvRows(heads, rows).text()


def _with_point(point: str, cell: object) -> object:
    """A figure with the decimal point of a dialect; of texts and days it has none."""
    found = exact(cell)
    is_figure = isinstance(cell, Money | Percent | Points | Decimal | float)
    return str(found).replace(".", point) if is_figure else found


# The records that JSON has, as rows


def csv_of(columns: Sequence[str], records: Iterable[Mapping[str, Any]]) -> CsvRows:
    """What each record has by these names; ``amount_minor`` is ``amount``.

    Amounts in whole units of its ``currency``.
    """
    heads = [name.removesuffix("_minor") for name in columns]
    rows = ([_of_record(each, name) for name in columns] for each in records)
    return CsvRows(heads, rows)


OF = "currency"  # what a record's amounts are of


def _of_record(record: Mapping[str, Any], name: str) -> object:
    if name == OF:
        return code_of(record[OF], is_total="is_total" in record)
    return as_cell(name, record[name], record[OF])


def as_cell(name: str, value: object, currency: str) -> object:
    """What JSON has by this name, as CSV has it."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return Decimal(f"{value:.6f}")
        case int() if name.endswith("_minor"):
            return Money(value, currency)
        case _:
            return value
