"""The options that commands share."""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from connector.cli.forms import Output
from connector.cli.out_files import STDOUT, NamedFile, harmless
from connector.cli.params import MONTH, ByParam, SegmentParam
from connector.cli.shell import Shell
from connector.core.errors import UsageFault
from connector.core.model import SEGMENTS
from connector.render.csv_table import DIALECTS, STANDARD, written_as

FORMATS = ("text", "json", "csv", "markdown")
Command = Callable[..., Any]
Option = Callable[[Command], Command]


by_option = click.option(
    "--by",
    type=ByParam(),
    help=f"Figures for each {', '.join(SEGMENTS)}, account (where several are added up), "
    "or metadata:KEY.",
)


only_option = click.option(
    "--segment",
    "only",
    type=SegmentParam(),
    multiple=True,
    help="Only customers with this at a window's opening, as --by names it, such as "
    "country=DE; given twice, those with both.",
)


def out_option(*, may_be_folder: bool = False) -> Option:
    said = (
        "Write to FILE instead of the terminal; it is replaced as a whole. - is the "
        "standard output."
    )
    return click.option(
        "-o",
        "--output",
        type=NamedFile(may_be_folder=may_be_folder, dash=STDOUT),
        metavar="FILE",
        callback=harmless,
        help=f"{said} Of the mirror, a folder." if may_be_folder else said,
    )


currency_option = click.option(
    "--currency",
    metavar="CODE",
    help="Only this currency, such as usd, or total: all in the reporting currency.",
)


first_month_option = click.option(
    "--from", "first", type=MONTH, help="The first month."
)
last_month_option = click.option(
    "--to", "last", type=MONTH, help="The last month, included."
)


def output_options(*forms: str, to_file: bool = True) -> Option:
    """``--format``, with CSV among the forms ``--dialect``, and ``-o``.

    The command gets them, and the shell, as its first argument: ``out``.
    """
    shown = _format_option(forms)

    def decorated(command: Command) -> Command:
        @click.pass_obj
        @wraps(command)
        def called(
            shell: Shell, /, form: str, output: Path | None = None, **given: Any
        ) -> Any:
            return command(Output(form, output, shell), **given)

        chosen = out_option()(called) if to_file else called
        return shown(dialect_option(chosen) if "csv" in forms else chosen)

    return decorated


def _dialect(ctx: Any, _param: Any, name: str) -> None:
    if name != STANDARD:
        form = ctx.params.get("form", "csv")
        if form != "csv":
            raise UsageFault(
                f"--dialect {name} is of CSV, and this is {form}",
                fix="add --format csv, or leave out --dialect",
            )
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


output_option = output_options("text", "json", to_file=False)
