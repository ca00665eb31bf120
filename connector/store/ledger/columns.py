"""The ledger's movements, terms and components in columns, customers by the thousand.

Read from the tables, or from ``packed_columns``: the same columns as they were read
once, a row for each currency of some hundred customers. Those rows are a cache: a
trigger takes them away when anything of these customers is posted, and where there are
none the tables are read. Reports pack nothing; the end of a recompute packs what is
missing, where that is much.
"""

import json
import sqlite3
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from connector.core.kept.columns import CAUSE_NUMBERS, KIND_NUMBERS, WIDTHS, Block
from connector.store.database import scalar, scalars, transaction
from connector.store.ledger.as_of import is_newest, rows_as_of
from connector.store.schema import CHUNK_BITS

TOGETHER = 16  # chunks that are read, and packed, at a time
MUCH = 8  # chunks: fewer are read from the tables as fast
_NOBODY = Block()
_READ_MOVES = """
    SELECT id, customer, day, kind, amount_minor FROM movements
    WHERE customer >= :first AND customer < :last AND currency = :currency
      AND day >= :since AND day < :until AND {which}
    ORDER BY customer, day
"""  # the order of an index, which costs nothing
_READ_TERMS = """
    SELECT customer, subscription, day, before_minor, after_minor FROM terms
    WHERE customer >= ? AND customer < ? AND currency = ? AND day >= ? AND day < ?
    ORDER BY customer, subscription, day
"""  # the order in which they lie
_READ_PARTS = """
    SELECT movement, cause, amount_minor FROM components
    WHERE movement IN (SELECT value FROM json_each(?)) ORDER BY movement, position
"""


class WantedColumns(NamedTuple):
    """What is wanted beside movements: terms, which are known only as of now; parts."""

    terms: bool = False
    parts: bool = False


MOVES = WantedColumns()
TERMS = WantedColumns(terms=True)
PARTS = WantedColumns(parts=True)
EVERYTHING = WantedColumns(terms=True, parts=True)


def blocks(
    connection: sqlite3.Connection,
    currency: str,
    as_of: datetime | None = None,
    wanted: WantedColumns = MOVES,
) -> Iterator[Block]:
    """Everybody's columns in one currency."""
    is_now = as_of is None or is_newest(connection, as_of)
    packed = _packed(connection) if is_now else frozenset()
    for first in range(0, _end(connection), TOGETHER):
        chunks = range(first, first + TOGETHER)
        own = _kept(connection, currency, chunks, wanted) if packed else {}
        yield joined(
            own.get(chunk, _NOBODY)
            if chunk in packed
            else _read(connection, currency, chunk, as_of, wanted)
            for chunk in chunks
        )


def joined(parts: Iterable[Block]) -> Block:
    return Block(*map(b"".join, zip(*parts, strict=True)))


def pack(connection: sqlite3.Connection) -> None:
    """Pack what is missing, a transaction for some; nothing where that is little."""
    packed = _packed(connection)
    missing = [chunk for chunk in range(_end(connection)) if chunk not in packed]
    if len(missing) < MUCH or sys.byteorder != "little":
        return
    for first in range(0, len(missing), TOGETHER):
        with transaction(connection):
            for chunk in missing[first : first + TOGETHER]:
                _pack(connection, chunk)


def clear(connection: sqlite3.Connection) -> None:
    """From now on the tables are read, until everything is packed anew."""
    connection.execute("DELETE FROM packed_columns")


_PUT_COLUMNS = f"""
    INSERT OR REPLACE INTO packed_columns VALUES (?, ?, {", ".join("?" * 9)})
"""  # noqa: S608
_PUT_PARTS = "INSERT OR REPLACE INTO packed_components VALUES (?, ?, ?, ?, ?, ?)"


def _pack(connection: sqlite3.Connection, chunk: int) -> None:
    """Each currency that there is, and a row without any that says that it was done."""
    codes = _codes(connection, chunk)
    found = [(code, _read(connection, code, chunk, None, EVERYTHING)) for code in codes]
    rows = [("", _NOBODY), *found]
    connection.executemany(_PUT_COLUMNS, [(chunk, c, *own[:9]) for c, own in rows])
    connection.executemany(_PUT_PARTS, [(chunk, c, *own[9:]) for c, own in found])


def _codes(connection: sqlite3.Connection, chunk: int) -> list[str]:
    """The currencies of a chunk's movements, terms and packed columns."""
    query = (
        "SELECT DISTINCT currency FROM movements WHERE customer >= ? AND customer < ?"
        " UNION SELECT currency FROM terms WHERE customer >= ? AND customer < ?"
        " UNION SELECT currency FROM packed_columns WHERE chunk = ? AND currency <> ''"
    )
    return scalars(connection, query, [*_span(chunk) * 2, chunk])


def stale(connection: sqlite3.Connection) -> Iterator[list[str]]:
    """The customers, by id, whose columns are packed otherwise than the tables say.

    As triggers see to it there are none, unless the file was changed from outside.
    """
    for chunk in sorted(_packed(connection)):
        own = range(chunk, chunk + 1)
        rows = {
            code: _kept(connection, code, own, EVERYTHING)
            for code in _codes(connection, chunk)
        }
        if any(
            kept.get(chunk, _NOBODY) != _read(connection, code, chunk, None, EVERYTHING)
            for code, kept in rows.items()
        ):
            yield scalars(connection, _NAMES, _span(chunk))


_NAMES = "SELECT id FROM customers WHERE key >= ? AND key < ? ORDER BY key"


def _packed(connection: sqlite3.Connection) -> frozenset[int]:
    query = "SELECT chunk FROM packed_columns WHERE currency = ''"
    return frozenset(scalars(connection, query))


def _end(connection: sqlite3.Connection) -> int:
    """The first chunk that nobody is in any more."""
    last: int = scalar(connection, "SELECT coalesce(max(key), 0) FROM customers")
    return (last >> CHUNK_BITS) + 1


def _span(chunk: int) -> tuple[int, int]:
    return chunk << CHUNK_BITS, (chunk + 1) << CHUNK_BITS


def _kept(
    connection: sqlite3.Connection, currency: str, chunks: range, wanted: WantedColumns
) -> dict[int, Block]:
    asked = [currency, chunks.start, chunks.stop]
    rows = connection.execute(_KEPT.format(_names(wanted)), asked)
    return {chunk: Block(*columns) for chunk, *columns in rows}


_KEPT = """
    SELECT chunk, {} FROM packed_columns LEFT JOIN packed_components USING (chunk, currency)
    WHERE currency = ? AND chunk >= ? AND chunk < ?
"""


def _names(wanted: WantedColumns) -> str:
    """The columns, empty where they are not wanted: SQLite does not read these."""
    asked = (*(True,) * 4, *(wanted.terms,) * 5, *(wanted.parts,) * 4)
    empty = "x''"
    names = zip(Block._fields, asked, strict=True)
    return ", ".join(
        f"coalesce({n}, {empty})" if is_it else empty for n, is_it in names
    )


def _read(
    connection: sqlite3.Connection,
    currency: str,
    chunk: int,
    as_of: datetime | None,
    wanted: WantedColumns,
) -> Block:
    first, last = _span(chunk)
    span = {"since": str(date.min), "until": str(date.max)}
    asked = {"first": first, "last": last, "currency": currency, **span}
    moves = rows_as_of(connection, _READ_MOVES, as_of, **asked).fetchall()
    ids, customer, day, kind, amount_minor = _turned(moves, 5)
    terms: Sequence[tuple[int, str, str, int, int]] = ()
    if wanted.terms and as_of is None:
        terms = connection.execute(_READ_TERMS, list(asked.values())).fetchall()
    owner, names, ended_on, before, after = _turned(terms, 5)
    columns: tuple[Iterable[int], ...] = (
        *(customer, map(_ordinal, day)),
        *(map(KIND_NUMBERS.__getitem__, kind), amount_minor),
        *(owner, _numbered(names), map(_ordinal, ended_on)),
        *(before, after),
        *(_parts(connection, ids) if wanted.parts else ((), (), (), ())),
    )
    return Block(
        *(array(w, each).tobytes() for w, each in zip(WIDTHS, columns, strict=True))
    )


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _parts(
    connection: sqlite3.Connection, movements: Sequence[int]
) -> tuple[Iterable[int], ...]:
    """Their ids, how many components each has, and all of these in the same order."""
    place = {movement: n for n, movement in enumerate(movements)}
    rows = connection.execute(_READ_PARTS, [json.dumps(movements)]).fetchall()
    rows.sort(key=lambda row: place[row[0]])
    owner, cause, amount_minor = _turned(rows, 3)
    counts = Counter(owner)
    causes = map(CAUSE_NUMBERS.__getitem__, cause)
    return movements, [counts[each] for each in movements], causes, amount_minor


def _numbered(names: Iterable[str]) -> Iterator[int]:
    """One more where a name differs from the one before."""
    for number, (_, own) in enumerate(groupby(names)):
        yield from (number for _ in own)


@lru_cache(maxsize=1 << 14)  # of few days in many rows, each is read once
def _ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()
