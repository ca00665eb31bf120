"""``python -m tests.benchmarks.lake``: what deriving costs on each engine, in one run.

The same customers as a SQLite ledger, derived by `recompute`, and as a folder of Parquet,
derived by `lake` on DuckDB with one process and with two, and on Spark where there is a
Java runtime. CPU is that of a whole process and all that it has started; memory the
largest sum of what all of them held at one time. The hash is of all movements with their
components and evidence: each engine must give the same. ``--skewed LINES`` has so many of
the lines be one customer's.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from connector.core.dates import iso
from connector.lake import parquet
from connector.lake.tables import DERIVED
from connector.store.database import put_setting, transaction
from connector.store.mirror.event_feed import events_were_read
from connector.store.opening import open_database
from tests.benchmarks.many_customers import NOW_S, fill
from tests.benchmarks.measure import environment, machine
from tests.support.lakes import QUERIES

SPARK = (
    "--master local[2] --driver-memory 1g --conf spark.ui.enabled=false"
    " --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1"
    " --conf spark.ui.showConsoleProgress=false pyspark-shell"
)
TICK = os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
LOOK_S = 0.05


class Spent(NamedTuple):
    wall_s: float
    cpu_s: float
    peak_mb: float


class _Process(NamedTuple):
    parent: int
    cpu_s: float
    mb: float


def watched(words: Sequence[str], folder: Path) -> Spent:
    """Run ``python -m WORDS`` to its end; what it and its descendants took meanwhile."""
    given = {
        **environment(),
        "PYSPARK_SUBMIT_ARGS": SPARK,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    began_s = time.monotonic()
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env=given,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        peak_mb, spent = 0.0, dict[int, float]()
        while process.poll() is None:
            ours = _descendants(process.pid)
            spent |= {key: it.cpu_s for key, it in ours.items()}
            peak_mb = max(peak_mb, sum(it.mb for it in ours.values()))
            time.sleep(LOOK_S)
    assert process.returncode == 0, (folder / "said.txt").read_text()
    return Spent(time.monotonic() - began_s, sum(spent.values()), peak_mb)


def _descendants(root: int) -> dict[int, _Process]:
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            told = (place / "stat").read_text().rpartition(")")[2].split()
            shared = _proportional_mb(place)
        except OSError:
            continue
        cpu_s = (int(told[11]) + int(told[12])) / TICK
        found[int(place.name)] = _Process(int(told[1]), cpu_s, shared)
    ours = {root}
    while more := {k for k, it in found.items() if it.parent in ours} - ours:
        ours |= more
    return {key: found[key] for key in ours if key in found}


def _proportional_mb(place: Path) -> float:
    """Resident memory; what processes share is counted in each."""
    return int((place / "statm").read_text().split()[1]) * PAGE_MB


_LINES = "sum(json_array_length(CAST(body AS TEXT), '$.lines.data'))"


def lay_out(folder: Path, customers: int, skewed: int) -> int:
    """A ledger that waits to be derived; returns its invoice lines.

    So many of them, about, become one customer's: by merging others into it.
    """
    with closing(open_database(folder / "stripe-nrr.db", create=True)) as connection:
        fill(connection, customers)
        with transaction(connection):
            events_were_read(connection, NOW_S * 1_000_000)
            put_setting(connection, "demo_now", iso(NOW_S))
        by_customer = connection.execute(
            f"SELECT customer, {_LINES} FROM stripe_invoices GROUP BY 1 ORDER BY 1"  # noqa: S608
        ).fetchall()
    (last, _), *others = by_customer
    taken, merged = 0, []
    for customer, lines in others:
        if taken < skewed:
            merged.append(f'{customer} = "{last}"')
            taken += lines
    (folder / "config.toml").write_text(
        f'timezone = "Europe/Berlin"\n[customers]\nmerge = {{{", ".join(merged)}}}\n'
    )
    return int(sum(lines for _, lines in by_customer))


def hashed(tables: Iterable[Iterable[tuple[Any, ...]]]) -> str:
    whole = sha256()
    for rows in tables:
        for row in sorted(map(repr, rows)):
            whole.update(row.encode())
    return whole.hexdigest()[:16]


def of_ledger(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return hashed(
            connection.execute(QUERIES[it]).fetchall()
            for it in ("movements", "components")
        )


def of_run(out: Path) -> str:
    [run] = out.glob("run-*")
    tables = ("movements", "components")
    plain = (
        (
            tuple(str(it) if hasattr(it, "isoformat") else it for it in row)
            for row in parquet.read(run / table, DERIVED[table])
        )
        for table in tables
    )
    return hashed(plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--skewed", type=int, default=0, metavar="LINES")
    parser.add_argument("--small", action="store_true", help="200 customers: it works")
    parser.add_argument("--without-spark", action="store_true")
    options = parser.parse_args()
    customers = 200 if options.small else options.customers
    with tempfile.TemporaryDirectory() as temporary:
        has_spark = shutil.which("java") is not None and not options.without_spark
        measure(Path(temporary), customers, options.skewed, has_spark=has_spark)


def measure(folder: Path, customers: int, skewed: int, *, has_spark: bool) -> None:
    lines = lay_out(folder, customers, skewed)
    print(machine())
    print(f"{customers:,} customers, {lines:,} invoice lines")
    print(f"{'':28}{'wall s':>8}{'CPU s':>8}{'lines/CPU s':>13}{'MB':>7}  movements")

    def tell(name: str, spent: Spent, digest: str) -> None:
        rate = lines / spent.cpu_s
        print(
            f"{name:28}{spent.wall_s:8.1f}{spent.cpu_s:8.1f}{rate:13,.0f}"
            f"{spent.peak_mb:7.0f}  {digest}",
            flush=True,
        )

    export = ["connector", "export", "--what", "mirror", "-o", "mirror"]
    tell("export --what mirror", watched(export, folder), "")
    engines = {
        "lake on DuckDB": "lake mirror one",
        "the same, two processes": "lake mirror two --processes 2",
        "lake on Spark, local[2]": "lake mirror spark --engine spark",
    }
    if not has_spark:
        del engines["lake on Spark, local[2]"]
    digests = set()
    for name, words in engines.items():
        spent = watched(["connector", *words.split()], folder)
        digests.add(of_run(folder / words.split()[2]))
        tell(name, spent, of_run(folder / words.split()[2]))
    spent = watched(["connector", "recompute"], folder)
    digests.add(of_ledger(folder / "stripe-nrr.db"))
    tell("recompute, into SQLite", spent, of_ledger(folder / "stripe-nrr.db"))
    assert len(digests) == 1, digests


if __name__ == "__main__":
    main()
