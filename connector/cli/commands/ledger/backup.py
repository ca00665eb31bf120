"""`stripe-nrr backup`: the ledger copied while it is in use, once or on a schedule."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from connector.cli.forms import Output
from connector.cli.options import output_option
from connector.cli.out_files import NamedFile, check_folder, refuse_own_files
from connector.cli.params import DURATION
from connector.cli.stderr import fail
from connector.config import file_of
from connector.core.dates import parse_month
from connector.core.errors import ConnectorError, system_fault
from connector.core.language import _, grouped, month_text
from connector.core.money import format_count
from connector.store.backups import Backup, back_up


@click.command()
@click.argument("file", type=NamedFile())
@click.option(
    "--every",
    "every_s",
    type=DURATION,
    metavar="DURATION",
    help="Stay, and do it again and again, for example every 1d. SIGTERM ends it.",
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="How many to keep: FILE and those before it, each with its moment in its name.",
)
@output_option
def backup(out: Output, file: Path, every_s: float | None, keep: int) -> None:
    """Copy the ledger to FILE as it is at one moment, whoever writes it meanwhile.

    FILE is one file that needs no other beside it and that only you may open. It is read
    again as a whole by SQLite's own check before it takes the place of the one before;
    a full disk or an end half-way leaves that one as it was. Copying the ledger with cp
    instead loses what was committed last, such as a closing: it stands in the file
    beside it, which ends in -wal. Of several accounts each has its own, with the
    account's name at its end: /backups/stripe-nrr-uk.db.

    \b
    Examples:
      stripe-nrr backup /backups/stripe-nrr.db
      stripe-nrr backup /backups/stripe-nrr.db --every 1d --keep 30
    """  # noqa: D301
    shell = out.shell
    shell.log_to_stderr()
    config = shell.config
    own = file if shell.is_alone else file_of(file, config)
    refuse_own_files(own, config)
    check_folder(own)

    def run() -> None:
        made = back_up(config.database, own, keep)
        out.write(text=lambda: _as_text(made), json=lambda: _as_json(made))

    if every_s is None:
        run()
        return
    while not shell.stop.is_set():
        _survives(run)
        shell.stop.wait(every_s)


def _survives(run: Callable[[], None]) -> None:
    """The next one may do what this one could not."""
    try:
        run()
    except ConnectorError as error:
        fail(error.problem, error.fix, again=True)
    except OSError as error:
        fail(*system_fault(error), again=True)
    except sqlite3.Error as error:
        fail(str(error), "check the disk and the ledger's file", again=True)


def _as_text(made: Backup) -> str:
    path, file_bytes, found = made
    last = (
        _(", the last {closed}").format(
            closed=month_text(parse_month(max(found.closed)))
        )
        if found.closed
        else ""
    )
    said = _(
        "Backed up to {path}: {file_bytes} bytes, {movements} movements, "
        "{closed}{last}; SQLite finds it whole."
    ).format(
        path=path,
        file_bytes=grouped(file_bytes),
        movements=grouped(found.movements),
        closed=format_count(len(found.closed), "closed month"),
        last=last,
    )
    lines = [said]
    if found.seal:
        lines.append(_("Newest seal: {seal}").format(seal=found.seal))
    return "\n".join(lines)


def _as_json(made: Backup) -> dict[str, Any]:
    path, file_bytes, found = made
    return {
        "file": str(path),
        "bytes": file_bytes,
        "movements": found.movements,
        "closed_months": sorted(found.closed),
        "seal": found.seal,
    }
