"""`stripe-nrr restatements`: what has changed in closed months since."""

from datetime import date

import click

from connector.cli.forms import Output
from connector.cli.options import output_options
from connector.cli.params import DAY
from connector.reports.closings.restatements import restated_windows


@click.command()
@click.option(
    "--since",
    "day",
    type=DAY,
    help="Only changes that were booked on this day or later.",
)
@output_options("text", "json", "csv")
def restatements(out: Output, day: date | None) -> None:
    """List every change to a closed month: as reported, as restated, and why.

    Each change is one customer's day as a later run (a sync, a changed policy, a new
    version) has booked it, with its evidence. The changes dated until a month's end add up
    to what its closing MRR differs by from the one reported.

    \b
    Examples:
      stripe-nrr restatements
      stripe-nrr restatements --since 2026-04-01 --format csv -o restated.csv
    """  # noqa: D301
    from connector.render import restatements as forms

    with out.shell.reading() as ledger:
        found = restated_windows(ledger, day)
    out.answer(
        text=lambda: out.plain(forms.restated_parts(found, day, out.locale)),
        json=lambda: forms.restated_json(found),
        csv=lambda: forms.restated_csv(found),
    )
