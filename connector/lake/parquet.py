"""Rows of plain values as Parquet, and back; the only place that knows its types."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet

from connector.core.errors import LakeUnusable

Columns = Mapping[str, type]  # str, int or date, by name
Row = tuple[Any, ...]

TYPES = {str: pa.string(), int: pa.int64(), date: pa.date32()}
TOGETHER = 50_000  # rows that are held at a time


def schema_of(columns: Columns) -> pa.Schema:
    return pa.schema([(name, TYPES[of]) for name, of in columns.items()])


@contextmanager
def file_of(
    place: Path | BinaryIO, columns: Columns, together: int = TOGETHER
) -> Iterator[Callable[[Row], None]]:
    """What takes a file's rows, one by one; it holds so many, and is whole at the end."""
    schema, held = schema_of(columns), list[Row]()
    if isinstance(place, Path):
        place.parent.mkdir(exist_ok=True)
    with parquet.ParquetWriter(place, schema, compression="zstd") as writer:

        def put(row: Row) -> None:
            held.append(row)
            if len(held) == together:
                flush()

        def flush() -> None:
            writer.write_batch(batch_of(schema, held))
            held.clear()

        yield put
        if held:
            flush()


def write(
    place: Path | BinaryIO,
    columns: Columns,
    rows: Iterable[Row],
    together: int = TOGETHER,
) -> int:
    """Write all rows, so many at a time; return how many there were."""
    count = 0
    with file_of(place, columns, together) as put:
        for row in rows:
            put(row)
            count += 1
    return count


def batch_of(schema: pa.Schema, rows: list[Row]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(list(column), type=field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def read(folder: Path, names: Iterable[str]) -> Iterator[Row]:
    """These columns of every file in a folder, row by row, in order of the files.

    Raises ``LakeUnusable`` where one is no Parquet, or has no such column.
    """
    wanted = list(names)
    for path in sorted(folder.glob("*.parquet")):
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(columns=wanted):
                    columns = [batch.column(name).to_pylist() for name in wanted]
                    yield from zip(*columns, strict=True)
        except (pa.ArrowException, KeyError, OSError) as error:
            raise unreadable(path, error) from error


def read_named(folder: Path) -> Iterator[dict[str, Any]]:
    """All columns of every file, each row by their names."""
    for path in sorted(folder.glob("*.parquet")):
        try:
            yield from parquet.read_table(path).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, error) from error


def unreadable(place: Path | str, error: Exception) -> LakeUnusable:
    """What an engine says of a file, in one line."""
    said = next(iter(str(error).splitlines()), type(error).__name__)
    return LakeUnusable(
        f"{place} cannot be read: {said}",
        fix="have it written anew, or correct what its manifest.json says of it",
    )
