"""The derivation on a Spark that exists: it sorts, and each of its workers derives.

The session is the caller's, classic or Connect. Workers need Python with msgspec and
pyarrow; this package is sent to them, so that they run the same code.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zipfile import ZipFile, ZipInfo

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.utils import is_remote

import connector
from connector.core.errors import LakeUnusable
from connector.lake import windows
from connector.lake.arrow import WIDE, lake_rows, wide
from connector.lake.derive import LakeTask, derived
from connector.lake.parquet import Columns
from connector.lake.queries import rows_query, windows_query
from connector.lake.run import Prepared, write_windows
from connector.lake.tables import DERIVED

if TYPE_CHECKING:
    import pyarrow as pa

_TYPES = {str: "string", int: "bigint"}
_SAID = re.compile(r"LakeUnusable: (.+)")


def fill_with_configured(given: Prepared, draft: Path) -> None:
    """Write every table of a run with the session that Spark's configuration gives.

    Its workers run this Python, unless PYSPARK_PYTHON names another.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with in_words():
        session = SparkSession.builder.appName("stripe-nrr lake").getOrCreate()
    try:
        fill(session, given, draft)
    finally:
        session.stop()


def fill(session: SparkSession, given: Prepared, draft: Path) -> None:
    """Write every table of a run; both folders must be where every worker sees them."""
    staged = draft.absolute() / "staged"
    with in_words(), _package_sent(session):
        merged = list(given.task.rules.merge.items())
        pairs = session.createDataFrame(merged, "former string, survivor string")
        with _called(merged=pairs):
            found = derived_frame(session.sql(_rows(given)), given.task)
            found.write.parquet(str(staged))
        for table, columns in DERIVED.items():
            own = session.read.parquet(str(staged)).where(f"`table` = '{table}'")
            own.select(*columns).write.parquet(str(draft.absolute() / table))
        shutil.rmtree(staged)
        write_windows(draft, _windows(session, given, draft.absolute()), given)


def derived_frame(rows: DataFrame, task: LakeTask) -> DataFrame:
    """Rows of objects (``arrow.ROW``) → rows of all tables (``arrow.WIDE``)."""

    def work(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        return wide(derived(lake_rows(batches), task))

    by_owner = rows.repartition("owner").sortWithinPartitions("owner")
    return by_owner.mapInArrow(work, _ddl(WIDE))


def _rows(given: Prepared) -> str:
    def named(account: int, kind: str) -> str:
        escaped = str(given.sources[account].folder.absolute() / kind).replace(
            "`", "``"
        )
        return f"parquet.`{escaped}`"

    return rows_query(given.sources, named, "to_json(struct(it.*))")


def _windows(
    session: SparkSession, given: Prepared, draft: Path
) -> list[tuple[object, ...]]:
    tables = {x: session.read.parquet(str(draft / x)) for x in ("movements", "terms")}
    [[first]] = tables["movements"].selectExpr("min(day)").collect()
    asked = windows.asked(first, given.last_day)
    frame = session.createDataFrame(asked, _ddl(windows.ASKED))
    with _called(**tables, asked=frame):
        return [tuple(row) for row in session.sql(windows_query()).collect()]


@contextmanager
def _called(**frames: DataFrame) -> Iterator[None]:
    """While a query is made and run, frames go by these names.

    Connect looks at a query when it runs it.
    """
    for name, frame in frames.items():
        frame.createOrReplaceTempView(name)
    try:
        yield
    finally:
        for name, frame in frames.items():
            frame.sparkSession.catalog.dropTempView(name)


def _ddl(columns: Columns) -> str:
    return ", ".join(
        f"`{name}` {_TYPES.get(of, 'date')}" for name, of in columns.items()
    )


@contextmanager
def _package_sent(session: SparkSession) -> Iterator[None]:
    """Named for what is in it: a worker that has it already keeps it."""
    package = Path(connector.__file__).parent
    sources = {
        str(path.relative_to(package.parent)): path.read_bytes()
        for path in sorted(package.rglob("*"))
        if path.suffix in (".py", ".sql")
    }
    name = sha256(b"".join(sources.values())).hexdigest()[:16]
    with TemporaryDirectory(prefix="stripe-nrr-lake-") as folder:
        place = f"{folder}/connector-{name}.zip"
        with ZipFile(place, "w") as zipped:
            for inside, content in sources.items():
                zipped.writestr(ZipInfo(inside), content)
        if is_remote():
            session.addArtifacts(place, pyfile=True)
        else:
            session.sparkContext.addPyFile(place)
        yield


@contextmanager
def in_words() -> Iterator[None]:
    """What a worker or Spark says, in one line; its own log has the rest."""
    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = str(error)
        found = _SAID.search(text)
        said = found[1] if found is not None else next(iter(text.splitlines()), "")
        raise LakeUnusable(
            f"Spark could not derive it: {said}",
            fix="what Spark has logged says more, such as that it found no Java 17 or "
            "newer; nothing of this run was kept",
        ) from error
