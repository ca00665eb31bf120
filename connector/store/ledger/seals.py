"""Closed months, sealed: a hash over what was reported and all that stood behind it.

A seal covers the closing, its figures, and every run, movement, component and retraction
booked since the one sealed before it, whose hash it begins with. So the newest one
vouches for all that the ledger held when its month was closed. Whoever can rewrite the
file can seal it anew: compare with a hash that was written down elsewhere.
"""

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

from connector.store.ledger.queries import TOGETHER, stamp


class Seal(NamedTuple):
    """``month`` is ``YYYY-MM``; ``previous`` the hash of the seal before, "" of none."""

    position: int
    month: str
    sealed_at: str
    previous: str
    hash: str


class BrokenSeal(NamedTuple):
    month: str
    what: str


# What a seal covers: of the runs after the one before, up to the closing's own.
_BEHIND = {
    "closing": """
        SELECT month, closed_at, run, movement, code_version, policy
        FROM closings WHERE month = :month""",
    "figures": """
        SELECT currency, kind, first_day, end_day, opening_minor, new_minor,
               reactivation_minor, expansion_minor, contraction_minor, churn_minor,
               fx_minor, closing_minor, base_customers, base_kept, base_opening_minor,
               base_expansion_minor, base_contraction_minor, base_churn_minor,
               base_closing_minor, paying
        FROM closed_figures WHERE month = :month ORDER BY currency, kind""",
    "rate": """
        SELECT currency, day, rate
        FROM closed_rates WHERE month = :month ORDER BY currency, day""",
    "run": """
        SELECT id, started_at, cause, code_version, policy
        FROM runs WHERE id > :after AND id <= :run ORDER BY id""",
    "movement": """
        SELECT movements.id, customers.id, currency, day, kind, amount_minor,
               before_minor, after_minor, run
        FROM movements JOIN customers ON customers.key = movements.customer
        WHERE movements.id > :after_movement AND movements.id <= :movement
        ORDER BY movements.id""",
    "component": """
        SELECT movement, position, cause, amount_minor, subscription, item, price,
               before, after, evidence
        FROM components
        WHERE movement > :after_movement AND movement <= :movement
        ORDER BY movement, position""",
    "retraction": """
        SELECT movement, run, reason FROM retractions
        WHERE run > :after AND run <= :run ORDER BY run, movement""",
}


class _Reach(NamedTuple):
    """How far a closing reaches: its newest run and movement, 0 where none."""

    run: int = 0
    movement: int = 0


def seal(connection: sqlite3.Connection, now: datetime) -> None:
    """Seal every closing that is not yet, in the order in which they were made.

    In the caller's transaction: the one just closed, and those older than seals are.
    """
    last = newest(connection)
    rows = connection.execute(
        "SELECT month FROM closings WHERE month NOT IN (SELECT month FROM seals)"
        " ORDER BY closed_at, rowid"
    ).fetchall()
    for (month,) in rows:
        position, before, former = (
            (last.position, last.hash, last.month) if last else (0, "", None)
        )
        found = _hash(connection, month, before, _reach(connection, former))
        last = Seal(position + 1, month, stamp(now), before, found)
        connection.execute("INSERT INTO seals VALUES (?, ?, ?, ?, ?)", last)


def newest(connection: sqlite3.Connection) -> Seal | None:
    row = connection.execute(
        "SELECT * FROM seals ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Seal(*row)


def of_month(connection: sqlite3.Connection, month: str) -> Seal | None:
    row = connection.execute("SELECT * FROM seals WHERE month = ?", [month]).fetchone()
    return None if row is None else Seal(*row)


def unsealed(connection: sqlite3.Connection) -> int:
    """How many months were closed before there were seals; the next closing seals them."""
    [count] = connection.execute(
        "SELECT count(*) FROM closings WHERE month NOT IN (SELECT month FROM seals)"
    ).fetchone()
    return int(count)


def broken(connection: sqlite3.Connection) -> Iterator[BrokenSeal]:
    """Each closed month whose seal does not fit what the ledger holds now."""
    position, before, reach = 0, "", _Reach()
    for each in map(
        Seal._make, connection.execute("SELECT * FROM seals ORDER BY position")
    ):
        position += 1
        if (each.position, each.previous) != (position, before):
            yield BrokenSeal(each.month, "does not follow the one sealed before it")
        elif _hash(connection, each.month, before, reach) != each.hash:
            yield BrokenSeal(
                each.month, "has other figures, or other movements, than were sealed"
            )
        position, before = each.position, each.hash
        reach = _reach(connection, each.month)


def _reach(connection: sqlite3.Connection, month: str | None) -> _Reach:
    row = connection.execute(
        "SELECT coalesce(run, 0), coalesce(movement, 0) FROM closings WHERE month = ?",
        [month],
    ).fetchone()
    return _Reach(*row) if row is not None else _Reach()


def _hash(
    connection: sqlite3.Connection, month: str, before: str, after: _Reach
) -> str:
    """SHA-256, in hexadecimal, over lines of JSON: the hash before, then each row."""
    reached = _reach(connection, month)
    asked = {
        "month": month,
        "run": reached.run,
        "movement": reached.movement,
        "after": after.run,
        "after_movement": after.movement,
    }
    lines = msgspec.json.Encoder()
    digest = sha256(lines.encode_lines([("sealed before", before)]))
    for name, query in _BEHIND.items():
        rows = connection.execute(query, asked)
        while some := rows.fetchmany(TOGETHER):
            digest.update(lines.encode_lines([(name, *row) for row in some]))
    return digest.hexdigest()
