"""Spark Connect gives the rows that DuckDB gives, through a server started here.

In a process of its own: one that has a classic session cannot have another kind. Needs a
Java runtime, and grpc, which pyspark[connect] brings; with CI=true it must be there.
"""

import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from connector.core.dates import instant
from connector.lake import duckdb, parquet
from connector.lake.run import newest, prepared, write_run
from connector.lake.source import sources_in
from connector.lake.tables import FIGURES
from tests.lake.test_spark import has_java
from tests.support.broken_lakes import RULES
from tests.support.folders import ROOT
from tests.support.lakes import rows_of, told_by_lives, write_whole

pytestmark = pytest.mark.skipif(
    not (has_java and find_spec("grpc")) and os.environ.get("CI") != "true",
    reason="there is no Java runtime, or no grpc: pip install 'pyspark[connect]'",
)
LOOPBACK = (
    "--master local[2] --driver-memory 1g --conf spark.ui.enabled=false"
    " --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1"
    " --conf spark.connect.grpc.binding.address=127.0.0.1"
    " --conf spark.sql.shuffle.partitions=3 pyspark-shell"
)
DERIVE = """
import sys
from functools import partial
from pathlib import Path

from pyspark.sql import SparkSession

from connector.core.dates import instant
from connector.lake import spark
from connector.lake.run import prepared, write_run
from connector.lake.source import sources_in
from tests.support.broken_lakes import RULES

session = SparkSession.builder.remote("local[2]").getOrCreate()
assert "connect" in type(session).__module__
given = prepared(sources_in(Path(sys.argv[1])), RULES)
fill = partial(spark.fill, session, given)
write_run(Path(sys.argv[2]), given, "spark", instant(0), fill)
session.stop()
"""


def test_spark_connect_derives_what_duckdb_does(tmp_path: Path) -> None:
    source = tmp_path / "source"
    told = told_by_lives(10)
    write_whole(told, source, max(at_s for each in told for _, at_s in each.looks))
    given = prepared(sources_in(source), RULES)
    on_duckdb = partial(duckdb.fill, given, 1)
    other = write_run(tmp_path / "duckdb", given, "duckdb", instant(0), on_duckdb)
    settings = {
        "PYSPARK_SUBMIT_ARGS": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", DERIVE, source, tmp_path / "connect"],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    place, _ = newest(tmp_path / "connect")
    assert rows_of(place) == rows_of(other)
    assert len(rows_of(place)["movements"]) > 5
    of_windows = [
        sorted(parquet.read(it / "windows", FIGURES)) for it in (place, other)
    ]
    assert of_windows[0] == of_windows[1]
