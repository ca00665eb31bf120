"""``python -m tests.benchmarks.derive``: what deriving costs, beside reading the rows.

Reading is fetching the rows of every customer from SQLite and decoding their bodies;
deriving is that, the timeline and the movements; settling also writes the ledger. Each
is the best of several rounds, in CPU seconds, so that others on the machine weigh less.
"""

import argparse
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from connector import derivation, mirror
from connector.database import open_database, transaction
from connector.derivation import Derived
from connector.histories import histories, rows_of
from connector.model import Policy
from connector.periods import instant
from connector.processes import Task, deriving
from connector.recompute import BATCH, recompute
from connector.rules import Rules
from connector.stripe_objects import (
    Base,
    Customer,
    Event,
    Invoice,
    InvoiceItem,
    Subscription,
    decode,
)
from tests.benchmarks.many_customers import NOW_S, fill

ROUNDS = 5
RULES = Rules(
    policy=Policy(), zone=ZoneInfo("Europe/Berlin"), code_version="of the benchmark"
)
SHAPES: dict[str, type[Base]] = {
    "customers": Customer,
    "subscriptions": Subscription,
    "invoices": Invoice,
    "invoice_items": InvoiceItem,
    "events": Event,
}


def read(connection: sqlite3.Connection) -> int:
    """Decode every row that a derivation reads, and drop it; the lines among them."""
    lines = 0
    for kind, shape in SHAPES.items():
        query = f"SELECT body FROM stripe_{kind} ORDER BY customer, created_s, id"  # noqa: S608
        for (text,) in connection.execute(query):
            thing = decode(text, shape)
            if isinstance(thing, Invoice):
                lines += len(thing.lines.data)
    return lines


def derive(connection: sqlite3.Connection, workers: int = 1) -> int:
    """Every customer's movements, and drop them; how many there were."""
    shared = mirror.catalogue(connection)
    waiting = mirror.dirty(connection)
    batches = (waiting[n : n + BATCH] for n in range(0, len(waiting), BATCH))
    rows = (rows_of(connection, {c: (c,) for c in batch}) for batch in batches)
    if workers == 1:
        found = (
            derivation.derive(histories(each, shared), RULES, NOW_S) for each in rows
        )
        return _count(found)
    with deriving(Task(RULES, shared, NOW_S), workers) as derive_all:
        return _count(derive_all(rows))


def _count(found: Iterable[list[Derived]]) -> int:
    return sum(len(each.movements) for batch in found for each in batch)


def settle(connection: sqlite3.Connection) -> int:
    done = recompute(connection, RULES, cause="manual", now=instant(NOW_S), workers=1)
    assert not done.refusals
    return done.movements


def settle_again(connection: sqlite3.Connection) -> int:
    with transaction(connection):
        mirror.mark_all(connection)
    return settle(connection)


class Spent(NamedTuple):
    """CPU seconds of this process and of those it has waited for; the wall clock's."""

    own_s: float
    others_s: float
    wall_s: float

    @classmethod
    def by_now(cls) -> "Spent":
        others = resource.getrusage(resource.RUSAGE_CHILDREN)
        others_s = others.ru_utime + others.ru_stime
        return cls(time.process_time(), others_s, time.monotonic())


def cost(work: Callable[[], int]) -> tuple[Spent, int]:
    began = Spent.by_now()
    result = work()
    now = Spent.by_now()
    return Spent(
        *(after - before for before, after in zip(began, now, strict=True))
    ), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=5_000)
    parser.add_argument("--small", action="store_true", help="50 customers: it works")
    options = parser.parse_args()
    customers = 50 if options.small else options.customers
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        with closing(open_database(path, create=True)) as connection:
            fill(connection, customers)
            _report(connection, customers)


def _report(connection: sqlite3.Connection, customers: int) -> None:
    lines, found = read(connection), derive(connection)
    reading, deriving_ = [], []
    for _ in range(ROUNDS):  # in turns, so that both meet the same neighbours
        reading.append(cost(lambda: read(connection))[0].own_s)
        deriving_.append(cost(lambda: derive(connection))[0].own_s)
    print(f"{customers:,} customers, {lines:,} invoice lines, {found:,} movements")
    print(f"{'':20}{'CPU s':>8}{'lines/s':>10}{'x reading':>11}")

    def tell(name: str, cpu_s: float) -> None:
        rate, ratio = lines / cpu_s, cpu_s / min(reading)
        print(f"{name:20}{cpu_s:8.2f}{rate:10,.0f}{ratio:11.2f}")

    tell("read and drop", min(reading))
    tell("derive", min(deriving_))
    spent, posted = cost(lambda: settle(connection))
    assert posted == found
    tell("derive and settle", spent.own_s)
    spent, posted = cost(lambda: settle_again(connection))
    assert posted == 0
    tell("the same again", spent.own_s)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak_mb} MB")
    _report_pool(connection)


def _report_pool(connection: sqlite3.Connection) -> None:
    """Starting the processes is part of it; others' work on the machine is, too."""
    with transaction(connection):
        mirror.mark_all(connection)
    ones, twos = [], []
    for _ in range(ROUNDS):
        ones.append(cost(lambda: derive(connection))[0])
        twos.append(cost(lambda: derive(connection, 2))[0])
    one, two = min(each.wall_s for each in ones), min(each.wall_s for each in twos)
    print(
        f"wall clock: {one:.2f} s in one process, {two:.2f} s in a pool of two", end=""
    )
    print(f" ({two / one:.2f})")
    own_s = min(each.own_s for each in ones)
    half_s = min((each.own_s + each.others_s) / 2 for each in twos)
    print(f"half of all CPU: {half_s:.2f} s of {own_s:.2f} s ({half_s / own_s:.2f})")


if __name__ == "__main__":
    main()
