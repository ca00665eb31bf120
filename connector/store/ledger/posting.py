"""The ledger written: movements posted and retracted under runs, never changed.

A correction is a retraction and a new movement under one run, so that the ledger can be
read as it was at any time.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from connector.core.errors import LedgerConflict
from connector.core.model import Movement
from connector.store.database import placeholders, scalar
from connector.store.ledger.as_of import stamp
from connector.store.ledger.queries import components_of, movement_of

ONE_TICK = timedelta(microseconds=1)


class PostedCounts(NamedTuple):
    movements: int = 0
    retractions: int = 0

    def plus(self, more: "PostedCounts") -> "PostedCounts":
        return PostedCounts(*map(sum, zip(self, more, strict=True)))


@dataclass(slots=True)
class LedgerRun:
    """One run of posting. Its row is written with its first posting, not before.

    Runs stand one after the other: where another process has posted or closed a month in
    between, what follows is a run of its own. No run is stamped before the one it
    follows, and each later than the last closing. Else a past moment would show a
    correction without what it corrects, or a closed month what was posted later.

    ``cause`` is sync, webhook, policy change or manual; ``policy`` is JSON.
    """

    connection: sqlite3.Connection
    started_at: datetime
    cause: str
    code_version: str
    policy: str
    _id: int | None = None
    _stamp: str = ""

    def id(self) -> int:
        """The run to post under; asked for inside the transaction that posts."""
        newest = self.connection.execute(
            "SELECT id, started_at FROM runs ORDER BY id DESC LIMIT 1"
        ).fetchone()
        closed_at = scalar(self.connection, _LAST_CLOSED)
        is_newest = newest is not None and newest[0] == self._id
        if self._id is None or not is_newest or self._stamp <= closed_at:
            self._id = self._begin(newest[1] if newest is not None else "", closed_at)
        return self._id

    def _begin(self, after: str, closed_at: str) -> int:
        self._stamp = stamp(self.started_at)
        if self._stamp < after or self._stamp <= closed_at:
            latest = datetime.fromisoformat(max(after, closed_at))
            self._stamp = stamp(latest + ONE_TICK)
        inserted = self.connection.execute(
            "INSERT INTO runs (started_at, cause, code_version, policy)"
            " VALUES (?, ?, ?, ?)",
            [self._stamp, self.cause, self.code_version, self.policy],
        )
        assert inserted.lastrowid is not None
        return inserted.lastrowid


_LAST_CLOSED = "SELECT coalesce(max(closed_at), '') FROM closings"

# Live movements, each with its id.
LiveMovements = list[tuple[int, Movement]]


def settle(
    connection: sqlite3.Connection,
    run: LedgerRun,
    key: int,
    live: LiveMovements,
    derived: Sequence[Movement],
) -> PostedCounts:
    """Make the live movements of one customer what ``derived`` says.

    What is the same stays untouched, so settling twice is settling once. ``live`` was
    read in the caller's transaction, in which this runs.
    """
    offered = {(m.currency, m.day): m for m in derived}
    assert len(offered) == len(derived), "two movements on one day"
    wrong: dict[int, str] = {}
    for movement_id, booked in live:
        place = (booked.currency, booked.day)
        reason = _difference(booked, offered.get(place))
        if reason is None:
            del offered[place]
        else:
            wrong[movement_id] = reason
    if wrong or offered:
        under = run.id()
        connection.executemany(
            "INSERT INTO retractions VALUES (?, ?, ?)",
            [(movement_id, under, reason) for movement_id, reason in wrong.items()],
        )
        for movement in sorted(offered.values(), key=lambda m: (m.day, m.currency)):
            _post(connection, under, key, movement)
    return PostedCounts(len(offered), len(wrong))


def _difference(booked: Movement, offered: Movement | None) -> str | None:
    """Why a live movement is to be retracted; None where it is not."""
    if offered is None:
        return "no evidence for it any more"
    if _essence(booked) == _essence(offered):
        return None
    if (booked.before_minor, booked.after_minor) != (
        offered.before_minor,
        offered.after_minor,
    ):
        return f"now from {offered.before_minor} to {offered.after_minor}"
    return "kind" if booked.kind != offered.kind else "better evidence"


def _essence(movement: Movement) -> object:
    """What makes a movement another one: not the wording of sums and proofs."""
    parts = [
        (
            (part.cause, part.amount_minor, part.subscription, part.item, part.price),
            [(proof.kind, proof.id, proof.at_s) for proof in part.evidence],
        )
        for part in movement.components
    ]
    return (movement.kind, movement.before_minor, movement.after_minor, parts)


_as_json = json.JSONEncoder(ensure_ascii=False).encode  # made once, not for each


def _post(
    connection: sqlite3.Connection, run: int, key: int, movement: Movement
) -> None:
    try:
        inserted = connection.execute(
            "INSERT INTO movements (customer, currency, day, kind, amount_minor,"
            " before_minor, after_minor, run) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                key,
                movement.currency,
                movement.day.isoformat(),
                movement.kind,
                movement.amount_minor,
                movement.before_minor,
                movement.after_minor,
                run,
            ],
        )
    except sqlite3.IntegrityError as error:
        raise LedgerConflict(
            f"{movement.customer} {movement.day} {movement.currency}: {error}",
            fix="run `stripe-nrr check`, then `stripe-nrr recompute`",
        ) from error
    connection.executemany(
        "INSERT INTO components VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                inserted.lastrowid,
                position,
                part.cause,
                part.amount_minor,
                part.subscription,
                part.item,
                part.price,
                part.before,
                part.after,
                _as_json(part.evidence),
            )
            for position, part in enumerate(movement.components)
        ],
    )


_LIVE = """
    SELECT movements.customer, movements.id, customers.id, currency, day, kind,
           amount_minor, before_minor, after_minor
    FROM movements JOIN customers ON customers.key = movements.customer
    WHERE movements.customer IN {keys} AND NOT EXISTS
          (SELECT 1 FROM retractions WHERE movement = movements.id)
    ORDER BY currency, day
"""


def live_movements(
    connection: sqlite3.Connection, keys: Sequence[int]
) -> dict[int, LiveMovements]:
    """Each customer's live movements, by currency, then day."""
    query = _LIVE.format(keys=placeholders(len(keys)))
    rows = connection.execute(query, keys).fetchall()
    parts = components_of(connection, [row[1] for row in rows])
    found: dict[int, LiveMovements] = {key: [] for key in keys}
    for key, *row in rows:
        booked = movement_of(tuple(row), parts.get(row[0], ()))
        found[key].append((row[0], booked))
    return found
