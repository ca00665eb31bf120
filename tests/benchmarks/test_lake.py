"""The benchmark of engines runs, says all that it promises, and each did the same work."""

import re
import subprocess
import sys

from tests.benchmarks.measure import ROOT

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
