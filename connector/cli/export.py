"""`stripe-nrr export`: the ledger as a CSV or Parquet file."""

import sys
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import click

from connector.cli.app import Shell
from connector.cli.options import dialect_option, out_option
from connector.cli.output import place_of
from connector.core.errors import MissingExtra, UsageFault
from connector.render.table import dialect, write_csv
from connector.store.ledger.exports import EXPORTS, Export, Row

BATCH = 50_000  # rows of Parquet at a time


@click.command()
@click.option(
    "--what",
    type=click.Choice(list(EXPORTS)),
    required=True,
    help="movements, their components, each customer's MRR by month, or customers.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
)
@dialect_option
@out_option
@click.pass_obj
def export(shell: Shell, what: str, form: str, output: Path | None) -> None:
    """Write the ledger as a flat table for a spreadsheet, a warehouse or a BI tool.

    Amounts are whole minor units a month, and signed; days are days of the reporting
    zone. `mrr` has a row for each customer, currency and month at whose end it pays.
    Parquet needs pyarrow: pip install 'stripe-nrr[parquet]'.

    \b
    Examples:
      stripe-nrr export --what movements -o movements.csv
      stripe-nrr export --what mrr --format parquet -o mrr.parquet
    """  # noqa: D301
    chosen = EXPORTS[what]
    with shell.reading() as ledger:
        rows = chosen.rows(ledger.connection, ledger.state().today)
        if form == "parquet":
            if output is None:
                raise UsageFault(
                    "Parquet cannot be printed", fix="name a file with -o FILE"
                )
            _write_parquet(chosen, rows, output)
        elif output is None:
            sys.stdout.write(dialect().mark)
            write_csv(sys.stdout, chosen.columns, rows)
        else:
            with place_of(output) as place, place.open("a", newline="") as file:
                file.write(dialect().mark)
                write_csv(file, chosen.columns, rows)


def _write_parquet(chosen: Export, rows: Iterator[Row], output: Path) -> None:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(
            "Parquet needs pyarrow, which is not installed",
            fix="pip install 'stripe-nrr[parquet]', or use --format csv",
        ) from error
    types: dict[type, Any] = {
        str: pa.string(),
        int: pa.int64(),
        date: pa.date32(),
    }
    schema = pa.schema([(name, types[of]) for name, of in chosen.columns.items()])
    with (
        place_of(output) as place,
        place.open("ab") as file,
        parquet.ParquetWriter(file, schema) as writer,
    ):
        while batch := list(islice(rows, BATCH)):
            columns = [list(column) for column in zip(*batch, strict=True)]
            writer.write_table(pa.table(columns, schema=schema))
