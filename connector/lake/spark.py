"""The derivation on a Spark that exists: it sorts, and each of its workers derives.

The session is the caller's, classic or Connect. Workers need Python with msgspec and
pyarrow; this package is sent to them, so that they run the same code.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pyspark.sql import DataFrame, SparkSession

from connector.lake.derive import LakeTask, derived
from connector.lake.parquet import Row
from connector.lake.queries import BLANKS, Dialect
from connector.lake.run import Prepared, fill_with
from connector.lake.tables import DERIVED, WIDE, lake_rows, wide
from connector.lake.workers import in_words, package_sent

if TYPE_CHECKING:
    import pyarrow as pa

_TYPES = {str: "string", int: "bigint"}


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
    with in_words(), package_sent(session):
        fill_with(OnSpark(session), given, draft.absolute())


def derived_frame(rows: DataFrame, task: LakeTask) -> DataFrame:
    """Rows of objects (``LakeRow``) → rows of all tables (``tables.WIDE``)."""

    def work(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        return wide(derived(lake_rows(batches), task))

    columns = ", ".join(
        f"`{name}` {_TYPES.get(of, 'date')}" for name, of in WIDE.items()
    )
    by_owner = rows.repartition("owner").sortWithinPartitions("owner")
    return by_owner.mapInArrow(work, columns)


def _files(folder: Path) -> str:
    literal = re.sub(r"([\\*?{}\[\]])", r"\\\1", str(folder.absolute()))
    return "parquet.`" + literal.replace("`", "``") + "`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _metadata(key: str) -> str:
    every = "from_json(get_json_object(it.body, '$.metadata'), 'map<string, string>')"
    return f"trim(BOTH {_text(BLANKS)} FROM {every}[{_text(key)}])"


class OnSpark(NamedTuple):
    session: SparkSession

    @property
    def dialect(self) -> Dialect:
        return Dialect(_files, "to_json(struct(it.*))", _metadata)

    def ask(self, query: str) -> list[Row]:
        return [tuple(row) for row in self.session.sql(query).collect()]

    def keep(self, query: str, folder: Path) -> None:
        self.session.sql(query).write.parquet(str(folder))

    def derive(self, task: LakeTask, query: str, draft: Path) -> None:
        """Everybody once, with all tables in one; then each table of that."""
        staged = draft / "staged"
        found = derived_frame(self.session.sql(query), task)
        found.write.parquet(str(staged))
        for table, columns in DERIVED.items():
            names = ", ".join(f"`{name}`" for name in columns)
            own = f"SELECT {names} FROM {_files(staged)} WHERE `table` = '{table}'"  # noqa: S608
            self.keep(own, draft / table)
        shutil.rmtree(staged)
