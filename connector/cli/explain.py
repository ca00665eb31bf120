"""`stripe-nrr explain`: a window's ratio by customer, a customer's MRR by line."""

import sqlite3
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from connector.cli.app import Shell
from connector.cli.options import (
    DayParam,
    WindowParam,
    formats_option,
    moment_asked,
    out_option,
)
from connector.cli.output import json_text, rendered, write
from connector.core.dates import local_day
from connector.core.errors import UsageFault
from connector.core.model import Movement
from connector.core.windows import Window
from connector.metrics.contributions import Ratio, contributions
from connector.metrics.retention import measure
from connector.render.contributions import to_csv, to_json, to_text
from connector.render.movements import as_json
from connector.reports.explain import WindowExplanation
from connector.reports.ledger_state import (
    currencies_asked,
    ledger_state,
    rules_in_force,
)
from connector.reports.movements import find_one
from connector.store.ledger import customers, queries, unvalued
from connector.store.ledger.customers import accounts
from connector.store.ledger.queries import Wanted
from connector.store.mirror import objects


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
    found = list(queries.movements(connection, wanted))
    if form == "json":
        write(json_text(_explained(account, on, found)), output)
        return
    from connector.render.movements import explanation

    names = customers.labels(connection)
    prices = objects.price_names(connection)
    locale = shell.config.locale
    rendered(explanation(account.id, names, prices, found, on, locale), output)
    for refusal in unvalued.known(connection):
        if refusal.customer == account.id:
            click.echo(
                f"not valued: {refusal.object_id}: {refusal.field} is {refusal.value}"
            )


def _explained(
    account: customers.CustomerName, on: date, found: Iterable[Movement]
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
                proof["said"] = evidence.summary
        explained.append(plain)
    return {
        "customer": account.id,
        "label": account.label,
        "on": on.isoformat(),
        "mrr": [{"currency": c, "amount_minor": minor} for c, minor in mrr.items()],
        "movements": explained,
    }


def show_window(
    connection: sqlite3.Connection,
    shell: Shell,
    window: Window,
    ratio: Ratio,
    currency: str | None,
    as_of: datetime | None,
    form: str,
    output: Path | None,
) -> None:
    known = ledger_state(connection, shell.config, shell.now(), as_of)
    named = accounts(connection)
    found = []
    for each in currencies_asked(connection, currency, as_of, known.synced_at):
        flows = list(queries.flows(connection, each, as_of))
        [measured] = measure(flows, [window])
        moved = contributions(flows, window, ratio)
        whose = [(named[one.customer], one) for one in moved]
        found.append(WindowExplanation(each, window, ratio, measured.retention, whose))
    if form == "json":
        write(json_text([to_json(each) for each in found]), output)
    elif form == "csv":
        write(to_csv(found), output)
    else:
        locale = shell.config.locale
        texts = [
            to_text(each, locale, is_over=window.end <= known.today) for each in found
        ]
        write(
            "\n".join(texts) or "There is no recurring revenue in this ledger.", output
        )
