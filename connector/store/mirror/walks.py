"""Walks over the account, and how far an unfinished one has come.

A range is stored in the transaction of its page, so a walk goes on where it stopped.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from connector.store.database import put_setting, setting
from connector.stripe_api.paging import Partition, going_on

# The setting that tells that every invoice line was fetched with all that is kept of it
# today. Raise it when more is kept: then the next walk fetches long invoices anew, too.
LINES, FORMAT = "invoice_lines", "2"


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
    if inserted.lastrowid == 1:  # nothing was fetched before it
        put_setting(connection, LINES, FORMAT)
    return Walk(inserted.lastrowid, now_us)


def abandon_walk(connection: sqlite3.Connection, walk: Walk) -> None:
    """Forget a walk and how far it came; what it fetched stays."""
    connection.execute("DELETE FROM ranges WHERE walk = ?", [walk.id])
    connection.execute("DELETE FROM walks WHERE id = ?", [walk.id])


def finish_walk(connection: sqlite3.Connection, walk: Walk, now_us: int) -> None:
    connection.execute(
        "UPDATE walks SET finished_us = ? WHERE id = ?", [now_us, walk.id]
    )
    connection.execute("DELETE FROM ranges WHERE walk = ?", [walk.id])
    put_setting(connection, LINES, FORMAT)


def lines_are_whole(connection: sqlite3.Connection) -> bool:
    """Whether no invoice line is left of a version that kept less of it."""
    return setting(connection, LINES) == FORMAT


def ranges(connection: sqlite3.Connection, walk: Walk, kind: str) -> list[Partition]:
    """What a kind is cut into so far, done or not; the oldest first."""
    rows = connection.execute(
        "SELECT from_s, to_s, after, reached_s, done, id FROM ranges"
        " WHERE walk = ? AND kind = ? ORDER BY from_s",
        [walk.id, kind],
    )
    return [
        Partition(kind, from_s, to_s, going_on(after, reached_s), bool(done), row)
        for from_s, to_s, after, reached_s, done, row in rows
    ]


def keep_ranges(
    connection: sqlite3.Connection, walk: Walk, reached: Iterable[Partition]
) -> None:
    """Store how far these have come; a new one gets its row."""
    for each in reached:
        after, _, oldest_s = each.place
        written = connection.execute(
            "INSERT INTO ranges VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET from_s = excluded.from_s,"
            " to_s = excluded.to_s, after = excluded.after,"
            " reached_s = excluded.reached_s, done = excluded.done",
            [
                *(each.row, walk.id, each.kind, each.from_s, each.to_s),
                *(after, oldest_s, int(each.done)),
            ],
        )
        each.row = each.row or written.lastrowid
