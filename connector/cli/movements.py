"""`stripe-nrr movements`: who moved, and when."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import click

from connector.cli.app import Shell
from connector.cli.options import (
    DayParam,
    by_option,
    currency_option,
    formats_option,
    out_option,
)
from connector.cli.output import json_text, rendered, write
from connector.core.errors import UsageFault
from connector.core.model import MovementKind
from connector.metrics.segments import SegmentMovements
from connector.render.movements import as_json, movements_csv, sum_json, sums_csv
from connector.reports.ledger_state import currencies_asked
from connector.reports.movements import find_one, movements_by_segment
from connector.store.ledger import customers, queries
from connector.store.ledger.queries import Wanted


@click.command()
@click.option(
    "--customer", metavar="ID", help="Only this customer (id or part of name)."
)
@click.option("--from", "first", type=DayParam(), help="The first day.")
@click.option("--to", "last", type=DayParam(), help="The last day, included.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in MovementKind]),
    help="Only this kind.",
)
@currency_option
@by_option
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
    form: str,
    output: Path | None,
) -> None:
    """List movements: what changed each customer's MRR, and when.

    Days are days of the reporting zone; --from and --to are both included. In JSON and
    CSV contraction and churn are negative. JSON carries each movement's components and
    their evidence.

    --by adds them up instead, by what each customer had at the opening of --from (or came
    with), so that segments add up to the total.

    \b
    Examples:
      stripe-nrr movements --from 2026-03-01 --to 2026-03-31 --kind churn
      stripe-nrr movements --customer cus_123 --format json
    """  # noqa: D301
    if first is not None and last is not None and first > last:
        raise UsageFault(
            f"--from {first} is after --to {last}",
            fix="give the earlier day with --from",
        )
    with shell.reading() as connection:
        wanted = Wanted(
            customer=find_one(connection, customer).id if customer else None,
            start=first,
            end=last + timedelta(days=1) if last else None,
            kind=MovementKind(kind) if kind else None,
            currency=currency.lower() if currency else None,
        )
        if wanted.currency:
            currencies_asked(connection, wanted.currency, None, None)
        if by is not None:
            sums = movements_by_segment(connection, shell.config, by, wanted)
            _show_sums(sums, form, shell.config.locale, output)
            return
        found = list(queries.movements(connection, wanted))
        names = customers.labels(connection)
    if form == "json":
        write(json_text({"movements": [as_json(m) for m in found]}), output)
    elif form == "csv":
        write(movements_csv(found), output)
    else:
        from connector.render.movements import movements_view

        rendered(movements_view(found, names, shell.config.locale), output)


def _show_sums(
    sums: Sequence[SegmentMovements], form: str, locale: str, output: Path | None
) -> None:
    if form == "json":
        rows = [sum_json(each) for each in sums]
        write(json_text({"segments": rows}), output)
    elif form == "csv":
        write(sums_csv(sums), output)
    else:
        from connector.render.movements import sums_view

        rendered(sums_view(sums, locale), output)
