"""What the commands share: how days are written in, how results are written out."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import click

from connector.periods import parse_day, parse_month

FORMATS = ("text", "json", "csv", "markdown")


QUIET_S = 10  # one line of progress at most so often where there is no terminal


Progress = Callable[[str, int, int | None], None]


class MonthParam(click.ParamType[date]):
    name = "YYYY-MM"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            return value if isinstance(value, date) else parse_month(value)
        except ValueError:
            self.fail(f"{value!r} is not a month; write it as 2026-03", param, ctx)


class DayParam(click.ParamType[date]):
    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: Any, ctx: Any) -> date:
        try:
            return value if isinstance(value, date) else parse_day(value)
        except ValueError:
            self.fail(f"{value!r} is not a day; write it as 2026-03-31", param, ctx)


out_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE instead of the terminal; it is replaced as a whole.",
)


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
)


def write(text: str, output: Path | None) -> None:
    """Print, or replace the file in one step, so that nobody reads half a report."""
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    draft = output.with_name(f".{output.name}.draft")
    draft.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    draft.replace(output)


def rendered(view: Any, output: Path | None) -> None:
    """Print a rich renderable; into a file or a pipe as plain text."""
    from connector.terminal import PIPE_WIDTH, console

    if output is None:
        out = console()
        out.print(view, soft_wrap=not out.is_terminal)
        return
    plain = console(width=PIPE_WIDTH)
    with plain.capture() as captured:
        plain.print(view, soft_wrap=True)
    write(captured.get(), output)


@contextmanager
def progress_shown(*, quiet: bool = False) -> Iterator[Progress]:
    """Tell ``progress(what, done, all)``; ``all`` None where nobody knows.

    A bar a task on a terminal; elsewhere a line every ten seconds.
    """
    if quiet:
        yield lambda _what, _done, _all: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        said_s = time.monotonic()

        def tell(what: str, done: int, whole: int | None) -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= QUIET_S:
                said_s = time.monotonic()
                of = f" of {whole:,}" if whole else ""
                click.echo(f"{what}: {done:,}{of}", err=True)

        yield tell


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import (
        Progress as Bars,
    )

    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, whole: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=whole)
            bars.update(tasks[what], completed=done, total=whole)

        yield show
