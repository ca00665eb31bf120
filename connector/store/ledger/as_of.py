"""What the ledger said at a past moment, or says now.

A movement counts as of a moment if its run had started by then, and no run that had
started by then retracted it.
"""

import sqlite3
from datetime import UTC, datetime

from connector.store.database import scalar, scalars

AS_OF = """
    run IN (SELECT id FROM runs WHERE started_at <= :as_of)
    AND movements.id NOT IN (
        SELECT movement FROM retractions JOIN runs AS later ON later.id = retractions.run
        WHERE later.started_at <= :as_of)
"""
NOW = "9999"  # after every moment
ORDINAL = "CAST(julianday(day) - 1721424.5 AS INTEGER)"  # of a ``date``

# As of now there is no need to look at runs. SQLite answers NOT IN on a key twice as fast
# as NOT EXISTS.
LIVE = "movements.id NOT IN (SELECT movement FROM retractions)"


def rows_as_of(
    connection: sqlite3.Connection, query: str, as_of: datetime | None, **asked: object
) -> sqlite3.Cursor:
    """The rows of a query over what is known now, or was as of a moment."""
    which = LIVE if as_of is None or is_newest(connection, as_of) else AS_OF
    return connection.execute(
        query.format(which=which), {**asked, "as_of": as_of_text(as_of)}
    )


def is_newest(connection: sqlite3.Connection, as_of: datetime) -> bool:
    """Whether nothing was posted since: as of then is as of now."""
    later = "SELECT 1 FROM runs WHERE started_at > ? LIMIT 1"
    return scalar(connection, later, [stamp(as_of)]) is None


_TOUCHED = """
    WITH later AS (SELECT id FROM runs WHERE started_at > :as_of)
    SELECT customer FROM movements WHERE run IN later
    UNION
    SELECT customer FROM retractions JOIN movements ON movements.id = movement
    WHERE retractions.run IN later
"""


def touched_since(connection: sqlite3.Connection, as_of: datetime) -> list[int]:
    """The keys of those of whom something was posted, or retracted, since a moment."""
    if is_newest(connection, as_of):
        return []
    return scalars(connection, _TOUCHED, {"as_of": stamp(as_of)})


def run_times(connection: sqlite3.Connection) -> tuple[datetime, datetime] | None:
    """When the first and the newest run began; None before the first."""
    found = connection.execute("SELECT min(started_at), max(started_at) FROM runs")
    first, newest = found.fetchone()
    if first is None:
        return None
    return datetime.fromisoformat(first), datetime.fromisoformat(newest)


def stamp(moment: datetime) -> str:
    """A moment as the ledger writes it; texts compare as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def stood(
    made_at: datetime, withdrawn_at: datetime | None, as_of: datetime | None
) -> bool:
    """Whether what can be withdrawn stands, or stood then."""
    if as_of is None:
        return withdrawn_at is None
    return made_at <= as_of and (withdrawn_at is None or withdrawn_at > as_of)


def as_of_text(moment: datetime | None) -> str:
    return NOW if moment is None else stamp(moment)


_POLICIES = """
    SELECT policy FROM (
        SELECT id, started_at AS at, 0 AS is_closing, policy FROM runs
        UNION ALL SELECT 0, closed_at, 1, policy FROM closings)
    WHERE at <= ? ORDER BY at DESC, is_closing DESC, id DESC LIMIT 1
"""


def policy_as_of(connection: sqlite3.Connection, as_of: datetime | None) -> str | None:
    """The policy (JSON) under which the newest run or closing by then was made."""
    found: str | None = scalar(connection, _POLICIES, [as_of_text(as_of)])
    return found
