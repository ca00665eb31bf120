"""One value of the file, as TOML has it → as the program has it.

Each raises ``ValueError``, ``TypeError`` or ``KeyError`` for a value that it does not take.
"""

import re
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from connector.core.dates import parse_duration_s
from connector.core.errors import SECRET
from connector.core.language import LANGUAGES
from connector.core.money import is_locale
from connector.core.numbers import ratio_of, written_number


class ListenAddress(NamedTuple):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int


def text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise TypeError
    return value


def path(value: Any) -> Path:
    try:
        found = Path(text(value)).expanduser()
    except RuntimeError as error:  # "~nobody/ledger.db"
        raise ValueError from error
    if "\0" in value:
        raise ValueError
    return found


def optional_path(value: Any) -> Path | None:
    return None if value == "" else path(value)


def account_name(value: Any) -> str:
    """What users type, and what ends the names of its files."""
    if SECRET.search(text(value)):
        raise ValueError
    return _matching(value, r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def secret_file(value: Any) -> Path:
    """Where a secret is; never the secret itself."""
    if SECRET.search(text(value)):
        raise ValueError
    return path(value)


def zone(value: Any) -> ZoneInfo:
    return ZoneInfo(text(value))


def _number(value: Any, kinds: tuple[type, ...], most: int) -> Any:
    if type(value) not in kinds or not 1 <= value <= most:
        raise ValueError
    return kinds[0](value)


count = partial(_number, kinds=(int,), most=64)
rate = partial(_number, kinds=(float, int), most=1000)


def _matching(value: Any, pattern: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError
    return str(value)


DEFAULT_LOCALE = "en_US"
label = partial(_matching, pattern=r"name|id|metadata:.+")
stripe_account = partial(_matching, pattern=r"acct_\w+(/acct_\w+)*")
owner = partial(_matching, pattern=r"(metadata:.+)?")


def locale(value: Any) -> str:
    """One that numbers can be written in; "" is the language's own."""
    if value == "":
        return ""
    name = _matching(value, r"[a-z]{2,3}(_[A-Z][A-Za-z]{3})?(_[A-Z]{2})?")
    if name != DEFAULT_LOCALE and not is_locale(name):
        raise ValueError
    return name


def currency(value: Any) -> str | None:
    return _matching(value, r"([A-Za-z]{3})?").lower() or None


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(text(each) for each in value)


def edges(value: Any) -> tuple[int, ...]:
    found = tuple(value)
    if not found or list(found) != sorted({0, *found} - {0}):
        raise ValueError
    if not all(type(edge) is int and edge > 0 for edge in found):
        raise TypeError
    return found


def merge(value: Any) -> dict[str, str]:
    """Old customer → the one it has become in the end."""
    if not isinstance(value, dict):
        raise TypeError
    merged = {}
    for old in value:
        last, steps = old, 0
        while last in value:
            last, steps = text(value[last]), steps + 1
            if steps > len(value):
                raise ValueError
        merged[old] = last
    return merged


def listen_address(value: Any) -> ListenAddress:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+)):(\d{1,5})", value)
    if match is None or int(match[3]) > 65_535:
        raise ValueError
    return ListenAddress(match[1] or match[2], int(match[3]))


def language(value: Any) -> str:
    if value not in LANGUAGES:
        raise ValueError
    return str(value)


def duration_s(value: Any) -> float:
    return parse_duration_s(text(value))


def ratio(value: Any) -> Fraction | None:
    if value == "":
        return None
    if type(value) not in (int, float, str):
        raise TypeError
    found = ratio_of(written_number(str(value), DEFAULT_LOCALE))
    if found <= 0:
        raise ValueError
    return found
