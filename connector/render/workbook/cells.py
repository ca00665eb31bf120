"""Typed cells → cells of a sheet: numbers stay numbers, names never become formulas."""

import re
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from connector.core.language import LANGUAGES, language
from connector.core.money import exponent, format_minor
from connector.core.text import printable
from connector.render.table import Cell

ROWS = 1_048_576  # of a sheet, its head included
MOST_UTF16 = 32_767  # units of UTF-16 in a cell, or Excel repairs the file
QUIET = "#666666"


class ExactMoney(NamedTuple):
    """An amount with what rounding to minor units would lose; of totals at rates."""

    amount_minor: Fraction
    currency: str


class Live(NamedTuple):
    """A formula, and what it comes to now: for who shows it and does not calculate."""

    formula: str
    now: "SheetCell"


SheetCell = Cell | datetime | Decimal | ExactMoney | Live  # a Decimal is as CSV has it


def fitting(text: str) -> str:
    """What a cell holds: control characters are shown, and what is too long is cut."""
    plain = printable(text)
    if len(plain) * 2 <= MOST_UTF16:
        return plain
    units = plain.encode("utf-16-le")
    if len(units) <= MOST_UTF16 * 2:
        return plain
    kept = units[: (MOST_UTF16 - 1) * 2].decode("utf-16-le", "ignore")
    return f"{kept}…"


@cache
def money_format(currency: str, locale: str, *, whole: bool = False) -> str:
    """Excel's format of a currency, with its symbol where the locale writes it.

    Nothing is shown as a dash, and is a 0 all the same.
    """
    decimals = 0 if whole else exponent(currency)
    number = f"#,##0.{'0' * decimals}" if decimals else "#,##0"
    plain = format_minor(0, currency, locale, whole=whole)
    around = re.split(r"0(?:\D0+)?", plain, maxsplit=1)
    if len(around) != 2:  # digits of another script
        around = [f"{currency.upper()} ", ""]
    before, after = (f'"{text}"' if text else "" for text in around)
    form = f"{before}{number}{after}"
    return f'{form};-{form};"–"'


def day_format() -> str:
    """Of a day in a table, as the language spoken writes it."""
    form = LANGUAGES[language()].table_day
    return form.replace("%Y", "yyyy").replace("%m", "mm").replace("%d", "dd")


def plain_format(number: int | Decimal) -> str:
    """Of a number alone; one with decimals shows as many as it is written with."""
    decimals = str(number).partition(".")[2]
    return f"#,##0.{'0' * len(decimals)}" if decimals else "#,##0"


def signed(form: str) -> str:
    """The same with a plus above 0."""
    above, *others = form.split(";")
    return ";".join([f"+{above}", *(others or [f"-{above}", above])])
