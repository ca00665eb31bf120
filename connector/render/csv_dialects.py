"""How CSV is written: for programs, or as a spreadsheet opens it by a double click.

standard   commas, decimal points, no byte order mark
excel-de   semicolons, decimal commas and a byte order mark, as a German Excel expects
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


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


def write_as(name: str) -> None:
    """From now on, in this command."""
    _chosen.set(DIALECTS[name])


@contextmanager
def written_as(name: str) -> Iterator[None]:
    before = _chosen.set(DIALECTS[name])
    try:
        yield
    finally:
        _chosen.reset(before)
