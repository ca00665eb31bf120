"""Accounts in SQLite ledgers, the same as folders of Parquet, and both read as rows."""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings

from connector.core.dates import instant
from connector.core.policy import Policy
from connector.lake import parquet
from connector.lake.source import MANIFEST, SCHEMA, Manifest, write_mirror
from connector.lake.tables import DERIVED
from connector.store.ledger import unvalued
from connector.store.mirror import exports
from tests.support import folders
from tests.support.ledgers import KINDS, empty_ledger, look, settle
from tests.support.lives import Life, lives

Rows = Mapping[str, list[tuple[Any, ...]]]
ZONE = "Europe/Berlin"

QUERIES = {
    "movements": """
        SELECT customers.id, currency, day, kind, amount_minor, before_minor, after_minor
        FROM live_movements JOIN customers ON customers.key = customer
    """,
    "components": """
        SELECT customers.id, currency, day, position, cause, components.amount_minor,
               subscription, item, price, before, after, evidence
        FROM live_movements JOIN customers ON customers.key = customer
        JOIN components ON components.movement = live_movements.id
    """,
    "terms": """
        SELECT customers.id, currency, subscription, day, before_minor, after_minor
        FROM terms JOIN customers ON customers.key = customer
    """,
    "plans": """
        SELECT customers.id, currency, day, price, interval
        FROM plans JOIN customers ON customers.key = customer
    """,
    "profiles": """
        SELECT DISTINCT customers.id, country
        FROM live_movements JOIN customers ON customers.key = customer
    """,
    "coverage": """
        SELECT customers.id, currencies.key, months.key, classes.key, classes.value
        FROM invoiced JOIN customers ON customers.key = customer,
             json_each(sums) AS currencies, json_each(currencies.value) AS months,
             json_each(months.value) AS classes
    """,
    "not_counted": """
        SELECT customers.id, currency, reason, item, product, monthly_minor, since,
               last_invoice
        FROM not_counted JOIN customers ON customers.key = customer
    """,
}


class Told(NamedTuple):
    """An account as it was seen, each look with its second, and whom it merges."""

    looks: Sequence[tuple[Mapping[str, Any], int]]
    merge: Mapping[str, str]


def told_by_fixtures() -> list[Told]:
    """Every billing case; no two know a customer, a price or a coupon by one id."""
    places = sorted(path.parent for path in folders.CASES.glob("*/*/stripe.json"))
    return [_renamed(folders.looks(place), n) for n, place in enumerate(places)]


def _renamed(seen_in_order: Sequence[Mapping[str, Any]], n: int) -> Told:
    text = json.dumps(seen_in_order)
    named = set(re.findall(r'"customer(?:_account)?": "([^"]+)"', text))
    shared = ("customers", "products", "prices", "coupons")
    named |= {
        str(it["id"])
        for seen in seen_in_order
        for kind in shared
        for it in seen.get(kind, ())
        if it.get("id")
    }
    merge = folders.settings(seen_in_order[-1]).merge
    for each in sorted({*named, *merge, *merge.values()}):
        text = text.replace(f'"{each}"', f'"{each}_of_{n}"')
    looks = json.loads(text)
    at_s = [int(datetime.fromisoformat(it["seen_at"]).timestamp()) for it in looks]
    owned = folders.settings(looks[-1]).merge
    return Told(list(zip(looks, at_s, strict=True)), owned)


def told_by_lives(count: int) -> list[Told]:
    """Random customers, the same in every run."""
    from tests.laws.test_lives import lived  # noqa: PLC0415

    found: list[Told] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],  # it is, where others work
    )
    @given(life=lives)
    def collect(life: Life) -> None:
        account = lived(life).account
        shown = {**account.snapshot(), "seen_at": instant(account.now).isoformat()}
        found.append(_renamed([shown], 10_000 + len(found)))

    collect()
    return found


WHOLE = '{"schema": 1, "shape": "objects", "body": "_raw_data", "known_until": "UNTIL"}'


def write_whole(told: Iterable[Told], folder: Path, until_s: int) -> None:
    """What the accounts show at last, whole objects in a column, as a pipeline has them.

    Of each kind that there is some of; invoice items that were invoiced are there too.
    """
    bodies: dict[str, list[str]] = {}
    for each in told:
        seen, _ = each.looks[-1]
        for kind, (table, _) in KINDS.items():
            bodies.setdefault(table, []).extend(map(json.dumps, seen.get(kind, ())))
        for item in seen.get("invoiceitems", ())[:1]:
            billed = json.dumps(
                {**item, "id": f"{item['id']}_billed", "invoice": "in_0"}
            )
            bodies["invoice_items"].append(billed)
    for table, own in bodies.items():
        (folder / table).mkdir(parents=True)
        rows = [(body, n) for n, body in enumerate(own)]
        columns: parquet.Columns = {"_raw_data": str, "_last_synced_at": int}
        parquet.write(folder / table / "part-0.parquet", columns, rows)
    manifest = WHOLE.replace("UNTIL", instant(until_s).isoformat())
    (folder / MANIFEST).write_text(manifest, encoding="utf-8")


@contextmanager
def booked(told: Told, until_s: int, policy: Policy) -> Iterator[sqlite3.Connection]:
    """The ledger after every look, derived once, until then."""
    with empty_ledger() as connection:
        for seen, at_s in told.looks:
            look(connection, seen, at_s)
        settle(connection, until_s, ZONE, policy, told.merge)
        yield connection


def rows_in(connection: sqlite3.Connection) -> Rows:
    """What the ledger has in each table of a run."""
    found = {t: connection.execute(sql).fetchall() for t, sql in QUERIES.items()}
    refused = [
        (r.customer, r.object_id, r.field, r.value) for r in unvalued.known(connection)
    ]
    return {**found, "refusals": refused}


def rows_of(run: Path) -> Rows:
    """The same of a run's folder, in order; days as text."""
    found = {
        table: sorted(map(_plain, parquet.read(run / table, columns)), key=repr)
        for table, columns in DERIVED.items()
    }
    return {**found, "refusals": [row[:4] for row in found["refusals"]]}


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(str(it) if isinstance(it, date) else it for it in row)


Mirrored = Mapping[str, list[exports.MirrorRow]]


def mirrored(connection: sqlite3.Connection) -> Mirrored:
    """All that the ledger has of Stripe's objects, by kind."""
    return {k: list(exports.rows(connection, k)) for k in exports.MIRROR_EXPORTS}


def export(objects: Mirrored, folder: Path, until_s: int) -> None:
    """As `export --what mirror` writes it."""
    reading = {kind: partial(iter, rows) for kind, rows in objects.items()}
    manifest = Manifest(
        schema=SCHEMA, shape="mirror", known_until=instant(until_s), timezone=ZONE
    )
    write_mirror(folder, manifest, reading)
