"""Closed months, sealed: a hash over what was reported and all that stood behind it.

A seal covers the closing, its figures, and every run, movement, component and retraction
booked since the one sealed before it, whose hash it begins with. So the newest one
vouches for all that the ledger held when its month was closed. A withdrawal has a seal of
its own in the same chain. Whoever can rewrite the file can seal it anew: compare with a
hash that was written down elsewhere.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

from connector.core.language import message
from connector.store.database import scalar, scalars
from connector.store.ledger.as_of import stamp
from connector.store.ledger.queries import TOGETHER


class Seal(NamedTuple):
    """``closing`` is its id; ``previous`` the hash of the seal before, "" of none."""

    position: int
    closing: int
    is_withdrawal: bool
    sealed_at: str
    previous: str
    hash: str


class BrokenSeal(NamedTuple):
    month: str
    what: str


# What a seal covers: of the runs after the one before, up to the closing's own. A month
# that was whole has no row of reasons: seals older than these stay as they are.
_BEHIND = {
    "closing": """
        SELECT month, closed_at, run, movement, code_version, policy
        FROM closings WHERE id = :closing""",
    "despite": """
        SELECT despite, lacked
        FROM closings WHERE id = :closing AND (despite <> '' OR lacked <> '[]')""",
    "figures": """
        SELECT currency, kind, first_day, end_day, opening_minor, new_minor,
               reactivation_minor, expansion_minor, contraction_minor, churn_minor,
               fx_minor, closing_minor, base_customers, base_kept, base_opening_minor,
               base_expansion_minor, base_contraction_minor, base_churn_minor,
               base_closing_minor, paying
        FROM closed_figures WHERE closing = :closing ORDER BY currency, kind""",
    "rate": """
        SELECT currency, day, rate
        FROM closed_rates WHERE closing = :closing ORDER BY currency, day""",
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


_WITHDRAWN = {
    "withdrawal": """
        SELECT month, closed_at, withdrawn_at, reason
        FROM withdrawals JOIN closings ON closings.id = closing
        WHERE closing = :closing""",
}


class _Reach(NamedTuple):
    """How far a closing reaches: its newest run and movement, 0 where none."""

    run: int = 0
    movement: int = 0


_NOWHERE = _Reach()

# Those that are not sealed yet, in the order in which they were made.
_UNSEALED = """
    SELECT id, 0, closed_at AS at FROM closings
    WHERE id NOT IN (SELECT closing FROM seals WHERE NOT is_withdrawal)
    UNION ALL SELECT closing, 1, withdrawn_at FROM withdrawals
    WHERE closing NOT IN (SELECT closing FROM seals WHERE is_withdrawal)
    ORDER BY at, 1, 2
"""


def seal(connection: sqlite3.Connection, now: datetime) -> None:
    """Seal each closing and withdrawal that is not yet, in the order they were made in.

    In the caller's transaction: the one just made, and those older than seals are.
    """
    known = list(_known(connection))
    last = known[-1] if known else None
    reach = _reached(connection, known)
    for closing, is_withdrawal, _ in connection.execute(_UNSEALED).fetchall():
        position, before = (last.position, last.hash) if last else (0, "")
        last = Seal(position + 1, closing, bool(is_withdrawal), stamp(now), before, "")
        last = last._replace(hash=_hash(connection, last, reach))
        connection.execute("INSERT INTO seals VALUES (?, ?, ?, ?, ?, ?)", last)
        reach = _reached(connection, [last], reach)


def _known(connection: sqlite3.Connection) -> Iterator[Seal]:
    for row in connection.execute("SELECT * FROM seals ORDER BY position"):
        each = Seal._make(row)
        yield each._replace(is_withdrawal=bool(each.is_withdrawal))


def newest_hash(connection: sqlite3.Connection) -> str:
    """The hash of the last seal, "" of none; also in a file of a former version."""
    query = "SELECT hash FROM seals ORDER BY position DESC LIMIT 1"
    return scalar(connection, query) or ""


def sealed_months(connection: sqlite3.Connection) -> list[str]:
    """The months (``YYYY-MM``) of the sealed closings, in the order of sealing."""
    query = (
        "SELECT month FROM seals JOIN closings ON closings.id = closing"
        " WHERE NOT is_withdrawal ORDER BY position"
    )
    return scalars(connection, query)


def hash_of(
    connection: sqlite3.Connection, closing: int, *, is_withdrawal: bool = False
) -> str:
    """The hash of the seal of a closing, or of its withdrawal; "" of none."""
    query = "SELECT hash FROM seals WHERE closing = ? AND is_withdrawal = ?"
    return scalar(connection, query, [closing, is_withdrawal]) or ""


def unsealed(connection: sqlite3.Connection) -> int:
    """How many months were closed before there were seals; the next closing seals them."""
    return sum(not row[1] for row in connection.execute(_UNSEALED))


def broken(connection: sqlite3.Connection) -> Iterator[BrokenSeal]:
    """Each closing and withdrawal whose seal does not fit what the ledger holds now."""
    months = dict(connection.execute("SELECT id, month FROM closings"))
    position, before, reach = 0, "", _NOWHERE
    for each in _known(connection):
        month = str(months.get(each.closing, message(f"closing {each.closing}")))
        position += 1
        if (each.position, each.previous) != (position, before):
            yield BrokenSeal(month, message("does not follow the one sealed before it"))
        elif _hash(connection, each, reach) != each.hash:
            yield BrokenSeal(month, _OTHERS[each.is_withdrawal])
        position, before = each.position, each.hash
        reach = _reached(connection, [each], reach)
    for closing, is_withdrawal, _ in connection.execute(_UNSEALED):
        if is_withdrawal:  # there never was one without a seal
            yield BrokenSeal(
                months[closing], message("is withdrawn, which was never sealed")
            )


_OTHERS = {
    False: message("has other figures, or other movements, than were sealed"),
    True: message("was withdrawn otherwise than was sealed"),
}


def _reached(
    connection: sqlite3.Connection, sealed: Iterable[Seal], before: _Reach = _NOWHERE
) -> _Reach:
    """How far the last closing among them reaches; a withdrawal seals no movements."""
    last = None
    for each in sealed:
        last = last if each.is_withdrawal else each.closing
    return before if last is None else _reach(connection, last)


def _reach(connection: sqlite3.Connection, closing: int) -> _Reach:
    row = connection.execute(
        "SELECT coalesce(run, 0), coalesce(movement, 0) FROM closings WHERE id = ?",
        [closing],
    ).fetchone()
    return _Reach(*row) if row is not None else _NOWHERE


def _hash(connection: sqlite3.Connection, sealed: Seal, after: _Reach) -> str:
    """SHA-256, in hexadecimal, over lines of JSON: the hash before, then each row."""
    reached = _reach(connection, sealed.closing)
    asked = {
        "closing": sealed.closing,
        "run": reached.run,
        "movement": reached.movement,
        "after": after.run,
        "after_movement": after.movement,
    }
    lines = msgspec.json.Encoder()
    digest = sha256(lines.encode_lines([("sealed before", sealed.previous)]))
    covered = _WITHDRAWN if sealed.is_withdrawal else _BEHIND
    for name, query in covered.items():
        rows = connection.execute(query, asked)
        while some := rows.fetchmany(TOGETHER):
            digest.update(lines.encode_lines([(name, *row) for row in some]))
    return digest.hexdigest()
