"""docs/architecture.md against the tree: its packages, and the ways through them."""

import ast
import re
from importlib import import_module

import pytest

from tests.support.documents import rows, section, spans
from tests.support.source import PACKAGE, modules
from tests.test_architecture import MAY_IMPORT

PAGE = "docs/architecture.md"
TABLE = rows(section(PAGE, "## The packages of `connector/`"))
IN_NO_FOLDER = {"config"}
WAYS = ("## One invoice's way", "## One event's way", "## One window's way")


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_table_tells_every_package_in_the_order_of_the_floors() -> None:
    told = [name for row in TABLE for name in named(row[0])]
    folders = {path.parent for path in PACKAGE.rglob("__init__.py")} - {PACKAGE}
    there = {folder.relative_to(PACKAGE).as_posix() for folder in folders}
    assert set(told) == there | IN_NO_FOLDER
    floors = [name for name in MAY_IMPORT if name not in ("", "__main__")]
    assert [name for name in told if "/" not in name] == floors


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].strip("`"))
def test_a_package_may_import_what_the_table_says(row: list[str]) -> None:
    [name] = named(row[0])
    above, _, is_inside = name.partition("/")
    if is_inside:
        assert row[4] == f"as `{above}`"
    else:
        assert set(named(row[4])) == MAY_IMPORT[name] - {""}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].strip("`"))
def test_what_is_to_be_read_first_is_there_and_the_package_says_so(
    row: list[str],
) -> None:
    name = row[0].strip("`").replace("/", ".")
    for first in named(row[3]):
        assert f"{name}.{first}" in modules()
        assert f"``{first}``" in (ast.get_docstring(modules()[name]) or "")
    assert named(row[3]) or name in IN_NO_FOLDER


STOPS = [
    span
    for span in spans(PAGE)
    if re.fullmatch(r"[\w.]+", span) and span.partition(".")[0] in MAY_IMPORT
    if "." in span and span != "config.toml"
]


@pytest.mark.parametrize("stop", STOPS)
def test_every_stop_of_the_ways_is_there(stop: str) -> None:
    """Each is a module's function, class or method."""
    module = stop
    rest: list[str] = []
    while module not in modules():
        module, _, last = module.rpartition(".")
        rest.insert(0, last)
    assert rest, "a module is no stop"
    found = import_module(f"connector.{module}")
    for name in rest:
        found = getattr(found, name)
    assert callable(found)


@pytest.mark.parametrize("way", WAYS)
def test_each_line_of_a_way_begins_with_a_stop(way: str) -> None:
    lines = re.findall(r"^\d+\. (.*)$", section(PAGE, way), re.MULTILINE)
    assert len(lines) > 5
    for line in lines:
        first = re.match(r"`([\w.]+)` ", line)
        assert first is not None, line
        assert first[1] in STOPS, line
