"""`stripe-nrr close`: a month's figures, recorded as reported."""

from contextlib import closing
from datetime import date

import click

from connector.cli.app import Shell
from connector.cli.options import MonthParam, format_option
from connector.cli.output import json_text, write
from connector.render.closing import to_json, to_text
from connector.reports.close import close_month
from connector.store.database import make_durable, transaction
from connector.store.ledger import closings
from connector.store.mirror import dirty_customers


@click.command()
@click.argument("month", type=MonthParam())
@format_option
@click.pass_obj
def close(shell: Shell, month: date, form: str) -> None:
    """Record a month's figures as reported: MONTH, as 2026-03.

    Keeps the figures of every window that ends with it (the month, the twelve months to
    it, a quarter or year where it is their last), the policy and the moment. Reports show
    them beside the present ones wherever a later correction has changed something, and
    `stripe-nrr report --as-of` that moment gives them again, for ever. Closing a month
    twice changes nothing.

    \b
    Example:
      stripe-nrr close 2026-03 && stripe-nrr report --to 2026-03
    """  # noqa: D301
    with closing(shell.ledger()) as connection:
        make_durable(connection)
        with transaction(connection):
            before = {each.month: each for each in closings.known(connection)}
            closed = before.get(month) or close_month(
                connection, shell.config, shell.now(), shell.moment(connection), month
            )
            waiting = dirty_customers.behind(connection)
            if waiting and month not in before:
                click.echo(
                    f"warning: {waiting} customers wait to be derived; what they change "
                    "will be a restatement\n  fix: run `stripe-nrr recompute` before "
                    "closing a month",
                    err=True,
                )
            kept = [each for of, each in closings.figures(connection) if of == month]
    if form == "json":
        write(json_text(to_json(closed, kept, was_closed=month in before)), None)
    else:
        locale = shell.config.locale
        write(to_text(closed, kept, locale, was_closed=month in before), None)
