"""`stripe-nrr movements`: who moved, and when."""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

import click

from connector.cli.forms import Output
from connector.cli.options import (
    by_option,
    currency_option,
    only_option,
    output_options,
)
from connector.cli.params import CUSTOMER, DAY, OneOf
from connector.core.errors import UsageFault
from connector.core.language import _
from connector.core.model import MovementKind, SegmentValue
from connector.reports import Ledger, list_movements, sum_movements
from connector.reports.movements import each_movement, find_counted
from connector.store.ledger import customers
from connector.store.ledger.queries import Wanted


@click.command()
@click.option(
    "--customer", type=CUSTOMER, help="Only this customer (id or part of name)."
)
@click.option("--from", "first", type=DAY, help="The first day.")
@click.option("--to", "last", type=DAY, help="The last day, included.")
@click.option("--kind", type=OneOf(MovementKind), help="Only this kind.")
@currency_option
@by_option
@only_option
@output_options("text", "json", "csv")
def movements(
    out: Output,
    customer: str | None,
    first: date | None,
    last: date | None,
    kind: MovementKind | None,
    currency: str | None,
    by: str | None,
    only: tuple[SegmentValue, ...],
) -> None:
    """List movements: what changed each customer's MRR, and when.

    Days are days of the reporting zone; --from and --to are both included. In JSON and
    CSV contraction and churn are negative. JSON carries each movement's components and
    their evidence.

    --by adds them up instead, by what each customer had at the opening of --from (or came
    with), so that segments add up to the total. --segment leaves those alone who had
    this then; given twice, both.

    \b
    Examples:
      stripe-nrr movements --from 2026-03-01 --to 2026-03-31 --kind churn
      stripe-nrr movements --customer cus_123 --format json
      stripe-nrr movements --from 2026-01-01 --segment country=DE --by plan
    """  # noqa: D301
    if first is not None and last is not None and first > last:
        raise UsageFault(
            f"--from {first} is after --to {last}",
            fix="give the earlier day with --from",
        )
    with out.shell.reading() as ledger:
        wanted = Wanted(
            customer=find_counted(ledger.connection, customer).id if customer else None,
            start=first,
            end=last + timedelta(days=1) if last else None,
            kind=kind,
            currency=currency.lower() if currency else None,
        )
        show = _show_each if by is None else partial(_show_sums, by)
        show(out, ledger, wanted, only)


def _show_sums(
    by: str, out: Output, ledger: Ledger, wanted: Wanted, only: Sequence[SegmentValue]
) -> None:
    from connector.render import movements as forms

    sums = sum_movements(ledger, by, wanted, only)
    out.answer(
        text=lambda: forms.sums_view(sums, out.locale),
        json=lambda: {"segments": [forms.sum_json(each) for each in sums]},
        csv=lambda: forms.sums_csv(sums),
    )


def _show_each(
    out: Output, ledger: Ledger, wanted: Wanted, only: Sequence[SegmentValue]
) -> None:
    from connector.render import movements as forms

    if out.form == "csv":
        rows = each_movement(ledger, wanted, only)
        labels = customers.labels(ledger.connection)
        out.answer(csv=lambda: forms.movements_csv(rows, labels).write)
        return
    found, named = list_movements(ledger, wanted, only)
    out.answer(
        text=lambda: (
            forms.movements_view(found, named, out.locale)
            if found
            else _("There is no such movement.")
        ),
        json=lambda: {"movements": [forms.as_json(each) for each in found]},
    )
