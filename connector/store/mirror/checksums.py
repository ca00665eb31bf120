"""A checksum beside each stored object: whether its bytes are still those written."""

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b
from typing import NamedTuple, Protocol

from connector.store.schema import MIRRORED


class ExaminedObjects(NamedTuple):
    """``changed`` are not what was written, each the kind and the id.

    ``unknown`` counts those stored before there were checksums.
    """

    changed: list[tuple[str, str]]
    unknown: int


def checksum(
    key: str, customer: str | None, created_s: int, seen_s: int, body: bytes
) -> int:
    """Of all that is kept of an object, but for when it was last fetched.

    64 bits of BLAKE2b, which cost about a microsecond; signed, as SQLite's integers are.
    """
    head = f"{key}\0{customer}\0{created_s}\0{seen_s}\0".encode()
    return int.from_bytes(blake2b(head + body, digest_size=8).digest(), signed=True)


class Stored(Protocol):
    """What a checksum covers of a stored object."""

    @property
    def id(self) -> str: ...
    @property
    def customer(self) -> str | None: ...
    @property
    def created_s(self) -> int: ...
    @property
    def seen_s(self) -> int: ...
    @property
    def body(self) -> bytes: ...


_KEEP = "INSERT INTO checksums VALUES (?, ?, ?) ON CONFLICT (kind, id) DO "
_ANEW = f"{_KEEP} UPDATE SET checksum = excluded.checksum"
_FIRST = f"{_KEEP} NOTHING"


def keep(connection: sqlite3.Connection, kind: str, things: Iterable[Stored]) -> None:
    """Of what is written, in the same transaction."""
    connection.executemany(_ANEW, _rows(kind, things))


def keep_first(
    connection: sqlite3.Connection, kind: str, things: Iterable[Stored]
) -> None:
    """Of what stays as it is: only where it has none, from before there were any."""
    connection.executemany(_FIRST, _rows(kind, things))


def _rows(kind: str, things: Iterable[Stored]) -> list[tuple[str, str, int]]:
    return [
        (kind, it.id, checksum(it.id, it.customer, it.created_s, it.seen_s, it.body))
        for it in things
    ]


VERSIONS = "subscription_versions"


def keep_version(
    connection: sqlite3.Connection, subscription: str, seen_s: int, body: bytes
) -> None:
    key = f"{subscription} {seen_s}"
    found = checksum(key, None, 0, seen_s, body)
    connection.execute(_ANEW, [VERSIONS, key, found])


_OBJECTS = """
    SELECT thing.id, customer, created_s, seen_s, body, checksum
    FROM stripe_{kind} AS thing
    LEFT JOIN checksums ON checksums.kind = '{kind}' AND checksums.id = thing.id
"""
_OLDER = f"""
    SELECT subscription || ' ' || seen_s AS key, NULL, 0, seen_s, body, checksum
    FROM subscription_versions
    LEFT JOIN checksums ON checksums.kind = '{VERSIONS}'
     AND checksums.id = subscription || ' ' || seen_s
"""  # noqa: S608


def examined(connection: sqlite3.Connection) -> ExaminedObjects:
    """Every object whose bytes are not those written; reads all of them."""
    stored = {kind: _OBJECTS.format(kind=kind) for kind in MIRRORED}
    changed, unknown = [], 0
    for kind, query in {**stored, VERSIONS: _OLDER}.items():
        for key, *rest, written in connection.execute(query):
            if written is None:
                unknown += 1
            elif checksum(key, *rest) != written:
                changed.append((kind, key))
    return ExaminedObjects(changed, unknown)
