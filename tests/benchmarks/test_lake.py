"""The benchmarks of engines and of large customers run, and say all that they promise."""

import re
import subprocess
import sys

from tests.benchmarks.measure import ROOT
from tests.support.large_histories import LARGE

ROWS = ("lake on DuckDB", "the same, two processes", "recompute, into SQLite")


def test_each_engine_has_a_row_and_booked_the_same() -> None:
    asked = ["--small", "--without-spark", "--skewed", "500"]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.lake", *asked],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    rows = [
        re.split(r"\s{2,}", line)
        for line in ran.stdout.decode().splitlines()
        if line.startswith(ROWS)
    ]
    assert tuple(row[0] for row in rows) == ROWS
    assert len({row[-1] for row in rows}) == 1
    assert all(float(row[3].replace(",", "")) > 0 for row in rows)


def test_each_kind_of_large_customer_has_three_rows() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.skew", "--lines", "2000"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    rows = [
        re.split(r"\s{2,}", line)
        for line in ran.stdout.decode().splitlines()
        if line.startswith(tuple(LARGE))
    ]
    assert [row[:2] for row in rows] == [
        [name, lines] for name in LARGE for lines in ("20", "200", "2,000")
    ]
    assert all(float(row[3].replace(",", "")) > 0 for row in rows)
