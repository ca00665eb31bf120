"""A ledger copied while it is in use: whole, checked and private."""

import os
import re
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from connector.core.account import NOBODY, StripeIdentity
from connector.core.errors import LedgerUnusable
from connector.store.account import ledger_account
from connector.store.database import scalar, scalars, snapshot
from connector.store.files import SQLITE, held_draft, put_in_place
from connector.store.months import seals
from connector.store.read_only import open_as_it_is

PAGES = 4_096  # copied at a time: between them a signal is heard


class LedgerContents(NamedTuple):
    """What a ledger's file holds. ``closed`` are moments of closing, by month.

    Of those that stand; ``withdrawn`` are moments of the last withdrawal, by month.
    ``owner`` is whose it is, as far as it says.
    """

    movements: int
    closed: dict[str, str]
    seal: str
    owner: StripeIdentity
    withdrawn: dict[str, str]


class Backup(NamedTuple):
    file: Path
    file_bytes: int
    contents: LedgerContents


def contents(connection: sqlite3.Connection) -> LedgerContents:
    tables = set(scalars(connection, "SELECT name FROM sqlite_schema"))
    closed = "SELECT month, closed_at FROM closings"
    withdrawn = {}
    if "withdrawals" in tables:
        closed += " WHERE id NOT IN (SELECT closing FROM withdrawals)"
        withdrawn = dict(connection.execute(_WITHDRAWN))
    return LedgerContents(
        movements=scalar(connection, "SELECT count(*) FROM movements"),
        closed=dict(connection.execute(closed)) if "closings" in tables else {},
        seal=seals.newest_hash(connection) if "seals" in tables else "",
        owner=ledger_account(connection) or NOBODY,
        withdrawn=withdrawn,
    )


_WITHDRAWN = """
    SELECT month, max(withdrawn_at) FROM withdrawals JOIN closings ON id = closing
    GROUP BY month
"""


def back_up(ledger: Path, target: Path, keep: int = 1) -> Backup:
    """Copy the ledger as it is at one moment, whoever writes it meanwhile.

    The target is replaced once the copy is whole and SQLite finds nothing wrong with it.
    With ``keep`` above 1 the copies before it stay beside it, so many in all. Raises
    ``LedgerUnusable`` where there is no ledger, or it is damaged, or the target is
    something else.
    """
    _check_replaceable(target)
    target = target.resolve()
    with (
        closing(open_as_it_is(ledger)) as source,
        held_draft(target) as (file, draft),
    ):
        with snapshot(source):
            found = contents(source)
            copy_whole(source, draft)
        check_copy(draft, found, ledger)
        size = os.fstat(file).st_size
        if keep > 1:
            _keep_former(target)
        put_in_place(file, draft, target)
    if keep > 1:
        _forget_oldest(target, keep - 1)
    return Backup(target, size, found)


def copy_whole(source: sqlite3.Connection, draft: Path) -> None:
    """As one file that needs no other beside it, so that it can be read anywhere."""
    with closing(sqlite3.connect(draft, isolation_level=None)) as target:
        target.execute("PRAGMA synchronous = OFF")  # it is synced as a whole
        source.backup(target, pages=PAGES)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()


def check_copy(draft: Path, expected: LedgerContents, ledger: Path) -> None:
    with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        said = scalars(copy, "PRAGMA integrity_check(5)")
        if said != ["ok"]:
            raise LedgerUnusable(
                f"{ledger} is damaged, and was not backed up: {'; '.join(said)}",
                fix="restore the last good backup; `stripe-nrr doctor` tells more",
            )
        assert contents(copy) == expected


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    if target.is_file():
        with target.open("rb") as file:
            if file.read(len(SQLITE)) in {SQLITE, b""}:
                return
    raise LedgerUnusable(
        f"{target} is no backup, and is not replaced by one",
        fix="name a file that is not there yet, or an older backup",
    )


def _dated(target: Path, moment: datetime) -> Path:
    return target.with_name(f"{target.name}.{moment:%Y-%m-%dT%H%M%SZ}")


def _keep_former(target: Path) -> None:
    """Give the newest copy so far its moment as a second name."""
    if target.exists():
        made_at = datetime.fromtimestamp(target.stat().st_mtime, tz=UTC)
        with suppress(FileExistsError):
            os.link(target, _dated(target, made_at))


def _forget_oldest(target: Path, kept: int) -> None:
    name = re.compile(re.escape(target.name) + r"\.\d{4}-\d\d-\d\dT\d{6}Z")
    former = [each for each in target.parent.iterdir() if name.fullmatch(each.name)]
    for each in sorted(former)[:-kept]:
        each.unlink(missing_ok=True)
