"""`stripe-nrr check`: the invariants, over the whole ledger; on demand beside Stripe."""

import os
import sqlite3
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import click

from connector.cli.app import Shell
from connector.cli.options import format_option
from connector.cli.output import json_text, progress_shown, write
from connector.core.dates import local_day
from connector.credentials import stripe_key
from connector.metrics.invariants import (
    every_window,
    refusal_findings,
    restated_findings,
    run_checks,
    sums_are_kept,
)
from connector.metrics.retention import measure
from connector.render.reconcile import to_json, to_text
from connector.reports.ledger_state import is_whole
from connector.reports.reconcile import (
    StripeComparison,
    compare,
    live_subscriptions,
    unexplained,
)
from connector.store.database import setting, snapshot
from connector.store.ledger import (
    closings,
    contract_terms,
    customers,
    queries,
    rollups,
    unvalued,
)
from connector.store.mirror import dirty_customers

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi
NAMED = 20  # of those that wait, in text


@click.command()
@click.option(
    "--stripe",
    "with_stripe",
    is_flag=True,
    help="Also compare each customer's MRR with what Stripe's live subscriptions imply.",
)
@format_option
@click.pass_context
def check(ctx: click.Context, form: str, *, with_stripe: bool) -> None:
    """Prove the ledger's invariants over every movement and every standard window.

    Movements add up to each customer's MRR and are named rightly; components add up and
    name their evidence; each waterfall closes; 0 ≤ GRR ≤ min(1, NRR); the sums that
    reports read are those of the movements; closed months can be read as they were
    reported; nothing waits to be derived; nothing was left unvalued. Exit 3 with what was
    found.

    With --stripe the active and past due subscriptions are fetched, 100 a request, and
    valued as they stand, by Stripe's own definition of MRR. Customers whose MRR in the
    ledger is another are listed with the reason: a [policy] that counts otherwise, a
    change that is not yet synced, an object that cannot be valued, a derivation that
    waits. What no reason explains is a finding. Nothing is written, and a sync may run
    meanwhile.
    """
    shell: Shell = ctx.obj
    compared = None
    if with_stripe:
        with closing(shell.ledger()) as connection:
            compared = beside_stripe(connection, shell)
    with shell.reading() as connection:
        movements = list(queries.movements(connection))
        found = {
            c: list(queries.flows(connection, c))
            for c in queries.currencies(connection)
        }
        now = shell.moment(connection)
        today = local_day(int(now.timestamp()), shell.config.zone)
        findings = run_checks(movements, found, today)
        for currency, flows in found.items() if is_whole(connection) else ():
            asked = every_window(flows, today)
            ended = contract_terms.terms(connection, currency, date.min, date.max)
            counted = measure(flows, asked, terms=list(ended))
            kept = rollups.measured(connection, currency, asked)
            findings += sums_are_kept(currency, counted, kept)
        findings += restated_findings(closings.again(connection))
        findings += refusal_findings(unvalued.known(connection))
        waiting = dirty_customers.dirty(connection)
        labels = customers.labels(connection)
    if compared is not None:
        findings += unexplained(compared)
    if form == "json":
        rows = [finding._asdict() for finding in findings]
        figures = {"movements": len(movements), "waiting": waiting, "findings": rows}
        if compared is not None:
            figures["stripe"] = to_json(compared)
        write(json_text(figures), None)
    else:
        if compared is not None:
            write(to_text(compared, labels, shell.config.locale), None)
        for finding in findings:
            click.echo(f"{finding.rule}: {finding.subject} {finding.what}")
        if waiting:
            click.echo(_told(waiting))
        click.echo(f"{len(movements):,} movements checked, {len(findings):,} findings.")
    if findings or waiting:
        ctx.exit(3)


def _told(waiting: list[str]) -> str:
    """Who waits to be derived, by name; those that could not be are among them."""
    named = ", ".join(waiting[:NAMED])
    more = f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else ""
    return f"{len(waiting)} customers wait: {named}{more}; run `stripe-nrr recompute`"


def beside_stripe(connection: sqlite3.Connection, shell: Shell) -> StripeComparison:
    """Fetch the live subscriptions, and compare them with the ledger as it is then."""
    shell.log_to_stderr()
    with _stripe(connection, shell) as api, progress_shown() as progress:
        live = live_subscriptions(api, progress)
        now = shell.moment(connection)
        with snapshot(connection):
            rows = compare(connection, live, shell.config, now, progress)
        return StripeComparison(rows, len(live), api.reads.requests)


def _stripe(connection: sqlite3.Connection, shell: Shell) -> "StripeApi":
    """The account that the ledger was fetched from."""
    from connector.stripe_api.client import StripeApi

    if setting(connection, "account") != "demo":
        return StripeApi(stripe_key(os.environ), shell.config.api_base)
    from connector.stripe_api.simulator import (
        AccountTransport,
        BundledAccount,
        bundled_folder,
    )

    now_us = int(shell.moment(connection).timestamp() * 1_000_000)
    bundled = AccountTransport(BundledAccount.load(bundled_folder()))
    return StripeApi("rk_test_demo", transport=bundled, now_us=lambda: now_us)
