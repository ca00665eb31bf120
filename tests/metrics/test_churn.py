"""What each loss is called, and that reasons add up to what was lost."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.losses import Cancellation, Loss, LossReason, LostPart
from connector.core.model import Cause, Evidence, MovementKind
from connector.metrics.churn import by_reason, reason_of, returned
from tests.support.losses import added_up

VOLUNTARY, FAILED = LossReason.VOLUNTARY, LossReason.FAILED_PAYMENT
PAUSED, REDUCED = LossReason.PAUSED, LossReason.REDUCED
DISCOUNT, UNKNOWN = LossReason.DISCOUNT, LossReason.UNKNOWN
SAID = frozenset({"ended"})
ENDED = (Evidence("subscription", "sub_1", 9, "ended"),)


def part(
    cause: Cause,
    amount_minor: int = -100,
    said: str = "",
    end: Cancellation | None = None,
    statuses: frozenset[str] = frozenset(),
    *,
    is_failed_pause: bool = False,
) -> LostPart:
    evidence = (Evidence("subscription", "sub_1", 9, said),)
    return LostPart(
        cause, amount_minor, "sub_1", evidence, statuses | {said}, is_failed_pause, end
    )


def ended(
    stated: str | None, asked_s: int | None = None, feedback: str | None = None
) -> LostPart:
    return part(Cause.END, said="ended", end=Cancellation(stated, feedback, asked_s))


UNPAID = frozenset({"unpaid"})


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        pytest.param(ended("cancellation_requested"), VOLUNTARY, id="asked for, at once"),
        pytest.param(ended("payment_failed"), FAILED, id="Stripe gave up collecting"),
        pytest.param(ended("payment_failed", 5), FAILED, id="gave up on one set to end"),
        pytest.param(ended("payment_disputed"), FAILED, id="the payment was disputed"),
        pytest.param(ended("canceled_by_retention_policy"), UNKNOWN, id="for Stripe's own"),
        pytest.param(ended(None, 5), VOLUNTARY, id="asked for before, nothing stated"),
        pytest.param(ended(None, feedback="unused"), VOLUNTARY, id="feedback alone"),
        pytest.param(ended(None), UNKNOWN, id="at once, nothing stated"),
        pytest.param(part(Cause.END, said="ended"), UNKNOWN, id="not in the mirror"),
        pytest.param(
            part(Cause.END, said="cancellation requested"), VOLUNTARY,
            id="asked for and taken back, where asking counts",
        ),
        pytest.param(
            LostPart(Cause.END, -1, "", ENDED, SAID),
            UNKNOWN,
            id="invoiced by hand, no more"
        ),
        pytest.param(part(Cause.END, said="unpaid"), FAILED, id="seen unpaid"),
        pytest.param(part(Cause.END, said="left a draft"), FAILED, id="unpaid by drafts"),
        pytest.param(part(Cause.END, said="past due"), FAILED, id="past due too long"),
        pytest.param(
            part(Cause.END, said="customer.subscription.updated", statuses=UNPAID),
            FAILED, id="unpaid by an event",
        ),
        pytest.param(part(Cause.END, said="trial"), PAUSED, id="on trial, having paid"),
        pytest.param(part(Cause.END, said="2 × removed"), REDUCED, id="the only item went"),
        pytest.param(part(Cause.REMOVAL), REDUCED, id="one of its items went"),
        pytest.param(
            part(Cause.REMOVAL, said="ended", end=Cancellation("payment_failed")),
            FAILED, id="one of its subscriptions went",
        ),
        pytest.param(part(Cause.PAUSE), PAUSED, id="paused"),
        pytest.param(
            part(Cause.PAUSE, is_failed_pause=True), FAILED, id="paused by a failed payment"
        ),
        pytest.param(part(Cause.PLAN), REDUCED, id="a smaller plan"),
        pytest.param(part(Cause.QUANTITY), REDUCED, id="fewer seats"),
        pytest.param(part(Cause.PRICE), REDUCED, id="a lower price"),
        pytest.param(part(Cause.USAGE), REDUCED, id="less usage"),
        pytest.param(part(Cause.DISCOUNT), DISCOUNT, id="a discount"),
    ],
)  # fmt: skip
def test_a_component_has_one_reason(lost: LostPart, reason: LossReason) -> None:
    assert reason_of(lost) is reason


@pytest.mark.parametrize(
    ("parts", "shares"),
    [
        pytest.param(
            [part(Cause.DISCOUNT, -30), part(Cause.QUANTITY, 10)], [(DISCOUNT, -20)],
            id="what grew beside it is set off",
        ),
        pytest.param(
            [part(Cause.DISCOUNT, -30), part(Cause.PLAN, -20), part(Cause.ADD_ON, 35)],
            [(REDUCED, -15)], id="against the largest, then the next",
        ),
        pytest.param(
            [part(Cause.PLAN, -30), part(Cause.QUANTITY, -10), part(Cause.DISCOUNT, -50)],
            [(DISCOUNT, -50), (REDUCED, -40)], id="one reason, two components",
        ),
    ],
)  # fmt: skip
def test_shares(parts: list[LostPart], shares: list[tuple[LossReason, int]]) -> None:
    assert list(by_reason(parts)[0]) == shares


CAUSES = st.sampled_from([Cause.PLAN, Cause.DISCOUNT, Cause.PAUSE, Cause.END])
PARTS = st.lists(
    st.builds(part, CAUSES, st.integers(-1_000, 1_000).filter(bool)),
    min_size=1,
    max_size=5,
).filter(lambda parts: sum(each.amount_minor for each in parts) < 0)
DAYS = st.dates(date(2026, 1, 1), date(2026, 3, 31))


def loss(
    parts: list[LostPart],
    day: date,
    kind: MovementKind = MovementKind.CHURN,
    key: int = 1,
) -> Loss:
    shares, main = by_reason(parts)
    return Loss(
        customer=key,
        day=day,
        kind=kind,
        amount_minor=sum(each.amount_minor for each in parts),
        before_minor=10_000,
        shares=shares,
        part=main,
    )


LOSSES = st.lists(
    st.builds(
        loss,
        PARTS,
        DAYS,
        st.sampled_from([MovementKind.CHURN, MovementKind.CONTRACTION]),
    ),
    max_size=8,
)


@given(PARTS)
def test_shares_add_up_and_none_is_above_zero(parts: list[LostPart]) -> None:
    shares = by_reason(parts)[0]
    lost = sum(each.amount_minor for each in parts)
    assert sum(amount for _, amount in shares) == lost
    assert all(amount < 0 for _, amount in shares)
    assert [amount for _, amount in shares] == sorted(amount for _, amount in shares)


@given(LOSSES)
def test_whatever_they_are_cut_by_adds_up_to_all(losses: list[Loss]) -> None:
    table = added_up((each, str(each.day.day % 3)) for each in losses)
    everyone, groups = table.everyone(), table.by_segment()
    months = table.by_month(date(2026, 1, 1), date(2026, 4, 1))
    assert table.within(date(2026, 1, 1), date(2026, 4, 1)) == everyone
    for parts in (months, groups):
        for reason in LossReason:
            own = [each.of(reason) for each in parts]
            whole = everyone.of(reason)
            for field in whole._fields[1:]:
                assert sum(getattr(x, field) for x in own) == getattr(whole, field)
    assert everyone.departures + everyone.contractions == len(losses)
    lost = sum(each.amount_minor for each in losses)
    assert everyone.churn_minor + everyone.contraction_minor == -lost


def test_feedback_is_of_who_cancelled() -> None:
    day = date(2026, 1, 1)
    said = [
        part(
            Cause.END, -300, "ended", Cancellation("cancellation_requested", "unused")
        ),
        part(Cause.END, -500, "ended", Cancellation("cancellation_requested")),
        part(Cause.END, -100, "ended", Cancellation("cancellation_requested", "other")),
        part(Cause.END, -700, "ended", Cancellation("payment_failed", "other")),
    ]
    found = added_up((loss([each], day), "") for each in said)
    assert [tuple(each) for each in found.feedback] == [
        ("unused", 1, 300),
        ("other", 1, 100),
        (None, 1, 500),
    ]


def test_who_left_twice_came_back_after_each() -> None:
    days = [date(2026, 1, 5), date(2026, 3, 5)]
    left = [loss([part(Cause.END)], day) for day in days]
    again = [(date(2026, 2, 1), 700), (date(2026, 4, 1), 900)]
    assert returned(left, {1: again}) == {
        (1, days[0]): again[0],
        (1, days[1]): again[1],
    }
    assert returned(left, {1: again[:1]}) == {(1, days[0]): again[0]}
