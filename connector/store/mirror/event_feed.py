"""Until when the ledger knows what Stripe told, and how many reads that took."""

import sqlite3
from datetime import date

from connector.store.database import scalar


def last_synced_us(connection: sqlite3.Connection) -> int | None:
    """Until when the ledger knows everything that Stripe has told."""
    query = (
        "SELECT max(known_us) FROM ("
        " SELECT started_us AS known_us FROM walks WHERE finished_us IS NOT NULL"
        " UNION ALL SELECT read_until_us FROM event_feed)"
    )
    known_us: int | None = scalar(connection, query)
    return known_us


def is_first_sync_unfinished(connection: sqlite3.Connection) -> bool:
    """Whether a first walk has begun, and none has ever come to its end."""
    query = "SELECT count(*) > 0 AND count(finished_us) = 0 FROM walks"
    return bool(scalar(connection, query))


def events_read_until_us(connection: sqlite3.Connection) -> int | None:
    """Until when events were read and followed; None before the first walk's end."""
    until_us: int | None = scalar(connection, "SELECT read_until_us FROM event_feed")
    return until_us


def events_were_read(connection: sqlite3.Connection, until_us: int) -> None:
    connection.execute(
        "INSERT INTO event_feed VALUES (1, ?)"
        " ON CONFLICT (only) DO UPDATE SET read_until_us = excluded.read_until_us",
        [until_us],
    )


def count_reads(connection: sqlite3.Connection, day: date, reads: int) -> None:
    """Stripe's read allowance is counted over 30 days."""
    connection.execute(
        "INSERT INTO reads VALUES (?, ?)"
        " ON CONFLICT (day) DO UPDATE SET requests = requests + excluded.requests",
        [str(day), reads],
    )


def reads_since(connection: sqlite3.Connection, day: date) -> int:
    query = "SELECT total(requests) FROM reads WHERE day >= ?"
    return int(scalar(connection, query, [str(day)]))
