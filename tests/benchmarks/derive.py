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
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from connector.core.dates import instant
from connector.core.policy import Policy, Rules
from connector.mrr import derive as mrr_derive
from connector.mrr.derive import Derived
from connector.pipeline.process_pool import DerivationTask, deriving
from connector.pipeline.recompute import BATCH, recompute
from connector.store.database import file_of, transaction
from connector.store.ledger import unvalued
from connector.store.mirror import dirty_customers
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.histories import histories, rows_of
from connector.store.opening import open_database
from connector.stripe_api.decoding import Base, decode
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice, InvoiceItem
from connector.stripe_api.objects import Customer, Subscription
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
    """Every customer's movements, terms and plans, and drop them; how many movements."""
    shared = read_catalogue(connection)
    waiting = dirty_customers.dirty(connection)
    batches = (waiting[n : n + BATCH] for n in range(0, len(waiting), BATCH))
    asked = ({customer: ((customer,),) for customer in batch} for batch in batches)
    if workers == 1:
        known = (histories(rows_of(connection, ids), shared) for ids in asked)
        return _count(mrr_derive.derive(each, RULES, NOW_S) for each in known)
    path = file_of(connection)
    assert path is not None
    with deriving(DerivationTask(path, RULES, shared, NOW_S), workers) as derive_all:
        return _count(derive_all(asked))


def _count(found: Iterable[list[Derived] | None]) -> int:
    return sum(len(each.movements) for batch in found for each in batch or ())


def settle(connection: sqlite3.Connection, workers: int = 1) -> int:
    done = recompute(
        connection, RULES, cause="manual", now=instant(NOW_S), workers=workers
    )
    assert not unvalued.known(connection)
    return done.movements


def settle_again(connection: sqlite3.Connection, workers: int = 1) -> int:
    with transaction(connection):
        dirty_customers.mark_all(connection)
    return settle(connection, workers)


def cost(work: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds, and what the work returned."""
    began_s = time.process_time()
    result = work()
    return time.process_time() - began_s, result


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
        reading.append(cost(lambda: read(connection))[0])
        deriving_.append(cost(lambda: derive(connection))[0])
    print(f"{customers:,} customers, {lines:,} invoice lines, {found:,} movements")
    print(f"{'':20}{'CPU s':>8}{'lines/s':>10}{'x reading':>11}")

    def tell(name: str, cpu_s: float) -> None:
        rate, ratio = lines / cpu_s, cpu_s / min(reading)
        print(f"{name:20}{cpu_s:8.2f}{rate:10,.0f}{ratio:11.2f}")

    tell("read and drop", min(reading))
    tell("derive", min(deriving_))
    spent_s, posted = cost(lambda: settle(connection))
    assert posted == found
    tell("derive and settle", spent_s)
    spent_s, posted = cost(lambda: settle_again(connection))
    assert posted == 0
    tell("the same again", spent_s)
    _report_processes(connection)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak memory {peak_mb} MB")


def _report_processes(connection: sqlite3.Connection) -> None:
    """By the wall clock, with starting the processes; others' work is in it, too."""
    for name, work in (("derive", derive), ("the same again", settle_again)):
        alone_s, together_s = [], []
        for _ in range(3):
            with transaction(connection):
                dirty_customers.mark_all(connection)
            alone_s.append(wall(partial(work, connection)))
            with transaction(connection):
                dirty_customers.mark_all(connection)
            together_s.append(wall(partial(work, connection, 2)))
        one_s, two_s = min(alone_s), min(together_s)
        print(
            f"{name}, by the wall clock: {one_s:.2f} s in one process, {two_s:.2f} s"
            f" with two that derive: {two_s / one_s:.2f} ×"
        )


def wall(work: Callable[[], int]) -> float:
    began_s = time.monotonic()
    work()
    return time.monotonic() - began_s


if __name__ == "__main__":
    main()
