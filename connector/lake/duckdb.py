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

from connector.core.errors import LakeUnusable
from connector.core.language import message
from connector.lake.derive import LakeTask, derived
from connector.lake.engine import fill_with
from connector.lake.parquet import Row, unreadable
from connector.lake.processes import in_processes
from connector.lake.run import Prepared
from connector.lake.sql.dialects import DUCKDB, Dialect, duckdb_text
from connector.lake.tables import lake_rows, write_tables

MEMORY = "1GB"  # a process's, for sorting; what is more goes to disk
BATCH = 2_000  # rows that are handed over at a time
# A bar of progress would be printed among what is asked for.
_BEGUN = f"""
    SET enable_progress_bar = false;
    SET threads = 1;
    SET memory_limit = '{MEMORY}';
    SET preserve_insertion_order = false;
    CREATE MACRO get_json_object(body, path) AS
        CASE WHEN json_valid(body) THEN json_extract_string(body, path) END
"""


def fill(given: Prepared, processes: int, draft: Path) -> None:
    """Write every table of a run; ``LakeUnusable`` says what could not be read."""
    fill_with(OnDuckDB(draft, processes), given, draft)


class OnDuckDB(NamedTuple):
    """What does not fit into memory is kept in the draft, and then gone."""

    draft: Path
    processes: int
    dialect: Dialect = DUCKDB

    def ask(self, query: str) -> list[Row]:
        with _connected(self.draft) as connection:
            return connection.execute(query).fetchall()

    def keep(self, query: str, folder: Path) -> None:
        folder.mkdir()
        self.ask(f"COPY ({query}) TO {duckdb_text(f'{folder}/part-0.parquet')}")

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
    with (
        TemporaryDirectory(prefix="spill-", dir=draft) as spill,
        in_words(),
        duckdb.connect(config={"temp_directory": spill}) as connection,
    ):
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
