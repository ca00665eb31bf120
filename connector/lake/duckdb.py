"""The derivation on one machine: DuckDB sorts, each process derives its share.

A share is the owners whose hash falls to it, so nothing is handed from one process to
another, and one customer is never in two.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb

from connector.core.errors import LakeUnusable
from connector.core.language import message
from connector.lake.derive import LakeTask, derived
from connector.lake.parquet import Row, unreadable
from connector.lake.processes import in_processes
from connector.lake.queries import BLANKS, Dialect
from connector.lake.run import Prepared, fill_with
from connector.lake.tables import lake_rows, write_tables

MEMORY = "1GB"  # a process's, for sorting; what is more goes to disk
BATCH = 2_000  # rows that are handed over at a time
Setting = str | bool | int | float | list[str]
SETTINGS: Mapping[str, Setting] = {
    "threads": "1",
    "memory_limit": MEMORY,
    "preserve_insertion_order": "false",
}
# A bar of progress would be printed among what is asked for.
_BEGUN = """
    SET enable_progress_bar = false;
    CREATE MACRO get_json_object(body, path) AS
        CASE WHEN json_valid(body) THEN json_extract_string(body, path) END
"""


def fill(given: Prepared, processes: int, draft: Path) -> None:
    """Write every table of a run; ``LakeUnusable`` says what could not be read."""
    fill_with(OnDuckDB(draft, processes), given, draft)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _files(folder: Path) -> str:
    literal = re.sub(r"([*?[])", r"[\1]", str(folder))
    return f"read_parquet({_text(f'{literal}/*.parquet')})"


def _metadata(key: str) -> str:
    pointer = "/metadata/" + key.replace("~", "~0").replace("/", "~1")
    return f"trim(get_json_object(it.body, {_text(pointer)}), {_text(BLANKS)})"


class OnDuckDB(NamedTuple):
    """What does not fit into memory is kept in the draft, and then gone."""

    draft: Path
    processes: int

    @property
    def dialect(self) -> Dialect:
        return Dialect(_files, "CAST(to_json(it) AS VARCHAR)", _metadata)

    def ask(self, query: str) -> list[Row]:
        with _connected(self.draft) as connection:
            return connection.execute(query).fetchall()

    def keep(self, query: str, folder: Path) -> None:
        folder.mkdir()
        self.ask(f"COPY ({query}) TO {_text(f'{folder}/part-0.parquet')}")

    def derive(self, task: LakeTask, query: str, draft: Path) -> None:
        work = partial(_derive_share, task, query, draft, self.processes)
        if self.processes == 1:
            work(0)
        else:
            in_processes(work, range(self.processes))


def _derive_share(
    task: LakeTask, query: str, draft: Path, processes: int, share: int
) -> None:
    """The customers of one share, into a file of every table."""
    own = f"WHERE hash(owner) % {processes} = {share} ORDER BY owner"
    with _connected(draft) as connection:
        found = connection.sql(f"SELECT * FROM ({query}) {own}")  # noqa: S608
        rows = lake_rows(found.to_arrow_reader(BATCH))
        write_tables(draft, f"part-{share}", derived(rows, task))


@contextmanager
def _connected(draft: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with TemporaryDirectory(prefix="spill-", dir=draft) as spill, in_words():
        settings = {**SETTINGS, "temp_directory": spill}
        with duckdb.connect(config=settings) as connection:
            connection.execute(_BEGUN)
            yield connection


@contextmanager
def in_words() -> Iterator[None]:
    """What DuckDB says, in one line."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        said = next(iter(str(error).splitlines()), "")
        raise LakeUnusable(
            f"DuckDB has no room to sort: {said}",
            fix="free memory, or space on the disk of OUT, where it keeps what does not "
            "fit; nothing of this run was kept",
        ) from error
    except duckdb.Error as error:
        raise unreadable(message("the source"), error) from error
