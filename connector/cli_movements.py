"""`stripe-nrr movements`: who moved, and when."""

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from connector import ledger
from connector.cli import Shell, UsageFault
from connector.cli_output import DayParam, out_option, rendered, write
from connector.cli_report import currencies_asked
from connector.errors import NothingFound
from connector.ledger import Wanted
from connector.model import Kind, Movement
from connector.periods import iso


@click.command()
@click.option(
    "--customer", metavar="ID", help="Only this customer (id or part of name)."
)
@click.option("--from", "first", type=DayParam(), help="The first day.")
@click.option("--to", "last", type=DayParam(), help="The last day, included.")
@click.option(
    "--kind", type=click.Choice([kind.value for kind in Kind]), help="Only this kind."
)
@click.option("--currency", metavar="CODE", help="Only this currency, such as usd.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv"]),
    default="text",
    show_default=True,
)
@out_option
@click.pass_obj
def movements(
    shell: Shell,
    customer: str | None,
    first: date | None,
    last: date | None,
    kind: str | None,
    currency: str | None,
    form: str,
    output: Path | None,
) -> None:
    """List movements: what changed each customer's MRR, and when.

    Days are days of the reporting zone; --from and --to are both included. In JSON and
    CSV contraction and churn are negative. JSON carries each movement's components and
    their evidence.

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
    with closing(shell.ledger()) as connection:
        wanted = Wanted(
            customer=find_one(connection, customer).id if customer else None,
            start=first,
            end=last + timedelta(days=1) if last else None,
            kind=Kind(kind) if kind else None,
            currency=currency.lower() if currency else None,
        )
        if wanted.currency:
            currencies_asked(connection, wanted.currency, None, None)
        found = list(ledger.movements(connection, wanted))
        names = ledger.labels(connection)
    if form == "json":
        write(json.dumps({"movements": [as_json(m) for m in found]}, indent=2), output)
    elif form == "csv":
        write(_movements_csv(found), output)
    else:
        from connector.terminal import movements_view

        rendered(movements_view(found, names, shell.config.locale), output)


def as_json(movement: Movement) -> dict[str, Any]:
    """A movement as other programs read it."""
    return {
        "customer": movement.customer,
        "currency": movement.currency,
        "day": movement.day.isoformat(),
        "kind": movement.kind.value,
        "amount_minor": movement.amount_minor,
        "before_minor": movement.before_minor,
        "after_minor": movement.after_minor,
        "components": [
            {
                "cause": part.cause.value,
                "amount_minor": part.amount_minor,
                "subscription": part.subscription,
                "item": part.item,
                "price": part.price,
                "evidence": [
                    {"kind": proof.kind, "id": proof.id, "at": iso(proof.at_s)}
                    for proof in part.evidence
                ],
            }
            for part in movement.components
        ],
    }


def _movements_csv(found: Iterable[Movement]) -> str:
    import csv
    import io

    from connector.money import major

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["day", "customer", "currency", "kind", "amount", "before", "after", "causes"]
    )
    for each in found:
        sums = (each.amount_minor, each.before_minor, each.after_minor)
        amounts = [major(minor, each.currency) for minor in sums]
        causes = " ".join(dict.fromkeys(part.cause for part in each.components))
        row = [each.day, each.customer, each.currency, each.kind, *amounts, causes]
        writer.writerow(row)
    return out.getvalue()


def find_one(connection: sqlite3.Connection, text: str) -> ledger.Account:
    found = ledger.find_customer(connection, text)
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
