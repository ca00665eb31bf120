"""The least that copying the account can cost: ``-m … URL FILE``.

One connection asks page after page, msgspec reads our structs from it and writes them
back, and ``executemany`` puts the mirror's columns into a table without any index but
its key. Nothing is compared, completed, limited, tried again or gone on with.
"""

import sqlite3
import sys
import time
from contextlib import closing
from typing import Any

import httpx
import msgspec

from connector.stripe_api.decoding import Base, ListOf, ref
from connector.stripe_api.events import StripeEvent
from connector.stripe_api.lists import LISTINGS

TABLE = """
    CREATE TABLE IF NOT EXISTS {} (
        id TEXT PRIMARY KEY, customer TEXT, created_s INTEGER, fetched_us INTEGER,
        seen_s INTEGER, body BLOB
    )
"""


def row(thing: Any, now_us: int) -> tuple[object, ...]:
    created_s = getattr(thing, "created", 0) or getattr(thing, "date", 0)
    customer = ref(getattr(thing, "customer", None)) or None
    body = b"" if isinstance(thing, StripeEvent) else msgspec.json.encode(thing)
    return thing.id, customer, created_s, now_us, now_us // 1_000_000, body


def copy(url: str, file: str) -> None:
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as connection,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        connection.execute("PRAGMA journal_mode = WAL")
        for listing in LISTINGS.values():
            table = listing.path.rpartition("/")[2]
            connection.execute(TABLE.format(table))
            insert = f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
            page: msgspec.json.Decoder[ListOf[Base]]
            page = msgspec.json.Decoder(ListOf[listing.type])  # type: ignore[name-defined]
            asked = [("limit", "100"), *listing.params]
            has_more, after = True, ""
            while has_more:
                place = [("starting_after", after)] if after else []
                now_us = time.time_ns() // 1_000
                answer = client.get(listing.path, params=[*asked, *place])
                shown = page.decode(answer.content)
                connection.execute("BEGIN")
                connection.executemany(insert, [row(it, now_us) for it in shown.data])
                connection.execute("COMMIT")
                has_more = shown.has_more
                after = ref(shown.data[-1]) if shown.data else ""


if __name__ == "__main__":
    copy(*sys.argv[1:])
