"""`stripe-nrr close`: a month's figures, recorded as reported."""

from contextlib import closing
from datetime import date

import click

from connector.cli.app import Shell, warn, warn_of_other_rules
from connector.cli.options import MONTH, format_option
from connector.cli.output import emit
from connector.reports.closed_months import close_month
from connector.reports.ledger import Ledger
from connector.store.database import make_durable, transaction


@click.command()
@click.argument("month", type=MONTH)
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
    from connector.render import closed_months as forms

    with closing(shell.ledger()) as connection:
        make_durable(connection)
        with transaction(connection):  # first: what is booked before it counts
            ledger = Ledger(connection, shell.config, shell.now())
            warn_of_other_rules(ledger)
            closed = close_month(ledger, month)
    if closed.waiting:
        warn(
            f"{closed.waiting} customers wait to be derived; what they change will be a "
            "restatement",
            "run `stripe-nrr recompute` before closing a month",
        )
    emit(
        form,
        text=lambda: forms.closing_text(closed, shell.config.locale),
        json=lambda: forms.closing_json(closed),
    )
