"""`stripe-nrr movements`: who moved, and when."""

from datetime import date, timedelta
from functools import partial
from pathlib import Path

import click

from connector.cli.forms import emit
from connector.cli.options import (
    by_option,
    currency_option,
    formats_option,
    only_option,
    out_option,
)
from connector.cli.params import DAY
from connector.cli.shell import Shell
from connector.core.errors import UsageFault
from connector.core.language import _
from connector.core.model import MovementKind, SegmentValue
from connector.reports import list_movements, sum_movements
from connector.reports.movements import each_movement, find_counted
from connector.store.ledger import customers
from connector.store.ledger.queries import Wanted


@click.command()
@click.option(
    "--customer", metavar="ID", help="Only this customer (id or part of name)."
)
@click.option("--from", "first", type=DAY, help="The first day.")
@click.option("--to", "last", type=DAY, help="The last day, included.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in MovementKind]),
    help="Only this kind.",
)
@currency_option
@by_option
@only_option
@formats_option("text", "json", "csv")
@out_option
@click.pass_obj
def movements(
    shell: Shell,
    customer: str | None,
    first: date | None,
    last: date | None,
    kind: str | None,
    currency: str | None,
    by: str | None,
    only: tuple[SegmentValue, ...],
    form: str,
    output: Path | None,
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
    from connector.render import movements as forms

    if first is not None and last is not None and first > last:
        raise UsageFault(
            f"--from {first} is after --to {last}",
            fix="give the earlier day with --from",
        )
    locale = shell.config.locale
    with shell.reading() as ledger:
        wanted = Wanted(
            customer=find_counted(ledger.connection, customer).id if customer else None,
            start=first,
            end=last + timedelta(days=1) if last else None,
            kind=MovementKind(kind) if kind else None,
            currency=currency.lower() if currency else None,
        )
        if by is not None:
            sums = sum_movements(ledger, by, wanted, only)
            emit(
                form,
                output,
                facts=shell.facts,
                text=lambda: forms.sums_view(sums, locale),
                json=lambda: {"segments": [forms.sum_json(each) for each in sums]},
                csv=lambda: forms.sums_csv(sums),
            )
            return
        if form == "csv":
            rows = each_movement(ledger, wanted, only)
            write = partial(
                forms.write_movements, rows, customers.labels(ledger.connection)
            )
            emit(form, output, facts=shell.facts, csv=lambda: write)
            return
        found, labels = list_movements(ledger, wanted, only)
    emit(
        form,
        output,
        facts=shell.facts,
        text=lambda: (
            forms.movements_view(found, labels, locale)
            if found
            else _("There is no such movement.")
        ),
        json=lambda: {"movements": [forms.as_json(each) for each in found]},
    )
