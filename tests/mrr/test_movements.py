"""Steps → movements: the table of kinds and causes, then the laws.

A history is a cell a day, and a cell what happens on it, in order: ``a=2x10`` is item a
with two seats of 10 a month, ``a=10!b`` another price of the same amount, ``a=10-5`` less
5 a month, ``a=0`` its end, ``a=p`` a pause, a dot a quiet day.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.model import (
    Evidence,
    ItemDiscount,
    ItemPricing,
    Movement,
    MovementKind,
    MrrStep,
    Tariff,
)
from connector.mrr.movements import movements
from connector.mrr.pricing import monthly_minor

FIRST = datetime(2026, 1, 1, 8, tzinfo=UTC)
CHANGE = re.compile(r"(?P<item>\w)=(?:(\d+)x)?(\d+|p)(?:!(\w))?(?:-(\d+))?")


def pricing_of(
    quantity: str, amount: str, price: str, off: str, currency: str
) -> ItemPricing:
    rate = Tariff(
        price=price,
        currency=currency,
        interval="month",
        interval_count=1,
        unit_amount_minor=Decimal(amount),
    )
    less = (ItemDiscount(discount="di_1", amount_minor=Fraction(off)),) if off else ()
    return ItemPricing(tariff=rate, quantity=Decimal(quantity), discounts=less)


def step(at: datetime, change: str, currency: str = "usd") -> MrrStep:
    read = CHANGE.fullmatch(change)
    assert read, change
    item, quantity, amount, price, off = read.groups(default="")
    is_there = amount not in ("0", "p")
    full = amount if is_there else "0"
    pricing = pricing_of(quantity or "1", full, price or "a", off, currency)
    at_s = int(at.timestamp())
    return MrrStep(
        at_s=at_s,
        subscription="sub_1",
        item=item,
        currency=currency,
        pricing=pricing if is_there else None,
        mrr_minor=monthly_minor(pricing) if is_there else 0,
        evidence=(Evidence("event", f"evt_{item}", at_s, change),),
        is_paused=amount == "p",
    )


def steps(history: str, currency: str = "usd") -> Iterator[MrrStep]:
    """Changes of one day are a minute apart."""
    for day, cell in enumerate(history.split()):
        for minute, change in enumerate(cell.split(",") if cell != "." else []):
            at = FIRST + timedelta(days=day, minutes=minute)
            yield step(at, change, currency)


def derived(history: str) -> list[Movement]:
    return movements("cus_1", steps(history), UTC)


def drawn(booked: list[Movement], width: int) -> str:
    """A cell a day: ``expansion+15:plan+10,add_on+5``, or a dot."""
    cells = {
        m.day: f"{m.kind}{m.amount_minor:+d}:"
        + ",".join(f"{c.cause}{c.amount_minor:+d}" for c in m.components)
        for m in booked
    }
    days = (FIRST.date() + timedelta(days=n) for n in range(width))
    return " ".join(cells.get(day, ".") for day in days)


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        pytest.param("a=10 . .", "new+10:start+10 . .", id="a steady customer moves once"),
        pytest.param(
            "a=10 a=20!b", "new+10:start+10 expansion+10:plan+10", id="an upgrade"
        ),
        pytest.param(
            "a=20 a=10!b", "new+20:start+20 contraction-10:plan-10", id="a downgrade"
        ),
        pytest.param(
            "a=2x10 a=5x10", "new+20:start+20 expansion+30:quantity+30", id="more seats"
        ),
        pytest.param(
            "a=10 a=12", "new+10:start+10 expansion+2:price+2", id="the same price, dearer"
        ),
        pytest.param(
            "a=10 a=10-4 a=10",
            "new+10:start+10 contraction-4:discount-4 expansion+4:discount+4",
            id="a discount comes and goes",
        ),
        pytest.param(
            "a=2x10 a=3x15!b",
            "new+20:start+20 expansion+25:plan+10,quantity+15",
            id="another plan and more seats: the plan first, then the seats",
        ),
        pytest.param(
            "a=10 b=5", "new+10:start+10 expansion+5:add_on+5", id="an item added"
        ),
        pytest.param(
            "a=10,b=5 b=0",
            "new+15:start+10,start+5 contraction-5:removal-5",
            id="an item removed",
        ),
        pytest.param(
            "a=10 a=0,b=25",
            "new+10:start+10 expansion+15:plan-10,plan+25",
            id="deleted and added again is an upgrade, not churn and new",
        ),
        pytest.param(
            "a=10,b=5 a=0,b=0",
            "new+15:start+10,start+5 churn-15:end-10,end-5",
            id="both end at once",
        ),
        pytest.param("a=10 a=0", "new+10:start+10 churn-10:end-10", id="a cancellation"),
        pytest.param(
            "a=10 a=0 . a=7",
            "new+10:start+10 churn-10:end-10 . reactivation+7:start+7",
            id="a return",
        ),
        pytest.param(
            "a=10 a=0,b=10", "new+10:start+10 .", id="cancelled and back on one day"
        ),
        pytest.param(
            "a=10 a=0,b=8",
            "new+10:start+10 contraction-2:plan-10,plan+8",
            id="cancelled and back on one day for less",
        ),
        pytest.param("a=10,a=0 .", ". .", id="came and left on one day: never a customer"),
        pytest.param(
            "a=10,a=0 a=10", ". new+10:start+10", id="who left the same day is new again"
        ),
        pytest.param(
            "a=10 a=30,a=10", "new+10:start+10 .", id="up and down on one day is nothing"
        ),
        pytest.param("a=0 a=0", ". .", id="a trial that never pays"),
        pytest.param(
            "a=10-10 a=10", ". new+10:discount+10", id="a free month is no customer"
        ),
        pytest.param(
            "a=10 a=10-10",
            "new+10:start+10 churn-10:discount-10",
            id="going to 0 by a discount is churn",
        ),
        pytest.param(
            "a=10 a=p . a=12",
            "new+10:start+10 churn-10:pause-10 . reactivation+12:resume+12",
            id="a pause is churn and reactivation, and says so",
        ),
        pytest.param(
            "a=10,b=5 b=p b=5",
            "new+15:start+10,start+5 contraction-5:pause-5 expansion+5:resume+5",
            id="one of two is paused",
        ),
        pytest.param(
            "a=10 a=p,b=8",
            "new+10:start+10 contraction-2:pause-10,add_on+8",
            id="what comes on the day of a pause does not take its place",
        ),
    ],
)  # fmt: skip
def test_movements(history: str, expected: str) -> None:
    assert drawn(derived(history), len(history.split())) == expected


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("UTC", "2026-02-28", id="half past eleven at night in UTC"),
        pytest.param("Europe/Berlin", "2026-03-01", id="is past midnight in Berlin"),
        pytest.param(
            "America/New_York", "2026-02-28", id="is early evening in New York"
        ),
        pytest.param("Pacific/Auckland", "2026-03-01", id="is past noon in Auckland"),
    ],
)
def test_a_movement_has_the_day_of_the_reporting_zone(zone: str, day: str) -> None:
    late = step(datetime(2026, 2, 28, 23, 30, tzinfo=UTC), "a=10")
    [booked] = movements("cus_1", [late], ZoneInfo(zone))
    assert booked.day == date.fromisoformat(day)


def test_one_night_in_auckland_is_two_days_in_utc() -> None:
    came = step(datetime(2026, 1, 1, 22, tzinfo=UTC), "a=10")
    left = step(datetime(2026, 1, 2, 3, tzinfo=UTC), "a=0")
    assert movements("cus_1", [came, left], ZoneInfo("Pacific/Auckland")) == []
    assert len(movements("cus_1", [came, left], UTC)) == 2


def test_each_currency_is_a_customer_of_its_own() -> None:
    both = [*steps("a=10 a=0", "eur"), *steps(". b=20", "usd")]
    booked = movements("cus_1", sorted(both, key=lambda s: s.at_s), UTC)
    assert [(m.currency, str(m.kind), m.amount_minor) for m in booked] == [
        ("eur", "new", 10),
        ("eur", "churn", -10),
        ("usd", "new", 20),
    ]


def test_a_component_shows_its_arithmetic_and_its_evidence() -> None:
    [_, upgrade] = derived("a=2x1000 a=3x1000")
    [part] = upgrade.components
    assert part.before == "2 units × $10.00 × 1/1 month = $20.00"
    assert part.after == "3 units × $10.00 × 1/1 month = $30.00"
    assert [(e.kind, e.id, e.summary) for e in part.evidence] == [
        ("event", "evt_a", "a=3x1000")
    ]


def test_a_day_of_several_changes_names_the_evidence_of_each() -> None:
    [_, grown] = derived("a=10 a=20,a=30")
    [part] = grown.components
    assert [e.summary for e in part.evidence] == ["a=20", "a=30"]


# Few items, small amounts: equal neighbours and zeros are where the rules are.
changes = st.builds(
    "{}={}{}".format,
    st.sampled_from("ab"),
    st.sampled_from(["0", "1", "2", "2x1", "1!b", "3x1!b"]),
    st.sampled_from(["", "-1"]),
).map(lambda change: change.removesuffix("-1") if "=0" in change else change)
cells = st.lists(changes, max_size=3).map(lambda found: ",".join(found) or ".")
histories = st.lists(cells, min_size=1, max_size=10).map(" ".join)


def mrr_of_each_day(history: str) -> Iterator[tuple[date, int]]:
    """What the steps say at the end of each day, added up by hand."""
    worth: dict[str, int] = {}
    for number, cell in enumerate(history.split()):
        for change in cell.split(",") if cell != "." else []:
            worth[change[0]] = step(FIRST, change).mrr_minor
        yield FIRST.date() + timedelta(days=number), sum(worth.values())


@given(histories)
def test_movements_add_up_to_the_mrr_of_every_day(history: str) -> None:
    booked = derived(history)
    for day, mrr_minor in mrr_of_each_day(history):
        assert sum(m.amount_minor for m in booked if m.day <= day) == mrr_minor


@given(histories)
def test_each_goes_on_where_the_last_one_stopped(history: str) -> None:
    before = 0
    for movement in derived(history):
        assert movement.before_minor == before
        before = movement.after_minor


@given(histories)
def test_a_movement_is_never_nothing_and_a_day_has_but_one(history: str) -> None:
    booked = derived(history)
    assert all(movement.amount_minor for movement in booked)
    assert len({movement.day for movement in booked}) == len(booked)


@given(histories)
def test_only_the_first_is_new(history: str) -> None:
    kinds = [movement.kind for movement in derived(history)]
    assert kinds[:1] in ([], [MovementKind.NEW])
    assert MovementKind.NEW not in kinds[1:]


@given(histories)
def test_the_kind_is_what_before_and_after_say(history: str) -> None:
    for m in derived(history):
        from_nothing, to_nothing = m.before_minor == 0, m.after_minor == 0
        assert from_nothing == (m.kind in (MovementKind.NEW, MovementKind.REACTIVATION))
        assert to_nothing == (m.kind is MovementKind.CHURN)
        assert (m.amount_minor > 0) == (
            m.kind not in (MovementKind.CHURN, MovementKind.CONTRACTION)
        )


@given(histories)
def test_components_add_up_and_none_is_nothing(history: str) -> None:
    for movement in derived(history):
        parts = [part.amount_minor for part in movement.components]
        assert all(parts)
        assert sum(parts) == movement.amount_minor
        assert all(part.evidence for part in movement.components)


@given(histories)
def test_doubling_every_amount_doubles_every_movement(history: str) -> None:
    doubled = re.sub(r"(?<=[=x-])\d(?!x)", lambda n: str(2 * int(n[0])), history)
    once, twice = derived(history), derived(doubled)
    assert [(m.day, m.kind) for m in once] == [(m.day, m.kind) for m in twice]
    assert [2 * m.amount_minor for m in once] == [m.amount_minor for m in twice]
