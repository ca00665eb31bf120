"""A CSV file → its lines as customer, currency, day and amount, one after the other.

UTF-8 with or without a byte order mark, UTF-16 with one; commas, semicolons or tabs.
Nothing is held but the line that is being read.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

from connector.core.errors import UsageFault
from connector.core.numbers import Unreadable, amount_of, written_number
from connector.reconcile.headers import FileKind, Layout, is_minor, layout_of, month_of

DECIMALS = 4  # of a unit as written that are kept: dinars and minor units have three
_PLAIN = re.compile(r"[-+]?\d+(?:\.(\d+))?")
_DAY = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ].*)?")
_SLASHED = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:[T ,].*)?")
SNIFFED = 2_000  # lines that decide between 3/4 and 4/3


class FileLine(NamedTuple):
    """``amount`` is as written, times ten to ``DECIMALS``.

    ``mark`` is the same of lines that are alike in every column.
    """

    customer: str
    currency: str
    day: date
    amount: int
    mark: int


class OpenedFile(NamedTuple):
    """A file whose first line is understood."""

    path: Path
    encoding: str
    delimiter: str
    heads: Sequence[str]
    layout: Layout
    day_first: bool

    @property
    def kind(self) -> FileKind:
        return self.layout.kind

    @property
    def says_minor(self) -> bool:
        place = self.layout.amount
        return place is not None and is_minor(self.heads[place])


def open_file(path: Path) -> OpenedFile:
    """Raises ``UsageFault`` for what cannot be read, or is no such file."""
    encoding = _encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline()
            delimiter = max(",;\t|", key=first.count)
            heads = next(csv.reader([first], delimiter=delimiter), [])
            layout = layout_of(heads, str(path))
            opened = OpenedFile(
                path, encoding, delimiter, heads, layout, day_first=False
            )
            return opened._replace(day_first=_is_day_first(opened))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageFault(
            f"{path} cannot be read: {error}", fix="give a CSV file in UTF-8"
        ) from error


def _encoding(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise UsageFault(
            f"{path} cannot be read: {error}", fix="give the path of a CSV file"
        ) from error
    return "utf-16" if start in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _rows(opened: OpenedFile) -> Iterator[tuple[int, list[str]]]:
    with opened.path.open(encoding=opened.encoding, newline="") as file:
        rows = csv.reader(file, delimiter=opened.delimiter)
        next(rows, None)
        for row in rows:
            if any(cell.strip() for cell in row):
                yield rows.line_num, row


def _is_day_first(opened: OpenedFile) -> bool:
    """Whether 3/4/2026 is the third of April: where a line is only readable so."""
    when = opened.layout.when
    if when is None:
        return False
    for count, (_, row) in enumerate(_rows(opened)):
        found = _SLASHED.fullmatch(row[when].strip()) if len(row) > when else None
        if found is not None and max(int(found[1]), int(found[2])) > 12:
            return int(found[1]) > 12
        if count > SNIFFED:
            break
    return False


def lines_of(opened: OpenedFile, locale: str) -> Iterator[FileLine]:
    """Every amount of the file; a total at its end has no customer and is left out.

    Raises ``UsageFault`` that names the line that cannot be read.
    """
    layout = opened.layout
    # Of few texts in many lines, each is read once.
    read_day = lru_cache(50_000)(partial(_day, opened=opened))
    read_amount = lru_cache(50_000)(
        partial(amount_of_text, locale=locale, is_comma=opened.delimiter == ";")
    )
    at = 0
    try:
        for number, row in _rows(opened):
            at = number
            customer = _cell(row, layout.customer)
            if not customer:
                continue
            currency = _cell(row, layout.currency).lower()
            mark = hash(tuple(row))
            if layout.amount is None or layout.when is None:
                for place, month in layout.months:
                    amount = read_amount(_cell(row, place))
                    yield FileLine(customer, currency, month, amount, mark)
            else:
                day = read_day(_cell(row, layout.when))
                amount = read_amount(_cell(row, layout.amount))
                yield FileLine(customer, currency, day, amount, mark)
    except (ValueError, csv.Error) as error:
        raise UsageFault(
            f"{opened.path} line {at} cannot be read: {error}",
            fix="correct the line, or leave it out",
        ) from error


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""


def _day(text: str, *, opened: OpenedFile) -> date:
    """The day, or of a file of months the first of its month."""
    is_of_months = opened.kind == FileKind.MONTHS
    month = month_of(text) if is_of_months else None
    if month is not None:
        return month
    found, slashed = _DAY.fullmatch(text), _SLASHED.fullmatch(text)
    if found is not None:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    elif slashed is not None:
        first, second = int(slashed[1]), int(slashed[2])
        of_month, month_number = (
            (first, second) if opened.day_first else (second, first)
        )
        day = date(int(slashed[3]), month_number, of_month)
    else:
        raise ValueError(f"{text!r} is not a day such as 2026-03-31")
    return day.replace(day=1) if is_of_months else day


def amount_of_text(text: str, *, locale: str, is_comma: bool = False) -> int:
    """As written, times ten to ``DECIMALS``; nothing is 0. ``ValueError`` for no number.

    Books write what is below 0 in brackets: ``(12.00)``. ``is_comma``: the file may have
    decimal commas, so that ``1.234`` is doubtful.
    """
    found = _PLAIN.fullmatch(text)
    decimals = len(found[1] or "") if found is not None else 0
    if found is not None and not (is_comma and decimals == 3):
        return round(Decimal(text).scaleb(DECIMALS))
    if text in ("", "-", "–", "—", "N/A", "n/a", "null"):
        return 0
    bracketed = re.fullmatch(r"\((.+)\)", text)
    inner = bracketed[1] if bracketed is not None else text
    try:
        written = written_number(inner.removeprefix("+"), locale)
        value = amount_of(written, written.code.lower(), 2)
    except Unreadable as error:
        raise ValueError(f"{text!r} is not an amount ({error})") from None
    amount = round(value.scaleb(DECIMALS))
    return -amount if bracketed is not None else amount
