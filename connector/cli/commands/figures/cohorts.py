"""`stripe-nrr cohorts`: how the customers of each month stayed and grew."""

import click

from connector.cli.forms import Output
from connector.cli.options import FORMATS, currency_option, output_options
from connector.cli.params import OneOf
from connector.core.figures import RATIOS
from connector.metrics.cohorts import CohortPeriod
from connector.reports import cohort_reports


@click.command()
@click.option(
    "--metric",
    type=click.Choice(RATIOS),
    default="nrr",
    show_default=True,
    help="What text and Markdown show; CSV and JSON carry all three.",
)
@click.option(
    "--by",
    "period",
    type=OneOf(CohortPeriod),
    help="How long a cohort's period is. Default: month; of more than two years text and "
    "Markdown show quarters.",
)
@currency_option
@output_options(*FORMATS)
def cohorts(
    out: Output, metric: str, period: CohortPeriod | None, currency: str | None
) -> None:
    """NRR, GRR or CRR of the customers who first paid in each month or quarter.

    A row is a cohort, a column its age: at 0 the end of the period in which it first
    paid, which is what every later period is compared with. Who came and left within
    that period is not in the base. Only periods that are over are shown.

    \b
    Examples:
      stripe-nrr cohorts
      stripe-nrr cohorts --metric crr --by quarter --format csv -o cohorts.csv
    """  # noqa: D301
    from connector.render import cohorts as forms

    if period is None and out.form not in ("text", "markdown"):
        period = CohortPeriod.MONTH  # which are too many to be read
    with out.shell.reading() as ledger:
        found = cohort_reports(ledger, period, currency)
    out.document(
        lambda: forms.parts(found, metric),
        json=lambda: forms.to_json(found),
        csv=lambda: forms.to_csv(found),
    )
