"""`stripe-nrr reconcile`: Stripe's own MRR, or another tool's, held to the ledger."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click

from connector.cli.forms import Output, end_with_findings
from connector.cli.options import (
    first_month_option,
    last_month_option,
    output_options,
)
from connector.cli.out_files import NamedFile, refuse_to_replace
from connector.cli.params import CUSTOMER, PRESET
from connector.core.dates import add_months
from connector.reconcile.model import Reconciliation


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=NamedFile())
@click.option(
    "--policy",
    "preset",
    type=PRESET,
    help="Hold the files to this preset, such as stripe:default. Default: the one that "
    "fits best.",
)
@first_month_option
@last_month_option
@click.option(
    "--customer", type=CUSTOMER, help="Only this customer (id or part of name)."
)
@output_options("text", "json", "csv", "html")
def reconcile(
    out: Output,
    files: tuple[Path, ...],
    preset: str | None,
    first: date | None,
    last: date | None,
    customer: str | None,
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

    if out.path is not None:
        refuse_to_replace(out.path, files)
    end = None if last is None else add_months(last, 1)
    asked = ReconcileRequest(first, end, customer, preset)
    with out.shell.reading() as ledger, out.progress() as progress:
        found = reconcile_files(ledger, files, asked, progress)
    out.answer(
        text=lambda: out.plain(terminal.parts(found, out.locale)),
        json=lambda: data.to_json(found),
        csv=lambda: data.to_csv(found),
        html=lambda: _page(out, found),
    )
    if any(each.unexplained for each in found):
        end_with_findings()


def _page(out: Output, found: Sequence[Reconciliation]) -> str:
    from connector.render.bridge.page import to_html

    assert out.shell.facts is not None
    return to_html(found, out.shell.facts, out.locale)
