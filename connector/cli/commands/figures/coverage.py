"""`stripe-nrr coverage`: where every invoiced amount belongs, and what is not counted."""

import click

from connector.cli.forms import Output
from connector.cli.options import FORMATS, currency_option, output_options
from connector.cli.params import OneOf
from connector.core.windows import WindowKind


@click.command()
@click.option(
    "--window",
    type=OneOf(WindowKind),
    help="Only windows of this kind. Default: the last trailing twelve months, then "
    "each month since the first invoice.",
)
@currency_option
@output_options(*FORMATS)
def coverage(out: Output, window: WindowKind | None, currency: str | None) -> None:
    """Tell of every invoiced amount whether it is in the figures, and if not, why.

    Each line of each invoice belongs to one class, and the classes add up to what was
    invoiced: counted, by policy (metered, on trial), adjustments, one-off, recurring but
    not counted, not due, refused. Recurring money that Stripe bills without a
    subscription (a licence fee, a contract, invoices written by hand every month) is
    named by customer and reason, the largest first, with what to do about it.

    CSV lists the classes alone; JSON carries everything.

    \b
    Examples:
      stripe-nrr coverage
      stripe-nrr coverage --window quarter --currency usd --format csv -o coverage.csv
    """  # noqa: D301
    from connector.render import coverage as forms
    from connector.reports import coverage_report

    with out.shell.reading(tells_outside=False) as ledger:
        found = coverage_report(ledger, window, currency)
    out.document(
        lambda: forms.parts(found, out.locale),
        json=lambda: forms.to_json(found),
        csv=lambda: forms.to_csv(found),
    )
