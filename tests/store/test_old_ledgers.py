"""Ledgers that former versions wrote: their closed months are reported as they were."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connector import __version__
from connector.core.policy import Policy
from connector.metrics.invariants import restated_findings
from connector.reports.closed_months import measured_again
from connector.store.database import open_database, transaction
from connector.store.ledger import closings
from connector.store.mirror import dirty_customers
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
