"""Coverage is kept with each derivation: once, for everybody, also in old ledgers."""

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connector.config import parse
from connector.core.dates import instant
from connector.core.errors import NothingFound
from connector.core.policy import Policy
from connector.reports.coverage import coverage_report
from connector.reports.ledger import Ledger
from connector.store.ledger import coverage
from connector.store.mirror import walks
from connector.store.opening import open_database
from tests.support.ledgers import empty_ledger, look, settle
from tests.support.old_ledgers import LEDGERS
from tests.support.outside import SEEN, agency
from tests.support.synced import Wire, shop, walk

LATER = datetime(2027, 1, 1, tzinfo=UTC)


def test_a_policy_and_back_is_as_before() -> None:
    with empty_ledger() as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN)
        before = coverage.sums(connection)
        outside = coverage.outside_mrr(connection, [])
        settle(connection, SEEN, policy=Policy(invoiced_by_period=True))
        assert coverage.outside_mrr(connection, []) == []
        assert sum(coverage.sums(connection).values()) == sum(before.values())
        settle(connection, SEEN)
        assert coverage.sums(connection) == before
        assert coverage.outside_mrr(connection, []) == outside


def test_a_merged_customer_is_invoiced_once() -> None:
    licensed, retained = (each["id"] for each in agency()["customers"][1::-1])
    with empty_ledger() as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN)
        before = coverage.sums(connection)
        settle(connection, SEEN, merge={licensed: retained})
        assert coverage.sums(connection) == before
        assert {x.customer for x in coverage.outside_mrr(connection, [])} == {retained}


def test_a_retainer_that_is_not_billed_any_more_ceases_by_itself() -> None:
    with empty_ledger() as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN)
        settle(connection, SEEN + 90 * 86_400)
        found = coverage.outside_mrr(connection, [])
        assert [(x.reason.value, x.monthly_minor) for x in found] == [
            ("licence_fee", 0)
        ]


@pytest.mark.parametrize("path", sorted(LEDGERS.glob("*.db")), ids=lambda p: p.stem)
def test_an_old_ledger_tells_once_it_is_derived(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "old.db"
    shutil.copy(path, copy)
    with closing(open_database(copy)) as connection:
        ledger = Ledger(connection, parse('timezone = "Europe/Berlin"', {}), LATER)
        with pytest.raises(NothingFound):
            coverage_report(ledger)
        settle(connection, int(LATER.timestamp()), "Europe/Berlin")
        found = coverage_report(ledger)
        assert found.lacks_texts
        assert all(each.not_counted == [] for each in found.currencies)
        assert coverage.sums(connection)


def test_a_full_walk_brings_what_manual_lines_lack() -> None:
    with empty_ledger() as connection:
        assert not walks.lines_are_whole(connection)
        walk(connection, Wire(shop(), SEEN))
        assert walks.lines_are_whole(connection)


def test_the_moment_is_the_ledger_s_own() -> None:
    """What was derived is told, however late it is read."""
    with empty_ledger() as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN)
        for now in (instant(SEEN), LATER):
            found = coverage_report(Ledger(connection, parse("", {}), now))
            [usd] = found.currencies
            assert sum(each.monthly_minor for each in usd.not_counted) == 98_000
