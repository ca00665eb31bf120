"""`stripe-nrr close`: a month's figures, recorded as reported."""

from datetime import date

import click

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.params import ReadParam
from connector.cli.shell import warn_of_other_rules
from connector.core.dates import parse_month
from connector.core.errors import UsageFault
from connector.core.language import message
from connector.reports.closings.closed_months import (
    close_month,
    last_month,
    withdraw_month,
)
from connector.reports.ledger import Ledger

LAST = "last"


def _closable(text: str) -> date | None:
    """None is the last month that is over."""
    return None if text == LAST else parse_month(text)


CLOSABLE = ReadParam("YYYY-MM|last", _closable, "a month", message("2026-03, or last"))


@click.command()
@click.argument("month", type=CLOSABLE)
@click.option(
    "--despite",
    metavar="REASON",
    help="Close it although something of it is missing; the reason is kept, and shown "
    "with its figures.",
)
@click.option(
    "--withdraw",
    metavar="REASON",
    help="Mark its closing as a mistake: it stays, with the reason, but is shown as "
    "reported no longer, and the month can be closed again.",
)
@output_option
def close(
    out: Output, month: date | None, despite: str | None, withdraw: str | None
) -> None:
    """Record a month's figures as reported: MONTH, as 2026-03, or last.

    `last` is the last month that is over. A month is closed once the ledger knows its end
    in the reporting zone and `close_after` (24h, unless the configuration says otherwise)
    beyond it, and nothing of it is missing: no customer waits to be derived, no object is
    refused or set aside, no recurring money is left uncounted that is not accepted, the
    first sync has finished, and somebody had paid. Otherwise exit 3 with what is missing
    (1 where it is only too early).

    Keeps the figures of every window that ends with it (the month, the twelve months to
    it, a quarter or year where it is their last), the policy and the moment. Reports show
    them beside the present ones wherever a later correction has changed something, and
    `stripe-nrr report --as-of` that moment gives them again, for ever. Closing a month
    twice changes nothing.

    \b
    Examples:
      stripe-nrr close 2026-03 && stripe-nrr report --to 2026-03
      stripe-nrr close last
      stripe-nrr close 2026-03 --despite "one contract is still being read by hand"
      stripe-nrr close 2026-03 --withdraw "closed on the wrong account"
    """  # noqa: D301
    from connector.render import closed_months as forms

    despite, withdraw = _reason("--despite", despite), _reason("--withdraw", withdraw)
    if despite and withdraw:
        raise UsageFault(
            "--despite closes a month, --withdraw takes a closing back",
            fix="give one of them",
        )
    shell = out.shell
    with shell.writing() as connection:  # first: what is booked before it counts
        ledger = Ledger(connection, shell.config, shell.now())
        warn_of_other_rules(ledger)
        asked = last_month(ledger) if month is None else month
        if withdraw:
            closed = withdraw_month(ledger, asked, withdraw)
        else:
            closed = close_month(ledger, asked, despite)
    out.write(
        text=lambda: out.plain(forms.closing_parts(closed)),
        json=lambda: forms.closing_json(closed),
    )


def _reason(option: str, given: str | None) -> str:
    """In one line; "" where the option was not given."""
    reason = " ".join((given or "").split())
    if given is not None and not reason:
        raise UsageFault(f"{option} says no reason", fix=f'write it: {option} "…"')
    return reason
