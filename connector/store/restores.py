"""A backup put in the ledger's place, in one step; what was there stays beside it."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from connector.core.errors import LedgerBusy, LedgerNewer, LedgerUnusable, NothingFound
from connector.core.language import message
from connector.store.backups import LedgerContents, check_copy, contents, copy_whole
from connector.store.database import scalar, setting, snapshot, transaction
from connector.store.erasure import erase_again, overwrite
from connector.store.files import held_draft, put_in_place, side_files, sync_folder
from connector.store.ledger.posting import LedgerRun
from connector.store.mirror import forgotten
from connector.store.opening import open_database
from connector.store.read_only import open_as_it_is

WAIT_S = 2.0  # for who writes at this moment
ATTEMPTS, AGAIN_S = 20, 0.1  # to find a moment in which nobody reads an older state


class Restored(NamedTuple):
    """``kept`` is the file that was replaced; None where there was none."""

    contents: LedgerContents
    kept: Path | None
    objections: list[str]


def objections(backup: LedgerContents, ledger: LedgerContents) -> list[str]:
    """What would be lost, or mixed up, if the one took the other's place."""
    found = []
    if backup.owner.is_other(ledger.owner):
        found.append(
            message(f"it is of {backup.owner.shown}, not of {ledger.owner.shown}")
        )
    lost = _unlike(ledger.closed, backup.closed)
    if lost:
        found.append(message(f"it is older than the closing of {', '.join(lost)}"))
    back = _unlike(ledger.withdrawn, backup.withdrawn)
    if back:
        found.append(message(f"it is older than the withdrawal of {', '.join(back)}"))
    return found


def _unlike(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [month for month, at in was.items() if now.get(month) != at]


def restore(
    backup: Path, ledger: Path, now: datetime, *, despite: str = ""
) -> Restored:
    """Put a backup in the ledger's place, in one step; what was there stays beside it.

    The caller holds the ledger's lock. Raises ``LedgerUnusable`` where the backup is no
    ledger, damaged, of a newer version, or where there are objections and no reason
    ``despite`` them.
    """
    ledger = ledger.resolve()
    if not backup.is_file():
        raise NothingFound(
            f"there is no backup at {backup}",
            fix="name a file that `stripe-nrr backup` wrote",
        )
    with (
        closing(_opened(backup)) as source,
        held_draft(ledger) as (file, draft),
    ):
        with snapshot(source):
            found = contents(source)
            against = _objections(found, ledger)
            if against and not despite:
                raise LedgerUnusable(
                    f"{backup} is not restored: {'; '.join(against)}",
                    fix="choose a newer backup of this account, or say why it is right "
                    "with --despite REASON",
                )
            copy_whole(source, draft)
        check_copy(draft, found, backup)
        _record(draft, backup, now, against, despite)
        _forget_again(draft, ledger, now)
        kept = _swap(file, draft, ledger, now)
    return Restored(found, kept, against)


def _opened(backup: Path) -> sqlite3.Connection:
    try:
        return open_as_it_is(backup)
    except LedgerNewer:
        raise
    except LedgerUnusable as error:
        fix = "name another file that `stripe-nrr backup` wrote"
        raise LedgerUnusable(error.problem, fix=fix) from error


def _objections(backup: LedgerContents, ledger: Path) -> list[str]:
    """None where the ledger to be replaced cannot be read any more, or is not there."""
    try:
        with closing(open_as_it_is(ledger)) as connection:
            return objections(backup, contents(connection))
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise _busy(ledger) from error
        return []
    except LedgerUnusable:
        return []


def _record(
    draft: Path, backup: Path, now: datetime, against: Sequence[str], despite: str
) -> None:
    """Write down, in the ledger itself, that it was restored; its schema is the newest."""
    with closing(open_database(draft, is_copy=True)) as connection:
        with transaction(connection):
            connection.execute(
                "INSERT INTO restores (restored_at, backup, objections, despite)"
                " VALUES (?, ?, ?, ?)",
                [now.isoformat(), str(backup), json.dumps(list(against)), despite],
            )
        assert not scalar(connection, "PRAGMA wal_checkpoint(TRUNCATE)")


def _forget_again(draft: Path, ledger: Path, now: datetime) -> None:
    """Who was forgotten since the backup was made stays forgotten."""
    known: list[str] = []
    with suppress(sqlite3.Error, LedgerUnusable), closing(open_as_it_is(ledger)) as it:
        known = forgotten.everybody(it)
    if not known:
        return
    with closing(open_database(draft, is_copy=True)) as connection:
        rules = setting(connection, "rules") or "{}"
        erase_again(connection, LedgerRun(connection, now, "manual", "", rules), known)
        overwrite(connection)


def _swap(file: int, draft: Path, ledger: Path, now: datetime) -> Path | None:
    """At any instant one whole ledger stands there: the former, or the restored one."""
    log, index, journal, _ = side_files(ledger)
    kept = _free(ledger.with_name(f"{ledger.name}.replaced-{now:%Y-%m-%dT%H%M%SZ}"))
    if not ledger.exists():
        _put_aside(kept, log, index, journal)
        put_in_place(file, draft, ledger)
        return None
    with _nobody_writes(ledger) as is_whole:
        os.link(ledger, kept)
        if is_whole:  # all of its log is in the file
            log.unlink(missing_ok=True)
            index.unlink(missing_ok=True)
        else:
            _put_aside(kept, log, index, journal)
        sync_folder(ledger.parent)
        put_in_place(file, draft, ledger)
    return kept


def _put_aside(kept: Path, *beside: Path) -> None:
    """SQLite would take them for the restored ledger's."""
    for each in beside:
        with suppress(FileNotFoundError):
            ending = each.name.rpartition("-")[2]
            each.replace(kept.with_name(f"{kept.name}-{ending}"))


def _free(wanted: Path) -> Path:
    path, number = wanted, 1
    while path.exists():
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")
    return path


@contextmanager
def _nobody_writes(ledger: Path) -> Iterator[bool]:
    """All that is committed is in the file, and nobody can add to it; False if damaged.

    Raises ``LedgerBusy`` where somebody goes on reading or writing it.
    """
    with (
        closing(
            sqlite3.connect(ledger, timeout=WAIT_S, isolation_level=None)
        ) as writer,
        closing(sqlite3.connect(ledger, timeout=WAIT_S, isolation_level=None)) as other,
    ):
        try:
            writer.execute("BEGIN IMMEDIATE")
            is_moved = _log_is_moved(other)
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):
                raise _busy(ledger) from error
            yield False
            return
        if not is_moved:
            raise _busy(ledger)
        yield True


def _log_is_moved(connection: sqlite3.Connection) -> bool:
    """Move what is committed from the log into the file, once nobody reads it there."""
    for _ in range(ATTEMPTS):
        [(busy, frames, moved)] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if not busy and frames == moved:
            return True
        time.sleep(AGAIN_S)
    return False


def _busy(ledger: Path) -> LedgerBusy:
    return LedgerBusy(
        f"somebody reads or writes {ledger}",
        fix="end what uses it, such as `stripe-nrr serve`, then restore",
    )
