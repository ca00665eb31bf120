"""`stripe-nrr sync` and `recompute`: history into the mirror, movements into the ledger."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from connector import mirror
from connector.cli import Shell, rules_of
from connector.cli_output import Progress, format_option, progress_shown, write
from connector.config import Config, stripe_key
from connector.database import exclusive_sync, open_database, setting, transaction
from connector.errors import LedgerUnusable, NothingFound
from connector.recompute import Recomputed, adopt
from connector.recompute import recompute as derive
from connector.sync import Keeping, Source, Synced, full_walk


@click.command()
@format_option
@click.option("-q", "--quiet", is_flag=True, help="No progress, only the summary.")
@click.pass_obj
def sync(shell: Shell, form: str, *, quiet: bool) -> None:
    """Copy the Stripe account's history and bring the ledger up to date.

    Reads customers, prices, coupons, subscriptions, invoices, pending invoice items and
    the last 30 days' events, 100 a request, and never writes to Stripe. Stopped at any
    point, the next run goes on from the last page. Needs STRIPE_API_KEY (or
    STRIPE_API_KEY_FILE): a restricted key with read permissions is enough.

    What cannot be valued is named in the summary and left out of the figures.
    """
    from connector.stripe_api import StripeApi

    shell.log_to_stderr()
    config = shell.config
    began_s = time.monotonic()
    with StripeApi(stripe_key(os.environ), config.api_base) as api:
        api.probe()
        with _own_ledger(config) as connection, progress_shown(quiet=quiet) as progress:
            synced, derived = bring_up_to_date(
                connection, api, config, now_us=api.now_us, progress=progress
            )
        reads = api.reads
    summary = {
        "seen": synced.seen,
        "changed": synced.changed,
        "resumed": synced.resumed,
        "unreadable_events": synced.unreadable,
        "customers": derived.customers,
        "movements": derived.movements,
        "retractions": derived.retractions,
        "refused": [asdict(refusal) for refusal in derived.refusals],
        "requests": reads.requests,
        "retries": reads.retries,
        "seconds": round(time.monotonic() - began_s, 1),
    }
    if form == "json":
        write(json.dumps(summary, indent=2), None)
    else:
        write(_summary_text(summary, derived), None)


@contextmanager
def _own_ledger(config: Config) -> Iterator[sqlite3.Connection]:
    """The ledger, created if need be, held against other syncs."""
    path = config.database
    check_folder(path)
    with exclusive_sync(path), closing(own_ledger(path)) as connection:
        yield connection


def check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise LedgerUnusable(
            f"the folder of the ledger, {path.parent}, does not exist",
            fix="create it, or set `database` in config.toml",
        )


def own_ledger(path: Path) -> sqlite3.Connection:
    """The ledger of a real account, created if need be; close it."""
    connection = open_database(path, create=True)
    if setting(connection, "account") != "demo":
        return connection
    connection.close()
    raise LedgerUnusable(
        f"{path} holds the demo's account",
        fix="set `database` in config.toml to a file of its own",
    )


def _summary_text(summary: dict[str, Any], derived: Recomputed) -> str:
    seen = ", ".join(f"{n:,} {kind}" for kind, n in summary["seen"].items() if n)
    moved = f"{derived.movements:,} movements posted, {derived.retractions:,} retracted"
    cost = f"{summary['requests']:,} requests ({summary['retries']:,} tried again)"
    lines = [
        f"Seen: {seen or 'nothing'}.",
        f"Ledger: {derived.customers:,} customers changed, {moved}.",
        f"Cost: {cost} in {summary['seconds']:,} s.",
    ]
    if summary["resumed"]:
        lines.insert(0, "Went on where the last sync had stopped.")
    if summary["unreadable_events"]:
        names = ", ".join(summary["unreadable_events"][:5])
        count = len(summary["unreadable_events"])
        lines.append(f"Could not read {count} events of another API version: {names}.")
    if derived.refusals:
        lines.append(
            f"Not valued, and missing from every figure ({len(derived.refusals)}):"
        )
        lines += [
            f"  {r.object_id} of {r.customer}: {r.field} is {r.value}"
            for r in derived.refusals
        ]
    return "\n".join(lines)


def bring_up_to_date(
    connection: sqlite3.Connection,
    source: Source,
    config: Config,
    *,
    now_us: Callable[[], int],
    progress: Progress,
) -> tuple[Synced, Recomputed]:
    """Walk the account, then settle the ledger; a changed policy is its own run."""
    rules = rules_of(config)

    def now() -> datetime:
        return datetime.fromtimestamp(now_us() / 1_000_000, tz=UTC)

    def derived(done: int, whole: int) -> None:
        progress("deriving customers", done, whole)

    changed = adopt(connection, rules)
    if changed is not None:
        click.echo(f"{changed}: deriving every customer anew", err=True)
        cause = "policy change" if changed.startswith("policy") else "manual"
        derive(connection, rules, cause=cause, now=now(), progress=derived)
    keeping = Keeping(label=config.label, metadata_keys=config.metadata_keys)
    synced = full_walk(
        connection,
        source,
        keeping,
        now_us=now_us,
        progress=lambda kind, seen: progress(kind, seen, None),
    )
    return synced, derive(connection, rules, cause="sync", now=now(), progress=derived)


@click.command()
@click.option("--customer", metavar="ID", help="Only this customer.")
@format_option
@click.pass_obj
def recompute(shell: Shell, customer: str | None, form: str) -> None:
    """Derive the ledger anew from what was fetched, without asking Stripe.

    For a changed [policy] or timezone (recorded as its own run, so that figures reported
    before can still be read with --as-of), or to see that nothing changes.
    """
    shell.log_to_stderr()
    rules = rules_of(shell.config)
    with closing(shell.ledger()) as connection:
        changed = adopt(connection, rules)
        is_policy = changed is not None and changed.startswith("policy")
        if changed is not None:
            click.echo(changed, err=True)
        with transaction(connection):
            if customer is None:
                mirror.mark_all(connection)
            elif not mirror.mark_one(connection, customer):
                raise NothingFound(
                    f"nothing was ever fetched of customer {customer!r}",
                    fix="give an id as Stripe shows it (cus_…), or run `stripe-nrr sync`",
                )
        with progress_shown(quiet=form == "json") as progress:
            derived = derive(
                connection,
                rules,
                cause="policy change" if is_policy else "manual",
                now=moment_of(connection, shell),
                progress=lambda done, whole: progress("deriving", done, whole),
            )
    figures = {
        "customers": derived.customers,
        "movements": derived.movements,
        "retractions": derived.retractions,
        "refused": [asdict(refusal) for refusal in derived.refusals],
    }
    text = (
        f"{derived.customers:,} customers derived, {derived.movements:,} movements posted, "
        f"{derived.retractions:,} retracted, {len(derived.refusals):,} objects not valued."
    )
    write(json.dumps(figures, indent=2) if form == "json" else text, None)


def moment_of(connection: sqlite3.Connection, shell: Shell) -> datetime:
    """Now; in the demo's ledger, the moment its account was recorded at."""
    frozen = setting(connection, "demo_now")
    return shell.now() if frozen is None else datetime.fromisoformat(frozen)
