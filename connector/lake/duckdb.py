"""The derivation on one machine: DuckDB sorts, each process derives its share.

A share is the owners whose hash falls to it, so nothing is handed from one process to
another, and one customer is never in two.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb

from connector.core.language import message
from connector.lake import windows
from connector.lake.arrow import TableFiles, lake_rows
from connector.lake.derive import derived
from connector.lake.objects import LakeRow
from connector.lake.parquet import unreadable
from connector.lake.processes import in_processes
from connector.lake.queries import rows_query, windows_query
from connector.lake.run import Prepared, write_windows

MEMORY = "1GB"  # a process's, for sorting; what is more goes to disk
BATCH = 2_000  # rows that are handed over at a time

_WITH_JSON = """
    CREATE MACRO get_json_object(body, path) AS
        CASE WHEN json_valid(body) THEN json_extract_string(body, path) END
"""


class _Share(NamedTuple):
    number: int
    of: int


def fill(given: Prepared, processes: int, draft: Path) -> None:
    """Write every table of a run; ``LakeUnusable`` says what could not be read."""
    shares = [_Share(n, processes) for n in range(processes)]
    work = partial(_derive, given, draft)
    if processes == 1:
        work(shares[0])
    else:
        in_processes(work, shares)
    write_windows(draft, _windows(given, draft), given)


def _derive(given: Prepared, draft: Path, share: _Share) -> None:
    """One share's rows of every table."""
    with TableFiles(draft, f"part-{share.number}") as files:
        for each in derived(_rows(given, draft, share), given.task):
            files.put(each)


def _rows(given: Prepared, draft: Path, share: _Share) -> Iterator[LakeRow]:
    with _connected(draft) as connection:
        connection.execute(_WITH_JSON)
        connection.execute("CREATE TABLE merged (former VARCHAR, survivor VARCHAR)")
        for pair in given.task.rules.merge.items():
            connection.execute("INSERT INTO merged VALUES (?, ?)", pair)

        def named(account: int, kind: str) -> str:
            return _parquet(given.sources[account].files(kind))

        rows = rows_query(given.sources, named, "CAST(to_json(it) AS VARCHAR)")
        query = (
            f"SELECT * FROM ({rows})"  # noqa: S608
            f" WHERE hash(owner) % {share.of} = {share.number} ORDER BY owner"
        )
        yield from lake_rows(connection.sql(query).to_arrow_reader(BATCH))


def _windows(given: Prepared, draft: Path) -> list[tuple[object, ...]]:
    with _connected(draft) as connection:
        for table in ("movements", "terms"):
            files = _parquet(f"{draft / table}/*.parquet")
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM {files}")  # noqa: S608
        first = connection.execute("SELECT min(day) FROM movements").fetchall()[0][0]
        connection.execute(
            "CREATE TABLE asked (kind VARCHAR, first_day DATE, end_day DATE,"
            " month VARCHAR)"
        )
        if asked := windows.asked(first, given.last_day):
            connection.executemany("INSERT INTO asked VALUES (?, ?, ?, ?)", asked)
        return connection.execute(windows_query()).fetchall()


@contextmanager
def _connected(draft: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """What does not fit into memory is kept beside what is written, and then gone."""
    with TemporaryDirectory(prefix="spill-", dir=draft) as spill:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": "1",
            "memory_limit": MEMORY,
            "temp_directory": spill,
            "preserve_insertion_order": "false",
        }
        try:
            with duckdb.connect(config=settings) as connection:
                yield connection
        except duckdb.Error as error:
            raise unreadable(message("the source"), error) from error


def _parquet(files: str) -> str:
    escaped = files.replace("'", "''")
    return f"read_parquet('{escaped}')"
