"""What people noted of a month: append-only, withdrawn but never edited.

The text of a forgotten customer's note goes with its name; that there was one stays.
"""

import sqlite3
from datetime import date, datetime

from connector.core.dates import parse_month
from connector.core.kept.months import Note
from connector.store.database import scalar
from connector.store.ledger.as_of import stamp, stood


def add(
    connection: sqlite3.Connection,
    month: date,
    text: str,
    now: datetime,
    *,
    customer: str = "",
    url: str = "",
) -> Note:
    """In the caller's transaction."""
    query = (
        "INSERT INTO notes (month, noted_at, customer, text, url)"
        " VALUES (?, ?, ?, ?, ?) RETURNING id"
    )
    noted = [f"{month:%Y-%m}", stamp(now), customer, text, url]
    key = scalar(connection, query, noted)
    return Note(key, month.replace(day=1), now, customer, text, url)


def withdraw(connection: sqlite3.Connection, note: Note, now: datetime) -> Note:
    """In the caller's transaction; one that is withdrawn stays as it is."""
    if note.withdrawn_at is not None:
        return note
    connection.execute(
        "INSERT INTO note_withdrawals VALUES (?, ?)", [note.id, stamp(now)]
    )
    return note._replace(withdrawn_at=now)


_EVER = """
    SELECT id, month, noted_at, customer, text, url, withdrawn_at
    FROM notes LEFT JOIN note_withdrawals ON note = id ORDER BY month, id
"""


def ever(connection: sqlite3.Connection) -> list[Note]:
    """Every note, also those that were withdrawn: by month, then as they were made."""
    return [
        Note(
            key,
            parse_month(month),
            datetime.fromisoformat(noted_at),
            customer,
            text,
            url,
            None if gone is None else datetime.fromisoformat(gone),
        )
        for key, month, noted_at, customer, text, url, gone in connection.execute(_EVER)
    ]


def standing(
    connection: sqlite3.Connection, as_of: datetime | None = None
) -> list[Note]:
    """Those that stand, or stood then, and still say something."""
    return [
        each
        for each in ever(connection)
        if each.text and stood(each.noted_at, each.withdrawn_at, as_of)
    ]


def erase(connection: sqlite3.Connection, customer: str) -> bool:
    """Whether there was anything of a customer, who is forgotten already."""
    rows = connection.execute(
        "UPDATE notes SET text = '', url = ''"
        " WHERE customer = ? AND (text <> '' OR url <> '')",
        [customer],
    )
    return rows.rowcount > 0
