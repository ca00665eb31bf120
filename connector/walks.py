"""Walks over the account, and how far an unfinished one has come.

A cursor is stored in the transaction of its page, so a walk goes on where it stopped.
"""

import sqlite3
from typing import NamedTuple


class Walk(NamedTuple):
    """``started_us`` is when it first began, however often it was taken up again."""

    id: int
    started_us: int


def unfinished_walk(connection: sqlite3.Connection) -> Walk | None:
    row = connection.execute(
        "SELECT id, started_us FROM walks WHERE finished_us IS NULL ORDER BY id DESC"
    ).fetchone()
    return None if row is None else Walk(*row)


def begin_walk(connection: sqlite3.Connection, now_us: int) -> Walk:
    inserted = connection.execute("INSERT INTO walks (started_us) VALUES (?)", [now_us])
    assert inserted.lastrowid is not None
    return Walk(inserted.lastrowid, now_us)


def abandon_walk(connection: sqlite3.Connection, walk: Walk) -> None:
    """Forget a walk and how far it came; what it fetched stays."""
    connection.execute("DELETE FROM cursors WHERE walk = ?", [walk.id])
    connection.execute("DELETE FROM walks WHERE id = ?", [walk.id])


def finish_walk(connection: sqlite3.Connection, walk: Walk, now_us: int) -> None:
    connection.execute(
        "UPDATE walks SET finished_us = ? WHERE id = ?", [now_us, walk.id]
    )
    connection.execute("DELETE FROM cursors WHERE walk = ?", [walk.id])


def last_synced_us(connection: sqlite3.Connection) -> int | None:
    """When the newest complete walk began: until then the ledger knows everything."""
    row = connection.execute(
        "SELECT max(started_us) FROM walks WHERE finished_us IS NOT NULL"
    ).fetchone()
    return None if row[0] is None else int(row[0])


class Cursor(NamedTuple):
    after: str | None
    done: bool


def cursor(connection: sqlite3.Connection, walk: Walk, kind: str) -> Cursor:
    row = connection.execute(
        "SELECT after, done FROM cursors WHERE walk = ? AND kind = ?", [walk.id, kind]
    ).fetchone()
    return Cursor(None, done=False) if row is None else Cursor(row[0], bool(row[1]))


def set_cursor(
    connection: sqlite3.Connection, walk: Walk, kind: str, reached: Cursor
) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?)",
        [walk.id, kind, reached.after, int(reached.done)],
    )
