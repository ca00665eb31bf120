"""A file → its rows of texts, however a spreadsheet or a database wrote them.

UTF-8 with or without a byte order mark, UTF-16 and UTF-32 with one, else as Windows
writes it; commas, semicolons, tabs or bars; a first line ``sep=;``. What is no such text is
refused by what it is, and a quote that nothing closes, which would swallow lines.
"""

import csv
from codecs import getincrementaldecoder
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from connector.core.errors import UsageFault, why_unread
from connector.core.language import message

FIRST = 200  # lines below the heads that tell what columns are
MOST_TITLES = 10  # lines above the heads
BLOCK = 1 << 20
_SEPARATORS = ",;\t|"
_SAVE_IT = message("open it, save it as CSV (UTF-8), and give that")
_EXPORT = message("export CSV in its place")
_DOWNLOAD = message("download the CSV file itself, signed in")
_IN_A_ZIP = message("unpack it, and give the CSV file that is in it")
_COMPRESSED = message("unpack it, and give what is in it")
# How files begin that are no text, and what to do with them.
_OTHERS = {
    b"PK\x03\x04": (message("a ZIP archive"), _IN_A_ZIP),
    b"\x1f\x8b": (message("compressed by gzip"), _COMPRESSED),
    b"\xd0\xcf\x11\xe0": (message("an old Excel workbook"), _SAVE_IT),
    b"%PDF": (message("a PDF"), _EXPORT),
    b"PAR1": (message("a Parquet file"), _EXPORT),
    b"SQLite format 3": (message("an SQLite database"), _EXPORT),
    b"<": (message("a web page or XML"), _DOWNLOAD),
    b"{": ("JSON", _EXPORT),
    b"[": ("JSON", _EXPORT),
}
# Byte order marks, that of UTF-32 before the one that it begins with.
_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_OF_EXCEL = (b"[Content_Types].xml", b"xl/")  # what such an archive holds


class CsvFile(NamedTuple):
    """How a file is written; ``skipped`` are lines before that of the heads.

    Such are titles, and ``sep=;``.
    """

    path: Path
    encoding: str
    delimiter: str
    skipped: int


def csv_file(path: Path) -> CsvFile:
    """Raises ``UsageFault`` for what cannot be read, or is no text."""
    try:
        encoding = _encoding(path)
        with path.open(encoding=encoding, newline="") as file:
            lines = [line.strip() for line in islice(file, MOST_TITLES)]
    except (OSError, UnicodeError) as error:
        raise UsageFault(
            f"{path} cannot be read: {why_unread(error)}",
            fix="give the path of a CSV file in UTF-8",
        ) from error
    first = lines[0]
    if first.lower().startswith("sep=") and len(first) == len("sep=;"):
        return CsvFile(path, encoding, first[-1], 1)
    skipped = next((n for n, line in enumerate(lines) if _has_columns(line)), 0)
    return CsvFile(path, encoding, _delimiter(lines[skipped:]), skipped)


def _delimiter(lines: Sequence[str]) -> str:
    """Of the heads; one that the lines below do not have stands in a head's name."""
    heads, *below = lines
    filled = [line for line in below if line]
    return max(
        _SEPARATORS,
        key=lambda it: (
            bool(heads.count(it)) and all(line.count(it) for line in filled),
            heads.count(it),
        ),
    )


def _has_columns(line: str) -> bool:
    """A title stands alone in its line; so does the start of a head of several lines."""
    return any(line.count(it) for it in _SEPARATORS) or line.count('"') % 2 == 1


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(BLOCK)
    if not start.strip():
        raise UsageFault(
            f"{path} is empty: it has no columns", fix="give a file with figures in it"
        )
    marked = next(
        (name for mark, name in _MARKS.items() if start.startswith(mark)), None
    )
    if marked is not None:
        return marked
    _refuse(path, start)
    return "utf-8-sig" if _is_utf_8(path) else "cp1252"


def _refuse(path: Path, start: bytes) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"PK") and any(part in start for part in _OF_EXCEL):
        raise UsageFault(f"{path} is an Excel workbook, not CSV", fix=_SAVE_IT)
    for mark, (what, fix) in _OTHERS.items():
        if text.startswith(mark):
            raise UsageFault(f"{path} is {what}, not CSV", fix=fix)
    if b"\0" in start:
        raise UsageFault(f"{path} is not a text file", fix="give a CSV file in UTF-8")


def _is_utf_8(path: Path) -> bool:
    decoder = getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while block := file.read(BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def heads_of(written: CsvFile) -> tuple[list[str], list[list[str]]]:
    """The heads, which may go over several lines, and some rows below them."""
    rows = _every(written)
    _, heads = next(rows, (0, []))
    return heads, [row for _, row in islice(rows, FIRST)]


def rows_of(written: CsvFile) -> Iterator[tuple[int, Sequence[str]]]:
    """Each row below the heads with the number of its line; blank ones are left out."""
    rows = _every(written)
    next(rows, None)
    return rows


def _every(written: CsvFile) -> Iterator[tuple[int, list[str]]]:
    """Raises ``UsageFault`` where the file's end, or its text, cannot be read."""
    at = written.skipped
    try:
        with written.path.open(encoding=written.encoding, newline="") as file:
            for _ in range(written.skipped):
                file.readline()
            rows = csv.reader(
                file, delimiter=written.delimiter, skipinitialspace=True, strict=True
            )
            for row in rows:
                at = rows.line_num + written.skipped
                if any(cell.strip() for cell in row):
                    yield at, row
    except (OSError, UnicodeError, csv.Error) as error:
        raise UsageFault(
            f"{written.path} cannot be read from line {at + 1} on: {error}",
            fix="give a CSV file in UTF-8, each quote of which is closed",
        ) from error
