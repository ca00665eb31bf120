"""What reports cost on ledgers of 10,000 and 100,000 customers, ten movements each.

``python -m tests.benchmarks.report [--small | --million] [--keep DIR]``. Each row is a
process from its start to its end, the cheapest of some runs, beside one bare
``SELECT sum(...)`` over all movements and beside ``python -c pass``. The default report
must cost the same whatever the ledger's size; with 100,000 customers any other window or
segment takes less than 9 times that sum, and the page less than two seconds. Reasons of
losses cost more: what Stripe says of each departure is read one by one. A workbook has a
row for everybody and for each movement of a year: of 10,000 customers alone.
"""

import argparse
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.benchmarks.measure import Cost, machine, measured

REPEATS = 3
REPORTS = {
    "the default report": "report",
    "five years by month": "report --window month --from 2021-01",
    "by country": "report --by country",
    "by plan": "report --by plan",
    "by band": "report --by band",
    "by cause": "report --causes",
    "a past moment": "report --as-of 2026-01-02",
    "by band, each of 12 months": "report --window month --by band",
    "a year's losses by reason": "churn",
    "losses by plan": "churn --by plan",
    "movements by plan": "movements --by plan",
    "cohorts by month": "cohorts",
    "cohorts by quarter": "cohorts --by quarter",
    "what is at risk": "at-risk",
    "the page": "report --format html",
    "the workbook": "report --format xlsx -o nrr.xlsx",
}


def cheapest(words: str, folder: Path, repeats: int) -> Cost:
    runs = [measured(words.split(), "", folder) for _ in range(repeats)]
    return min(runs, key=lambda cost: cost.cpu_s)


def bare_sum_s(path: Path) -> float:
    """The same rows, read once by SQLite and added up."""
    with closing(sqlite3.connect(path)) as connection:
        times = []
        for _ in range(REPEATS):
            began_s = time.process_time()
            connection.execute("SELECT sum(amount_minor) FROM movements").fetchone()
            times.append(time.process_time() - began_s)
    return min(times)


def show(customers: int, folder: Path, repeats: int) -> None:
    path = folder / "stripe-nrr.db"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text('timezone = "UTC"\n')
        made = f"tests.benchmarks.ledgers {path} {customers}"
        measured(made.split(), "", folder)  # a child's memory is at least its parent's
    (folder / "nothing.py").write_text("pass\n")
    bare_s = bare_sum_s(path)
    start = cheapest("nothing", folder, repeats)
    print(f"\n{customers:,} customers; one SELECT sum(...) takes {bare_s:.3f} s of CPU")
    print(f"{'':28}   wall s   CPU s      MB   × the sum   × python -m nothing")
    for name, words in REPORTS.items():
        if customers > 10_000 and "xlsx" in words:
            continue
        form = "" if "--format" in words else "--format json"
        took = cheapest(f"connector {words} {form}", folder, repeats)
        print(
            f"{name:28} {took.wall_s:8.3f} {took.cpu_s:7.3f} {took.peak_mb:7.0f}"
            f" {took.cpu_s / bare_s:11.1f} {took.cpu_s / start.cpu_s:21.1f}",
            flush=True,
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--small", action="store_true", help="1,000 customers alone, once"
    )
    options.add_argument(
        "--million", action="store_true", help="a million customers too"
    )
    options.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the ledgers there"
    )
    given = options.parse_args(sys.argv[1:])
    sizes = [10_000, 100_000, *([1_000_000] if given.million else [])]
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        for customers in [1_000] if given.small else sizes:
            repeats = 1 if given.small or customers > 100_000 else REPEATS
            show(customers, folder / str(customers), repeats)


if __name__ == "__main__":
    main()
