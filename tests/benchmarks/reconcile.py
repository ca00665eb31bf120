"""What ``reconcile`` costs: files of 100,000, 1 and 10 million lines, and real histories.

``python -m tests.benchmarks.reconcile [--small | --million] [--keep DIR]``. Each row is
a process from its start to its end. A file has 36 months of every customer of a ledger,
a line a month, by customer or by month, or a column a month; one customer in a hundred
lacks in it. Whatever the file's size, 200 MB must do. Beside them 500 customers over 36
months as the billing engine has them, under each of Stripe's 16 settings: at most 5 s
and 150 MB.
"""

import argparse
import csv
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from connector.core.dates import add_months, months
from tests.benchmarks.measure import machine, measured
from tests.billing.stripe_mrr import EVERY_SETTING, all_files
from tests.support.big_account import ZONE, big_account, big_ledger

MONTHS = [*months(date(2023, 1, 1), date(2026, 1, 1))]
SIZES = (100_000, 1_000_000, 10_000_000)
MOST_MB = 200
REAL_CUSTOMERS, REAL_MOST_S, REAL_MOST_MB = 500, 5, 150

Row = tuple[str, Sequence[int]]  # a customer, and its MRR at each month's end


def rows(ledger: Path) -> Iterator[Row]:
    """Of all customers but each hundredth, by their keys."""
    ends = [str(add_months(month, 1)) for month in MONTHS]
    query = "SELECT customer, day, after_minor FROM movements ORDER BY customer, day"
    with closing(sqlite3.connect(ledger)) as connection:
        for key, own in groupby(connection.execute(query), key=itemgetter(0)):
            if key % 100:
                moved = [*own]
                yield f"cus_{key}", [_at(moved, end) for end in ends]


def _at(moved: Sequence[tuple[int, str, int]], end: str) -> int:
    past = [minor for _, day, minor in moved if day < end]
    return past[-1] if past else 0


def written(ledger: Path, folder: Path) -> None:
    """The three files, in one walk; that by month is put together of one a month."""
    heads = ["customer", "month", "mrr", "currency"]
    names = [f"{month:%Y-%m}" for month in MONTHS]
    parts = [folder / f"{name}.part" for name in names]
    with ExitStack() as opened:

        def writer(path: Path) -> Any:
            return csv.writer(opened.enter_context(path.open("w", newline="")))

        by_customer, pivoted = (writer(folder / FORMS[n]) for n in (CUSTOMER, COLUMN))
        by_month = [writer(part) for part in parts]
        by_customer.writerow(heads)
        by_month[0].writerow(heads)
        pivoted.writerow(["customer", "currency", *names])
        for customer, own in rows(ledger):
            amounts = [f"{minor / 100:.2f}" for minor in own]
            pivoted.writerow([customer, "usd", *amounts])
            for name, amount, part in zip(names, amounts, by_month, strict=True):
                by_customer.writerow([customer, name, amount, "usd"])
                part.writerow([customer, name, amount, "usd"])
    with (folder / FORMS[MONTH]).open("wb") as whole:
        for path in parts:
            with path.open("rb") as part:
                shutil.copyfileobj(part, whole)
            path.unlink()


CUSTOMER, MONTH = "a line a month, by customer", "a line a month, by month"
COLUMN = "a column a month"
FORMS = {CUSTOMER: "0.csv", MONTH: "1.csv", COLUMN: "2.csv"}


def made(size: int, folder: Path) -> Path:
    """A folder with a ledger of so many customers' months, and the files beside it."""
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text('timezone = "UTC"\n')
        path = folder / "stripe-nrr.db"
        customers = size // len(MONTHS) * 100 // 99
        measured(f"tests.benchmarks.ledgers {path} {customers}".split(), "", folder)
        written(path, folder)
    return folder


def show_size(folder: Path) -> float:
    """The largest peak of its rows."""
    peaks = []
    for form, name in FORMS.items():
        took = measured(f"connector reconcile {name} --format json".split(), "", folder)
        [told] = took.said["reconciliations"]
        assert told["differing"]
        assert not told["unexplained"]
        print(
            f"{told['files'][0]['lines']:>12,}  {form:30}"
            f"{took.wall_s:9.1f} {took.cpu_s:9.1f} {took.peak_mb:7.0f}",
            flush=True,
        )
        peaks.append(took.peak_mb)
    return max(peaks)


def make_real(folder: Path, customers: int) -> None:
    """The billing engine's account, its ledger, and a file under each setting."""
    (folder / "config.toml").write_text(f'timezone = "{ZONE}"\n')
    with big_ledger(customers) as ledger:
        (folder / "stripe-nrr.db").write_bytes(ledger.connection.serialize())
    for number, settings in enumerate(EVERY_SETTING):
        text = all_files(big_account(customers), settings, ZONE)
        path = folder / f"{number}.csv"
        path.write_text(text["mrr_per_subscriber.csv"], encoding="utf-8")


def show_real(customers: int, folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        # In a process of its own: a child's memory is at least its parent's.
        words = f"tests.benchmarks.reconcile --make-real {folder} {customers}"
        measured(words.split(), "", folder)
    costs = []
    for number in range(len(EVERY_SETTING)):
        words = f"connector reconcile {number}.csv --format json"
        took = measured(words.split(), "", folder)
        [told] = took.said["reconciliations"]
        assert not told["unexplained"]
        costs.append((took, told["files"][0]["lines"]))
    slowest = max(took.wall_s for took, _ in costs)
    largest = max(took.peak_mb for took, _ in costs)
    cpu_s = max(took.cpu_s for took, _ in costs)
    print(
        f"{costs[0][1]:>12,}  {f'the worst of {len(costs)} settings':30}"
        f"{slowest:9.1f} {cpu_s:9.1f} {largest:7.0f}"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true", help="10,000 lines alone")
    options.add_argument("--million", action="store_true", help="not 10 million lines")
    options.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the files there"
    )
    options.add_argument("--make-real", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args(sys.argv[1:])
    if given.make_real:
        make_real(Path(given.make_real[0]), int(given.make_real[1]))
        return
    sizes = SIZES[:2] if given.million else SIZES
    print(machine())
    print(f"{'lines':>12}  {'':30}{'wall s':>9} {'CPU s':>9} {'MB':>7}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).absolute()
        real = 40 if given.small else REAL_CUSTOMERS
        show_real(real, folder / f"real-{real}")
        peaks = [
            show_size(made(size, folder / str(size)))
            for size in ([10_000] if given.small else sizes)
        ]
        print(f"largest peak {max(peaks):.0f} MB, of {MOST_MB} MB that are allowed")


if __name__ == "__main__":
    main()
