"""A value of Stripe's as it may be shown: short, nothing personal, no secret."""

import re
from decimal import Decimal

from connector.core.errors import masked
from connector.core.language import marked, message

# What Stripe's texts of a customer may hold. Of these only what kind of value it is.
_PERSONAL = frozenset({"name", "address", "metadata", "email", "phone", "description"})
# Texts are shown where Stripe chooses among words, or writes a number, and of no other
# field: whatever stands in the wrong place may be anything.
_WORDS = {
    *("status", "currency", "duration", "interval", "usage_type", "type", "object"),
    *("billing_scheme", "tiers_mode", "round", "tax_behavior", "behavior"),
}
_WORD = re.compile(r"[a-z][a-z_]{0,31}", re.ASCII)
_NUMBERS = re.compile(r".*_decimal|percent_off|percentage")
_NUMBER = re.compile(r"[+-]?(\d{1,24}(\.\d{0,24})?|NaN|Infinity)", re.ASCII)
_MOST_DIGITS = 24


def shown(value: object, field: str) -> str:
    """A value in few characters that may be printed: nothing personal, no secret."""
    is_personal = not _PERSONAL.isdisjoint(re.findall(r"\w+", field))
    if value is None or isinstance(value, bool):
        return str(value)
    if value == []:
        return marked("empty")
    if isinstance(value, int | float | Decimal) and not is_personal:
        text = str(value)
        is_short = len(text) <= _MOST_DIGITS
        return text if is_short else message(f"{text[:6]}… (a long number)")
    if isinstance(value, str):
        is_shown = _is_word(value, field) and not is_personal
        return value if is_shown else message(f"a text of {len(value)} characters")
    return _KINDS.get(type(value), marked("of another kind"))


_KINDS = {
    list: marked("a list"),
    dict: marked("an object"),
    int: marked("a number"),
    float: marked("a number"),
}


def _is_word(value: str, field: str) -> bool:
    last = field.rpartition(".")[2]
    if last in _WORDS:
        return is_word(value)
    return bool(_NUMBERS.fullmatch(last) and _NUMBER.fullmatch(value))


def is_word(value: str) -> bool:
    """Whether it can be one of those that Stripe chooses among."""
    return _WORD.fullmatch(value) is not None and masked(value) == value
