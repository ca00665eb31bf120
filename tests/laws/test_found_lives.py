"""Lives that once were told wrongly, in as few acts as show it, by the law they broke."""

import pytest

from tests.laws.test_lives import (
    act,
    is_told_by_events,
    is_told_by_one_look,
    is_told_with_once_coupons,
)
from tests.laws.test_metered_lives import (
    agrees_with_all_events,
    agrees_with_one_look,
    usage_is_told,
)
from tests.laws.test_policies_of_lives import is_known
from tests.laws.test_taxed_lives import all_events_agree, one_look_agrees
from tests.support.lives import MODES, Act, Life

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
    "less than half a cent credited for an item that is gone": [
        act("come_back", 2, 7),
        act("remove", 1, wait_s=5_060_052),
    ],
    "the same of one that waited for its first bill": [
        act("come_back"),
        act("reprice"),
        act("reprice"),
        act("reprice", 0, 2),
        act("add"),
        act("remove", 1, wait_s=2_502_615),
    ],
    "cancelled while paused, and with it a move to a yearly price that waited": [
        act("come_back"),
        act("try_again", wait_s=360),
        act("reprice", 0, 2, wait_s=8_530_798),
        act("halt"),
        act("cancel_now", wait_s=109_083),
    ],
    "paused with a credit, an item added without prorations beside it": [
        act("come_back"),
        act("add", 0, 0, 2),
        act("halt", 0, 2),
        act("carry_on", wait_s=506_440),
    ],
    "removed for an item that went itself before any bill showed it": [
        act("come_back", 0, 3),
        act("remove", 0, 8),
        act("add", 0, 0, 2),
        act("remove", 1),
    ],
    "the same, and beside it a move to another interval, invoiced at once": [
        act("come_back", 0, 3),
        act("remove", 0, 8),
        act("add", 0, 0, 2),
        act("reprice"),
        act("remove", 1),
    ],
    "a free price credited for a pause of a day, an unbilled item beside it": [
        act("come_back", 8),
        act("add", 0, 0, 2),
        act("halt", 0, 8),
        act("carry_on", wait_s=86_401),
    ],
    "moved to a month after a bill of two, paused until it ended": [
        act("come_back", 5),
        act("reprice", 2),
        act("cancel_on_a_day", 7),
        act("halt"),
    ],
    "left by the month beside it, and moved itself to a month without prorations": [
        act("come_back", 4),
        act("add", wait_s=311_434),
        act("reprice", 1),
        act("reprice", 8),
        act("remove", 1, wait_s=296_848),
        act("reprice", wait_s=1_036_800),
    ],
    "moved to a month without prorations, and credited a day after its last week": [
        act("come_back", 4),
        act("reprice", 8),
        act("add", wait_s=691_081),
        act("remove"),
    ],
    "moved to a month without prorations, and gone after the month was billed": [
        act("come_back", 4),
        act("reprice", 8),
        act("add", wait_s=769_131),
        act("remove", wait_s=1_736_349),
    ],
    "moved to two months in a second one, paused until it ended": [
        act("come_back"),
        act("reprice", 2, 5, wait_s=3_456_000),
        act("cancel_on_a_day", 4),
        act("halt"),
    ],
    "moved to a week after a bill of a month, paused until it ended": [
        act("come_back"),
        act("reprice", 2, 4),
        act("cancel_on_a_day", 4),
        act("halt"),
    ],
    "the same, and ended before a week that may have begun at the last moment": [
        act("come_back"),
        act("reprice", 2, 4),
        act("cancel_on_a_day", 3, wait_s=432_000),
        act("halt"),
    ],
}

TAXED_ONE_LOOK = {
    "an item added a month after another interval took the first one's bill": [
        act("come_back"),
        act("reprice", wait_s=11_616_295),
        act("reprice", 2, 2),
        act("add", wait_s=1_516_386),
    ],
    "removed with a credit a day after a renewal that did not bill it": [
        act("come_back"),
        act("reprice", 2, 2),
        act("add", wait_s=864_000),
        act("remove", wait_s=1_773_356),
    ],
    "an item that left at an interval which no bill shows": [
        act("come_back", 0, 3),
        act("reprice", 5, 2),
        act("remove", 1, 2),
        act("remove", wait_s=2_592_000),
    ],
    "a month cut short by an end that was put off, begun in an unpaid week": [
        act("come_back", 3),
        act("cancel_on_a_day"),
        act("reprice", 2),
        act("cancel_on_a_day", 1),
    ],
}

EVENTS = {
    "free for a year beside a month, and 20% once given before that ran out": [
        act("come_back", 0, 3, 3),
        act("reprice"),
        act("discount", 2, wait_s=2_505_480),
    ],
    "cents, billed for the hours that an agreed end leaves of the month": [
        act("come_back"),
        act("add", 0, 7, wait_s=360),
        act("cancel_on_a_day", 7, wait_s=4_874_274),
        act("reprice", wait_s=2_037_366),
    ],
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
    "an amount off that ran out, named on a free monthly seat beside a year": [
        act("come_back"),
        act("add", 0, 8, wait_s=7_646),
        act("change_plan", 0, 0, 5),
        act("reprice", 0, 2, wait_s=10_360_114),
        act("resize", 1, 1),
    ],
    "moved for a day from a year that a coupon made free": [
        act("come_back", 2, 0, 3),
        act("reprice", wait_s=6_370_695),
        act("cancel_now", wait_s=86_400),
    ],
    "cancelled before the change was billed that a coupon reduced": [
        act("come_back", 0, 0, 1),
        act("reprice", 0, 2, wait_s=1_544_226),
        act("cancel_now", wait_s=6_369_906),
    ],
}

ONCE_COUPONS = {
    "20% for one bill, half for ever two minutes later": [
        act("come_back", 0, 0, 2),
        act("discount"),
    ],
    "a free price, and back to the one that the coupon reduced": [
        act("come_back", 0, 0, 2),
        act("reprice", 0, 8),
        act("reprice"),
    ],
    "paused without a credit, and billed in full for the rest": [
        act("come_back", 0, 0, 2),
        act("halt"),
        act("carry_on", 1),
    ],
    "free for a year, and resized as the coupon runs out": [
        act("come_back", 11, 1),
        act("swap", 3, 1, wait_s=360),
        act("resize", wait_s=5_097_600),
    ],
    "free for a year, and moved to another price after the coupon ran out": [
        act("come_back", 2, 0, 3),
        act("reprice", 0, 3, wait_s=5_270_400),
    ],
    "a year for free that waited, dropped by a cancellation which credits it": [
        act("come_back"),
        act("swap", 3),
        act("reprice", 0, 2),
        act("cancel_now", 11, wait_s=16_959_559),
    ],
}

TAXED_EVENTS = {
    "an item added for free and changed, and a VAT id before either was billed": [
        act("come_back"),
        act("add", 0, 0, 2),
        act("tax", 1),
        act("reprice", 3, 0, 1),
    ],
    "a year that a coupon reduced, changed after that had run out": [
        act("come_back", 2, 0, 1),
        act("discount", 0, 2, wait_s=7_570_252),
        act("change_plan", 0, 0, 2, wait_s=476_858),
    ],
    "an amount off, and one of two months changed after it had run out": [
        act("come_back", 0, 7),
        act("swap", 5),
        act("reprice", 0, 3, wait_s=10_688_434),
    ],
    "an amount off given beside a percentage that runs out": [
        act("come_back", 2, 0, 1),
        act("discount", 4, wait_s=6_016_850),
    ],
    "another coupon given beside one that runs out": [
        act("come_back", 2, 0, 1),
        act("discount", wait_s=4_737_695),
    ],
    "a coupon's last bill seen in its first hour, still a draft": [
        act("come_back"),
        act("discount", 1),
        act("reprice", wait_s=4_320_000),
    ],
    "a coupon that no bill names, and only events show": [
        act("come_back", 2),
        act("discount", 1),
        act("resize", 0, 1, wait_s=240),
        act("resize", wait_s=4_319_760),
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


METERED_ONE_LOOK = {
    "removed in its trial, beside a price that became metered": [
        act("come_back", 11, 3),
        act("reprice", 0, 2),
        act("reprice", 0, 6),
        act("add"),
        act("remove", 11),
        act("remove"),
        act("resume", wait_s=885_717),
    ],
    "removed from beside a year that became metered": [
        act("come_back", 2, 11, 7, wait_s=401_546),
        act("remove", 5, 11, 5, wait_s=11_411),
        act("reprice", 5, 6, 5, wait_s=401_546),
        act("remove", 9, 2, 11, wait_s=31_536_000),
    ],
    "became metered in a trial that ended paused, cancelled days later": [
        act("come_back", 11),
        act("reprice"),
        act("reprice", 0, 6),
        *[act("resize")] * 3,
        act("cancel_on_a_day", 2),
        act("resize", wait_s=344_881),
    ],
    "a week before it became metered without prorations, billed by the month": [
        act("come_back"),
        act("reprice", 0, 4),
        act("reprice", 2, 6),
    ],
    "metered for a day, beside an item that was added and waits for its bill": [
        act("come_back"),
        act("add", 0, 0, 2),
        act("reprice", 0, 2),
        act("reprice", 1),
        act("reprice", wait_s=86_281),
    ],
    "metered for a day, in which another item was added and waits for its bill": [
        act("come_back"),
        act("reprice", 0, 6),
        act("add", 0, 0, 2),
        act("reprice", wait_s=86_281),
    ],
    "a year without prorations, credited a month later, metered for two minutes": [
        act("come_back"),
        act("reprice", 8, 3, wait_s=240),
        act("reprice", 0, 6, wait_s=2_591_641),
        act("reprice"),
    ],
    "metered without prorations, removed, then another one moved to a week": [
        act("come_back", 0, 7),
        act("reprice", 8, 9),
        act("remove", 0, 2),
        act("reprice", 4, 4, 1),
        act("halt", 10, 3, wait_s=2_592_000),
    ],
    "metered in a trial of who paid, in advance for minutes a month later": [
        act("come_back"),
        act("try_again"),
        act("reprice", 0, 8),
        act("reprice", wait_s=2_678_400),
        act("reprice", 0, 8),
    ],
    "metered by the end of a pause that billed the items beside it": [
        act("come_back"),
        act("add", 0, 6),
        act("halt", 0, 8),
        act("carry_on", wait_s=1_640_680),
        act("add"),
        act("reprice", 4),
    ],
    "the same, resumed for the rest of a period": [
        act("come_back"),
        act("add", 0, 6),
        act("halt", 0, 8),
        act("carry_on", 1, wait_s=2_640_680),
        act("add"),
        act("reprice", 4),
    ],
    "gone before a pause, whose end billed the rest of a period of the other": [
        act("come_back", 0, 3),
        act("remove", 0, 8),
        act("halt", 0, 5),
        act("carry_on", 3, wait_s=11_863_923),
    ],
    "metered after a week, in advance by the month three weeks later": [
        act("come_back", 4, 9),
        act("reprice", 11, 8, wait_s=1_733),
        act("reprice", 0, 0, 1, wait_s=2_419_200),
    ],
}

METERED_EVENTS = {
    "free for a year, taken back for usage, at a monthly fee when the coupon is over": [
        act("come_back", 2, 0, 3),
        act("reprice", 0, 6),
        act("use", wait_s=2_791_677),
        act("reprice", 2, wait_s=2_305_803),
    ],
    "added for a year for nothing, and removed before its bill without prorations": [
        act("come_back"),
        act("come_back", 0, 0, 3),
        act("add", 0, 3, 3),
        act("remove", 11, 8, 7, wait_s=6_711_631),
    ],
    "metered since an event of its first month of usage, and credited for a year": [
        act("come_back"),
        act("reprice"),
        act("reprice", wait_s=554_555),
        act("reprice", 2, 2),
        act("reprice", 0, 6, wait_s=1_971_085),
    ],
    "calls of minutes, billed a month later when a coupon had run out": [
        act("come_back", 0, 0, 1),
        act("reprice"),
        act("reprice", wait_s=1_048_576),
        act("reprice", wait_s=3_929_485),
        act("reprice", 0, 6),
        act("resize"),
        act("use", wait_s=119_179),
        act("reprice"),
    ],
}

USAGE = {
    "calls until days after their bill, then a fee": [
        act("come_back"),
        act("reprice", 0, 7),
        act("use"),
        act("reprice", wait_s=2_601_744),
    ],
    "calls, a fee for two months, calls again": [
        act("come_back", 1, 0, 1, wait_s=10_799),
        act("reprice", 7, 7, wait_s=8_078),
        act("use", 0, 11, wait_s=827_898),
        act("reprice", 1, 3, wait_s=2_601_744),
        act("reprice", 3, 7, wait_s=5_011_200),
    ],
    "metered in a trial, in advance for an hour days after it": [
        act("come_back", 11),
        act("carry_on", 1, wait_s=2_208_046),
        act("reprice", 0, 6),
    ],
    "calls that were removed, and others added weeks later": [
        act("come_back", 1, 3),
        act("use", 5, 11, wait_s=524_288),
        act("remove", 5, 7, wait_s=2_929_741),
        act("add", 8, 2, 4, wait_s=1_217_216),
    ],
    "removed before what is metered by now was billed for its first month": [
        act("come_back", 0, 3),
        act("remove", 0, 2),
        act("reprice", 0, 8, wait_s=2_542_993),
    ],
    "added free in a trial of who paid, at a fee days after it": [
        act("come_back"),
        act("add", 0, 9),
        act("try_again"),
        act("reprice", 9, wait_s=2_333_912),
    ],
    "used, then without prorations at a fee in the middle of its period": [
        act("come_back"),
        act("add", 0, 7),
        act("use", 1),
        act("reprice", 11),
    ],
    "became metered in a trial that ended paused, cancelled a day later": [
        act("come_back", 11),
        act("reprice"),
        act("reprice", 0, 6),
        act("cancel_now", wait_s=1_295_041),
    ],
    "a week before it became metered without prorations, billed by the month": [
        act("come_back"),
        act("reprice", 0, 4),
        act("reprice", 2, 6),
    ],
    "a fee that became metered, and was removed with no usage": [
        act("come_back"),
        act("reprice"),
        act("reprice", 0, 6),
        act("add", wait_s=2_505_240),
        act("remove"),
    ],
    "a fee that became metered, and was removed days after its usage was billed": [
        act("come_back"),
        act("reprice", 0, 6),
        act("add"),
        act("use", 0, 2),
        act("remove", wait_s=3_456_000),
    ],
    "calls that became a fee, which was removed in its second month": [
        act("come_back", 6),
        act("use", 0, 3),
        act("add"),
        act("reprice", wait_s=3_456_000),
        act("remove", wait_s=1_728_000),
    ],
    "calls of minutes, billed a month later when a coupon was gone": [
        act("come_back", 6),
        act("use"),
        act("reprice"),
        act("undiscount", wait_s=20_040),
    ],
}


def table(found: dict[str, list[Act]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("acts", found.values(), ids=found.keys())


# The laws hold in every mode, in whichever one a life was found.
in_all_modes = pytest.mark.parametrize("mode", MODES)
in_taxed_modes = pytest.mark.parametrize("mode", ["flexible", "classic"])


@in_all_modes
@table(ONE_LOOK)
def test_one_look_tells_them(acts: list[Act], mode: str) -> None:
    assert is_told_by_one_look(Life(mode, acts), BERLIN)


@in_all_modes
@table(EVENTS)
def test_events_tell_them(acts: list[Act], mode: str) -> None:
    assert is_told_by_events(Life(mode, acts), BERLIN)
    assert is_told_by_events(Life(mode, acts), AUCKLAND)


@in_all_modes
@table(ONCE_COUPONS)
def test_events_tell_them_where_once_coupons_count(acts: list[Act], mode: str) -> None:
    assert is_told_with_once_coupons(Life(mode, acts), BERLIN)


@in_all_modes
@table(PAID)
def test_events_tell_them_from_the_first_payment(acts: list[Act], mode: str) -> None:
    life = Life(mode, acts)
    assert is_known(life, BERLIN, from_payment=True, trials_count=False)


@in_taxed_modes
@table(TAXED_ONE_LOOK)
def test_one_look_agrees_about_those_with_tax(acts: list[Act], mode: str) -> None:
    one_look_agrees(Life(mode, acts), BERLIN)


@in_taxed_modes
@table(TAXED_EVENTS)
def test_events_agree_about_those_with_tax(acts: list[Act], mode: str) -> None:
    all_events_agree(Life(mode, acts), BERLIN)


@table(METERED_ONE_LOOK)
@pytest.mark.parametrize("mode", MODES)
def test_one_look_agrees_about_those_with_usage(acts: list[Act], mode: str) -> None:
    agrees_with_one_look(Life(mode, acts), BERLIN)


@table(METERED_EVENTS)
@pytest.mark.parametrize("mode", MODES)
def test_events_agree_about_those_with_usage(acts: list[Act], mode: str) -> None:
    agrees_with_all_events(Life(mode, acts), BERLIN)


@table(USAGE)
@pytest.mark.parametrize("mode", MODES)
def test_they_are_told_where_usage_counts(acts: list[Act], mode: str) -> None:
    assert usage_is_told(Life(mode, acts), BERLIN, is_watched=True)
    assert usage_is_told(Life(mode, acts), BERLIN, is_watched=False)
