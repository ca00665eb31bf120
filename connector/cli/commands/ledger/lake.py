"""`stripe-nrr lake`: the derivation over Parquet, on DuckDB or Spark."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.out_files import NamedFolder, refuse_inside
from connector.config import rules_of
from connector.core.errors import MissingExtra, Underivable, UsageFault
from connector.core.language import _, grouped
from connector.core.messages import spoken
from connector.core.money import format_count
from connector.core.text import printable

if TYPE_CHECKING:
    from connector.lake.run import Prepared

NAMED = 5  # in one sentence
FOLDER = NamedFolder()


@click.command()
@click.argument("source", type=FOLDER, metavar="SRC")
@click.argument("folder", type=FOLDER, metavar="OUT")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    show_default=True,
    help="DuckDB on this machine, or the Spark that is configured.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 256),
    metavar="N",
    default=1,
    show_default=True,
    help="How many derive at once; Spark has its own.",
)
@output_option
def lake(out: Output, source: Path, folder: Path, engine: str, processes: int) -> None:
    """Derive every customer from a folder of Parquet, into a folder of Parquet.

    For accounts that one SQLite file is too small for; the functions that derive are
    the same, and so are the rows. SRC is what `export --what mirror` writes, or whole
    Stripe objects as a pipeline keeps them, with a manifest.json (docs/lake.md); OUT
    gets a folder a run: movements, components, terms, refusals, coverage, and the
    figures of all standard windows. The configuration's [policy], timezone and merge
    apply; without a timezone, the source's own.

    A customer whose history breaks the derivation is named; all others are derived,
    and the exit code is 1. A run that fails leaves nothing. Needs
    pip install 'stripe-nrr[duckdb]' or 'stripe-nrr[spark]'.

    \b
    Examples:
      stripe-nrr export --what mirror -o mirror
      stripe-nrr lake mirror lake --processes 2
      stripe-nrr report --lake lake
    """  # noqa: D301
    shell = out.shell
    with _installed(engine):
        from connector.lake.run import newest, not_derived, prepared, write_run
        from connector.lake.source import sources_in

        fill = _engine(engine, processes)
    refuse_inside(folder, source)
    sources = sources_in(source)
    for each in sources:  # which may be links to elsewhere
        refuse_inside(folder, each.folder)
    zones = dict.fromkeys(each.zone for each in sources if each.zone is not None)
    if len(zones) != 1 and shell.shared.zone is None:
        found = ", ".join(map(str, zones)) or "none"
        raise UsageFault(
            f"in which time zone a day is a day is not clear: the source says {found}",
            fix='say it in the configuration: timezone = "Europe/Berlin"',
        )
    rules = rules_of(shell.shared, next(iter(zones), None))
    given = prepared(sources, rules)
    place = write_run(folder, given, engine, shell.now(), partial(fill, given))
    _place, run = newest(place)
    failed = not_derived(place)
    out.write(
        text=lambda: _as_text(place, run.rows, failed),
        json=lambda: {
            "run": str(place),
            **msgspec.to_builtins(run),
            "failed": failed,
        },
    )
    if failed:
        raise Underivable(
            f"{format_count(len(failed), 'customer')} could not be derived: "
            f"{', '.join(list(failed)[:NAMED])}",
            fix="report it as a bug, with its row of refusals/; all others are right",
        )


@contextmanager
def _installed(engine: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtra(
            f"the lake on {engine} needs {error.name}, which is not installed",
            fix=f"pip install 'stripe-nrr[{engine}]'",
        ) from error


def _as_text(place: Path, rows: Mapping[str, int], failed: Mapping[str, str]) -> str:
    said = _("{movements}, {refused} not valued; written to {place}.").format(
        movements=format_count(rows["movements"], "movement"),
        refused=format_count(rows["refusals"], "object"),
        place=place,
    )
    if not failed:
        return said
    named = (printable(f"  {who}: {spoken(why)}") for who, why in failed.items())
    head = _("In no figure ({number}):").format(number=grouped(len(failed)))
    return "\n".join([said, head, *named])


def _engine(engine: str, processes: int) -> "Callable[[Prepared, Path], None]":
    """What fills a run's folder; the library that it needs is imported here alone."""
    if engine == "spark":
        from connector.lake import spark

        return spark.fill_with_configured
    from connector.lake import duckdb

    return lambda given, draft: duckdb.fill(given, processes, draft)
