"""`stripe-nrr reconcile`: Stripe's own MRR, or another tool's, held to the ledger."""

from datetime import date
from pathlib import Path

import click

from connector.cli.forms import emit, plain
from connector.cli.options import formats_option, out_option
from connector.cli.out_files import NamedFile, refuse_to_replace
from connector.cli.output import write
from connector.cli.params import MONTH, PRESET
from connector.cli.progress import progress_shown
from connector.cli.shell import Shell
from connector.core.dates import add_months


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE…",
    type=NamedFile(),
)
@click.option(
    "--policy",
    "preset",
    type=PRESET,
    help="Hold the files to this preset, such as stripe:default. Default: the one that "
    "fits best.",
)
@click.option("--from", "first", type=MONTH, help="The first month.")
@click.option("--to", "last", type=MONTH, help="The last month, included.")
@click.option("--customer", metavar="ID", help="Only this customer, by Stripe's id.")
@formats_option("text", "json", "csv", "html")
@out_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    files: tuple[Path, ...],
    preset: str | None,
    first: date | None,
    last: date | None,
    customer: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Why this is not what Stripe shows: every cell that differs, and its causes.

    FILE is a CSV file of MRR by customer: Stripe's downloads of its billing overview (MRR
    per subscriber per month, Customer MRR changes), its table
    subscription_item_change_events, or another tool's export with columns such as
    customer, month, mrr (or a column a month), or customer, date, change. Which it is,
    and whether amounts are cents, is found out and said.

    Each customer's month (or day of changes) that differs gets causes that add up to the
    difference: a switch that Stripe has set otherwise, a date, a conversion, who is
    missing on one side. What no cause explains comes first. Exit 3 where there is any.

    \b
    Examples:
      stripe-nrr reconcile mrr_per_subscriber.csv
      stripe-nrr reconcile mrr_per_subscriber.csv --format html -o bridge.html
      stripe-nrr reconcile events.csv --policy stripe:churn-on-request
      stripe-nrr reconcile chartmogul.csv --from 2026-01 --format csv -o gaps.csv
    """  # noqa: D301
    from connector.reconcile.reconcile import reconcile_files
    from connector.reconcile.sides import ReconcileRequest
    from connector.render.bridge import data, terminal

    shell: Shell = ctx.obj
    if output is not None:
        refuse_to_replace(output, files)
    end = None if last is None else add_months(last, 1)
    asked = ReconcileRequest(first, end, customer, preset)
    with shell.reading() as ledger, progress_shown(quiet=form == "json") as progress:
        found = reconcile_files(ledger, files, asked, progress)
    locale = shell.config.locale
    if form == "html":
        from connector.render.bridge.page import to_html

        assert shell.facts is not None
        write(to_html(found, shell.facts, locale), output)
    else:
        emit(
            form,
            output,
            facts=shell.facts,
            text=lambda: plain(terminal.parts(found, locale), locale, output),
            json=lambda: data.to_json(found),
            csv=lambda: data.to_csv(found),
        )
    if any(each.unexplained for each in found):
        ctx.exit(3)
