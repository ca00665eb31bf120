"""`stripe-nrr cohorts`: how the customers of each month stayed and grew."""

from pathlib import Path

import click

from connector.cli.forms import drawn, emit
from connector.cli.options import FORMATS, currency_option, formats_option, out_option
from connector.cli.shell import Shell
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
    type=click.Choice([period.value for period in CohortPeriod]),
    help="How long a cohort's period is. Default: month; of more than two years text and "
    "Markdown show quarters.",
)
@currency_option
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def cohorts(
    shell: Shell,
    metric: str,
    period: str | None,
    currency: str | None,
    form: str,
    output: Path | None,
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
    from connector.render.table import to_markdown

    is_read = form in ("text", "markdown")  # where many months would have no room
    size = None if period is None and is_read else CohortPeriod(period or "month")
    with shell.reading() as ledger:
        found = cohort_reports(ledger, size, currency)
    parts, locale = forms.parts(found, metric), shell.config.locale
    emit(
        form,
        output,
        facts=shell.facts,
        text=lambda: drawn(parts, locale),
        json=lambda: forms.to_json(found),
        csv=lambda: forms.to_csv(found),
        markdown=lambda: to_markdown(parts, locale),
    )
