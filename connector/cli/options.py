"""The options that commands share."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from connector.cli.out_files import STDOUT, NamedFile, harmless
from connector.cli.params import ByParam, SegmentParam
from connector.core.model import SEGMENTS
from connector.render.csv_table import DIALECTS, STANDARD, written_as

FORMATS = ("text", "json", "csv", "markdown")


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


out_option = click.option(
    "-o",
    "--output",
    type=NamedFile(dash=STDOUT),
    metavar="FILE",
    callback=harmless,
    help="Write to FILE instead of the terminal; it is replaced as a whole. - is the "
    "standard output.",
)


file_or_folder_option = click.option(
    "-o",
    "--output",
    type=NamedFile(may_be_folder=True, dash=STDOUT),
    metavar="FILE",
    callback=harmless,
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
