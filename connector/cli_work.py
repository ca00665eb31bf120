"""The commands that do work: demo, sync, recompute, check."""

import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from connector import ledger, mirror
from connector.checks import refusal_findings, run_checks
from connector.cli import Shell
from connector.cli_read import Asked, make_report, show_report, write
from connector.config import Config, parse, stripe_key
from connector.database import (
    exclusive_sync,
    open_database,
    put_setting,
    setting,
    transaction,
)
from connector.errors import LedgerUnusable, NothingFound
from connector.ledger import Wanted
from connector.model import Kind
from connector.periods import add_months, local_day
from connector.recompute import Recomputed, Rules, adopt
from connector.recompute import recompute as derive
from connector.sync import Keeping, Source, Synced, full_walk

Progress = Callable[[str, int, int | None], None]
QUIET_S = 10  # one line of progress at most so often where there is no terminal

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
)


@contextmanager
def progress_shown(*, quiet: bool = False) -> Iterator[Progress]:
    """Tell ``progress(what, done, all)``; ``all`` None where nobody knows.

    A bar a task on a terminal; elsewhere a line every ten seconds.
    """
    if quiet:
        yield lambda _what, _done, _all: None
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        said_s = time.monotonic()

        def tell(what: str, done: int, whole: int | None) -> None:
            nonlocal said_s
            if time.monotonic() - said_s >= QUIET_S:
                said_s = time.monotonic()
                of = f" of {whole:,}" if whole else ""
                click.echo(f"{what}: {done:,}{of}", err=True)

        yield tell


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.progress import (
        Progress as Bars,
    )

    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, whole: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=whole)
            bars.update(tasks[what], completed=done, total=whole)

        yield show


def rules_of(config: Config) -> Rules:
    return Rules(
        policy=config.policy, zone=config.zone, code_version=version("stripe-nrr")
    )


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
    if not path.parent.is_dir():
        raise LedgerUnusable(
            f"the folder of the ledger, {path.parent}, does not exist",
            fix="create it, or set `database` in config.toml",
        )
    with exclusive_sync(path), closing(open_database(path, create=True)) as connection:
        if setting(connection, "account") == "demo":
            raise LedgerUnusable(
                f"{path} holds the demo's account",
                fix="set `database` in config.toml to a file of its own",
            )
        yield connection


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


@click.command()
@click.option("--customer", metavar="ID", help="Only this customer.")
@format_option
@click.pass_obj
def recompute(shell: Shell, customer: str | None, form: str) -> None:
    """Derive the ledger anew from what was fetched, without asking Stripe.

    For a changed [policy] or timezone (recorded as its own run, so that figures reported
    before can still be read with --as-of), or to see that nothing changes.
    """
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
                now=_moment_of(connection, shell),
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


def _moment_of(connection: sqlite3.Connection, shell: Shell) -> datetime:
    """Now; in the demo's ledger, the moment its account was recorded at."""
    frozen = setting(connection, "demo_now")
    return shell.now() if frozen is None else datetime.fromisoformat(frozen)


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
        now = _moment_of(connection, shell)
        today = local_day(int(now.timestamp()), shell.config.zone)
        findings = run_checks(movements, found, today)
        findings += refusal_findings(mirror.refusals(connection))
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


DEMO_CONFIG = """\
# Made by `stripe-nrr demo --keep`.
database = "stripe-nrr.db"
timezone = "{timezone}"
"""


@click.command()
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep the ledger and its config.toml there, to try other commands on them.",
)
def demo(keep: Path | None) -> None:
    """See it all on a bundled account: no key, no network, nothing left behind.

    The bundled Stripe answers are paged by the real client into a ledger in a temporary
    folder (or DIR), derived and reported, exactly as your own account would be.
    """
    with tempfile.TemporaryDirectory(prefix="stripe-nrr-demo-") as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        _run_demo(folder)
    _say_what_next(keep)


def _run_demo(folder: Path) -> None:
    from connector.demo import AccountTransport, BundledAccount, bundled_folder
    from connector.stripe_api import StripeApi

    account = BundledAccount.load(bundled_folder())
    assert account.now is not None
    frozen_at = account.now
    text = DEMO_CONFIG.format(timezone=account.timezone)
    config_path = folder / "config.toml"
    config = parse(text, {}, source=config_path)
    began_s = time.monotonic()
    now_us = int(frozen_at.timestamp() * 1_000_000)
    with (
        exclusive_sync(config.database),
        closing(open_database(config.database, create=True)) as connection,
        StripeApi(
            "rk_test_demo", transport=AccountTransport(account), now_us=lambda: now_us
        ) as api,
        progress_shown() as progress,
    ):
        _claim(connection, config.database, frozen_at)
        synced, derived = bring_up_to_date(
            connection, api, config, now_us=api.now_us, progress=progress
        )
        config_path.write_text(text, encoding="utf-8")
        seconds = time.monotonic() - began_s
        click.echo(
            f"Synced {synced.seen['subscriptions']:,} subscriptions and "
            f"{synced.seen['invoices']:,} invoices of a bundled Stripe account in "
            f"{api.reads.requests} requests, and posted {derived.movements:,} movements, "
            f"in {seconds:.1f} s."
        )
        asked = Asked(last=_last_whole_month(frozen_at, config))
        figures = make_report(connection, config, frozen_at, asked)
        show_report(figures, config.locale, None)
        _show_one(connection, config)


def _claim(connection: sqlite3.Connection, path: Path, frozen_at: datetime) -> None:
    """Mark the ledger as the demo's; refuse one that holds a real account."""
    owner = setting(connection, "account")
    if owner is None and mirror.last_synced_us(connection) is not None:
        raise LedgerUnusable(
            f"{path} holds a real account", fix="give --keep an empty folder"
        )
    with transaction(connection):
        put_setting(connection, "account", "demo")
        put_setting(connection, "demo_now", frozen_at.isoformat())


def _last_whole_month(moment: datetime, config: Config) -> date:
    today = local_day(int(moment.timestamp()), config.zone)
    return add_months(today, -1)


def _show_one(connection: sqlite3.Connection, config: Config) -> None:
    """One movement taken apart, to show that every figure can be."""
    from connector.terminal import console, movement_view

    explained = [
        movement
        for movement in ledger.movements(connection, Wanted(kind=Kind.EXPANSION))
        if any(
            proof.kind == "invoice_line" for proof in movement.components[0].evidence
        )
    ]
    if not explained:
        return
    example = explained[-1]
    name = ledger.labels(connection)[example.customer]
    out = console()
    out.print(f"\nEvery figure can be taken apart. The latest expansion, {name}:\n")
    prices = mirror.price_names(connection)
    out.print(movement_view(example, prices, config.locale))


def _say_what_next(keep: Path | None) -> None:
    if keep is not None:
        click.echo(
            f"\nKept in {keep}. Try, for example:\n"
            f"  stripe-nrr --config {keep}/config.toml movements --kind churn\n"
            f"  stripe-nrr --config {keep}/config.toml report --window quarter"
        )
    click.echo(
        "\nOn your own account (nothing is ever written to Stripe):\n"
        "  1. In Stripe's Dashboard make a restricted key with read permissions for\n"
        "     Customers, Products, Prices, Coupons, Subscriptions, Invoices, Invoice\n"
        "     Items and Events.\n"
        "  2. export STRIPE_API_KEY=rk_live_…\n"
        "  3. stripe-nrr sync && stripe-nrr report"
    )
