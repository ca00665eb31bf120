"""`stripe-nrr coverage`: where every invoiced amount belongs, and what is not counted."""

from pathlib import Path

import click

from connector.cli.forms import drawn, emit
from connector.cli.options import FORMATS, currency_option, formats_option, out_option
from connector.cli.shell import Shell
from connector.core.windows import WindowKind


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    help="Only windows of this kind. Default: the last trailing twelve months, then "
    "each month since the first invoice.",
)
@currency_option
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def coverage(
    shell: Shell,
    window: str | None,
    currency: str | None,
    form: str,
    output: Path | None,
) -> None:
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
    from connector.render.table import to_markdown
    from connector.reports import coverage_report

    kind = WindowKind(window) if window else None
    with shell.reading(tells_outside=False) as ledger:
        found = coverage_report(ledger, kind, currency)
    locale = shell.config.locale
    emit(
        form,
        output,
        facts=shell.facts,
        text=lambda: drawn(forms.parts(found, locale), locale),
        json=lambda: forms.to_json(found),
        csv=lambda: forms.to_csv(found),
        markdown=lambda: to_markdown(forms.parts(found, locale), locale),
    )
