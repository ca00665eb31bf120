"""`stripe-nrr restore`: a backup put in the ledger's place."""

import os
from pathlib import Path
from typing import Any

import click

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.out_files import NamedFile, refuse_own_files
from connector.config import Config, file_of
from connector.core.errors import NothingFound
from connector.core.language import _, grouped
from connector.core.money import format_count
from connector.store.files import make_folder
from connector.store.lock import exclusive_sync
from connector.store.restores import Restored
from connector.store.restores import restore as put_back


@click.command()
@click.argument("file", type=NamedFile())
@click.option(
    "--despite",
    default="",
    metavar="REASON",
    help="Restore it although it is of another account, or lacks a closed month; the "
    "reason is kept in the ledger.",
)
@output_option
def restore(out: Output, file: Path, despite: str) -> None:
    """Put the backup FILE in the ledger's place, in one step.

    The file it replaces is kept beside it, as NAME.replaced-MOMENT. A backup of a newer
    version is refused; one of another account, or without a month that was closed since,
    is refused too, unless --despite says why it is right. No sync may run meanwhile, and
    `stripe-nrr serve` must be started anew: it answers no webhook until then.

    What Stripe told since the backup comes with the next `stripe-nrr sync`.

    \b
    Example:
      stripe-nrr restore /backups/stripe-nrr.db && stripe-nrr check && stripe-nrr sync
    """  # noqa: D301
    shell = out.shell
    shell.log_to_stderr()
    database = shell.config.database
    refuse_own_files(file, shell.config)
    _check_there(file, shell.config)
    make_folder(database.parent)
    with exclusive_sync(database, f"a restore (process {os.getpid()})"):
        done = put_back(file, database, shell.now(), despite=despite.strip())
    out.write(
        text=lambda: _as_text(database, done),
        json=lambda: _as_json(database, done),
    )


def _check_there(file: Path, account: Config) -> None:
    """Of several accounts ``backup`` has given each a file of its own name."""
    own = file_of(file, account)
    if not file.exists() and own.is_file():
        raise NothingFound(
            f"there is no backup at {file}, but there is one of {account.name}",
            fix=f"restore that one: `stripe-nrr restore {own}`",
        )


def _as_text(database: Path, done: Restored) -> str:
    found, kept, objections = done
    said = _(
        "Restored {database}: {movements} movements, {closed}; SQLite finds it whole."
    ).format(
        database=database,
        movements=grouped(found.movements),
        closed=format_count(len(found.closed), "closed month"),
    )
    lines = [
        said,
        *(_("Despite this: {each}.").format(each=each) for each in objections),
    ]
    if kept is not None:
        lines.append(_("What was there is kept as {kept}.").format(kept=kept))
    if found.seal:
        lines.append(_("Newest seal: {seal}").format(seal=found.seal))
    lines.append(_("Next: stripe-nrr check, then stripe-nrr sync; start serve anew."))
    return "\n".join(lines)


def _as_json(database: Path, done: Restored) -> dict[str, Any]:
    found, kept, objections = done
    return {
        "database": str(database),
        "kept": None if kept is None else str(kept),
        "objections": objections,
        "movements": found.movements,
        "closed_months": sorted(found.closed),
        "seal": found.seal,
    }
