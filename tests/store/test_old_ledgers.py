"""Ledgers that former versions wrote: their closed months are reported as they were."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from connector import __version__
from connector.core.policy import Policy
from connector.metrics.invariants import restated_findings
from connector.reports.closings.closed_months import measured_again
from connector.store.database import transaction
from connector.store.mirror import dirty_customers
from connector.store.months import closings, seals
from connector.store.opening import open_database
from connector.store.schema import MIGRATIONS, statements
from tests.support.books import NOON
from tests.support.ledgers import settle
from tests.support.old_ledgers import LEDGERS, ZONE, as_reported, main
from tests.support.synced import SEEN

OLD = sorted(LEDGERS.glob("*.db"))


@pytest.fixture(params=OLD, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy, opened and brought up to date by this version."""
    copy = tmp_path / "old.db"
    shutil.copy(request.param, copy)
    with closing(open_database(copy)) as connection:
        yield connection


@pytest.fixture
def expected(request: pytest.FixtureRequest) -> Any:
    path = request.node.callspec.params["old"]
    return json.loads(path.with_suffix(".json").read_text())


def holds(told: Any, was: Any) -> bool:
    """Whether all that was told is told again; a later version may tell more."""
    if isinstance(was, dict):
        return all(key in told and holds(told[key], was[key]) for key in was)
    if isinstance(was, list):
        return len(told) == len(was) and all(map(holds, told, was))
    return bool(told == was)


def test_there_is_one_of_every_release() -> None:
    assert __version__ in [path.stem for path in OLD]
    assert max(path.stat().st_size for path in OLD) < 200_000


def test_a_closed_month_is_reported_as_it_was(
    old: sqlite3.Connection, expected: Any
) -> None:
    assert holds(list(as_reported(old)), expected)


def test_and_after_corrections_by_this_version(
    old: sqlite3.Connection, expected: Any
) -> None:
    """Derived anew under another policy, then under the old one."""
    later_s = SEEN + 90 * 86_400
    for policy in (Policy(once_subtracted=True, churn_when_requested=True), Policy()):
        with transaction(old):
            dirty_customers.mark_all(old)
        settle(old, later_s, ZONE, policy)
        assert holds(list(as_reported(old)), expected)


def test_the_figures_are_stored_beside_the_moment(old: sqlite3.Connection) -> None:
    """What was recorded is what the ledger as of then gives."""
    assert len(closings.known(old)) == 3
    assert restated_findings(measured_again(old)) == []


def test_this_version_writes_the_same_figures(tmp_path: Path) -> None:
    """The script that made the newest one still makes it."""
    main(tmp_path)
    newest = f"{__version__}.json"
    told = json.loads((tmp_path / newest).read_text())
    assert holds(told, json.loads((LEDGERS / newest).read_text()))


BEFORE_WITHDRAWALS = """
    INSERT INTO runs VALUES (1, '2024-03-05T00:00:00.000000Z', 'sync', '1', '{}');
    INSERT INTO closings VALUES
        ('2024-02', '2024-03-06T00:00:00.000000Z', 1, NULL, '1', '{}'),
        ('2024-01', '2024-03-07T00:00:00.000000Z', 1, NULL, '1', '{}'),
        ('2023-12', '2024-03-08T00:00:00.000000Z', 1, NULL, '1', '{}');
    INSERT INTO closed_figures VALUES ('2024-01', 'usd', 'month', '2024-01-01',
        '2024-02-01', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
    INSERT INTO closed_rates VALUES ('2024-01', 'eur', '2024-01-31', '11/10');
"""


def chained(before: str, *rows: Sequence[object]) -> str:
    """A seal as it was made before there were reasons and withdrawals."""
    lines = [["sealed before", before], *rows]
    text = "".join(json.dumps(x, separators=(",", ":")) + "\n" for x in lines)
    return sha256(text.encode()).hexdigest()


def test_seals_from_before_withdrawals_hold(tmp_path: Path) -> None:
    """Two months are sealed in the order of closing; the third is, by the next one."""
    path = tmp_path / "old.db"
    with closing(open_database(path, create=True)) as connection:
        names = [*MIGRATIONS]
    run = ["run", 1, "2024-03-05T00:00:00.000000Z", "sync", "1", "{}"]
    february = ["closing", "2024-02", "2024-03-06T00:00:00.000000Z", 1, None, "1", "{}"]
    january = ["closing", "2024-01", "2024-03-07T00:00:00.000000Z", 1, None, "1", "{}"]
    usd = ["figures", "usd", "month", "2024-01-01", "2024-02-01", *range(1, 17)]
    rate = ["rate", "eur", "2024-01-31", "11/10"]
    first = chained("", february, run)
    second = chained(first, january, usd, rate)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        _take_back(connection, names[names.index("m015_withdrawals") :])
        connection.executescript(BEFORE_WITHDRAWALS)
        rows = [(1, "2024-02", "", first), (2, "2024-01", first, second)]
        sealed = "INSERT INTO seals VALUES (?, ?, '2024-03-09', ?, ?)"
        connection.executemany(sealed, rows)
    with closing(open_database(path)) as connection:
        assert list(seals.broken(connection)) == []
        assert seals.unsealed(connection) == 1
        months = [f"{each.month:%Y-%m}" for each in closings.known(connection)]
        assert months == ["2023-12", "2024-01", "2024-02"]
        [(month, kept)] = closings.figures(connection)
        assert (month, kept.measured.waterfall.opening_minor) == (date(2024, 1, 1), 1)
        with transaction(connection):
            seals.seal(connection, NOON)
        assert seals.sealed_months(connection) == ["2024-02", "2024-01", "2023-12"]
        assert list(seals.broken(connection)) == []
        connection.execute("DROP TRIGGER closed_rates_are_never_edited")
        connection.execute("UPDATE closed_rates SET rate = '12/10'")
        assert [each.month for each in seals.broken(connection)] == ["2024-01"]


def _take_back(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    """As a ledger was before these: all is made anew by those that were before them."""
    connection.execute("PRAGMA foreign_keys = OFF")
    kept = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE '%sqlite_%'"
    for kind in ("view", "trigger", "table"):
        for made, name in connection.execute(kept).fetchall():
            if made == kind:
                connection.execute(f"DROP {kind} {name}")
    for name in MIGRATIONS:
        if name not in names:
            for statement in statements(name):
                connection.execute(statement)
    connection.executemany(
        "DELETE FROM _sqlite_migrations WHERE name = ?", [(name,) for name in names]
    )
