"""`stripe-nrr movements`: who moved, and when."""

import sqlite3
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import click

from connector import customers, ledger, positions
from connector.cli import Shell, UsageFault
from connector.cli_figures import currencies_asked
from connector.cli_output import (
    DayParam,
    by_option,
    currency_option,
    formats_option,
    json_text,
    out_option,
    rendered,
    write,
)
from connector.cli_segments import segment_of
from connector.config import Config
from connector.errors import NothingFound
from connector.ledger import Wanted
from connector.model import Flow, Kind
from connector.movement_rows import as_json, movements_csv, sum_json, sums_csv
from connector.segments import Book, Moved, moved_by_segment


@click.command()
@click.option(
    "--customer", metavar="ID", help="Only this customer (id or part of name)."
)
@click.option("--from", "first", type=DayParam(), help="The first day.")
@click.option("--to", "last", type=DayParam(), help="The last day, included.")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in Kind]), help="Only this kind."
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
            kind=Kind(kind) if kind else None,
            currency=currency.lower() if currency else None,
        )
        if wanted.currency:
            currencies_asked(connection, wanted.currency, None, None)
        if by is not None:
            sums = _by_segment(connection, shell.config, by, wanted)
            _show_sums(sums, form, shell.config.locale, output)
            return
        found = list(ledger.movements(connection, wanted))
        names = customers.labels(connection)
    if form == "json":
        write(json_text({"movements": [as_json(m) for m in found]}), output)
    elif form == "csv":
        write(movements_csv(found), output)
    else:
        from connector.terminal import movements_view

        rendered(movements_view(found, names, shell.config.locale), output)


def _by_segment(
    connection: sqlite3.Connection, config: Config, by: str, wanted: Wanted
) -> list[Moved]:
    """The sums of the movements wanted, by currency and segment."""
    found = []
    start, end = wanted.start or date.min, wanted.end or date.max
    ids = customers.ids(connection) if wanted.customer else {}

    def is_wanted(flow: Flow) -> bool:
        return wanted.kind in (None, flow.kind) and (
            not wanted.customer or wanted.customer == ids[flow.customer]
        )

    chosen = is_wanted if wanted.kind or wanted.customer else None
    for currency in ledger.currencies(connection):
        if wanted.currency not in (None, currency):
            continue
        opening = positions.balances(connection, currency, start)
        flows = ledger.flows(connection, currency, None, start, end)
        of = segment_of(connection, config, by, currency)
        book = Book(opening, flows)
        found += moved_by_segment(currency, book, start, of, chosen)
    return found


def _show_sums(
    sums: Sequence[Moved], form: str, locale: str, output: Path | None
) -> None:
    if form == "json":
        rows = [sum_json(each) for each in sums]
        write(json_text({"segments": rows}), output)
    elif form == "csv":
        write(sums_csv(sums), output)
    else:
        from connector.terminal import sums_view

        rendered(sums_view(sums, locale), output)


def find_one(connection: sqlite3.Connection, text: str) -> customers.Account:
    found = customers.find_customer(connection, text)
    if len(found) == 1:
        return found[0]
    if not found:
        raise NothingFound(
            f"no customer {text!r} in the ledger",
            fix="give an id as Stripe shows it (cus_…) or a part of the name; "
            "`stripe-nrr movements` lists who is there",
        )
    several = ", ".join(f"{each.label} ({each.id})" for each in found)
    raise NothingFound(
        f"several customers are called like {text!r}", fix=f"give an id: {several}"
    )
