"""What is printed, and files that are replaced as a whole: the only place that echoes.

Where a command takes several accounts, what it prints begins with the account's name; its
JSON is kept, and becomes one of a list; its log has a field. Threads that it starts say so
too, in a copy of its context.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, TextIO, cast

import click

from connector.core.text import cells, json_text, printable_lines, wrapped
from connector.store.files import draft_of

# Where a name stands for an open file: what it holds already is not ours to replace.
THROUGH = {Path("/dev/stdout"), Path("/dev/stderr"), Path("/dev/fd"), Path("/proc")}


def write_json(value: Any, output: Path | None = None) -> None:
    """For programs."""
    text = json_text(value)
    if output is None:
        echo_record(text)
    else:
        write(text, output)


def echo_record(text: str, *, err: bool = False) -> None:
    """What has in it whose it is: no name stands before its lines."""
    click.echo(printable_lines(text), err=err)


@contextmanager
def place_of(output: Path) -> Iterator[Path]:
    """Where to write what is to stand in the file, by appending.

    A file beside it that takes its place when it is whole; what is no regular file (a
    device, a pipe, ``>(…)``) is written through.
    """
    if is_written_through(output):
        yield output
        return
    with draft_of(output, mode=0o666 & ~_umask()) as draft:
        yield draft


def is_written_through(output: Path) -> bool:
    absolute = output.absolute()
    is_stream = not THROUGH.isdisjoint({absolute, *absolute.parents})
    return is_stream or (output.exists() and not output.is_file())


def _umask() -> int:
    """Which rights new files lack; it can only be asked by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines in which no character commands the terminal; each says whose it is.

    None is longer than the terminal is wide, but for what cannot be broken.
    """
    columns, lines = terminal_columns(err=err), account_lines()
    text = with_accounts(text)
    if columns is not None:
        room = columns if lines is None else columns - cells(lines.of(""))
        text = wrapped(text, room)
    _print(text, err=err, nl=nl)


def terminal_columns(*, err: bool = False) -> int | None:
    """How wide the terminal is that this is shown on; None where it goes elsewhere."""
    stream = sys.stderr if err else sys.stdout
    return get_terminal_size().columns if stream.isatty() else None


def _print(text: str, *, err: bool = False, nl: bool = True) -> None:
    lines = account_lines()
    if lines is not None:
        text = lines.of(text.removesuffix("\n"))
    click.echo(printable_lines(text), nl=nl or lines is not None, err=err)


def write(text: str, output: Path | None = None, mark: str = "") -> None:
    """Print, or replace the file in one step, so that nobody reads half a report.

    What is printed is as it would be in the file, however wide the terminal is.
    ``mark`` is a byte order mark, or nothing, before it all.
    """
    if output is None:
        click.echo(mark, nl=False)
        _print(text, nl=not text.endswith("\n"))
        return
    whole = text if text.endswith("\n") else f"{text}\n"
    with place_of(output) as place, place.open("a", encoding="utf-8") as file:
        file.write(mark + printable_lines(whole))


def write_bytes(made: bytes, output: Path) -> None:
    """The same for a file that is no text."""
    with place_of(output) as place, place.open("ab") as file:
        file.write(made)


def write_csv_text(made: str | Callable[[TextIO], None], output: Path | None) -> None:
    """A text, or what writes one row by row, however many there are."""
    from connector.render.csv_table import dialect

    mark = dialect().mark
    if isinstance(made, str):
        write(made, output, mark)
    elif output is None:
        _write_rows(made, sys.stdout, mark)
    else:
        with place_of(output) as place, place.open("a", encoding="utf-8") as file:
            _write_rows(made, file, mark)


def _write_rows(made: Callable[[TextIO], None], file: TextIO, mark: str) -> None:
    file.write(mark)
    made(cast("TextIO", _Printable(file)))


class _Printable(io.TextIOBase):
    """Lines in which no character commands the terminal."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(printable_lines(text))


# Whose lines they are


@dataclass(slots=True)
class AccountLines:
    """``kept`` is the JSON that was said of it; ``at_once``: others speak meanwhile."""

    account: str
    at_once: bool = False
    kept: dict[str, Any] = field(default_factory=dict)

    def of(self, text: str) -> str:
        """Each line with the account's name before it."""
        return "\n".join(f"{self.account}: {line}" for line in text.split("\n"))


_lines: ContextVar[AccountLines | None] = ContextVar("account_lines", default=None)


def account_lines() -> AccountLines | None:
    """None where the command is of one account: nobody has to say of which."""
    return _lines.get()


@contextmanager
def telling_of(lines: AccountLines) -> Iterator[AccountLines]:
    before = _lines.set(lines)
    try:
        yield lines
    finally:
        _lines.reset(before)


_naming: ContextVar[Callable[[str], str]] = ContextVar("naming", default=str)


def name_accounts(naming: Callable[[str], str]) -> None:
    """From now on each command in a text is told as ``naming`` has it."""
    _naming.set(naming)


def with_accounts(text: str) -> str:
    """What is said to people, with the accounts that its commands are to be asked of."""
    return _naming.get()(text)
