"""How far the ledger had got when it was last told of, and what was told then."""

import sqlite3
from datetime import UTC, datetime
from typing import Self

import msgspec
from msgspec import Struct

from connector.store.database import put_setting, scalar, scalars, setting
from connector.store.ledger.mrr_changes import LedgerChange

NAME = "digest"
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class LedgerPosition(Struct, frozen=True, kw_only=True):
    """The newest run, and what of it was there: only that one may still be posted to.

    ``retracted`` are the movements that it had retracted, ``movement`` is the newest of
    all. Without a run the ledger was empty.
    """

    run: int = 0
    run_at: datetime = NEVER
    movement: int = 0
    retracted: frozenset[int] = frozenset()

    def is_before(self, change: LedgerChange) -> bool:
        if change.run.id != self.run:
            return change.run.id > self.run
        if change.was_posted:
            return change.movement_id > self.movement
        return change.movement_id not in self.retracted


class DigestCursor(Struct, frozen=True, kw_only=True):
    """What was told. ``month`` is the newest one told as over: 2026-03, "" for none.

    ``told`` names, by kind, what stood then: who was at risk, what was refused …
    """

    position: LedgerPosition = LedgerPosition()
    month: str = ""
    told: dict[str, frozenset[str]] = {}

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Self | None:
        """None before the first digest."""
        kept = setting(connection, NAME)
        return None if kept is None else msgspec.json.decode(kept, type=cls)

    def keep(self, connection: sqlite3.Connection) -> None:
        """In the caller's transaction."""
        put_setting(connection, NAME, msgspec.json.encode(self).decode())


def position(connection: sqlite3.Connection) -> LedgerPosition:
    newest = connection.execute(
        "SELECT id, started_at FROM runs ORDER BY id DESC LIMIT 1"
    ).fetchone()
    if newest is None:
        return LedgerPosition()
    run, started_at = newest
    gone = scalars(connection, "SELECT movement FROM retractions WHERE run = ?", [run])
    return LedgerPosition(
        run=run,
        run_at=datetime.fromisoformat(started_at),
        movement=scalar(connection, "SELECT coalesce(max(id), 0) FROM movements"),
        retracted=frozenset(gone),
    )
