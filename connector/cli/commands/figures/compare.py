"""`stripe-nrr compare`: which policy explains another tool's MRR."""

from datetime import date
from functools import partial

import click

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.params import AMOUNT, DAY
from connector.core.numbers import WrittenNumber
from connector.reports import compare_policies


@click.command()
@click.option(
    "--mrr",
    "amount",
    type=AMOUNT,
    required=True,
    help="The other tool's MRR in whole units of the currency: 47002 is $47,002.00.",
)
@click.option(
    "--on", "day", type=DAY, required=True, help="The day whose end it is of."
)
@click.option(
    "--currency",
    metavar="CODE",
    help="The currency it is in; total is all in the reporting currency. Default: the "
    "ledger's main one.",
)
@output_option
def compare(
    out: Output, amount: WrittenNumber, day: date, currency: str | None
) -> None:
    """Find the policy that explains another tool's MRR.

    Derives everybody's MRR on that day anew, under each other value of each switch
    (discounts, past due, paused collection, usage, churn date, time zone) and each two of
    them, and lists those that explain the gap. All in memory: the ledger stays as it is.
    What is left of a gap after a matching policy is the other tool's rounding, or its data.

    \b
    Example:
      stripe-nrr compare --mrr 47002 --on 2026-03-31 --currency usd
    """  # noqa: D301
    from connector.render import compare as forms

    with out.shell.reading() as ledger, out.progress() as progress:
        compared = compare_policies(
            ledger, amount, day, currency, partial(progress, "comparing")
        )
    out.answer(
        text=lambda: out.plain(forms.parts(compared, out.locale)),
        json=lambda: forms.to_json(compared),
    )
