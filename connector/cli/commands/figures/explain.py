"""`stripe-nrr explain`: a window's ratio by customer, a customer's MRR by line."""

from datetime import date

import click

from connector.cli.forms import Output
from connector.cli.options import only_option, output_options
from connector.cli.output import echo
from connector.cli.params import CUSTOMER, DAY, WINDOW, OneOf, moment_asked
from connector.core.errors import UsageFault
from connector.core.language import _
from connector.core.messages import spoken
from connector.core.model import SegmentValue
from connector.core.text import printable
from connector.core.windows import Window
from connector.metrics.contributions import Ratio
from connector.reports import WindowRequest, explain_customer, explain_window
from connector.reports.explained.customer import CustomerExplanation
from connector.reports.explained.window import WindowExplanation


@click.command()
@click.argument("customer", type=CUSTOMER, required=False)
@click.option("--on", "day", type=DAY, help="As it stood at the end of this day.")
@click.option(
    "--window",
    type=WINDOW,
    help="A window's ratio instead: 2026-03, 2026-Q1, 2026, or ..2026-03 for the twelve "
    "months to March.",
)
@click.option(
    "--metric",
    type=OneOf(Ratio),
    default=Ratio.NRR.value,
    show_default=True,
    help="The ratio to take apart, with --window.",
)
@click.option(
    "--currency",
    metavar="CODE",
    help="Only this currency, with --window; total is all in the reporting currency.",
)
@only_option
@click.option(
    "--as-of",
    metavar="TIMESTAMP",
    help="As the ledger was at this moment: see `stripe-nrr report --help`.",
)
@output_options("text", "json", "csv")
def explain(
    out: Output,
    customer: str | None,
    day: date | None,
    window: Window | None,
    metric: Ratio,
    currency: str | None,
    only: tuple[SegmentValue, ...],
    as_of: str | None,
) -> None:
    """Take a figure apart: a window's NRR, GRR or CRR, or a customer's MRR by line.

    With --window: the opening's customers, and everyone who moved the ratio, largest
    first; they add up to its numerator exactly. Of CRR each of them is one who left.

    With CUSTOMER, an id (cus_…) or a part of the display name: each movement with its
    sum. "was" and "is" are the arithmetic of one subscription item on either side of the
    change; "by" names the Stripe objects that show it, and the instant they show it for.
    `observed` means that only a later look at the subscription showed it.

    \b
    Examples:
      stripe-nrr explain --window 2026-03
      stripe-nrr explain --window ..2026-03 --metric grr --format csv -o grr.csv
      stripe-nrr explain cus_123 --on 2026-03-31
    """  # noqa: D301
    if (customer is None) == (window is None):
        raise UsageFault(
            "explain takes a customer or a --window, and one of them only",
            fix="write `stripe-nrr explain --window 2026-03`, then explain a customer",
        )
    if customer is not None and only:
        raise UsageFault(
            "--segment is of a --window, not of one customer",
            fix="leave it out, or give a --window instead of the customer",
        )
    if customer is not None and out.form == "csv":
        raise UsageFault(
            "a customer is explained as text or JSON",
            fix="`stripe-nrr movements --customer ID --format csv` is a table of it",
        )
    shell = out.shell
    with shell.reading() as ledger:
        moment = moment_asked(as_of, ledger.zone, ledger.newest)
        shell.facts = ledger.facts(moment)
        if window is not None:
            wanted = WindowRequest(window, metric, currency, moment, only)
            _show_window(out, explain_window(ledger, wanted))
        elif customer is not None:
            _show_customer(out, explain_customer(ledger, customer, day, moment))


def _show_window(out: Output, taken: list[WindowExplanation]) -> None:
    from connector.render import contributions as forms

    facts = out.shell.facts
    has_begun = facts is None or facts.begins_at is None
    out.answer(
        text=lambda: out.plain(forms.parts(taken, out.locale, has_begun=has_begun)),
        json=lambda: {"windows": [forms.to_json(each) for each in taken]},
        csv=lambda: forms.to_csv(taken),
    )


def _show_customer(out: Output, explained: CustomerExplanation) -> None:
    from connector.render import movements as forms

    out.answer(
        text=lambda: forms.explanation(explained, out.locale),
        json=lambda: forms.explanation_json(explained),
    )
    if out.form != "text":
        return
    for refusal in explained.refusals:
        said = spoken(f"{refusal.object_id}: {refusal.field} is {refusal.value}")
        echo(printable(_("not valued: {what}").format(what=said)))
    for note in explained.notes:
        echo(printable(_("note: {what}").format(what=spoken(note))))
