"""Numbers as people write them: an amount or a ratio in the words of a locale.

``47.156,71 €`` (de), ``47,156.71`` (en), ``CHF 47’156.71`` (de_CH) and ``47 156,71`` (fr)
are one amount. A text has the reading of its locale, and those of whoever groups with a
comma or a dot otherwise. Where these differ and the locale's own does not decide, it is
refused: a wrong guess would be a hundred or a thousand times too much.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

SPACES = " \u00a0\u202f\u2009"  # between groups: plain, no-break, narrow, thin
APOSTROPHES = "'’"
MARKS = dict.fromkeys(map(ord, "\u200e\u200f\u061c"))  # of direction: not to be seen
MINUS = "-−"
PERCENT = "%٪"
MOST_RATIO = 10  # 1,000 %: nobody keeps so much, per cent were meant


class Unreadable(ValueError):
    """A text is no number, or could be several; says which."""


class Reading(NamedTuple):
    """One way to read a text. ``decimals`` are those that are written."""

    value: Decimal
    decimals: int


class WrittenNumber(NamedTuple):
    """A number as it was written: its locale's reading (or None), and others that differ.

    ``code`` is the currency that it names (``EUR``), "" where it names none.
    """

    text: str
    own: Reading | None
    others: Sequence[Reading]
    is_percent: bool
    code: str


class _Notation(NamedTuple):
    """What stands before the decimals, between groups, and how long groups are."""

    point: str
    groups: str
    lengths: str  # a pattern of how many digits a group in the middle has


def written_number(text: str, locale: str) -> WrittenNumber:
    """Raises ``Unreadable`` where no way of reading makes it a number."""
    core, is_percent, code = _bare(text, locale)
    sign = -1 if core[:1] in MINUS and core else 1
    digits = core.lstrip(MINUS) if sign < 0 else core
    own = [reading for each in _own(locale) for reading in _read(digits, each, sign)]
    others = {
        reading
        for point, group in ((".", ","), (",", "."))
        for reading in _read(digits, _Notation(point, group, "3"), sign)
        if reading.value not in {each.value for each in own}
    }
    if not own and not others:
        raise Unreadable(text)
    return WrittenNumber(
        text, own[0] if own else None, sorted(others), is_percent, code
    )


def _bare(text: str, locale: str) -> tuple[str, bool, str]:
    """The number alone in ASCII digits; whether per cent, and the currency it names."""
    plain = "".join(map(_ascii_digit, text.translate(MARKS))).strip()
    sign = plain[:1] if plain[:1] and plain[:1] in MINUS else ""
    found = re.fullmatch(r"(\D*?)([-−]?\d(?:.*\d)?)(\D*)", plain.removeprefix(sign))
    if found is None:
        raise Unreadable(text)
    affixes = [each.strip(SPACES) for each in (found[1], found[3])]
    named = [each for each in affixes if each]
    if len(named) > 1 or (sign and found[2][0] in MINUS):
        raise Unreadable(text)
    is_percent = bool(named) and named[0] in PERCENT
    if named and not is_percent and not _is_currency(named[0], locale):
        raise Unreadable(text)
    code = named[0].upper() if named and named[0].upper() in _codes() else ""
    return sign + found[2], is_percent, code


def _ascii_digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _is_currency(affix: str, locale: str) -> bool:
    return (
        all(unicodedata.category(each) == "Sc" for each in affix)
        or affix.upper() in _codes()
        or affix in _symbols(locale)
    )


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    from babel.numbers import list_currencies  # noqa: PLC0415

    return frozenset(list_currencies())


@lru_cache(maxsize=8)
def _symbols(locale: str) -> frozenset[str]:
    """How the locale abbreviates currencies: ``kr``, ``US$``, ``zł``."""
    from babel import Locale  # noqa: PLC0415

    symbols = Locale.parse(locale).currency_symbols.values()
    return frozenset(each.translate(MARKS).strip(SPACES) for each in symbols)


@lru_cache(maxsize=8)
def _own(locale: str) -> tuple[_Notation, ...]:
    """The locale's notations: with Latin digits, and with its own where it has some."""
    from babel import Locale  # noqa: PLC0415
    from babel.numbers import get_decimal_symbol, get_group_symbol  # noqa: PLC0415

    spoken = Locale.parse(locale)
    inner = spoken.decimal_formats[None].grouping[1]
    found = []
    for system in ("latn", "default"):
        point: Any = get_decimal_symbol(spoken, numbering_system=system)
        group: Any = get_group_symbol(spoken, numbering_system=system)
        found.append(_Notation(point, group, "23" if inner == 2 else "3"))
    return tuple(dict.fromkeys(found))


def _read(digits: str, notation: _Notation, sign: int) -> Iterator[Reading]:
    """The reading in a notation, if it is well formed there.

    Groups may also be set apart by spaces or apostrophes, but all by the same.
    """
    whole, point, rest = digits.partition(notation.point)
    separators = set(re.sub(r"[0-9]", "", whole))
    allowed = (set(notation.groups), set(SPACES), set(APOSTROPHES))
    if (point and not re.fullmatch(r"[0-9]+", rest)) or not whole:
        return
    if separators and not any(separators <= each for each in allowed):
        return
    first, *groups = re.split(r"[^0-9]", whole)
    if first and (
        not groups or _are_groups(first, groups, notation.lengths, separators)
    ):
        value = Decimal(f"{first}{''.join(groups)}.{rest or 0}")
        yield Reading(sign * value, len(rest))


def _are_groups(
    first: str, groups: Sequence[str], lengths: str, separators: set[str]
) -> bool:
    """Three digits at the end, and no more at the beginning.

    But with apostrophes, of which Babel writes the last one alone: 1234567'890.
    """
    *middle, last = groups
    longest = len(first) if separators <= set(APOSTROPHES) else 3
    return (
        first[0] != "0"
        and len(first) <= longest
        and len(last) == 3
        and all(str(len(each)) in lengths for each in middle)
    )


def amount_of(written: WrittenNumber, currency: str, decimals: int) -> Decimal:
    """The amount in whole units of a currency that has so many decimals.

    Raises ``Unreadable``, which names both readings where there are two.
    """
    if written.is_percent or written.code.lower() not in ("", currency):
        raise Unreadable(f"{written.text!r} is no amount in {currency.upper()}")
    found = _chosen(written, lambda each: each.decimals <= decimals)
    if found is None:
        raise Unreadable(
            f"{written.text!r} has more decimals than {currency.upper()}, which has "
            f"{decimals}"
        )
    return found


def ratio_of(written: WrittenNumber) -> Fraction:
    """``1.07`` and ``107 %`` are one ratio; nothing reaches 1,000 %.

    Raises ``Unreadable``, which names both readings where there are two.
    """
    whole = 100 if written.is_percent else 1
    if written.code:
        raise Unreadable(f"{written.text!r} is no ratio")
    if not written.is_percent:  # a ratio of 1,075 is none: only one reading is left
        every = [written.own, *written.others]
        small = [each for each in every if each and abs(each.value) < MOST_RATIO]
        if len(small) == 1:
            return Fraction(small[0].value)
    found = _chosen(written, lambda each: abs(each.value) < MOST_RATIO * whole)
    if found is None:
        raise Unreadable(f"{written.text!r} is not a ratio, but 1,000% or more")
    return Fraction(found) / whole


def _chosen(
    written: WrittenNumber, is_likely: Callable[[Reading], bool]
) -> Decimal | None:
    """The locale's reading, if no other is likely; else the only one, if it is likely."""
    likely_others = list(filter(is_likely, written.others))
    if written.own is not None and is_likely(written.own) and not likely_others:
        return written.own.value
    every = [each for each in (written.own, *written.others) if each is not None]
    if len(every) == 1:
        return every[0].value if is_likely(every[0]) else None
    *others, last = (f"{each.value.normalize():f}" for each in every)
    first = ", ".join(others)
    raise Unreadable(f"{written.text!r} can be read as {first} or {last}")
