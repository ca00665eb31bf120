"""Random customers with metered items, which come, go and change like any other.

Where metered prices are excluded they are worth nothing, and disturb nobody, in either of
the two valuations; where usage counts, they are worth what the last full period's cost.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.policy import Policy
from tests.billing.account import Account
from tests.billing.calendar_ import DAY
from tests.laws.test_coverage import covered, truth, without_zeros
from tests.laws.test_lives import USUAL_LIVES, ZONES, by_day, closings, the_only
from tests.laws.test_taxed_lives import agrees
from tests.support.ledgers import seen_once
from tests.support.lives import BORN, Life
from tests.support.metered_lives import MeteredLived, metered_lives


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_LIVES, derandomize=not wanted, deadline=None
    )


def lived(life: Life, *, is_watched: bool, usage_counts: bool = False) -> Account:
    account = Account(BORN, usage_counts=usage_counts)
    played = MeteredLived(life.mode, is_watched=is_watched, account=account)
    for act in life.acts:
        played.do(act)
    account.advance(account.now + 40 * DAY)
    return account


def agrees_with_one_look(life: Life, zone: str) -> None:
    account = lived(life, is_watched=False)
    expected = by_day(the_only(account.evidenced_mrr()), zone)
    agrees(account.snapshot(), account.now, zone, expected)


def agrees_with_all_events(life: Life, zone: str) -> None:
    account = lived(life, is_watched=True)
    kept = {"events": [event for _, event in account.events]}
    expected = by_day(the_only(account.true_mrr()), zone)
    agrees(account.snapshot() | kept, account.now, zone, expected)


def usage_is_told(life: Life, zone: str, *, is_watched: bool) -> bool:
    account = lived(life, is_watched=is_watched, usage_counts=True)
    shown, steps = account.snapshot(), account.evidenced_mrr()
    if is_watched:
        shown["events"] = [event for _, event in account.events]
        steps = account.true_mrr()
    known = seen_once(shown, account.now, zone, Policy(metered_invoiced=True))
    return closings(known) == by_day(the_only(steps), zone)


def test_one_look_leaves_what_is_metered_out(trial: settings) -> None:
    @trial
    @given(life=metered_lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        agrees_with_one_look(life, zone)

    holds()


def test_all_events_leave_what_is_metered_out(trial: settings) -> None:
    @trial
    @given(life=metered_lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        agrees_with_all_events(life, zone)

    holds()


def test_usage_counts_as_the_last_full_period_was_billed(trial: settings) -> None:
    @trial
    @given(life=metered_lives, zone=ZONES, is_watched=st.booleans())
    def holds(life: Life, zone: str, *, is_watched: bool) -> None:
        assert usage_is_told(life, zone, is_watched=is_watched)

    holds()


def test_the_classes_of_usage_are_what_the_engine_knows(trial: settings) -> None:
    @trial
    @given(life=metered_lives)
    def holds(life: Life) -> None:
        account = lived(life, is_watched=True)
        kept = {"events": [event for _, event in account.events]}
        wanted: Counter[str] = Counter()
        for invoice in account.invoices.values():
            for line in invoice.lines:
                wanted[truth(line, invoice)] += line.net
        found: Counter[str] = Counter()
        lists = account.snapshot() | kept
        for (_, _, name), minor in covered(lists, account.now, "UTC").items():
            found[name] += minor
        assert without_zeros(found) == without_zeros(wanted)

    holds()
