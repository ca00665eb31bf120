"""`stripe-nrr at-risk`: MRR that may go, and the NRR that is already committed."""

import click

from connector.cli.forms import Output
from connector.cli.options import FORMATS, currency_option, output_options
from connector.cli.params import SegmentParam
from connector.cli.shell import warn_of_underived
from connector.core.model import SegmentValue
from connector.reports import at_risk_lines, at_risk_reports


@click.command("at-risk")
@currency_option
@click.option(
    "--owner", metavar="NAME", help="Only customers of this owner ([customers] owner)."
)
@click.option(
    "--segment",
    "only",
    type=SegmentParam(),
    multiple=True,
    help="Only customers who have this now, as --by names it, such as country=DE; given "
    "twice, those with both.",
)
@output_options(*FORMATS)
def at_risk(
    out: Output,
    currency: str | None,
    owner: str | None,
    only: tuple[SegmentValue, ...],
) -> None:
    """MRR that may go, and what NRR and GRR will be when what is scheduled happens.

    From what was synced, without asking Stripe: subscriptions that are set to cancel,
    past due, with an unpaid invoice, a change that awaits its payment or a paused
    collection, trials that will not convert, and customers who contracted in the last 90
    days. Each customer is listed by name, who pays most first: every reason, since or when,
    what moved last, when it renews, and with `[customers] owner` whose it is. --owner tells
    all of it of one owner's customers alone, --segment of those who pay now and have this
    now. Committed are the twelve trailing-12 windows
    from the running one on, with ends that are set and discounts that run out, and
    nothing else.

    CSV lists the risks alone, a row a customer and reason; JSON has all sums, and names
    the hundred largest.

    \b
    Examples:
      stripe-nrr at-risk
      stripe-nrr at-risk --currency usd --format csv -o at-risk.csv
      stripe-nrr at-risk --owner "Ada Byron"
    """  # noqa: D301
    from connector.render import at_risk as forms
    from connector.reports.model import LISTED

    with out.shell.reading() as ledger:
        if out.form == "csv":
            failed, lines = at_risk_lines(ledger, currency, owner, only)
            warn_of_underived(failed)
            out.answer(csv=lambda: forms.to_csv(lines).write)
            return
        found = at_risk_reports(ledger, currency, owner=owner, only=only, most=LISTED)
    warn_of_underived(found.failed)
    out.document(
        lambda: forms.parts(found, out.locale), json=lambda: forms.to_json(found)
    )
