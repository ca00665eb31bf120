"""`stripe-nrr notes`: all that was noted of months."""

from collections.abc import Sequence
from pathlib import Path

import click

from connector.cli.forms import drawn, emit
from connector.cli.options import FORMATS, formats_option, out_option
from connector.cli.shell import Shell
from connector.core.language import _, marked, table_day, table_month
from connector.core.model import Note
from connector.render.csv_table import csv_text
from connector.render.table import Table, markdown_table
from connector.store.ledger import notes as ledger_notes

HEADS = (
    *(marked("Number"), marked("Month"), marked("Noted"), marked("Customer")),
    *(marked("Text"), "URL", marked("Withdrawn")),
)


@click.command()
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def notes(shell: Shell, form: str, output: Path | None) -> None:
    """List every note, by month; also those that were withdrawn, and when.

    A note of a customer who was forgotten is listed without its text.

    \b
    Examples:
      stripe-nrr notes
      stripe-nrr notes --format csv -o notes.csv
    """  # noqa: D301
    from connector.render.report.json_form import note_json

    with shell.reading() as ledger:
        found = ledger_notes.ever(ledger.connection)
    locale = shell.config.locale
    emit(
        form,
        output,
        text=lambda: (
            drawn([_table(found)], locale) if found else _("Nothing is noted.")
        ),
        json=lambda: {"notes": [note_json(each) for each in found]},
        csv=lambda: csv_text([each.lower() for each in HEADS], _rows(found)),
        markdown=lambda: markdown_table(_table(found), locale),
    )


def _table(found: Sequence[Note]) -> Table:
    return Table([_(head) for head in HEADS], _rows(found), frozenset([0]))


def _rows(found: Sequence[Note]) -> list[list[str | int]]:
    return [
        [
            each.id,
            table_month(each.month),
            table_day(each.noted_at),
            each.customer,
            each.text,
            each.url,
            "" if each.withdrawn_at is None else table_day(each.withdrawn_at),
        ]
        for each in found
    ]
