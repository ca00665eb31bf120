"""`stripe-nrr at-risk`: MRR that may go, and the NRR that is already committed."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import click

from connector import customers, ledger, mirror, positions
from connector import timeline as histories
from connector.cli import Shell, rules_of
from connector.cli_figures import Known, currencies_asked, known_ledger, uncollected
from connector.cli_output import (
    FORMATS,
    currency_option,
    formats_option,
    json_text,
    out_option,
    rendered,
    write,
)
from connector.model import Flow, Kind, Movement, WindowKind
from connector.movements import movements
from connector.outlook import Outlook, Scheduled, to_csv, to_json, to_markdown
from connector.periods import add_months
from connector.poison import set_aside, underivable
from connector.retention import measure, standing
from connector.risks import Risk, as_scheduled, contracted, risks
from connector.rules import Rules
from connector.windows import windows

LATELY_DAYS = 90
AHEAD = 12  # months: the openings of these windows are known
DAY_S = 86_400


@click.command("at-risk")
@currency_option
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def at_risk(shell: Shell, currency: str | None, form: str, output: Path | None) -> None:
    """MRR that may go, and what NRR and GRR will be when what is scheduled happens.

    From what was synced, without asking Stripe: subscriptions that are set to cancel,
    past due, with an unpaid invoice, a change that awaits its payment or a paused
    collection, trials that will not convert, and customers who contracted in the last 90
    days. Committed are the twelve trailing-12 windows from the running one on, with
    ends that are set and discounts that run out, and nothing else.

    CSV lists the risks alone; JSON carries everything.

    \b
    Examples:
      stripe-nrr at-risk
      stripe-nrr at-risk --currency usd --format csv -o at-risk.csv
    """  # noqa: D301
    with shell.reading() as connection:
        known = known_ledger(connection, shell.config, shell.now())
        codes = currencies_asked(connection, currency, None, known.synced_at)
        with uncollected():
            found = outlooks(connection, rules_of(shell.config), known, codes)
        labels = customers.labels(connection)
    locale = shell.config.locale
    if form == "json":
        write(json_text(to_json(found)), output)
    elif form == "csv":
        write(to_csv(found), output)
    elif form == "markdown":
        write(to_markdown(found, labels, locale), output)
    else:
        from connector.terminal_outlook import outlook_view

        rendered(outlook_view(found, labels, locale), output)


def outlooks(
    connection: sqlite3.Connection, rules: Rules, known: Known, codes: Iterable[str]
) -> list[Outlook]:
    """What is at risk and what is set in each currency, as far as the ledger knows."""
    ahead = _ahead(connection, rules, int(known.at.timestamp()), known.today)
    return [_outlook(connection, code, known.today, ahead) for code in codes]


class _Ahead(NamedTuple):
    """What Stripe's objects show of all customers: risks, and movements to come."""

    risks: Sequence[Risk]
    movements: Sequence[Movement]


def _ahead(
    connection: sqlite3.Connection, rules: Rules, now_s: int, today: date
) -> _Ahead:
    """Derive whoever has something ahead once more, as it will be in a year.

    Without those whose history cannot be derived, of whom a warning tells.
    """
    until_s = now_s + (AHEAD + 1) * 31 * DAY_S
    waiting = mirror.in_doubt(connection, now_s - 2 * LATELY_DAYS * DAY_S, until_s)
    shared = mirror.catalogue(connection)
    found: list[Risk] = []
    coming: list[Movement] = []

    def look(names: Sequence[str]) -> None:
        [customer] = names
        history = mirror.history(connection, customer, shared, rules.also(customer))
        charged = histories.timeline(history, rules.policy, now_s).charges
        future = as_scheduled(history, charged, now_s)
        steps = histories.timeline(future, rules.policy, until_s).steps
        derived = movements(customer, steps, rules.zone)
        worth = positions.worth(connection, customer)
        found.extend(list(risks(history, worth, charged, now_s, rules.zone)))
        coming.extend(movement for movement in derived if movement.day > today)

    failed: dict[str, str] = {}
    for customer in rules.affected(waiting):
        if customer not in rules.merge:
            failed |= set_aside([customer], look)
    if (error := underivable(failed)) is not None:
        click.echo(f"warning: {error.problem}\n  fix: {error.fix}", err=True)
    return _Ahead(found, coming)


def _outlook(
    connection: sqlite3.Connection, currency: str, today: date, ahead: _Ahead
) -> Outlook:
    this_month = today.replace(day=1)
    last = add_months(this_month, AHEAD - 1)
    wanted = windows(WindowKind.TRAILING_12, this_month, last)
    opening = positions.balances(connection, currency, wanted[0].start)
    flows = list(ledger.flows(connection, currency, None, wanted[0].start))
    ids = customers.ids(connection)
    coming = [m for m in ahead.movements if m.currency == currency]
    lately = today - timedelta(days=LATELY_DAYS)
    shrunk = [f for f in flows if f.kind is Kind.CONTRACTION and f.day > lately]
    found = [risk for risk in ahead.risks if risk.currency == currency]
    balances = standing(opening, flows)
    found += contracted(shrunk, balances, ids, currency)
    [so_far] = measure(flows, wanted[:1], opening)
    return Outlook(
        currency=currency,
        today=today,
        mrr_minor=sum(balances.values()),
        risks=tuple(sorted(found, key=lambda r: (-r.mrr_minor, r.customer, r.reason))),
        scheduled=tuple(_scheduled(coming)),
        so_far=so_far,
        committed=tuple(measure([*flows, *_flows(coming, ids)], wanted, opening)),
    )


def _scheduled(coming: Iterable[Movement]) -> list[Scheduled]:
    return [
        Scheduled(
            day=m.day, customer=m.customer, kind=m.kind, amount_minor=m.amount_minor
        )
        for m in sorted(coming, key=lambda m: (m.day, m.customer))
    ]


def _flows(coming: Sequence[Movement], ids: Mapping[int, str]) -> list[Flow]:
    named = {movement.customer for movement in coming}
    keys = {customer: key for key, customer in ids.items() if customer in named}
    return [Flow(keys[m.customer], m.day, m.kind, m.amount_minor) for m in coming]
