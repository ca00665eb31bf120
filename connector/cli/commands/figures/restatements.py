"""`stripe-nrr restatements`: what has changed in closed months since."""

from datetime import date
from pathlib import Path

import click

from connector.cli.forms import emit, plain
from connector.cli.options import formats_option, out_option
from connector.cli.params import DAY
from connector.cli.shell import Shell
from connector.reports.closings.restatements import restated_windows


@click.command()
@click.option(
    "--since",
    "day",
    type=DAY,
    help="Only changes that were booked on this day or later.",
)
@formats_option("text", "json", "csv")
@out_option
@click.pass_obj
def restatements(
    shell: Shell, day: date | None, form: str, output: Path | None
) -> None:
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

    with shell.reading() as ledger:
        found = restated_windows(ledger, day)
    locale = shell.config.locale
    emit(
        form,
        output,
        facts=shell.facts,
        text=lambda: plain(forms.restated_parts(found, day, locale), locale, output),
        json=lambda: forms.restated_json(found),
        csv=lambda: forms.restated_csv(found),
    )
