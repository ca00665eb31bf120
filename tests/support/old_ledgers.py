"""``python -m tests.support.old_ledgers`` writes fixtures/ledgers/, with its figures.

A small account's ledger as this version writes it: two months closed, corrected by a
changed policy, one more closed, and corrected back. Later versions must open it and
report its closed months as they were. Write one before each release; never write an old
one anew.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from connector import __version__, config
from connector.core.kept.months import Closing
from connector.core.policy import Policy
from connector.core.windows import WindowKind
from connector.render.report.json_form import to_json
from connector.reports.ledger import Ledger
from connector.reports.report import ReportRequest, make_report
from connector.store.months import closings
from connector.store.opening import open_database
from tests.support import books
from tests.support.folders import FIXTURES
from tests.support.ledgers import settle
from tests.support.synced import SEEN, Wire, shop, walk

LEDGERS = FIXTURES / "ledgers"
ZONE = "Europe/Berlin"
DAY_S = 86_400
PAGE_BYTES = 1_024  # a file of few rows in many tables
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def write(connection: sqlite3.Connection) -> None:
    walk(connection, Wire(shop(), SEEN))
    settle(connection, SEEN, ZONE)
    for month in (date(2025, 1, 1), date(2025, 2, 1)):
        close(connection, month, SEEN + DAY_S, Policy())
    ignored = Policy(repeating_subtracted=False)
    settle(connection, SEEN + 2 * DAY_S, ZONE, ignored)
    close(connection, date(2024, 12, 1), SEEN + 3 * DAY_S, ignored)
    settle(connection, SEEN + 4 * DAY_S, ZONE)


def close(
    connection: sqlite3.Connection, month: date, at_s: int, policy: Policy
) -> Closing:
    rules = {**policy.settings(), "timezone": ZONE}
    at = datetime.fromtimestamp(at_s, UTC)
    return books.close(connection, month, rules, at, __version__)


def as_reported(connection: sqlite3.Connection) -> Iterator[Mapping[str, Any]]:
    """What ``report --as-of`` gives for each closing, of each kind of window.

    Without what is published to compare with: that is each version's own.
    """
    settings = config.parse(f'timezone = "{ZONE}"', {})
    for closed in closings.known(connection):
        for kind in WindowKind:
            asked = ReportRequest(
                kind, closed.month, closed.month, as_of=closed.closed_at
            )
            report = to_json(make_report(Ledger(connection, settings, LATER), asked))
            for part in report["currencies"]:
                del part["benchmarks"]
            yield {
                name: report[name]
                for name in ("as_of", "timezone", "policy", "currencies")
            }


def main(folder: Path = LEDGERS) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{__version__}.db"
    path.unlink(missing_ok=True)
    with closing(open_database(":memory:", create=True)) as connection:
        write(connection)
        connection.execute("VACUUM INTO ?", [str(path)])
        told = list(as_reported(connection))
    with closing(sqlite3.connect(path)) as written:
        written.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        written.execute("VACUUM")
    path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
