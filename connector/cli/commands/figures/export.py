"""`stripe-nrr export`: the ledger as a CSV or Parquet file, the mirror as a folder."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
from click.core import ParameterSource

from connector.cli.forms import parquet_needed, warn_of_missing
from connector.cli.options import dialect_option, out_option
from connector.cli.out_files import folder_for_file
from connector.cli.output import echo, place_of
from connector.cli.shell import Shell
from connector.core.account import NOBODY
from connector.core.errors import NothingFound, UsageFault
from connector.core.language import _, message
from connector.core.money import format_count
from connector.render.csv_table import CsvRows, dialect
from connector.store.ledger.exports import EXPORTS, Export, Row
from connector.store.mirror import exports as mirror

MIRROR = "mirror"


@click.command()
@click.option(
    "--what",
    type=click.Choice([*EXPORTS, MIRROR]),
    required=True,
    help="movements, their components, each customer's MRR by month, or customers; or "
    "the mirror, as a folder of Parquet for `lake`.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    is_eager=True,
)
@dialect_option
@out_option(may_be_folder=True)
@click.pass_obj
def export(shell: Shell, what: str, form: str, output: Path | None) -> None:
    """Write the ledger as a flat table for a spreadsheet, a warehouse or a BI tool.

    Amounts are whole minor units a month, and signed; days are days of the reporting
    zone. `mrr` has a row for each customer, currency and month at whose end it pays.
    Parquet needs pyarrow: pip install 'stripe-nrr[parquet]'.

    The mirror is what was fetched of Stripe: no name, address or card, but for the label
    of a customer where one is kept. It goes into a folder: a folder a kind of object,
    and manifest.json.

    \b
    Examples:
      stripe-nrr export --what movements -o movements.csv
      stripe-nrr export --what mrr --format parquet -o mrr.parquet
      stripe-nrr export --what mirror -o mirror
    """  # noqa: D301
    shell.adds_up &= what != MIRROR  # objects are one account's
    if what == MIRROR:
        if form == "csv" and _was_given("form"):
            raise UsageFault(
                "the mirror is a folder of Parquet, and no CSV",
                fix="leave out --format csv; other tables have it: --what movements",
            )
        _export_mirror(shell, output)
        return
    if output is not None and output.is_dir():
        raise folder_for_file(output)
    chosen = EXPORTS[what]
    with shell.reading() as ledger:
        facts = ledger.facts()
        rows = chosen.rows(ledger.connection, facts.today)
        if form == "parquet":
            if output is None:
                raise UsageFault(
                    "Parquet cannot be printed", fix="name a file with -o FILE"
                )
            _write_parquet(chosen, rows, output)
        elif output is None:
            sys.stdout.write(dialect().mark)
            CsvRows(list(chosen.columns), rows).write(sys.stdout)
        else:
            with place_of(output) as place, place.open("a", newline="") as file:
                file.write(dialect().mark)
                CsvRows(list(chosen.columns), rows).write(file)
    if any(facts.missing):
        warn_of_missing(facts)


def _was_given(parameter: str) -> bool:
    source = click.get_current_context().get_parameter_source(parameter)
    return source is ParameterSource.COMMANDLINE


def _write_parquet(chosen: Export, rows: Iterator[Row], output: Path) -> None:
    with parquet_needed(message(", or use --format csv")):
        from connector.lake import parquet
    with place_of(output) as place, place.open("ab") as file:
        parquet.write(file, chosen.columns, rows)


def _export_mirror(shell: Shell, output: Path | None) -> None:
    if output is None:
        raise UsageFault("the mirror is a folder", fix="name one with -o DIR")
    with parquet_needed():
        from connector.lake.source import SCHEMA, Manifest, write_mirror
    with shell.reading() as ledger:
        state = ledger.state()
        if state.synced_at is None:
            raise NothingFound(
                "the ledger is empty: no sync has finished yet",
                fix="run `stripe-nrr sync`",
            )
        manifest = Manifest(
            schema=SCHEMA,
            shape="mirror",
            known_until=state.synced_at,
            timezone=state.timezone,
            account=state.account or NOBODY,
        )
        reading = {
            kind: partial(mirror.rows, ledger.connection, kind)
            for kind in mirror.MIRROR_EXPORTS
        }
        written = write_mirror(output, manifest, reading)
    rows = format_count(sum(written.rows.values()), "row")
    echo(_("{rows} written to {output}.").format(rows=rows, output=output))
