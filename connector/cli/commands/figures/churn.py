"""`stripe-nrr churn`: why MRR was lost, and who left."""

from typing import Any

import click

from connector.cli.forms import Output
from connector.cli.options import (
    FORMATS,
    currency_option,
    first_month_option,
    last_month_option,
    only_option,
    output_options,
)
from connector.cli.params import ByParam
from connector.core.model import SEGMENTS
from connector.reports import ChurnRequest, churn_losses, churn_reports


@click.command()
@first_month_option
@last_month_option
@currency_option
@click.option(
    "--by",
    type=ByParam("reason", "month"),
    help=f"Sums alone, for each reason, month, {', '.join(SEGMENTS)}, account (where "
    "several are added up), or metadata:KEY.",
)
@only_option
@output_options(*FORMATS)
def churn(out: Output, **wanted: Any) -> None:
    """Churn and contraction by reason: voluntary, failed payment, paused, and so on.

    From what was synced, without asking Stripe: the reason and the feedback that Stripe
    keeps of a cancellation (never its free text), unpaid and paused subscriptions, lower
    prices, lower quantities, discounts. The reasons add up to the churn and contraction of
    `stripe-nrr report`, month by month. Who left is listed by name: when, how Stripe
    shows it, what was stated, since when it had paid and whether it came back.

    Without --from and --to: the last twelve months that are over. --by a segment goes by
    what a customer had the evening before; --segment leaves out all other customers, as
    in a report, with whose churn and contraction the reasons then agree. CSV without --by
    lists every loss, also of who pays less, a row each reason; JSON has all sums, and the
    last hundred who left.

    \b
    Examples:
      stripe-nrr churn
      stripe-nrr churn --by month --from 2026-01 --to 2026-10
      stripe-nrr churn --by plan --currency usd --format csv -o churn.csv
      stripe-nrr churn --segment country=DE
    """  # noqa: D301
    from connector.render import churn as forms
    from connector.render import departures
    from connector.reports.model import LISTED

    asked = ChurnRequest(**wanted, most=LISTED)
    with out.shell.reading() as ledger:
        if out.form == "csv" and asked.by is None:
            found = churn_losses(ledger, asked)
            out.answer(csv=lambda: departures.losses_csv(found).write)
            return
        reports = churn_reports(ledger, asked)
    out.document(
        lambda: forms.parts(reports, out.locale),
        json=lambda: forms.to_json(reports),
        csv=lambda: forms.to_csv(reports),
    )
