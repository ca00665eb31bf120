"""A checksum beside each stored object: whether its bytes are still those written."""

import sqlite3
from hashlib import blake2b
from typing import NamedTuple

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
    digest = blake2b(
        f"{key}\0{customer}\0{created_s}\0{seen_s}\0".encode(), digest_size=8
    )
    digest.update(body)
    return int.from_bytes(digest.digest(), signed=True)


_OBJECTS = "SELECT id, customer, created_s, seen_s, body, checksum FROM stripe_{kind}"
_VERSIONS = """
    SELECT subscription, NULL, 0, seen_s, body, checksum FROM subscription_versions
"""


def examined(connection: sqlite3.Connection) -> ExaminedObjects:
    """Every object whose bytes are not those written; reads all of them."""
    stored = {kind: _OBJECTS.format(kind=kind) for kind in MIRRORED}
    changed, unknown = [], 0
    for kind, query in {**stored, "subscription_versions": _VERSIONS}.items():
        for key, *rest, written in connection.execute(query):
            if written is None:
                unknown += 1
            elif checksum(key, *rest) != written:
                changed.append((kind, key))
    return ExaminedObjects(changed, unknown)
