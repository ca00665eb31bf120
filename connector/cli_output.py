"""What the commands share: how days are written in, how results are written out."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import click
import msgspec

from connector.model import Window, WindowKind
from connector.periods import parse_day, parse_month
from connector.windows import windows

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


# What `--by` tells customers apart by, beside metadata:KEY.
PLAIN = ("plan", "product", "interval", "currency", "country", "band", "cohort")
METADATA = "metadata:"


class ByParam(click.ParamType[str]):
    """One of ``PLAIN``, or ``metadata:KEY`` with a key that the configuration keeps."""

    name = "WHAT"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        kept = [f"{METADATA}{key}" for key in ctx.obj.config.metadata_keys]
        if value not in (*PLAIN, *kept):
            known = ", ".join((*PLAIN, *kept))
            hint = "" if kept else " (keep a key as `metadata` under [customers])"
            self.fail(f"{value!r} is none of {known}{hint}", param, ctx)
        return str(value)


by_option = click.option(
    "--by",
    type=ByParam(),
    help=f"Figures for each {', '.join(PLAIN)}, or metadata:KEY.",
)


class DurationParam(click.ParamType[float]):
    """Seconds, from 90s, 15m, 2h or 1d."""

    name = "DURATION"
    units_s: ClassVar[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        match = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if match is None or match[1].strip("0") == "":
            self.fail(f"{value!r} is not a duration; write it as 15m", param, ctx)
        return float(int(match[1]) * self.units_s[match[2]])


class RatioParam(click.ParamType[Fraction]):
    name = "RATIO"

    def convert(self, value: Any, param: Any, ctx: Any) -> Fraction:
        try:
            return value if isinstance(value, Fraction) else _ratio(value)
        except ValueError:
            self.fail(f"{value!r} is not a ratio; write it as 1.07 or 107%", param, ctx)


def _ratio(text: str) -> Fraction:
    """1.07, 107%, 107 % or −3.5%; nothing beyond 1,000 %, where per cent are meant."""
    written = re.fullmatch(r"([-−]?)(\d{1,6}(?:\.\d{1,6})?) ?(%?)", text.strip())
    if written is None:
        raise ValueError(text)
    ratio = Fraction(written[2]) / (100 if written[3] else 1)
    if ratio >= 10:
        raise ValueError(text)
    return -ratio if written[1] else ratio


class WindowParam(click.ParamType[Window]):
    name = "WINDOW"

    def convert(self, value: Any, param: Any, ctx: Any) -> Window:
        try:
            return value if isinstance(value, Window) else _window(value.strip())
        except ValueError:
            fault = f"{value!r} is not a window; write a month 2026-03, a quarter "
            fault += "2026-Q1, a year 2026, or ..2026-03 for the twelve months to March"
            self.fail(fault, param, ctx)


def _window(text: str) -> Window:
    for kind, shape, month in _WINDOWS:
        found = re.fullmatch(shape, text)
        if found is not None:
            day = parse_month(month(found))
            return windows(kind, day, day)[0]
    raise ValueError(text)


# How each kind of window is written, and the month that names it.
_WINDOWS: Sequence[tuple[WindowKind, str, Callable[[re.Match[str]], str]]] = (
    (WindowKind.MONTH, r"\d{4}-\d{2}", lambda found: found[0]),
    (
        WindowKind.QUARTER,
        r"(\d{4})-[Qq]([1-4])",
        lambda found: f"{found[1]}-{int(found[2]) * 3:02}",
    ),
    (WindowKind.YEAR, r"\d{4}", lambda found: f"{found[0]}-01"),
    (WindowKind.TRAILING_12, r"\.\.(\d{4}-\d{2})", lambda found: found[1]),
)


out_option = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE instead of the terminal; it is replaced as a whole.",
)


currency_option = click.option(
    "--currency", metavar="CODE", help="Only this currency, such as usd."
)


Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def formats_option(*forms: str) -> Option:
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default="text",
        show_default=True,
    )


format_option = formats_option("text", "json")


def json_text(value: Any) -> str:
    """Indented, and ASCII, which no terminal's code page spoils.

    By msgspec, several times as fast, as long as it is ASCII by itself.
    """
    with suppress(UnicodeEncodeError):  # a path may be no text
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        if text.isascii():
            return text
    return json.dumps(value, indent=2)


def write(text: str, output: Path | None = None) -> None:
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
    """Tell ``progress(what, done, all)``; ``all`` is a guess, None where nobody knows.

    A bar a task on a terminal; elsewhere a line every ten seconds.
    """
    if quiet:
        yield lambda _what, _done, _all: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        began_s = said_s = time.monotonic()

        def tell(what: str, done: int, whole: int | None) -> None:
            nonlocal said_s
            now_s = time.monotonic()
            if now_s - said_s >= QUIET_S:
                said_s = now_s
                of = f" of about {whole:,}" if whole else ""
                click.echo(
                    f"{what}: {done:,}{of} after {now_s - began_s:.0f} s", err=True
                )

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

        def show(what: str, done: int, whole: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=whole)
            bars.update(tasks[what], completed=done, total=whole)

        yield show
