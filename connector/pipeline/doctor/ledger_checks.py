"""The checks of the disk, of SQLite, of the ledger, and of how far its syncs have come."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeGuard
from zoneinfo import ZoneInfo

from connector.core.account import StripeIdentity
from connector.core.errors import system_fault
from connector.core.language import message
from connector.pipeline.doctor.installation import (
    MB,
    Installation,
    LedgerFile,
    Opened,
    Verdict,
    after,
    fault,
    hint,
    lasting,
    ok,
    sized,
    value_of,
)
from connector.pipeline.policy_change import zone_in_force
from connector.store.account import ledger_account
from connector.store.database import moment, setting
from connector.store.files import side_files, wider_than_private
from connector.store.lock import LockState, lock_of
from connector.store.mirror import dirty_customers, event_feed, walks
from connector.store.months import seals
from connector.store.opening import check_sqlite

LEAST_FREE_BYTES = 200 * MB
SECOND_US = 1_000_000
STALE_US = 2 * 86_400 * SECOND_US  # who syncs every night has missed one
OTHERS_WRITE = 0o022
ELSEWHERE = "set `database` in config.toml to another place"


def folder(at: Installation) -> Verdict:
    if isinstance(at.disk, OSError):
        return fault(system_fault(at.disk).problem, ELSEWHERE)
    disk = value_of(at.disk)
    if disk.free_bytes is None:
        return fault(f"{disk.folder} does not exist", f"create it, or {ELSEWHERE}")
    if not disk.is_writable:
        return fault(
            f"{disk.folder}, or the ledger in it, cannot be written",
            f"make it writable for this user, or {ELSEWHERE}",
        )
    return ok(f"{disk.folder} can be written")


def disk(at: Installation) -> Verdict:
    _, free_bytes, _, ledger_bytes = value_of(at.disk, "folder")
    if free_bytes is None:
        raise after("folder")
    wanted = max(2 * ledger_bytes, LEAST_FREE_BYTES)
    free = message(f"{sized(free_bytes)} free here")
    if free_bytes < wanted:
        return fault(f"only {free}", f"make room: {sized(wanted)} should be free")
    return ok(free)


def sqlite(_: Installation) -> Verdict:
    return ok(f"{check_sqlite()} is in use")


def ledger(at: Installation) -> Verdict:
    file = value_of(at.ledger)
    path = value_of(at.config, "configuration").database
    if _is_readable(file) and setting(file.connection, "account") == "demo":
        return hint(
            f"{path} holds the demo's account, which no sync may touch",
            "set `database` in config.toml to a file of its own",
        )
    kept = [path, *side_files(path, with_lock=False)]
    status = value_of(at.config, "configuration").status_file
    whose = account_of(at)
    opens = ok(
        f"{path} can be opened, and is of {whose.shown}"
        if whose
        else f"{path} can be opened"
    )
    return _private([*kept, status] if status else kept) or opens


def _private(files: Iterable[Path]) -> Verdict | None:
    """What to say where others may open what names every customer and what it pays."""
    modes = {file: wider_than_private(file) for file in files}
    wider = [f"{file.name} ({mode:04o})" for file, mode in modes.items() if mode]
    if wider:
        return hint(
            f"others than their owner may open {', '.join(wider)}",
            "run `chmod 600` on them, unless that is what you want",
        )
    folders = {file.parent for file in modes}
    for folder, mode in zip(folders, map(wider_than_private, folders), strict=True):
        if mode and mode & OTHERS_WRITE:
            return hint(
                f"others may put another file in its place: {folder} is {mode:04o}",
                f"run `chmod go-w {folder}`",
            )
    return None


def account_of(at: Installation) -> StripeIdentity | None:
    """Whose the ledger is, as far as that can be read."""
    file = at.ledger
    return ledger_account(file.connection) if _is_readable(file) else None


def zone_of(at: Installation) -> ZoneInfo | None:
    """The zone that the ledger keeps to, as far as that can be read."""
    file = at.ledger
    return zone_in_force(file.connection) if _is_readable(file) else None


def _is_readable(file: Opened[LedgerFile]) -> TypeGuard[LedgerFile]:
    return isinstance(file, LedgerFile) and not file.pending and not file.damage


def schema(at: Installation) -> Verdict:
    pending = value_of(at.ledger, "ledger").pending
    fix = "run `stripe-nrr sync`: whatever uses the ledger next adds it"
    said = f"it lacks {', '.join(pending)}"
    return hint(said, fix) if pending else ok("it is up to date")


def integrity(at: Installation) -> Verdict:
    file = value_of(at.ledger, "ledger")
    if file.damage:
        return fault(
            f"SQLite finds damage: {'; '.join(file.damage)}",
            "restore the file from a backup; or move it away and sync anew, which makes "
            "the figures again, but not what was reported before",
        )
    months = [] if file.pending else seals.sealed_months(file.connection)
    if not months:
        return ok("SQLite finds the file whole")
    return ok(
        f"SQLite finds the file whole; months sealed: {len(months)}, the last "
        f"{months[-1]}; newest seal: {seals.newest_hash(file.connection)}"
    )


def lock(at: Installation) -> Verdict:
    held_by, left_by = value_of(value_of(at.ledger, "ledger").lock)
    if held_by is not None:
        return ok(f"{held_by} is at work; a second one would exit with 75")
    path = value_of(at.config, "configuration").database
    if (wide := _private([lock_of(path)])) is not None:
        return wide
    if left_by is not None:
        return ok(f"no sync holds the ledger; {left_by} was killed, and holds nothing")
    return ok("no sync holds the ledger")


def _is_at_work(file: LedgerFile) -> bool:
    return isinstance(file.lock, LockState) and file.lock.held_by is not None


# --- how far syncs have come ---


def _readable(at: Installation) -> LedgerFile:
    file = value_of(at.ledger, "ledger")
    if file.pending:
        raise after("schema")
    if file.damage:
        raise after("integrity")
    return file


def _ago_us(at: Installation, file: LedgerFile, then_us: int) -> int:
    now = moment(file.connection, at.now)
    return round(now.timestamp() * SECOND_US) - then_us


def last_sync(at: Installation) -> Verdict:
    file = _readable(at)
    synced_us = event_feed.last_synced_us(file.connection)
    if event_feed.is_first_sync_unfinished(file.connection):
        raise after("unfinished sync")
    if synced_us is None:
        return hint("none has come to its end yet", "run `stripe-nrr sync`")
    ago_us = _ago_us(at, file, synced_us)
    said = f"all is known until {lasting(ago_us)} ago"
    if ago_us > STALE_US:
        return hint(said, "run `stripe-nrr sync`, or see why its schedule does not")
    return ok(said)


def unfinished_sync(at: Installation) -> Verdict:
    file = _readable(at)
    walk = walks.unfinished_walk(file.connection)
    if walk is None:
        return ok("no sync was interrupted")
    begun = f"one began {lasting(_ago_us(at, file, walk.started_us))} ago"
    if _is_at_work(file):
        return ok(f"{begun}, and is at work right now")
    fix = "run `stripe-nrr sync`: it goes on where that one stopped"
    return hint(f"{begun}, and was interrupted", fix)


def customers_waiting(at: Installation) -> Verdict:
    file = _readable(at)
    if event_feed.is_first_sync_unfinished(file.connection):
        raise after("unfinished sync")
    waiting = dirty_customers.behind(file.connection)
    if not waiting:
        return ok("no customer waits to be derived")
    said = f"{waiting:,} to be derived"
    if _is_at_work(file):
        return ok(f"{said} by the sync that is at work")
    return hint(said, "run `stripe-nrr recompute`; the next sync does it too")
