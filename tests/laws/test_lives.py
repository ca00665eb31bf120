"""Random customers: the connector against the billing engine, day by day.

``--lives N`` tries N new lives for each law; without it the same lives are tried always.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.dates import local_day
from tests.billing.calendar_ import DAY
from tests.billing.truth import Step
from tests.support.ledgers import Known, seen_once
from tests.support.lives import Act, Life, Lived, lives

USUAL_LIVES = 250  # of each law: together some seven seconds
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Auckland"])


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_LIVES, derandomize=not wanted, deadline=None
    )


def lived(life: Life, *, is_watched: bool = False) -> Lived:
    """The life, and 40 quiet days after it, so that events alone prove little."""
    played = Lived(life.mode, is_watched=is_watched)
    for act in life.acts:
        played.do(act)
    played.account.advance(played.account.now + 40 * DAY)
    return played


def by_day(steps: Iterable[Step], zone: str) -> dict[date, int]:
    """The MRR at the end of each day on which it is another than the day before."""
    closing: dict[date, int] = {}
    for step in steps:
        closing[local_day(step.at, ZoneInfo(zone))] = step.mrr_minor
    changed, before = {}, 0
    for day, mrr_minor in closing.items():
        if mrr_minor != before:
            changed[day] = mrr_minor
        before = mrr_minor
    return changed


def closings(known: Known) -> dict[date, int]:
    assert not known.refusals
    return {movement.day: movement.after_minor for movement in known.movements}


def the_only(grains: dict[tuple[str, str], list[Step]]) -> list[Step]:
    [steps] = grains.values()
    return steps


def test_one_look_tells_all_that_stripe_still_shows(trial: settings) -> None:
    """No event older than 30 days, no earlier look: lines, pending items and dates."""

    @trial
    @given(life=lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        account = lived(life).account
        known = seen_once(account.snapshot(), account.now, zone)
        assert closings(known) == by_day(the_only(account.evidenced_mrr()), zone)

    holds()


def act(what: str, *numbers: int, wait_s: int = 120) -> Act:
    one, two, three = (*numbers, 0, 0, 0)[:3]
    return Act(wait_s=wait_s, what=what, one=one, two=two, three=three)


# Lives that once were told wrongly, in as few acts as show it.
FOUND = {
    "three tiers, billed for a shortened last period": [
        act("come_back", 6, 11),
        act("reprice", 1),
        act("reprice", 1),
        act("cancel_on_a_day", 6, wait_s=1_285_715),
        act("reprice", 1, wait_s=2_947_646),
    ],
    "a change that only a void renewal bills": [
        act("come_back"),
        act("reprice"),
        act("reprice"),
        act("reprice"),
        act("reprice", 0, 0, 1),
        act("resize", 0, 0, 2),
        act("pause"),
    ],
}


@pytest.mark.parametrize("acts", FOUND.values(), ids=FOUND.keys())
def test_what_random_lives_found_stays_right(acts: list[Act]) -> None:
    account = lived(Life("flexible", acts)).account
    known = seen_once(account.snapshot(), account.now, "Europe/Berlin")
    evidenced = the_only(account.evidenced_mrr())
    assert closings(known) == by_day(evidenced, "Europe/Berlin")


def test_discounts_apply_in_the_order_in_which_they_stood() -> None:
    """10% and then $3.00, of which the first has run out by the last look."""
    acts = [
        act("come_back"),
        act("undiscount"),
        act("discount", 1, 2),
        act("reprice", wait_s=1_900_800),
        act("discount", 4, wait_s=2_419_200),
    ]
    account = lived(Life("flexible", acts), is_watched=True).account
    kept: dict[str, Any] = {"events": [event for _, event in account.events]}
    known = seen_once(account.snapshot() | kept, account.now, "Europe/Berlin")
    assert [m.after_minor for m in known.movements] == [900, 600, 700]


def test_whoever_kept_every_event_knows_the_truth(trial: settings) -> None:
    """Every change on the day on which it was made, also where no invoice shows it."""

    @trial
    @given(life=lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        account = lived(life, is_watched=True).account
        kept: dict[str, Any] = {"events": [event for _, event in account.events]}
        known = seen_once(account.snapshot() | kept, account.now, zone)
        assert closings(known) == by_day(the_only(account.true_mrr()), zone)

    holds()
