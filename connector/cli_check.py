"""`stripe-nrr check`: the invariants, over the whole ledger."""

import json
from contextlib import closing

import click

from connector import ledger, mirror, refusals
from connector.checks import refusal_findings, run_checks
from connector.cli import Shell
from connector.cli_output import format_option, write
from connector.cli_sync import moment_of
from connector.periods import local_day


@click.command()
@format_option
@click.pass_context
def check(ctx: click.Context, form: str) -> None:
    """Prove the ledger's invariants over every movement and every standard window.

    Movements add up to each customer's MRR and are named rightly; components add up and
    name their evidence; each waterfall closes; 0 ≤ GRR ≤ min(1, NRR); nothing waits to
    be derived; nothing was left unvalued. Exit 3 with what was found.
    """
    shell: Shell = ctx.obj
    with closing(shell.ledger()) as connection:
        movements = list(ledger.movements(connection))
        found = {
            c: list(ledger.flows(connection, c)) for c in ledger.currencies(connection)
        }
        now = moment_of(connection, shell)
        today = local_day(int(now.timestamp()), shell.config.zone)
        findings = run_checks(movements, found, today)
        findings += refusal_findings(refusals.known(connection))
        waiting = mirror.dirty(connection)
    if form == "json":
        rows = [finding._asdict() for finding in findings]
        figures = {"movements": len(movements), "waiting": waiting, "findings": rows}
        write(json.dumps(figures, indent=2), None)
    else:
        for finding in findings:
            click.echo(f"{finding.rule}: {finding.subject} {finding.what}")
        if waiting:
            click.echo(f"{len(waiting)} customers wait: run `stripe-nrr recompute`")
        click.echo(f"{len(movements):,} movements checked, {len(findings):,} findings.")
    if findings or waiting:
        ctx.exit(3)
