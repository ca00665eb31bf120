"""The options that commands share, and how days, windows and ratios are written in."""

import errno
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from connector.config import Config
from connector.core.dates import (
    parse_day,
    parse_duration_s,
    parse_moment,
    parse_month,
)
from connector.core.errors import UsageFault
from connector.core.language import message
from connector.core.model import (
    ACCOUNT,
    METADATA,
    SEGMENTS,
    SegmentValue,
    segment_value,
)
from connector.core.numbers import (
    Unreadable,
    WrittenNumber,
    ratio_of,
    written_number,
)
from connector.core.presets import PRESETS, preset_name
from connector.core.windows import parse_window
from connector.render.table import DIALECTS, STANDARD, written_as
from connector.store.files import SQLITE, side_files

if TYPE_CHECKING:
    from connector.cli.app import Shell


def moment_asked(text: str | None, zone: tzinfo) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_moment(text, zone).astimezone(UTC)
    except ValueError:
        raise UsageFault(
            f"--as-of {text!r} is not a moment",
            fix="write it as 2026-04-02T09:00:00Z, or as a day: 2026-04-02",
        ) from None


T = TypeVar("T")

FORMATS = ("text", "json", "csv", "markdown")


class ReadParam(click.ParamType[T]):
    """A value that ``read`` makes of a text, or raises ``ValueError``.

    ``wanted`` ends the sentence that says what is wrong with it; ``example`` is one.
    """

    def __init__(
        self, name: str, read: Callable[[str], T], wanted: str, example: str = ""
    ) -> None:
        self.name, self.read, self.wanted, self.example = name, read, wanted, example

    def convert(self, value: Any, param: Any, ctx: Any) -> T:
        try:
            return cast("T", value) if not isinstance(value, str) else self.read(value)
        except ValueError:
            said = f"{value!r} is not {self.wanted}"
            if self.example:
                said += f"; write it as {self.example}"
            self.fail(said, param, ctx)


MONTH = ReadParam("YYYY-MM", parse_month, message("a month"), "2026-03")
DAY = ReadParam("YYYY-MM-DD", parse_day, message("a day"), "2026-03-31")


PRESET = ReadParam(
    "PRESET",
    preset_name,
    "a preset; write stripe:default, or join what Stripe is set to otherwise, such as "
    f"{max(PRESETS, key=len)}",
)


class ByParam(click.ParamType[str]):
    """One of ``SEGMENTS``, or ``metadata:KEY`` with a key that the configuration keeps.

    Or one of those ``beside`` them.
    """

    name = "WHAT"

    def __init__(self, *beside: str) -> None:
        self.beside = beside

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        kinds = _kinds(ctx.obj)
        if value not in (*self.beside, *kinds):
            if value.startswith(METADATA):
                kept = [each for each in kinds if each.startswith(METADATA)]
                self.fail(_not_kept(value.removeprefix(METADATA), kept), param, ctx)
            known = ", ".join((*self.beside, *kinds))
            self.fail(f"{value!r} is none of {known}", param, ctx)
        return str(value)


def _kinds(shell: "Shell") -> tuple[str, ...]:
    """What customers are told apart by: also by account, where several are added up."""
    accounts = (ACCOUNT,) if len(shell.accounts) > 1 else ()
    kept = (f"{METADATA}{key}" for key in shell.shared.kept_metadata)
    return (*SEGMENTS, *accounts, *kept)


def _not_kept(key: str, kept: Sequence[str]) -> str:
    return message(
        f"metadata {key!r} is not kept: add the key to `metadata` under [customers], and "
        f"run `stripe-nrr sync --full`; kept are: {', '.join(kept) or 'none'}"
    )


by_option = click.option(
    "--by",
    type=ByParam(),
    help=f"Figures for each {', '.join(SEGMENTS)}, account (where several are added up), "
    "or metadata:KEY.",
)


class SegmentParam(click.ParamType[SegmentValue]):
    """``plan=Team``: what customers are told apart by, and what those wanted have."""

    name = "KIND=VALUE"

    def convert(self, value: Any, param: Any, ctx: Any) -> SegmentValue:
        if not isinstance(value, str):
            return cast("SegmentValue", value)
        kinds = _kinds(ctx.obj)
        try:
            return segment_value(value, kinds)
        except ValueError:
            known = ", ".join(kinds)
            self.fail(f"{value!r} is not one of {known}, = and a value", param, ctx)


only_option = click.option(
    "--segment",
    "only",
    type=SegmentParam(),
    multiple=True,
    help="Only customers with this at a window's opening, as --by names it, such as "
    "country=DE; given twice, those with both.",
)


def _duration_s(text: str) -> float:
    wait_s = parse_duration_s(text)
    if not wait_s:
        raise ValueError(text)
    return wait_s


DURATION = ReadParam("DURATION", _duration_s, message("a duration"), "15m")


class NumberParam(click.ParamType[T]):
    """A number as people write it in the report's locale, made a value by ``read``.

    ``wanted`` is what it must be, ``example`` how that is written.
    """

    def __init__(
        self, name: str, read: Callable[[WrittenNumber], T], wanted: str, example: str
    ) -> None:
        self.name, self.read = name, read
        self.wanted, self.example = wanted, example

    def convert(self, value: Any, param: Any, ctx: Any) -> T:
        if not isinstance(value, str):
            return cast("T", value)
        try:
            written = written_number(value, _locale(ctx))
        except Unreadable:
            said = f"{value!r} is not {self.wanted}; write it as {self.example}"
            self.fail(said, param, ctx)
        try:
            return self.read(written)
        except Unreadable as error:
            self.fail(f"{error}; write it as {self.example}", param, ctx)


def _locale(ctx: Any) -> str:
    return str(ctx.obj.shared.locale) if ctx is not None else Config().locale


def _amount(written: WrittenNumber) -> WrittenNumber:
    """Which of its readings counts follows from the currency."""
    readings = [each for each in (written.own, *written.others) if each is not None]
    if written.is_percent or any(each.value < 0 for each in readings):
        raise Unreadable(f"{written.text!r} is no amount")
    return written


RATIO = NumberParam("RATIO", ratio_of, "a ratio", "1.07 or 107%")
AMOUNT = NumberParam("AMOUNT", _amount, "an amount", "47002.50")


WINDOW = ReadParam(
    "WINDOW",
    parse_window,
    "a window; write a month 2026-03, a quarter 2026-Q1, a year 2026, or ..2026-03 for "
    "the twelve months to March",
)


def _harmless(ctx: Any, _param: Any, output: Path | None) -> Path | None:
    """An output that is none of the ledger's own files, in a folder that is there."""
    if output == STDOUT and ctx.params.get("form") not in AS_BYTES:
        return None
    if output is not None:
        for account in ctx.obj.accounts:
            refuse_own_files(output, account)
        check_folder(output)
        if _is_database(output):
            raise UsageFault(
                f"writing to {output} would destroy it: it is a database, such as a "
                "ledger or a backup of one",
                fix="write to a file of its own",
            )
    return output


def _is_database(path: Path) -> bool:
    """Whether SQLite wrote it; what cannot be read is left to who writes there."""
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(len(SQLITE)) == SQLITE
    return False


def check_folder(output: Path) -> None:
    folder = output.resolve().parent
    if not (output.exists() or folder.is_dir()):
        raise UsageFault(
            f"{output} cannot be written: there is no folder {folder}",
            fix="make the folder, or write elsewhere",
        )


def refuse_own_files(output: Path, config: Config) -> None:
    """``UsageFault`` where writing there would destroy what it keeps, or is told by."""
    own = [
        config.database,
        *side_files(config.database),
        *(
            each
            for each in (
                *(config.status_file, config.source, config.rates, config.benchmarks),
                *(config.key_file, config.webhook_secret_file),
                *(config.admin_token_file, config.token_file),
            )
            if each is not None
        ),
    ]
    refuse_to_replace(output, own)


def refuse_to_replace(output: Path, kept: Iterable[Path]) -> None:
    for each in kept:
        is_there = output.exists() and each.exists()
        if output.resolve() == each.resolve() or (is_there and output.samefile(each)):
            raise UsageFault(
                f"writing to {output} would destroy {each.name}, which is in use here",
                fix="write to a file of its own",
            )


STDOUT = Path("/dev/stdout")
AS_BYTES = {"parquet", "xlsx"}  # forms that no terminal shows


class NamedFile(click.Path):
    """A path with a name that can be one: a file's, or a folder's if that may be meant.

    ``dash`` is what ``-`` stands for, if for anything; a file of that name is ``./-``.
    """

    def __init__(
        self, *, may_be_folder: bool = False, dash: Path | None = None
    ) -> None:
        super().__init__(dir_okay=may_be_folder, path_type=Path)
        self.dash = dash

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        if not str(value).strip() or "\0" in str(value):
            self.fail("the name of a file is missing", param, ctx)
        if str(value) == "-":
            if self.dash is not None:
                return self.dash
            self.fail("a file is needed here; one called - is ./-", param, ctx)
        try:
            Path(value).stat()
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
                self.fail(f"{str(value)!r}: {error.strerror}", param, ctx)
        return super().convert(value, param, ctx)


out_option = click.option(
    "-o",
    "--output",
    type=NamedFile(dash=STDOUT),
    metavar="FILE",
    callback=_harmless,
    help="Write to FILE instead of the terminal; it is replaced as a whole. - is the "
    "standard output.",
)


file_or_folder_option = click.option(
    "-o",
    "--output",
    type=NamedFile(may_be_folder=True, dash=STDOUT),
    metavar="FILE",
    callback=_harmless,
    help="Write to FILE instead of the terminal; it is replaced as a whole. - is the "
    "standard output. Of the mirror, a folder.",
)


currency_option = click.option(
    "--currency",
    metavar="CODE",
    help="Only this currency, such as usd, or total: all in the reporting currency.",
)


Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def formats_option(*forms: str) -> Option:
    """``--format``, and with CSV among the forms ``--dialect``."""
    chosen = _format_option(forms)
    if "csv" not in forms:
        return chosen
    return lambda command: chosen(dialect_option(command))


def _dialect(ctx: Any, _param: Any, name: str) -> None:
    if name != STANDARD:
        ctx.with_resource(written_as(name))


dialect_option = click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    default=STANDARD,
    show_default=True,
    expose_value=False,
    callback=_dialect,
    help="How CSV is written: excel-de has semicolons, decimal commas and a byte order "
    "mark.",
)


def _format_option(forms: Sequence[str]) -> Option:
    return click.option(
        "--format",
        "form",
        type=click.Choice(forms),
        default="text",
        show_default=True,
        is_eager=True,
        callback=_in_english,
    )


FOR_PROGRAMS = {"json", "csv", "parquet"}


def _in_english(ctx: Any, _param: Any, form: str) -> str:
    """What programs read is in no language but that of its keys, whatever is configured."""
    ctx.obj.is_for_programs = form in FOR_PROGRAMS
    return form


format_option = formats_option("text", "json")
