"""A CSV file → its lines as customer, currency, day and amount, one after the other.

``texts`` tells how it is written. Nothing is held but the line that is being read.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from connector.core.errors import UsageFault
from connector.core.language import message
from connector.core.money import exponent
from connector.core.numbers import Unreadable, amount_of, written_number
from connector.reconcile.files.days import SNIFFED, is_day_first, written_day
from connector.reconcile.files.headers import (
    FileKind,
    Layout,
    id_in,
    is_minor,
    is_total,
    layout_of,
)
from connector.reconcile.files.texts import CsvFile, csv_file, heads_of, rows_of

_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2212"), "-")
DECIMALS = 4  # of a unit as written that are kept: dinars and minor units have three
TEN: int = 10**DECIMALS
_PLAIN = re.compile(r"[-+]?\d+(?:\.(\d+))?")
_MARKED = re.compile(
    r"-?(?:(?P<comma>\d{1,3}(?:(?:\.?\d{3})*),\d{1,2})|(?P<whole>[1-9]\d*)"
    r"|(?P<grouped>[1-9]\d{0,2}(?:\.\d{3})+)|(?P<dot>\d+\.\d+))\D*"
)
# A 0 as accountants and their spreadsheets write it: "$ -".
_DASH = re.compile(r"(?:[A-Z]{3}|[$€£¥])?\s*[-–—]\s*(?:[A-Z]{3}|[$€£¥])?")
_SERIAL = re.compile(r"[345]\d{4}(?:\.\d+)?")  # days since 1900: 1982 to 2064
_CODE = re.compile(r"[a-z]{3}")


class FileLine(NamedTuple):
    """``amount`` is as written, times ten to ``DECIMALS``.

    ``day`` is that of a change, or the first of a month; ``on`` the day as it is written.
    ``mark`` is the same of lines that are alike in every column.
    """

    customer: str
    currency: str
    day: date
    on: date
    amount: int
    mark: int


class OpenedFile(NamedTuple):
    """A file whose first line is understood.

    ``has_commas``: decimals follow a comma, as far as its first lines show.
    """

    written: CsvFile
    heads: Sequence[str]
    layout: Layout
    day_first: bool
    has_commas: bool

    @property
    def path(self) -> Path:
        return self.written.path

    @property
    def kind(self) -> FileKind:
        return self.layout.kind

    @property
    def says_minor(self) -> bool:
        place = self.layout.amount
        return place is not None and is_minor(self.heads[place])


def open_file(path: Path) -> OpenedFile:
    """Raises ``UsageFault`` for what cannot be read, or is no such file."""
    written = csv_file(path)
    heads, first = heads_of(written)
    layout = layout_of(heads, str(path), first)
    opened = OpenedFile(written, heads, layout, day_first=False, has_commas=False)
    return opened._replace(day_first=_day_first(opened), has_commas=_commas(opened))


def _commas(opened: OpenedFile) -> bool:
    """Whether an amount is only readable so: ``12,5``, ``1.234,50``.

    Or there is ``1.234`` beside ``500``, and no other number with a dot.
    """
    layout = opened.layout
    places: list[int | None] = [n for n, _ in layout.months]
    places = places or [layout.amount]
    shapes: set[str] = set()
    for _, row in islice(rows_of(opened.written), SNIFFED):
        if exponent(_cell(row, layout.currency).lower()) > 2:
            continue  # three decimals after a dot are its own
        for place in places:
            found = _MARKED.fullmatch(_cell(row, place))
            if found is not None and found.lastgroup == "comma":
                return True
            shapes.add("" if found is None else found.lastgroup or "")
    return {"grouped", "whole"} <= shapes and "dot" not in shapes


def _day_first(opened: OpenedFile) -> bool:
    when = opened.layout.when
    if when is None:
        return False
    found = is_day_first(
        (_cell(row, when) for _, row in rows_of(opened.written)),
        of_months=opened.kind == FileKind.MONTHS,
    )
    if found is None:
        head = opened.heads[when].strip()
        raise UsageFault(
            f"{opened.path} has days in its column {head} such as 3/4/2026 alone, none "
            "above 12: whether the month or the day stands first cannot be known",
            fix="write them as 2026-03-31, or give a file of more days",
        )
    return found


def lines_of(opened: OpenedFile, locale: str) -> Iterator[FileLine]:
    """Every amount of the file; a total is no customer and is left out.

    Raises ``UsageFault`` that names the line that cannot be read.
    """
    layout, width = opened.layout, len(opened.heads)
    is_of_months = opened.kind == FileKind.MONTHS
    # Of few texts in many lines, each is read once.
    read_day = lru_cache(50_000)(partial(_day, opened=opened))
    read_amount = lru_cache(50_000)(
        partial(amount_of_text, locale=locale, is_comma=opened.has_commas)
    )
    read_currency = lru_cache(1_000)(_currency)
    at = 0
    try:
        for number, row in rows_of(opened.written):
            at = number
            if len(row) > width:
                _are_blank(row, width)
            customer = _cell(row, layout.customer)
            if layout.by_id and not customer.startswith("cus_"):
                customer = id_in(customer) or customer
                if is_total(customer) or _is_remark(row):
                    continue
            if not customer or row == opened.heads:
                continue
            currency = read_currency(_cell(row, layout.currency))
            mark = hash(tuple(row))
            if layout.amount is None or layout.when is None:
                for place, month in layout.months:
                    amount = read_amount(_cell(row, place))
                    yield FileLine(customer, currency, month, month, amount, mark)
            else:
                on = read_day(_cell(row, layout.when))
                amount = read_amount(_cell(row, layout.amount))
                day = on.replace(day=1) if is_of_months else on
                yield FileLine(customer, currency, day, on, amount, mark)
    except ValueError as error:
        raise UsageFault(
            f"{opened.path} line {at} cannot be read: {error}",
            fix="correct the line, or leave it out",
        ) from error


def _are_blank(row: Sequence[str], width: int) -> None:
    """Else a column too many makes whatever follows it another one's."""
    if any(row[width:]):
        raise ValueError(
            message(
                f"it has {len(row)} columns and the first line {width}: an amount or a "
                "name with a comma in it has to stand in quotes"
            )
        )


def _is_remark(row: Sequence[str]) -> bool:
    """Of a line that names no customer: a text alone, such as when it was exported."""
    return sum(bool(cell.strip()) for cell in row) == 1


def _cell(row: Sequence[str], place: int | None) -> str:
    return row[place].strip() if place is not None and place < len(row) else ""


def _currency(text: str) -> str:
    code = text.lower()
    if code and not _CODE.fullmatch(code):
        raise ValueError(message(f"{text!r} is not a currency such as USD"))
    return code


def _day(text: str, *, opened: OpenedFile) -> date:
    """As written; of a month without a day its first."""
    found = written_day(
        text.lstrip("'").translate(_HYPHENS), day_first=opened.day_first
    )
    if not text:
        raise ValueError(message("it names no day"))
    if found is None and _SERIAL.fullmatch(text):
        raise ValueError(
            message(
                f"{text!r} is a day as Excel counts them: format the column as dates"
            )
        )
    if found is None:
        raise ValueError(message(f"{text!r} is not a day such as 2026-03-31"))
    return found


def amount_of_text(text: str, *, locale: str, is_comma: bool = False) -> int:
    """As written, times ten to ``DECIMALS``; nothing is 0. ``ValueError`` for no number.

    Books write what is below 0 in brackets: ``(12.00)``. ``is_comma``: the file has
    decimal commas, so that ``1.234`` is a thousand and more.
    """
    found = _PLAIN.fullmatch(text)
    if found is not None and is_comma and len(found[1] or "") == 3:
        return int(text.replace(".", "")) * TEN
    if found is not None:
        return round(Decimal(text).scaleb(DECIMALS))
    if text in ("", "N/A", "n/a", "null") or _DASH.fullmatch(text):
        return 0
    bracketed = re.fullmatch(r"\((.+)\)", text)
    inner = bracketed[1] if bracketed is not None else text
    try:
        written = written_number(inner.removeprefix("+"), locale)
        value = amount_of(written, written.code.lower(), 2)
    except Unreadable as error:
        why = (
            str(error) if str(error) != inner else message(f"{text!r} is not an amount")
        )
        raise ValueError(why) from None
    amount = round(value.scaleb(DECIMALS))
    return -amount if bracketed is not None else amount
