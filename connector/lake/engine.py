"""What an engine does for a run, and in which order it is asked."""

import shutil
from datetime import date
from pathlib import Path
from typing import Protocol

from connector.core.dates import month_start, months
from connector.core.policy import NO_COMPANIES
from connector.core.windows import WindowKind, windows
from connector.lake import parquet
from connector.lake.derive import LakeTask
from connector.lake.run import Prepared
from connector.lake.sql.dialects import Dialect
from connector.lake.sql.queries import CHAINED, MERGED, PAIRS, LakeQueries, chained
from connector.lake.tables import ASKED, WINDOWS


class Engine(Protocol):
    """Reads Parquet by SQL, sorts it, and writes what is derived of it."""

    @property
    def dialect(self) -> Dialect: ...

    def ask(self, query: str) -> list[parquet.Row]:
        """A few rows."""

    def keep(self, query: str, folder: Path) -> None:
        """Write all that it finds as Parquet into a folder that is not there yet."""

    def derive(self, task: LakeTask, query: str, draft: Path) -> None:
        """Rows of objects, in no order → every derived table of a run."""


def fill_with(engine: Engine, given: Prepared, draft: Path) -> None:
    """Write every table of a run; ``LakeUnusable`` says what could not be read."""
    rules, names = given.task.rules, draft / "names"
    asked = LakeQueries(given.sources, rules.company, engine.dialect, names)
    parquet.write_folder(names / "merged", MERGED, rules.merge.items())
    if asked.accounts is None:
        parquet.write_folder(names / "accounts", MERGED, ())
    else:
        engine.keep(asked.accounts, names / "accounts")
    if rules.company != NO_COMPANIES:
        parquet.write_folder(names / "pairs", PAIRS, rules.company.pairs.items())
        engine.keep(asked.named, names / "named")
        links = engine.ask(asked.links)
        rows = chained(links, given.task.accounts, rules.merge)
        parquet.write_folder(names / "chained", CHAINED, rows)
    engine.derive(given.task, asked.rows, draft)
    [[first]] = engine.ask(asked.first_day(draft))
    parquet.write_folder(names / "asked", ASKED, windows_asked(first, given.last_day))
    figures = engine.ask(asked.windows(draft))
    parquet.write_folder(
        draft / "windows", WINDOWS, ((*row, given.shape) for row in figures)
    )
    shutil.rmtree(names)


def windows_asked(first: date | None, last: date) -> list[parquet.Row]:
    """Every standard window of the months from ``first`` to ``last``, month by month.

    First is the day of the first movement: without one there is nothing to ask for.
    """
    if first is None:
        return []
    since, until = month_start(first), max(month_start(last), month_start(first))
    return [
        (kind.value, start, end, f"{month:%Y-%m}")
        for kind in WindowKind
        for kind, start, end in windows(kind, since, until)
        for month in months(start, end)
    ]
