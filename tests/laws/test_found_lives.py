"""Lives that once were told wrongly, in as few acts as show it, by the law they broke."""

import pytest

from tests.laws.test_lives import (
    act,
    is_told_by_events,
    is_told_by_one_look,
)
from tests.laws.test_policies_of_lives import is_known
from tests.support.lives import Act, Life

BERLIN, AUCKLAND = "Europe/Berlin", "Pacific/Auckland"

ONE_LOOK = {
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
    "paused days after a trial that ended with a void bill": [
        act("come_back", 11, 1),
        act("pause"),
        act("halt", wait_s=2_187_990),
    ],
}

EVENTS = {
    "a pause right at a renewal that another interval left out": [
        act("come_back"),
        act("reprice", 2, 2),
        act("halt", wait_s=2_591_641),
        act("carry_on", wait_s=240),
    ],
    "an item added a month after another interval took the first one's bill": [
        act("come_back"),
        act("reprice", 2, 2),
        act("add", wait_s=2_592_000),
    ],
    "paused days after a trial that ended with a void bill": [
        act("come_back", 11, 1),
        act("pause"),
        act("halt", wait_s=2_187_990),
    ],
}

PAID = {
    "paused hours after a trial of who paid, whose bill was void": [
        act("come_back"),
        *[act("reprice")] * 5,
        act("pause"),
        act("try_again"),
        act("halt", wait_s=883_440),
    ],
}


@pytest.mark.parametrize("acts", ONE_LOOK.values(), ids=ONE_LOOK.keys())
def test_one_look_tells_them(acts: list[Act]) -> None:
    assert is_told_by_one_look(Life("flexible", acts), BERLIN)


@pytest.mark.parametrize("zone", [BERLIN, AUCKLAND])
@pytest.mark.parametrize("acts", EVENTS.values(), ids=EVENTS.keys())
def test_events_tell_them(acts: list[Act], zone: str) -> None:
    assert is_told_by_events(Life("flexible", acts), zone)


@pytest.mark.parametrize("acts", PAID.values(), ids=PAID.keys())
def test_events_tell_them_from_the_first_payment(acts: list[Act]) -> None:
    life = Life("flexible", acts)
    assert is_known(life, BERLIN, from_payment=True, trials_count=False)
