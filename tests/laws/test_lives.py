"""Random customers: the connector against the billing engine, day by day.

``--lives N`` tries N new lives for each law; without it the same lives are tried always.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.core.dates import local_day
from connector.core.policy import Policy
from tests.billing.account import Account
from tests.billing.calendar_ import DAY
from tests.billing.truth import Step
from tests.support.ledgers import Known, seen_once
from tests.support.lives import BORN, Act, Life, Lived, lives, waits

USUAL_LIVES = 250  # of each law: together some seven seconds
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Auckland"])


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> settings:
    wanted = request.config.getoption("--lives")
    return settings(
        max_examples=wanted or USUAL_LIVES, derandomize=not wanted, deadline=None
    )


def lived(life: Life, *, is_watched: bool = False, once_counts: bool = False) -> Lived:
    """The life, and 40 quiet days after it, so that events alone prove little."""
    account = Account(BORN, once_counts=once_counts)
    played = Lived(life.mode, is_watched=is_watched, account=account)
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


def is_told_by_one_look(life: Life, zone: str) -> bool:
    """No event older than 30 days, no earlier look: lines, pending items and dates."""
    account = lived(life).account
    known = seen_once(account.snapshot(), account.now, zone)
    return closings(known) == by_day(the_only(account.evidenced_mrr()), zone)


def is_told_by_events(life: Life, zone: str) -> bool:
    """Every change on the day on which it was made, also where no invoice shows it."""
    return _is_told_by_events(life, zone, once_counts=False)


def is_told_with_once_coupons(life: Life, zone: str) -> bool:
    """The same, where once coupons are subtracted."""
    return _is_told_by_events(life, zone, once_counts=True)


def _is_told_by_events(life: Life, zone: str, *, once_counts: bool) -> bool:
    account = lived(life, is_watched=True, once_counts=once_counts).account
    kept: dict[str, Any] = {"events": [event for _, event in account.events]}
    policy = Policy(once_subtracted=once_counts)
    known = seen_once(account.snapshot() | kept, account.now, zone, policy)
    return closings(known) == by_day(the_only(account.true_mrr()), zone)


def act(what: str, *numbers: int, wait_s: int = 120) -> Act:
    one, two, three = (*numbers, 0, 0, 0)[:3]
    return Act(wait_s=wait_s, what=what, one=one, two=two, three=three)


def test_one_look_tells_all_that_stripe_still_shows(trial: settings) -> None:
    @trial
    @given(life=lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        assert is_told_by_one_look(life, zone)

    holds()


def test_discounts_apply_in_the_order_in_which_they_stood() -> None:
    """10% and then $3.00, of which the first has run out by the last look.

    Its last reduced bill is the one of 30 April, two minutes before its own end.
    """
    acts = [
        act("come_back"),
        act("undiscount"),
        act("discount", 1, 2),
        act("reprice", wait_s=1_900_800),
        act("discount", 4, wait_s=5_011_200),
    ]
    account = lived(Life("flexible", acts), is_watched=True).account
    kept: dict[str, Any] = {"events": [event for _, event in account.events]}
    known = seen_once(account.snapshot() | kept, account.now, "Europe/Berlin")
    assert [m.after_minor for m in known.movements] == [900, 600, 700]


def test_whoever_kept_every_event_knows_the_truth(trial: settings) -> None:
    @trial
    @given(life=lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        assert is_told_by_events(life, zone)

    holds()


def test_once_coupons_that_count_do_so_for_what_they_reduced(trial: settings) -> None:
    @trial
    @given(life=lives, zone=ZONES)
    def holds(life: Life, zone: str) -> None:
        assert is_told_with_once_coupons(life, zone)

    holds()


class PlanChange(NamedTuple):
    """After ``wait_s``, another price and other coupons, or none, in one request.

    ``price`` None: only the coupons are replaced, by at least one.
    """

    wait_s: int
    price: int | None
    coupons: tuple[int, ...]
    of_item: bool
    proration: str


plan_changes = st.builds(
    PlanChange,
    waits,
    st.sampled_from([None, 0, 1, 2]),
    st.lists(st.integers(0, 4), max_size=2, unique=True).map(tuple),
    st.booleans(),
    st.sampled_from(["always_invoice", "create_prorations"]),
)


def plan_changed(
    mode: str, interval: str, first: int | None, changes: Iterable[PlanChange]
) -> Account:
    """A customer whose discounts change with what invoices show, and 40 days more.

    What came and went between two invoices nothing shows: such changes are left out.
    """
    account = Account(BORN)
    product = account.add_product("Plan")
    amounts = (10_000, 20_000, 35_000)
    prices = [account.add_price(product, n, interval=interval) for n in amounts]
    coupons = [
        account.add_coupon("FIFTH", percent_off=20),
        account.add_coupon("HALF", percent_off=50, duration="repeating", months=2),
        account.add_coupon("THIRTY", percent_off=30),
        account.add_coupon("OFF7", amount_off=700, currency="usd"),
        account.add_coupon(
            "OFF9", amount_off=900, currency="usd", duration="repeating", months=5
        ),
    ]
    is_flexible = mode != "classic"
    sub = account.subscribe(
        account.add_customer(),
        prices[0],
        coupon=None if first is None else coupons[first],
        mode="flexible" if is_flexible else mode,
        prorations=mode if is_flexible else "net",
    )
    unseen_since: str | None = ""  # the last invoice before discounts that none shows
    for change in changes:
        account.advance(account.now + change.wait_s)
        [item] = sub.items
        if account.now == item.period_start:
            account.advance(account.now + 600)
        is_seen = sub.latest_invoice != unseen_since
        given = [coupons[n] for n in change.coupons]
        # No classic proration names a discount, but an invoice does a subscription's.
        of_item = item if change.of_item and is_flexible else None
        proration = change.proration if is_flexible else "always_invoice"
        is_new = change.price is not None and prices[change.price] != item.price
        if is_new and change.price is not None and not is_seen:
            account.change_price(item, prices[change.price], proration=proration)
            unseen_since = ""
        elif is_new and change.price is not None:
            account.change_price_and_discounts(
                item,
                prices[change.price],
                given,
                of_item=of_item is not None,
                proration=proration,
            )
        elif given and is_seen and all(each.duration == "forever" for each in given):
            account.swap_discounts(sub, given, of_item)
            unseen_since = sub.latest_invoice
    account.advance(account.now + 40 * DAY)
    return account


def test_a_waiting_proration_tells_the_order_of_what_it_includes() -> None:
    """50% for two months, then $7.00: 43.00 for the year, not 46.50."""
    changes = [
        PlanChange(120, 1, (), of_item=False, proration="always_invoice"),
        PlanChange(120, 0, (1, 3), of_item=False, proration="create_prorations"),
        PlanChange(1_641_600, None, (), of_item=False, proration="always_invoice"),
    ]
    account = plan_changed("included", "year", None, changes)
    known = seen_once(account.snapshot(), account.now, "Europe/Berlin")
    assert [m.after_minor for m in known.movements] == [358]


def test_discounts_that_change_with_a_plan_need_no_event(trial: settings) -> None:
    """Credits, debits and the discounts given since tell what was replaced and dropped."""

    @trial
    @given(
        mode=st.sampled_from(["classic", "included", "itemized"]),
        interval=st.sampled_from(["month", "year"]),
        first=st.one_of(st.none(), st.integers(0, 4)),
        changes=st.lists(plan_changes, min_size=1, max_size=4),
    )
    def holds(
        mode: str, interval: str, first: int | None, changes: list[PlanChange]
    ) -> None:
        account = plan_changed(mode, interval, first, changes)
        known = seen_once(account.snapshot(), account.now, "Europe/Berlin")
        true = the_only(account.true_mrr())
        assert closings(known) == by_day(true, "Europe/Berlin")

    holds()
