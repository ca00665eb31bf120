"""Spark gives the rows that DuckDB gives, which are SQLite's; one session, one job each.

Needs a Java runtime: without one these tests say so and are skipped, but with CI=true.
"""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from connector.core.dates import instant
from connector.core.errors import LakeUnusable
from connector.core.policy import Rules
from connector.lake import duckdb, parquet
from connector.lake.run import Prepared, newest, prepared, write_run
from connector.lake.source import COLUMNS, sources_in
from connector.lake.tables import FIGURES
from tests.lake import test_companies, test_flat
from tests.lake.test_companies import Grouped, apart, grouped
from tests.lake.test_conformance import Both, both, made
from tests.support.broken_lakes import RULES, lay_out
from tests.support.lakes import rows_of, told_by_lives, write_whole

pyspark = pytest.importorskip("pyspark.sql")
from pyspark.sql import SparkSession  # noqa: E402

from connector.lake import spark  # noqa: E402

has_java = "JAVA_HOME" in os.environ or shutil.which("java") is not None
pytestmark = [
    pytest.mark.skipif(
        not has_java and os.environ.get("CI") != "true",
        reason="there is no Java runtime: apt-get install default-jre-headless",
    ),
    # Spark's gateway to Java leaves its files to the end of the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pyspark"),
    pytest.mark.filterwarnings("ignore::FutureWarning:pyspark"),
]
__all__ = ["apart", "both", "grouped", "made"]  # the fixtures


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A small Spark in this machine's loopback, which writes nowhere else."""
    folder = tmp_path_factory.mktemp("spark")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "3",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
    }
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def run(session: SparkSession, folder: Path, out: Path, rules: Rules = RULES) -> Path:
    given = prepared(sources_in(folder), rules)
    return write_run(
        out, given, "spark", instant(0), partial(spark.fill, session, given)
    )


def test_spark_derives_what_sqlite_and_duckdb_do(
    both: Both, made: Path, session: SparkSession, tmp_path: Path
) -> None:
    place = run(session, both.folder, tmp_path, both.rules)
    found = rows_of(place)
    for table, rows in both.rows.items():
        assert found[table] == rows, table
    of_windows = [sorted(parquet.read(it / "windows", FIGURES)) for it in (place, made)]
    assert of_windows[0] == of_windows[1]
    _, told = newest(tmp_path)
    assert (told.engine, told.rows["movements"]) == ("spark", len(found["movements"]))
    assert session.catalog.listTables() == []


def test_spark_reads_whole_objects_and_flat_tables_as_duckdb_does(
    session: SparkSession, tmp_path: Path
) -> None:
    """Two accounts in one job."""
    test_flat.lay_out(tmp_path / "both" / "flat")
    told = told_by_lives(10)
    until_s = max(at_s for each in told for _, at_s in each.looks)
    write_whole(told, tmp_path / "both" / "whole", until_s)
    given = prepared(sources_in(tmp_path / "both"), RULES)
    on_duckdb = partial(duckdb.fill, given, 1)
    other = write_run(tmp_path / "duckdb", given, "duckdb", instant(0), on_duckdb)
    place = run(session, tmp_path / "both", tmp_path / "spark")
    assert rows_of(place) == rows_of(other)
    customers = {who for (who,) in parquet.read(place / "movements", ["customer"])}
    assert "cus_1" in customers
    assert len(customers) > 5


def test_companies_and_several_accounts_are_the_ledgers(
    grouped: Grouped, apart: Grouped, session: SparkSession, tmp_path: Path
) -> None:
    def fill(given: Prepared) -> Callable[[Path], None]:
        return partial(spark.fill, session, given)

    test_companies.check_companies(grouped, tmp_path / "grouped", fill)
    test_companies.check_accounts(apart, tmp_path / "apart", fill)


def test_a_file_that_is_no_parquet_fails_the_run_and_leaves_nothing(
    session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = lay_out()
    (folder / "invoices" / "part-0.parquet").write_bytes(b"PAR1 Dear diary PAR1")
    with pytest.raises(LakeUnusable, match="could not derive"):
        run(session, folder, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_worker_that_is_killed_fails_the_run_and_leaves_nothing(
    session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = lay_out()
    body = '{"id": "sub_1", "customer": "cus_1", "status": "active", "currency": "usd"}'
    rows = [(f"sub_{n}", f"cus_{n}", 0, body) for n in range(20_000)]
    parquet.write(folder / "subscriptions" / "part-0.parquet", COLUMNS, rows)
    over = threading.Event()
    killer = threading.Thread(target=_kill_workers, args=(over,))
    killer.start()
    try:
        with pytest.raises(LakeUnusable, match="could not derive"):
            run(session, folder, tmp_path / "out")
    finally:
        over.set()
        killer.join()
    assert list((tmp_path / "out").iterdir()) == []


def _kill_workers(over: threading.Event) -> None:
    """Python processes that this test's own Spark has started."""
    while not over.is_set():
        for worker in _workers():
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(worker, signal.SIGKILL)
        time.sleep(0.02)


def _workers() -> list[int]:
    """The daemons' children: descendants of this process that run a worker of Spark."""
    parents: dict[int, int] = {}
    told: dict[int, bytes] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int(
                (place / "stat").read_text().rpartition(")")[2].split()[1]
            )
            told[int(place.name)] = (place / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue

    def is_ours(process: int) -> bool:
        while process in parents:
            if process == os.getpid():
                return True
            process = parents[process]
        return False

    daemons = {p for p, line in told.items() if b"pyspark.daemon" in line}
    return [p for p in daemons if parents.get(p) in daemons and is_ours(p)]
