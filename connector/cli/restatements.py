"""`stripe-nrr restatements`: what has changed in closed months since."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from connector.cli.app import Shell
from connector.cli.options import DayParam, formats_option, out_option
from connector.cli.output import json_text, write
from connector.core.dates import day_end_s, instant
from connector.render.restatements import to_csv, to_json, to_text
from connector.reports.ledger_state import rules_in_force
from connector.reports.restatements import restated
from connector.store.ledger import closings, customers


@click.command()
@click.option(
    "--since",
    "day",
    type=DayParam(),
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
    with shell.reading() as connection:
        zone = ZoneInfo(rules_in_force(connection, shell.config)["timezone"])
        after = datetime(1970, 1, 1, tzinfo=UTC)
        if day is not None:
            after = instant(day_end_s(day - timedelta(days=1), zone))
            after -= timedelta(microseconds=1)
        found = list(restated(connection, after))
        names = customers.labels(connection)
        count = len(closings.known(connection))
    if form == "json":
        write(json_text({"restated": [to_json(x) for x in found]}), output)
    elif form == "csv":
        write(to_csv(found), output)
    elif not found:
        then = f" since {day}" if day is not None else ""
        write(f"{count} months are closed, and none of them has changed{then}.", output)
    else:
        write(to_text(found, names, shell.config.locale), output)
