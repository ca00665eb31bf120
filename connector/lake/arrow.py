"""Batches of Arrow, which engines speak, to and from the plain values of a derivation."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
from pyarrow import parquet as pq

from connector.lake.derive import LakeDerived
from connector.lake.objects import LakeRow
from connector.lake.parquet import Columns, Row, batch_of, schema_of
from connector.lake.tables import DERIVED, rows_of

TOGETHER = 10_000  # rows of a table that are held at a time
ROW = ("owner", "account", "kind", "id", "customer", "at_s", "body")
# Of all tables one beside the other: what a row's table does not have is empty.
WIDE: Columns = {
    "table": str,
    **{name: of for columns in DERIVED.values() for name, of in columns.items()},
}


def lake_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[LakeRow]:
    for batch in batches:
        body = batch.column(ROW.index("body")).cast(pa.binary())
        others = [batch.column(name) for name in ROW[:-1]]
        columns = [column.to_pylist() for column in (*others, body)]
        yield from map(LakeRow._make, zip(*columns, strict=True))


def wide(found: Iterable[LakeDerived]) -> Iterator[pa.RecordBatch]:
    """Every table's rows as rows of one, in the columns of ``WIDE``."""
    schema = schema_of(WIDE)
    names = list(WIDE)
    places = {
        table: [names.index(column) for column in columns]
        for table, columns in DERIVED.items()
    }
    rows: list[Row] = []
    for each in found:
        for table, row in rows_of(each):
            spread: list[object] = [None] * len(names)
            spread[0] = table
            for place, value in zip(places[table], row, strict=True):
                spread[place] = value
            rows.append(tuple(spread))
        if len(rows) >= TOGETHER:
            yield batch_of(schema, rows)
            rows = []
    if rows:
        yield batch_of(schema, rows)


class TableFiles:
    """A file of each table, in its folder, filled row by row; whole once it is closed."""

    def __init__(self, folder: Path, part: str) -> None:
        self._stack = ExitStack()
        self._rows: dict[str, list[Row]] = {table: [] for table in DERIVED}
        self._writers = {}
        for table, columns in DERIVED.items():
            (folder / table).mkdir(exist_ok=True)
            self._writers[table] = self._stack.enter_context(
                pq.ParquetWriter(
                    folder / table / f"{part}.parquet",
                    schema_of(columns),
                    compression="zstd",
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            for table in DERIVED:
                self._flush(table)
        self._stack.close()

    def put(self, found: LakeDerived) -> None:
        for table, row in rows_of(found):
            rows = self._rows[table]
            rows.append(row)
            if len(rows) == TOGETHER:
                self._flush(table)

    def _flush(self, table: str) -> None:
        if rows := self._rows[table]:
            self._writers[table].write_batch(batch_of(schema_of(DERIVED[table]), rows))
            self._rows[table] = []
