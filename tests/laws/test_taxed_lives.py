"""Random customers with tax inside their prices, in the currency of an option.

Registered late, exempted, taxed at another rate, in between all that customers do. The
connector against the billing engine, and its two valuations against each other.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings

from tests.billing.calendar_ import DAY
from tests.laws.test_lives import USUAL_LIVES, ZONES, by_day, closings, the_only
from tests.reports.test_reconcile import beside
from tests.support.ledgers import Snapshot, empty_ledger, look, settle
from tests.support.lives import Life
from tests.support.taxed_lives import TaxedLived, taxed_lives


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_LIVES, derandomize=not wanted, deadline=None
    )


def lived(life: Life, *, is_watched: bool) -> TaxedLived:
    played = TaxedLived(life.mode, is_watched=is_watched)
    for act in life.acts:
        played.do(act)
    played.account.advance(played.account.now + 40 * DAY)
    return played


def agrees(snapshot: Snapshot, at_s: int, zone: str, expected: dict[Any, int]) -> None:
    """The ledger has these closings, and the other valuation its last one."""
    with empty_ledger() as connection:
        look(connection, snapshot, at_s)
        assert closings(settle(connection, at_s, zone)) == expected
        seen_at = datetime.fromtimestamp(at_s, UTC).isoformat()
        seen = {**snapshot, "seen_at": seen_at, "timezone": zone}
        assert [row for row in beside(connection, seen) if row.remainder_minor] == []


def one_look_agrees(life: Life, zone: str) -> None:
    account = lived(life, is_watched=False).account
    expected = by_day(the_only(account.evidenced_mrr()), zone)
    agrees(account.snapshot(), account.now, zone, expected)


def all_events_agree(life: Life, zone: str) -> None:
    account = lived(life, is_watched=True).account
    kept = {"events": [event for _, event in account.events]}
    expected = by_day(the_only(account.true_mrr()), zone)
    agrees(account.snapshot() | kept, account.now, zone, expected)


def test_one_look_tells_the_tax_of_each_time(tries: settings) -> None:
    @tries
    @given(life=taxed_lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        one_look_agrees(life, zone)

    holds()


def test_whoever_kept_every_event_knows_it_too(tries: settings) -> None:
    @tries
    @given(life=taxed_lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        all_events_agree(life, zone)

    holds()
