"""What is wrong with a file that is no TOML, in a sentence that names the fix."""

import re
import tomllib
from collections.abc import Iterator

from connector.core.errors import masked
from connector.core.language import message

BOM = "\ufeff"
_PLACE = re.compile(r"at line (\d+), column")
_SETTING = re.compile(r"\s*([\w.\-]+)\s*=\s*(.*?)\s*(?:\s#.*)?")
_STRAIGHT = "\"'"
_CURLY = "“”„‟‘’‚‛«»"  # what word processors make of straight ones


def toml_fault(text: str, error: tomllib.TOMLDecodeError) -> str:
    """``line 3 needs quotes: write `timezone = "Europe/Berlin"```, or what was said."""
    if text.startswith(BOM):
        return message(
            "line 1 begins with a byte order mark (BOM), which editors do not show: "
            "save it as “UTF-8”, not as “UTF-8 with BOM”"
        )
    told = (_quotes(line, number) for number, line in _suspects(text, error))
    return next((each for each in told if each is not None), masked(str(error)))


def _suspects(text: str, error: tomllib.TOMLDecodeError) -> Iterator[tuple[int, str]]:
    """The line that the parser names; where it met the end, those that fail alone."""
    place = _PLACE.search(str(error))
    for number, line in enumerate(text.split("\n"), 1):
        if int(place[1]) == number if place is not None else not _is_toml(line):
            yield number, line


def _quotes(line: str, number: int) -> str | None:
    """What is wrong with the quotes of a setting; None where that is not it."""
    found = _SETTING.fullmatch(line)
    if found is None:
        return None
    key, value = found.groups()
    bare = value.strip(_STRAIGHT + _CURLY)
    written = f'{key} = "{bare}"'
    if not bare or bare[0] in "[{" or not _is_toml(written):
        return None
    if any(each in value for each in _CURLY):
        wrong = message("has quotes that are not straight ones")
    elif value == bare:
        wrong = message("needs quotes")
    else:
        wrong = message("lacks a quote")
    return message(f"line {number} {wrong}: write `{masked(written)}`")


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
