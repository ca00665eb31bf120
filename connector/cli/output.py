"""How commands write results out, and show progress."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from connector.cli.account_lines import account_lines
from connector.core.errors import MissingExtra
from connector.core.language import _, grouped
from connector.core.model import JSON_SCHEMA
from connector.core.text import json_text, printable_lines
from connector.store.files import draft_of

if TYPE_CHECKING:
    from connector.render.table import Part
    from connector.reports.ledger import LedgerFacts
    from connector.reports.model import Report

FINDINGS = 3  # the exit code of what is not as it should be
QUIET_S = 10  # one line of progress at most so often where there is no terminal


Progress = Callable[[str, int, int | None], None]


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
    absolute = output.absolute()
    is_through = not THROUGH.isdisjoint({absolute, *absolute.parents})
    if is_through or (output.exists() and not output.is_file()):
        yield output
        return
    with draft_of(output, mode=0o666 & ~_umask()) as draft:
        yield draft


def _umask() -> int:
    """Which rights new files lack; it can only be asked by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def echo(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print lines in which no character commands the terminal; each says whose it is."""
    lines = account_lines()
    if lines is not None:
        text = lines.of(text.removesuffix("\n"))
    click.echo(printable_lines(text), nl=nl or lines is not None, err=err)


def write(text: str, output: Path | None = None, mark: str = "") -> None:
    """Print, or replace the file in one step, so that nobody reads half a report.

    ``mark`` is a byte order mark, or nothing, before it all.
    """
    if output is None:
        click.echo(mark, nl=False)
        echo(text, nl=not text.endswith("\n"))
        return
    whole = text if text.endswith("\n") else f"{text}\n"
    with place_of(output) as place, place.open("a", encoding="utf-8") as file:
        file.write(mark + printable_lines(whole))


def write_bytes(made: bytes, output: Path) -> None:
    """The same for a file that is no text."""
    with place_of(output) as place, place.open("ab") as file:
        file.write(made)


def drawn(parts: "Iterable[Part]", locale: str) -> Any:
    """A document as a terminal shows it."""
    from connector.render.terminal import view

    return view(parts, locale)


def rendered(view: Any, output: Path | None) -> None:
    """Print a rich renderable; into a file or a pipe as plain text."""
    from connector.render.terminal import PIPE_WIDTH, Harmless, console

    if output is None and account_lines() is None:
        out = console()
        out.print(Harmless(view), soft_wrap=not out.is_terminal)
        return
    plain = console(width=PIPE_WIDTH)
    with plain.capture() as captured:
        plain.print(view, soft_wrap=True)
    write(captured.get(), output)


def emit(
    form: str,
    output: Path | None = None,
    facts: "LedgerFacts | None" = None,
    **forms: Callable[[], Any],
) -> None:
    """Write a result in the form asked for; only that one is made, and what it imports.

    ``json`` gives a dict of plain values, ``text`` a text or a rich renderable, ``csv`` a
    text or what writes one, any other a text. With the ``facts`` of the ledger that was
    read, every form says what is missing; a CSV has no room for it, so the command ends
    with 3.
    """
    made, told, lines = forms[form](), _told(facts), account_lines()
    if form == "json" and lines is not None and not lines.at_once:
        lines.kept |= {**_known(facts), **made}
    elif form == "json":
        whose = {} if lines is None else {"account": lines.account}
        value = {"schema": JSON_SCHEMA, **whose, **_known(facts), **made}
        write_json(value, output)
    elif form == "csv":
        from connector.cli.stderr import warn

        write_csv_text(made, output)
        for line in told:
            warn(line)
        if facts is not None and any(facts.missing):
            raise click.exceptions.Exit(FINDINGS)
    elif isinstance(made, str):
        emphasis = "**" if form == "markdown" else ""
        write("\n".join([*(f"{emphasis}{n}{emphasis}\n" for n in told), made]), output)
    else:
        from rich.console import Group
        from rich.text import Text

        rendered(Group(*(Text(n, style="bold yellow") for n in told), made), output)


def _told(facts: "LedgerFacts | None") -> list[str]:
    if facts is None:
        return []
    from connector.render.footnotes import banner

    return banner(facts)


def _known(facts: "LedgerFacts | None") -> dict[str, Any]:
    if facts is None:
        return {}
    from connector.render.report_json import facts_json

    return facts_json(facts)


@contextmanager
def parquet_needed(instead: str = "") -> Iterator[None]:
    """Where what is imported needs pyarrow."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            "Parquet needs pyarrow, which is not installed",
            fix=f"pip install 'stripe-nrr[parquet]'{instead}",
        ) from error


def show_report(figures: "Report", form: str, locale: str, output: Path | None) -> None:
    """A report in any form but HTML; what a form imports is imported with it."""
    if form == "json":
        from connector.render.report_json import to_json

        write(json_text({"schema": JSON_SCHEMA, **to_json(figures)}), output)
    elif form == "text":
        from connector.render.report_terminal import report_view

        rendered(report_view(figures, locale), output)
        if not figures.parts:
            echo(_("There is no recurring revenue in this ledger."))
    else:
        from connector.render.report_tables import to_csv, to_markdown

        if form == "csv":
            write_csv_text(to_csv(figures), output)
        else:
            write(to_markdown(figures, locale), output)


def write_csv_text(made: str | Callable[[TextIO], None], output: Path | None) -> None:
    """A text, or what writes one row by row, however many there are."""
    from connector.render.table import dialect

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


@contextmanager
def progress_shown(*, quiet: bool = False) -> Iterator[Progress]:
    """Tell ``progress(what, done, all)``; ``all`` is a guess, None where nobody knows.

    A bar a task on a terminal; elsewhere a line every ten seconds.
    """
    lines = account_lines()
    if quiet:
        yield lambda _what, _done, _all: None
    elif sys.stderr.isatty() and (lines is None or not lines.at_once):
        with _bars() as show:
            yield show
    else:
        from connector.cli.stderr import note

        began_s = said_s = time.monotonic()

        def tell(what: str, done: int, whole: int | None) -> None:
            nonlocal said_s
            now_s = time.monotonic()
            if now_s - said_s >= QUIET_S:
                said_s = now_s
                of = (
                    _(" of about {whole}").format(whole=grouped(whole)) if whole else ""
                )
                note(f"{what}: {done:,}{of} after {now_s - began_s:.0f} s")

        yield tell


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich import progress as rich
    from rich.console import Console
    from rich.text import Text

    class Rate(rich.ProgressColumn):
        def render(self, task: rich.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f}/s" if speed else "", style="dim")

    with rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        Rate(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, rich.TaskID] = {}
        lines = account_lines()

        def show(what: str, done: int, whole: int | None) -> None:
            if what not in tasks:
                shown = what if lines is None else lines.of(what)
                tasks[what] = bars.add_task(shown, total=whole)
            bars.update(tasks[what], completed=done, total=whole)

        yield show
