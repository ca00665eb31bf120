"""`stripe-nrr cohorts`: how the customers of each month stayed and grew."""

from pathlib import Path

import click

from connector.cli.app import Shell
from connector.cli.options import FORMATS, currency_option, formats_option, out_option
from connector.cli.output import json_text, rendered, write
from connector.metrics.cohorts import CohortPeriod
from connector.metrics.cohorts import cohorts as measured_cohorts
from connector.render.cohorts import to_csv, to_json, to_markdown
from connector.reports.cohorts import CohortReport
from connector.reports.ledger_state import currencies_asked, ledger_state
from connector.reports.report import uncollected
from connector.store.ledger import queries


@click.command()
@click.option(
    "--metric",
    type=click.Choice(["nrr", "grr", "crr"]),
    default="nrr",
    show_default=True,
    help="What text and Markdown show; CSV and JSON carry all three.",
)
@click.option(
    "--by",
    "period",
    type=click.Choice([period.value for period in CohortPeriod]),
    default="month",
    show_default=True,
    help="How long a cohort's period is.",
)
@currency_option
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def cohorts(
    shell: Shell,
    metric: str,
    period: str,
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
    with shell.reading() as connection:
        known = ledger_state(connection, shell.config, shell.now())
        codes = currencies_asked(connection, currency, None, known.synced_at)
        size = CohortPeriod(period)
        with uncollected():
            found = [
                CohortReport(code, size, measured_cohorts(moved, size, known.today))
                for code in codes
                for moved in [queries.changes(connection, code)]
            ]
    if form == "json":
        write(json_text(to_json(found)), output)
    elif form == "csv":
        write(to_csv(found), output)
    elif form == "markdown":
        write(to_markdown(found, metric, shell.config.locale), output)
    else:
        from connector.render.cohorts import cohorts_view

        rendered(cohorts_view(found, metric, shell.config.locale), output)
