"""`stripe-nrr demo`: the whole job on the bundled account."""

import sqlite3
import tempfile
import time
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from connector.cli.forms import Output, rendered
from connector.cli.out_files import NamedFolder
from connector.cli.output import echo
from connector.cli.progress import progress_shown
from connector.cli.shell import Shell
from connector.config import Config, ListenAddress, parse
from connector.core.errors import ConnectorError, LedgerUnusable
from connector.core.language import DEFAULT, _, decimal_text, grouped, marked, message
from connector.core.model import MovementKind
from connector.core.text import printable
from connector.pipeline.bundled_account import (
    BundledAccount,
    bundled_folder,
    load_account,
)
from connector.pipeline.ingest import Ingest
from connector.pipeline.job import bring_up_to_date
from connector.pipeline.policy_change import configured_rules
from connector.pipeline.thread_pool import ThreadPool
from connector.reports.ledger import Ledger
from connector.reports.report import make_report
from connector.store.database import put_setting, setting, transaction
from connector.store.files import make_folder
from connector.store.ledger import customers, queries
from connector.store.ledger.queries import Wanted
from connector.store.lock import exclusive_sync
from connector.store.mirror import event_feed
from connector.store.mirror.catalogue import price_names
from connector.store.opening import open_database

EMPTY = message("give --keep an empty folder")
MADE_BY = "# Made by `stripe-nrr demo --keep`."
DEMO_CONFIG = f"""\
{MADE_BY}
database = "stripe-nrr.db"
timezone = "{{timezone}}"
"""

OWN_ACCOUNT = marked(
    "\nOn your own account (nothing is ever written to Stripe):\n"
    "  1. In Stripe's Dashboard make a restricted key with read permissions for\n"
    "     Customers, Products, Prices, Coupons, Subscriptions, Invoices, Invoice\n"
    "     Items and Events.\n"
    "  2. export STRIPE_API_KEY=rk_live_…\n"
    "  3. stripe-nrr doctor       # is all in place? permissions, time zone, disk\n"
    "  4. stripe-nrr sync && stripe-nrr report\n"
    "Days are those of your account's own time zone: let the key read the account,\n"
    'or write it into config.toml, such as timezone = "Europe/Berlin".'
)


@click.command()
@click.option(
    "--keep",
    type=NamedFolder(),
    metavar="DIR",
    help="Keep the ledger and its config.toml there, to try other commands on them.",
)
@click.option(
    "--open",
    "opens",
    is_flag=True,
    help="Then look at it in your browser: a dashboard.",
)
@click.pass_context
def demo(ctx: click.Context, keep: Path | None, *, opens: bool) -> None:
    """See it all on a bundled account: no key, no network, nothing left behind.

    The bundled objects are read page by page into a ledger in a temporary folder (or
    DIR), derived and reported, exactly as your own account's would be. With --open it
    ends in `stripe-nrr dashboard` on them, until Ctrl-C.
    """
    ctx.obj.log_to_stderr()
    with tempfile.TemporaryDirectory(prefix="stripe-nrr-demo-") as temporary:
        folder = keep or Path(temporary)
        make_folder(folder)
        _run_demo(folder, _language(ctx.obj))
        _say_what_next(keep)
        if opens:
            _open_dashboard(ctx, folder)


def _open_dashboard(ctx: click.Context, folder: Path) -> None:
    """As `stripe-nrr --config FOLDER/config.toml dashboard --open` would, on any port."""
    group = ctx.find_root().command
    assert isinstance(group, click.Group)
    dashboard = group.get_command(ctx, "dashboard")
    assert dashboard is not None
    ctx.obj = Shell(folder / "config.toml", 0)
    ctx.invoke(dashboard, bind=ListenAddress("127.0.0.1", 0), opens=True)


def _language(shell: Shell) -> str:
    """That of the configuration here, if there is one that can be read."""
    with suppress(ConnectorError):
        return shell.config.language
    return DEFAULT


def _run_demo(folder: Path, code: str) -> None:
    account = load_account(bundled_folder())
    text = DEMO_CONFIG.format(timezone=account.facts.timezone)
    if code != DEFAULT:
        text += f'[reporting]\nlanguage = "{code}"\n'
    path = folder / "config.toml"
    if path.exists() and MADE_BY not in path.read_text(encoding="utf-8"):
        raise LedgerUnusable(f"{path} is not the demo's", fix=EMPTY)
    config = parse(text, {}, source=path)
    with (
        exclusive_sync(config.database),
        closing(open_database(config.database, create=True)) as connection,
    ):
        _claim(connection, config.database, account.facts.now)
        echo(_synced(connection, config, account))
        path.write_text(text, encoding="utf-8")
        figures = make_report(Ledger(connection, config, account.facts.now))
        Output("text", None, Shell(path, 0)).show_report(figures)
        _show_one(connection, config)


def _synced(
    connection: sqlite3.Connection, config: Config, account: BundledAccount
) -> str:
    """Bring the ledger up to date; what that was, in a sentence."""
    began_s = time.monotonic()
    with progress_shown() as progress, ThreadPool[Any](1) as threads:
        ingest = Ingest(
            connection=connection,
            source=account,
            threads=threads,
            config=config,
            now_us=account.now_us,
            progress=progress,
        )
        rules = configured_rules(connection, config)
        derived = bring_up_to_date(ingest, rules, full=True)
    assert not derived.failed, derived.failed
    seen = ingest.met.seen
    return _(
        "Synced {subscriptions} subscriptions and {invoices} invoices of a "
        "bundled Stripe account in {requests} requests, and posted {movements} "
        "movements, in {seconds} s."
    ).format(
        subscriptions=grouped(seen["subscriptions"]),
        invoices=grouped(seen["invoices"]),
        requests=account.requests,
        movements=grouped(derived.movements),
        seconds=decimal_text(f"{time.monotonic() - began_s:.1f}"),
    )


def _claim(connection: sqlite3.Connection, path: Path, frozen_at: datetime) -> None:
    """Mark the ledger as the demo's; refuse one that holds a real account."""
    owner = setting(connection, "account")
    if owner is None and event_feed.last_synced_us(connection) is not None:
        raise LedgerUnusable(f"{path} holds a real account", fix=EMPTY)
    with transaction(connection):
        put_setting(connection, "account", "demo")
        put_setting(connection, "demo_now", frozen_at.isoformat())


def _show_one(connection: sqlite3.Connection, config: Config) -> None:
    """One movement taken apart, to show that every figure can be."""
    from connector.render.movements import movement_view

    grown = queries.movements(connection, Wanted(kind=MovementKind.EXPANSION))
    explained = [
        movement
        for movement in grown
        if any(it.kind == "invoice_line" for it in movement.components[0].evidence)
    ]
    if not explained:
        return
    example = explained[-1]
    name = customers.labels(connection)[example.customer]
    echo(
        _("\nEvery figure can be taken apart. The latest expansion, {name}:\n").format(
            name=printable(name)
        )
    )
    prices = price_names(connection)
    rendered(movement_view(example, prices, config.locale), None)


def _say_what_next(keep: Path | None) -> None:
    if keep is not None:
        echo(
            _("\nKept in {folder}. Try, for example:\n").format(folder=keep)
            + f"  stripe-nrr --config {keep}/config.toml movements --kind churn\n"
            f"  stripe-nrr --config {keep}/config.toml report --window quarter\n"
            f"  stripe-nrr --config {keep}/config.toml report --format html -o report.html"
        )
    echo(_(OWN_ACCOUNT))
