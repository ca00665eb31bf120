"""Coverage is kept with each derivation: once, for everybody, also in old ledgers."""

import shutil
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest

from connector.config import parse
from connector.core.dates import instant
from connector.core.errors import NothingFound
from connector.core.policy import CompanyRule, Policy
from connector.reports.coverage import coverage_report
from connector.reports.ledger import Ledger
from connector.store.ledger import coverage
from connector.store.mirror import walks
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant as instant_of
from tests.billing.outside import Outside
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


def test_who_was_accepted_stays_so_when_merged_and_in_a_company() -> None:
    retained, licensed = (each["id"] for each in agency()["customers"][:2])
    accepts = f'[coverage]\naccepted = ["{licensed}"]\n'
    merges = f'{accepts}[customers]\nmerge = {{{licensed} = "{retained}"}}'
    company = CompanyRule(pairs={licensed: "Ada", retained: "Ada"})
    with empty_ledger() as connection:
        look(connection, agency(), SEEN)
        settle(connection, SEEN, merge={licensed: retained})
        found = Ledger(connection, parse(merges, {}), LATER).outside()
        assert {(x.customer, x.accepted) for x in found} == {(retained, True)}
        settle(connection, SEEN, company=company)
        found = Ledger(connection, parse(accepts, {}), LATER).outside()
        assert {(x.customer, x.reason.value, x.accepted) for x in found} == {
            ("Ada", "manual", False),
            ("Ada", "licence_fee", True),
        }


def test_the_last_invoice_is_the_newest_of_all_of_a_reason() -> None:
    beside = Outside(Account(instant_of("2026-01-01T09:00:00")))
    owner = beside.account.add_customer("Owner")
    beside.account.advance(SEEN)
    kind = "license_fee_subscription_details"
    fee = partial(beside.again, owner, manual=False, parent=kind)
    started, ended = (
        instant_of("2026-02-03T09:00:00"),
        instant_of("2026-03-01T09:00:00"),
    )
    goes_on = instant_of("2026-01-05T09:00:00")
    fee(5_000, started, until=ended, product="prod_ended")
    fee(9_000, goes_on, product="prod_goes_on")
    with empty_ledger() as connection:
        look(connection, beside.snapshot(), SEEN)
        settle(connection, SEEN)
        [found] = coverage.outside_mrr(connection, [])
    assert (found.monthly_minor, found.since) == (9_000, date(2026, 1, 5))
    assert found.last_invoice == beside.invoices[-1].id


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
