"""`stripe-nrr notes`: all that was noted of months."""

from collections.abc import Sequence

import click

from connector.cli.forms import Output
from connector.cli.options import FORMATS, output_options
from connector.core.kept.months import Note
from connector.core.language import _, marked, month_text, table_day
from connector.render.csv_table import csv_text
from connector.render.table import Table, markdown_table
from connector.store.months import notes as ledger_notes

HEADS = (
    *(marked("Number"), marked("Month"), marked("Noted"), marked("Customer")),
    *(marked("Text"), "URL", marked("Withdrawn")),
)


@click.command()
@output_options(*FORMATS)
def notes(out: Output) -> None:
    """List every note, by month; also those that were withdrawn, and when.

    A note of a customer who was forgotten is listed without its text.

    \b
    Examples:
      stripe-nrr notes
      stripe-nrr notes --format csv -o notes.csv
    """  # noqa: D301
    from connector.render.report.json_form import note_json

    with out.shell.reading() as ledger:
        found = ledger_notes.ever(ledger.connection)
    out.write(
        text=lambda: out.drawn([_table(found)]) if found else _("Nothing is noted."),
        json=lambda: {"notes": [note_json(each) for each in found]},
        csv=lambda: csv_text([each.lower() for each in HEADS], _rows(found)),
        markdown=lambda: markdown_table(_table(found), out.locale),
    )


def _table(found: Sequence[Note]) -> Table:
    return Table([_(head) for head in HEADS], _rows(found), frozenset([0]))


def _rows(found: Sequence[Note]) -> list[list[str | int]]:
    return [
        [
            each.id,
            month_text(each.month),
            table_day(each.noted_at),
            each.customer,
            each.text,
            each.url,
            "" if each.withdrawn_at is None else table_day(each.withdrawn_at),
        ]
        for each in found
    ]
