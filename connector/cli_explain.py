"""`stripe-nrr explain`: a window's ratio by customer, a customer's MRR by line."""

import sqlite3
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from connector import customers, ledger, mirror, refusals
from connector.cli import Shell, UsageFault
from connector.cli_contributions import show_window
from connector.cli_figures import moment_asked, rules_in_force
from connector.cli_movements import find_one
from connector.cli_output import (
    DayParam,
    WindowParam,
    formats_option,
    json_text,
    out_option,
    rendered,
    write,
)
from connector.contributions import Ratio
from connector.ledger import Wanted
from connector.model import Movement, Window
from connector.movement_rows import as_json
from connector.periods import local_day


@click.command()
@click.argument("customer", required=False)
@click.option(
    "--on", "day", type=DayParam(), help="As it stood at the end of this day."
)
@click.option(
    "--window",
    type=WindowParam(),
    help="A window's ratio instead: 2026-03, 2026-Q1, 2026, or ..2026-03 for the twelve "
    "months to March.",
)
@click.option(
    "--metric",
    type=click.Choice([ratio.value for ratio in Ratio]),
    default=Ratio.NRR.value,
    show_default=True,
    help="The ratio to take apart, with --window.",
)
@click.option("--currency", metavar="CODE", help="Only this currency, with --window.")
@click.option(
    "--as-of",
    metavar="TIMESTAMP",
    help="As the ledger was at this moment: see `stripe-nrr report --help`.",
)
@formats_option("text", "json", "csv")
@out_option
@click.pass_obj
def explain(
    shell: Shell,
    customer: str | None,
    day: date | None,
    window: Window | None,
    metric: str,
    currency: str | None,
    as_of: str | None,
    form: str,
    output: Path | None,
) -> None:
    """Take a figure apart: a window's NRR or GRR by customer, or a customer's MRR by line.

    With --window: the opening's customers, and everyone who moved the ratio, largest
    first; they add up to its numerator exactly.

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
    with shell.reading() as connection:
        moment = moment_asked(as_of, shell.config)
        if window is not None:
            ratio = Ratio(metric)
            show_window(
                connection, shell, window, ratio, currency, moment, form, output
            )
        elif form == "csv":
            raise UsageFault(
                "a customer is explained as text or JSON",
                fix="`stripe-nrr movements --customer ID --format csv` is a table of it",
            )
        else:
            assert customer is not None
            _show_customer(connection, shell, customer, day, moment, form, output)


def _show_customer(
    connection: sqlite3.Connection,
    shell: Shell,
    customer: str,
    day: date | None,
    as_of: datetime | None,
    form: str,
    output: Path | None,
) -> None:
    account = find_one(connection, customer)
    zone = ZoneInfo(rules_in_force(connection, shell.config)["timezone"])
    on = day or local_day(int((as_of or shell.now()).timestamp()), zone)
    wanted = Wanted(customer=account.id, end=on + timedelta(days=1), as_of=as_of)
    found = list(ledger.movements(connection, wanted))
    if form == "json":
        write(json_text(_explained(account, on, found)), output)
        return
    from connector.terminal import explanation

    names = customers.labels(connection)
    prices = mirror.price_names(connection)
    locale = shell.config.locale
    rendered(explanation(account.id, names, prices, found, on, locale), output)
    for refusal in refusals.known(connection):
        if refusal.customer == account.id:
            click.echo(
                f"not valued: {refusal.object_id}: {refusal.field} is {refusal.value}"
            )


def _explained(
    account: customers.Account, on: date, found: Iterable[Movement]
) -> dict[str, Any]:
    """The explanation as JSON: the movements with the arithmetic and what proofs say."""
    explained = []
    mrr: dict[str, int] = {}
    for movement in found:
        mrr[movement.currency] = movement.after_minor
        plain = as_json(movement)
        parts = zip(plain["components"], movement.components, strict=True)
        for shown, part in parts:
            shown |= {"before": part.before, "after": part.after}
            for proof, evidence in zip(shown["evidence"], part.evidence, strict=True):
                proof["said"] = evidence.said
        explained.append(plain)
    return {
        "customer": account.id,
        "label": account.label,
        "on": on.isoformat(),
        "mrr": [{"currency": c, "amount_minor": minor} for c, minor in mrr.items()],
        "movements": explained,
    }
