"""`stripe-nrr check`: the invariants, over the whole ledger; on demand beside Stripe."""

import sqlite3
import time
from contextlib import closing

import click

from connector.cli.connect import connected
from connector.cli.forms import Output, end_with_findings
from connector.cli.options import output_option
from connector.cli.progress import Progress, progress_shown
from connector.cli.shell import Shell
from connector.config import Config
from connector.core.account import NOBODY, check_same
from connector.pipeline.bundled_account import bundled_folder, load_account
from connector.reports.check import (
    StripeComparison,
    check_ledger,
    compare_with_stripe,
    labels_of,
    live_subscriptions,
    unexplained,
)
from connector.reports.ledger import Ledger
from connector.store.account import ledger_account
from connector.store.database import setting, snapshot
from connector.store.read_only import open_to_read
from connector.stripe_api.objects import Subscription


@click.command()
@click.option(
    "--stripe",
    "with_stripe",
    is_flag=True,
    help="Also compare each customer's MRR with what Stripe's live subscriptions imply.",
)
@output_option
def check(out: Output, *, with_stripe: bool) -> None:
    """Prove the ledger's invariants over every movement and every standard window.

    Movements add up to each customer's MRR and are named rightly; components add up and
    name their evidence; each waterfall closes; 0 ≤ GRR ≤ min(1, NRR); the sums that
    reports read are those of the movements; closed months can be read as they were
    reported; the first sync has finished; nothing waits to be derived; nothing was left
    unvalued; nothing that recurs is left uncounted, unless the configuration accepts it.
    Exit 3 with what was found.

    With --stripe the active and past due subscriptions are fetched, 100 a request, and
    valued as they stand, by Stripe's own definition of MRR. Customers whose MRR in the
    ledger is another are listed with the reason: a [policy] that counts otherwise, a
    change that is not yet synced, an object that cannot be valued, a derivation that
    waits. What no reason explains is a finding. Nothing is written, and a sync may run
    meanwhile.
    """
    from connector.render import check as forms

    compared = _beside_stripe(out.shell) if with_stripe else None
    with out.shell.reading(tells_outside=False) as ledger:
        checked = check_ledger(ledger)
    if compared is not None:
        findings = [*checked.findings, *unexplained(compared)]
        checked = checked._replace(findings=findings)
    out.write(
        text=lambda: forms.to_text(checked, compared, out.locale),
        json=lambda: forms.to_json(checked, compared),
    )
    if checked.findings or checked.waiting:
        end_with_findings()


def _beside_stripe(shell: Shell) -> StripeComparison:
    """Fetch the live subscriptions, and compare them with the ledger as it is then."""
    shell.log_to_stderr()
    with (
        closing(open_to_read(shell.config.database)) as connection,
        progress_shown() as progress,
    ):
        live, requests = _live(connection, shell.config, progress)
        with snapshot(connection):
            ledger = Ledger(connection, shell.config, shell.now())
            rows = compare_with_stripe(ledger, live, progress)
        labels = labels_of(connection, rows)
        return StripeComparison(rows, len(live), requests, labels)


def _live(
    connection: sqlite3.Connection, config: Config, progress: Progress
) -> tuple[list[Subscription], int]:
    """Those of the account that the ledger is of, and how many requests it took."""
    if setting(connection, "account") == "demo":
        account = load_account(bundled_folder())
        return live_subscriptions(account, progress, config.policy), account.requests
    with connected(config, time.sleep, lambda: False) as api:
        check_same(ledger_account(connection) or NOBODY, api.identity())
        found = live_subscriptions(api, progress, config.policy)
        return found, api.reads.requests
