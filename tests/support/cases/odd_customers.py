"""Odd statuses, customers, invoices, currencies and days, told by hand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from tests.support.shapes import (
    Json,
    coupon,
    credit,
    customer,
    debit,
    discount,
    event,
    invoice,
    line,
    moment,
    months,
    one_off,
    pending,
    price,
    subscription,
    subscription_item,
    updated,
)
from tests.support.told import Told

HOUR, DAY = 3_600, 86_400
BASIC, PRO = price("BASIC", 1_000), price("PRO", 3_000)
MONTHS = months("2025-01-01T10:00", 12)
MID_JANUARY = moment("2025-01-15T10:00")
MID_FEBRUARY = moment("2025-02-15T12:00")
MARCH_5 = moment("2025-03-05T10:00")
PAUSED, RESUMED = "customer.subscription.paused", "customer.subscription.resumed"
LATE: Json = {"past_due": "after_days:7"}
ON_REQUEST: Json = {"churn": "requested"}


def holds(
    of: Json = BASIC,
    start: int = MONTHS[0],
    number: int = 1,
    *,
    quantity: int = 1,
    **more: Any,
) -> Json:
    """The customer's subscription ``number``, with one item."""
    items = [subscription_item(f"si_{number}", of, quantity)]
    return subscription(start, items, f"sub_{number}", **more)


def ended(at: int, asked: int | None = None) -> Json:
    return {"status": "canceled", "canceled_at": asked or at, "ended_at": at}


def bills(
    of: Json = BASIC,
    at: Sequence[int] = MONTHS[:3],
    number: int = 1,
    quantity: int = 1,
    **more: Any,
) -> list[Json]:
    """An invoice for each period between two neighbours of ``at``."""
    sub, item = f"sub_{number}", f"si_{number}"
    return [
        invoice(
            start,
            [line(of, start, end, quantity=quantity, item=item, sub=sub)],
            sub=sub,
            **more,
        )
        for start, end in pairwise(at)
    ]


def free(of: Json, start: int, end: int, item: str = "si_1") -> Json:
    """A trial's line: the whole quantity for nothing."""
    made = line(of, start, end, 0, item=item)
    made["pricing"]["unit_amount_decimal"] = "0"
    return made


def passed(
    created: int, *, paid: int | None = None, uncollectible: int | None = None
) -> Json:
    """An invoice's moments; it is finalized an hour after it was made."""
    return {
        "status_transitions": {
            "finalized_at": created + HOUR,
            "marked_uncollectible_at": uncollectible,
            "paid_at": paid,
            "voided_at": None,
        }
    }


# Trials


def trial_running() -> Told:
    """Half-way through a trial of two weeks.

    A trial counts for nothing, and nothing is booked ahead.
    """
    trial: Json = {"trial_start": MONTHS[0], "trial_end": MID_JANUARY}
    return Told(
        seen_at="2025-01-08",
        prices=[BASIC],
        subscriptions=[holds(status="trialing", **trial)],
        invoices=[invoice(MONTHS[0], [free(BASIC, MONTHS[0], MID_JANUARY)])],
    )


def trial_extended() -> Told:
    """A trial of two weeks is given two more; then $10 a month.

    New on the day that the last trial ends.
    """
    end = moment("2025-01-29T10:00")
    return Told(
        seen_at="2025-03-20",
        prices=[BASIC],
        subscriptions=[holds(trial_start=MONTHS[0], trial_end=end)],
        invoices=[
            invoice(MONTHS[0], [free(BASIC, MONTHS[0], MID_JANUARY)]),
            invoice(
                moment("2025-01-10T10:00"),
                [free(BASIC, moment("2025-01-10T10:00"), end)],
            ),
            *bills(at=[end, moment("2025-02-28T10:00"), moment("2025-03-29T10:00")]),
        ],
    )


def trial_ended_early() -> Told:
    """A trial of a month is cut short after two weeks, and paid from then on.

    The subscription says when the trial ended; its line still shows the month.
    """
    return Told(
        seen_at="2025-02-20",
        prices=[BASIC],
        subscriptions=[holds(trial_start=MONTHS[0], trial_end=MID_JANUARY)],
        invoices=[
            invoice(MONTHS[0], [free(BASIC, MONTHS[0], MONTHS[1])]),
            *bills(at=months("2025-01-15T10:00", 2)),
        ],
    )


def _second_trial(mode: str) -> Told:
    month = months("2025-01-15T10:00", 3)
    first = MONTHS[0] if mode == "classic" else month[1]
    return Told(
        seen_at="2025-04-10",
        prices=[BASIC],
        subscriptions=[holds(mode=mode, trial_start=first, trial_end=month[2])],
        invoices=[
            invoice(MONTHS[0], [free(BASIC, MONTHS[0], month[0])]),
            invoice(month[0], [line(BASIC, month[0], month[1])]),
            invoice(month[1], [free(BASIC, month[1], month[2])]),
            invoice(month[2], [line(BASIC, month[2], month[3])]),
        ],
    )


def second_trial() -> Told:
    """Two weeks on trial, a month paid, a month on trial again, then paid.

    A trial counts for nothing, the second as little as the first.
    """
    return _second_trial("flexible")


def second_trial_classic() -> Told:
    """The same two trials in classic mode: the first's start, the second's end.

    The paid line in between shows that the trials were two.
    """
    return _second_trial("classic")


def trial_on_a_paying_subscription() -> Told:
    """A customer of six weeks is given a month for free, which is running.

    Whoever pays and goes on trial churns; the credit is no second movement.
    """
    until = moment("2025-03-15T12:00")
    trial: Json = {"trial_start": MID_FEBRUARY, "trial_end": until}
    return Told(
        seen_at="2025-03-01",
        prices=[BASIC],
        subscriptions=[holds(status="trialing", **trial)],
        invoices=[
            *bills(),
            invoice(
                MID_FEBRUARY,
                [
                    credit(BASIC, MID_FEBRUARY, MONTHS[2], -500),
                    free(BASIC, MID_FEBRUARY, until),
                ],
            ),
        ],
    )


def _trial_item(of: Json, start: int, end: int, number: int = 2) -> Json:
    trial = {"end_date": end, "start_date": start, "trial_offer": "tro_1"}
    return subscription_item(f"si_{number}", of, current_trial=trial)


def trial_cancelled_to_its_end() -> Told:
    """In the first days of a trial the customer cancels, to the trial's end.

    It ends in the second that it would have begun to count: no new, no churn.
    """
    trial: Json = {"trial_start": MONTHS[0], "trial_end": MID_JANUARY}
    asked = moment("2025-01-04T10:00")
    return Told(
        seen_at="2025-02-10",
        prices=[BASIC],
        subscriptions=[
            holds(cancel_at_period_end=True, **trial, **ended(MID_JANUARY, asked))
        ],
        invoices=[invoice(MONTHS[0], [free(BASIC, MONTHS[0], MID_JANUARY)])],
    )


def item_trial() -> Told:
    """Beside a plan of $10, an add-on of $30 is free for two weeks.

    A trial of one item ends for that item: expansion on its day.
    """
    month = moment("2025-02-15T10:00")
    items = [subscription_item("si_1", BASIC), subscription_item("si_2", PRO)]
    return Told(
        seen_at="2025-02-10",
        prices=[BASIC, PRO],
        subscriptions=[subscription(MONTHS[0], items)],
        invoices=[
            invoice(
                MONTHS[0],
                [
                    line(BASIC, MONTHS[0], MONTHS[1]),
                    free(PRO, MONTHS[0], MID_JANUARY, "si_2"),
                ],
            ),
            invoice(MID_JANUARY, [line(PRO, MID_JANUARY, month, item="si_2")]),
            *bills(at=MONTHS[1:3]),
        ],
    )


def item_trial_running() -> Told:
    """An add-on of $30 is on trial, and the plan beside it is paid.

    The subscription is active; only the item on trial counts for nothing.
    """
    items = [
        subscription_item("si_1", BASIC),
        _trial_item(PRO, MONTHS[0], MID_JANUARY),
    ]
    return Told(
        seen_at="2025-01-10",
        prices=[BASIC, PRO],
        subscriptions=[subscription(MONTHS[0], items)],
        invoices=[
            invoice(
                MONTHS[0],
                [
                    line(BASIC, MONTHS[0], MONTHS[1]),
                    free(PRO, MONTHS[0], MID_JANUARY, "si_2"),
                ],
            )
        ],
    )


def item_trial_alone() -> Told:
    """The only item of an active subscription has a trial of its own, and it ends.

    No status says trialing; the item itself says until when.
    """
    item = _trial_item(PRO, MONTHS[0], MID_JANUARY, 1)
    return Told(
        seen_at="2025-01-20",
        prices=[PRO],
        subscriptions=[subscription(MONTHS[0], [item])],
        invoices=[
            invoice(MONTHS[0], [free(PRO, MONTHS[0], MID_JANUARY)]),
            *bills(PRO, months("2025-01-15T10:00", 1)),
        ],
    )


def item_trial_gone() -> Told:
    """An add-on on trial is removed before the trial is over.

    What was never paid for is no movement when it goes.
    """
    plan = subscription_item("si_1", BASIC)
    tried = _trial_item(PRO, MONTHS[0], MID_JANUARY)
    both = subscription(MONTHS[0], [plan, tried])
    return Told(
        seen_at="2025-02-05",
        prices=[BASIC, PRO],
        subscriptions=[holds()],
        invoices=[
            invoice(
                MONTHS[0],
                [
                    line(BASIC, MONTHS[0], MONTHS[1]),
                    free(PRO, MONTHS[0], MID_JANUARY, "si_2"),
                ],
            ),
            *bills(at=MONTHS[1:3]),
        ],
        events=[updated(moment("2025-01-09T10:00"), both, holds())],
    )


def item_trial_of_an_add_on() -> Told:
    """In February an add-on comes with a trial until March.

    An item added on trial is an add-on when its trial ends, not when it came.
    """
    item = _trial_item(PRO, MID_FEBRUARY, MONTHS[2]) | {"created": MID_FEBRUARY}
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC, PRO],
        subscriptions=[
            subscription(MONTHS[0], [subscription_item("si_1", BASIC), item])
        ],
        invoices=[
            *bills(),
            invoice(
                MONTHS[2],
                [
                    line(BASIC, MONTHS[2], MONTHS[3]),
                    line(PRO, MONTHS[2], MONTHS[3], item="si_2"),
                ],
            ),
        ],
    )


# Paused


def _paused(at: int, **more: Any) -> Json:
    details = {"subscription": {"type": "pause_requested"}, "transitioned_at": at}
    paused = {"paused": details | {"type": "subscription"}}
    return holds(status="paused", status_details=paused, **more)


def trial_ends_paused() -> Told:
    """A trial ends without a card, and the subscription pauses.

    Nothing was ever billed: no new, no churn.
    """
    trial: Json = {"trial_start": MONTHS[0], "trial_end": MID_JANUARY}
    return Told(
        seen_at="2025-03-01",
        prices=[BASIC],
        subscriptions=[_paused(MID_JANUARY + 5, **trial)],
        invoices=[invoice(MONTHS[0], [free(BASIC, MONTHS[0], MID_JANUARY)])],
    )


def trial_ends_paused_then_paid() -> Told:
    """A trial ends without a card; three weeks later there is one, and it goes on.

    New on the day that it is resumed, not on the day that the trial ended.
    """
    resumed = moment("2025-02-05T10:00")
    trial: Json = {"trial_start": MONTHS[0], "trial_end": MID_JANUARY}
    waiting, now = _paused(MID_JANUARY, **trial), holds(**trial)
    return Told(
        seen_at="2025-02-10",
        prices=[BASIC],
        subscriptions=[now],
        invoices=[
            invoice(MONTHS[0], [free(BASIC, MONTHS[0], MID_JANUARY)]),
            *bills(at=months("2025-02-05T10:00", 1)),
        ],
        events=[
            event(RESUMED, resumed, now, {"status": "paused"}),
            event(PAUSED, MID_JANUARY, waiting, {"status": "trialing"}),
        ],
    )


def paused_and_resumed() -> Told:
    """A subscription is paused in February and resumed in March.

    Status paused counts for nothing: churn, then reactivation.
    """
    waiting, now = _paused(MID_FEBRUARY), holds()
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[now],
        invoices=[*bills(), *bills(at=months("2025-03-05T10:00", 1))],
        events=[
            event(RESUMED, MARCH_5, now, {"status": "paused"}),
            event(PAUSED, MID_FEBRUARY, waiting, {"status": "active"}),
        ],
    )


def paused_long_ago() -> Told:
    """A subscription was paused three weeks before anybody looked, without an event.

    It says itself since when it is paused.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[_paused(MID_FEBRUARY)],
        invoices=bills(),
    )


def paused_and_resumed_between_looks() -> Told:
    """A look saw it paused; the next, months later, sees it billed again since March.

    Nothing is billed while it is paused: the first regular line says when it went on.
    """
    before = Told(
        seen_at="2025-02-20",
        prices=[BASIC],
        subscriptions=[_paused(MID_FEBRUARY)],
        invoices=bills(),
    )
    return Told(
        seen_at="2025-05-20",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[*bills(), *bills(at=months("2025-03-05T10:00", 3))],
        earlier=[before],
    )


def paused_twice_between_looks() -> Told:
    """Two looks see it paused, but not since the same day; in between it was billed.

    Two pauses are two churns, with a reactivation by the first line in between.
    """
    again = paused_and_resumed_between_looks()
    return replace(again, subscriptions=[_paused(moment("2025-05-10T10:00"))])


def paused_then_canceled() -> Told:
    """A subscription is paused in February and cancelled in March.

    It left when it was paused; its end changes nothing any more.
    """
    waiting = _paused(MID_FEBRUARY)
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds(**ended(MARCH_5))],
        invoices=bills(),
        events=[
            event("customer.subscription.deleted", MARCH_5, holds(**ended(MARCH_5))),
            event(PAUSED, MID_FEBRUARY, waiting, {"status": "active"}),
        ],
    )


# Unpaid, past due


def incomplete_waits() -> Told:
    """The first payment waits for the customer's bank when we look.

    An incomplete subscription has not begun.
    """
    return Told(
        seen_at="2025-01-01T20:00",
        prices=[BASIC],
        subscriptions=[holds(status="incomplete")],
        invoices=bills(at=MONTHS[:2], status="open"),
    )


def unpaid_active_again() -> Told:
    """Every retry fails, the subscription is unpaid; in March the customer pays.

    Unpaid counts for nothing: churn, then reactivation when it is active again.
    """
    late, unpaid = holds(status="past_due"), holds(status="unpaid")
    begun = moment("2025-02-12T12:00")
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], **passed(MONTHS[1], paid=MARCH_5)),
            *bills(at=MONTHS[2:4], **passed(MONTHS[2], paid=MARCH_5)),
        ],
        events=[updated(MARCH_5, unpaid, holds()), updated(begun, late, unpaid)],
    )


def unpaid_observed() -> Told:
    """The subscription is unpaid when we look, and no event says since when.

    Where only the look shows it, the moment of the look counts, marked observed.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds(status="unpaid")],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], status="open"),
        ],
    )


def past_due_after_days() -> Told:
    """A renewal of 1 February is paid on the 20th, and past_due = "after_days:7".

    It stops counting after seven days and counts again from the payment on.
    """
    paid = moment("2025-02-20T12:00")
    return Told(
        seen_at="2025-03-10",
        policy=LATE,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], **passed(MONTHS[1], paid=paid)),
            *bills(at=MONTHS[2:4]),
        ],
    )


def past_due_paid_in_time() -> Told:
    """A renewal of 1 February is paid on the 6th, and past_due = "after_days:7".

    Within the days that it is given, a late payment is nothing.
    """
    paid = moment("2025-02-06T12:00")
    return Told(
        seen_at="2025-02-20",
        policy=LATE,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], **passed(MONTHS[1], paid=paid)),
        ],
    )


def one_off_overdue() -> Told:
    """A one-off invoice of 2 February stays open; every renewal is paid; "after_days:7".

    Stripe says active, so nothing is past due: what is not recurring cannot end it.
    """
    day = moment("2025-02-02T12:00")
    return Told(
        seen_at="2025-03-10",
        policy=LATE,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3]),
            invoice(day, [one_off(day, 4_000, "sub_1")], status="open", **passed(day)),
            *bills(at=MONTHS[2:4]),
        ],
    )


def past_due_given_up() -> Told:
    """February's invoice is given up on the 28th, March is paid; "after_days:7".

    Given up, it is owed no more: the status is active again.
    """
    given_up = passed(MONTHS[1], uncollectible=moment("2025-02-28T10:00"))
    return Told(
        seen_at="2025-03-10",
        policy=LATE,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], status="uncollectible", **given_up),
            *bills(at=MONTHS[2:4]),
        ],
    )


def past_due_then_canceled() -> Told:
    """A renewal is never paid, three weeks later all is cancelled; "after_days:7".

    Churn when the seven days are over; the end changes nothing any more.
    """
    end = moment("2025-02-22T12:00")
    return Told(
        seen_at="2025-03-10",
        policy=LATE,
        prices=[BASIC],
        subscriptions=[holds(**ended(end))],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], status="open", **passed(MONTHS[1])),
        ],
    )


def invoice_due_in_30_days() -> Told:
    """Invoices are sent, due in 30 days, and paid on the 34th; "after_days:7".

    Nobody is late before the invoice is due.
    """
    due: Json = {"collection_method": "send_invoice", "due_date": MONTHS[0] + 30 * DAY}
    paid = MONTHS[0] + 34 * DAY
    return Told(
        seen_at="2025-02-10",
        policy=LATE,
        prices=[PRO],
        subscriptions=[holds(PRO, collection_method="send_invoice")],
        invoices=bills(PRO, MONTHS[:2], **due, **passed(MONTHS[0], paid=paid)),
    )


# Collection paused


def _collection(behavior: str) -> Json:
    return {"pause_collection": {"behavior": behavior, "resumes_at": None}}


def _collection_paused(behavior: str, status: str, **more: Any) -> Told:
    return Told(
        seen_at="2025-04-10",
        prices=[BASIC],
        subscriptions=[holds(**_collection(behavior))],
        invoices=[*bills(), *bills(at=MONTHS[2:5], status=status)],
        **more,
    )


def pause_collection_void() -> Told:
    """Collection is paused, and the invoices of March and April are void.

    The status stays active, and so does the customer.
    """
    return _collection_paused("void", "void")


def pause_collection_keep_as_draft() -> Told:
    """Collection is paused, and the invoices of March and April stay drafts.

    The status stays active, and so does the customer.
    """
    return _collection_paused("keep_as_draft", "draft")


def pause_collection_uncollectible() -> Told:
    """Collection is paused: March and April are uncollectible, with "after_days:7".

    What nobody tries to collect is not past due; the customer stays.
    """
    return _collection_paused("mark_uncollectible", "uncollectible", policy=LATE)


def pause_collection_excluded() -> Told:
    """Collection is paused for three weeks, and pause_collection = "excluded".

    Where the policy leaves it out, it is churn and reactivation.
    """
    waiting = holds(**_collection("void"))
    return Told(
        seen_at="2025-03-10",
        policy={"pause_collection": "excluded"},
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[*bills(), *bills(at=MONTHS[2:4], status="void")],
        events=[
            updated(MARCH_5, waiting, holds()),
            updated(MID_FEBRUARY, holds(), waiting),
        ],
    )


def pause_collection_resumes_by_itself() -> Told:
    """Paused until 1 April when we looked in February; "excluded"; we look again in May.

    The pause said itself when it would be over.
    """
    until = {"behavior": "void", "resumes_at": MONTHS[3]}
    excluded = {"pause_collection": "excluded"}
    asked = updated(MID_FEBRUARY, holds(), holds(pause_collection=until))
    before = Told(
        seen_at="2025-02-20",
        policy=excluded,
        prices=[BASIC],
        subscriptions=[holds(pause_collection=until)],
        invoices=bills(),
        events=[asked],
    )
    return Told(
        seen_at="2025-05-20",
        policy=excluded,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(),
            *bills(at=MONTHS[2:4], status="void"),
            *bills(at=MONTHS[3:6]),
        ],
        earlier=[before],
    )


# Cancelled


def cancel_now_with_credit() -> Told:
    """A customer cancels at once and gets half a month back.

    Churn on that day; the credit is no second movement.
    """
    return Told(
        seen_at="2025-04-10",
        prices=[BASIC],
        subscriptions=[holds(**ended(MID_FEBRUARY))],
        invoices=[
            *bills(),
            invoice(MID_FEBRUARY, [credit(BASIC, MID_FEBRUARY, MONTHS[2], -500)]),
        ],
    )


def cancel_at_by_the_portal() -> Told:
    """In the portal a customer cancels as of 1 April: cancel_at, without the flag.

    Churn when it ends, on 1 April.
    """
    return Told(
        seen_at="2025-04-20",
        prices=[BASIC],
        subscriptions=[
            holds(cancel_at=MONTHS[3], **ended(MONTHS[3], asked=MARCH_5)),
        ],
        invoices=bills(at=MONTHS[:4]),
    )


def cancel_at_still_to_come() -> Told:
    """In the portal a customer cancels as of 1 April, and we look in March.

    Who leaves next month is still here.
    """
    return Told(
        seen_at="2025-03-20",
        prices=[BASIC],
        subscriptions=[holds(cancel_at=MONTHS[3], canceled_at=MARCH_5)],
        invoices=bills(at=MONTHS[:4]),
    )


def churn_when_requested() -> Told:
    """On 15 February a customer cancels as of 1 March, and churn = "requested".

    Where the policy says so, churn is dated when ending it was asked for.
    """
    return Told(
        seen_at="2025-03-10",
        policy=ON_REQUEST,
        prices=[BASIC],
        subscriptions=[
            holds(
                cancel_at=MONTHS[2],
                cancel_at_period_end=True,
                **ended(MONTHS[2], asked=MID_FEBRUARY),
            )
        ],
        invoices=bills(),
    )


def churn_requested_and_undone() -> Told:
    """Cancelled on 15 February, thought better of on the 20th; churn = "requested".

    A request that was taken back is churn and reactivation, as the events show.
    """
    leaves: Json = {"cancel_at": MONTHS[2], "cancel_at_period_end": True}
    leaving = holds(canceled_at=MID_FEBRUARY, **leaves)
    return Told(
        seen_at="2025-03-10",
        policy=ON_REQUEST,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=bills(at=MONTHS[:4]),
        events=[
            updated(moment("2025-02-20T12:00"), leaving, holds()),
            updated(MID_FEBRUARY, holds(), leaving),
        ],
    )


def churn_requested_and_undone_between_looks() -> Told:
    """A look saw the request of 15 February, the next that it is gone; "requested".

    Nothing says when it was taken back: the moment of the look counts.
    """
    leaves: Json = {"cancel_at": MONTHS[6], "canceled_at": MID_FEBRUARY}
    before = Told(
        seen_at="2025-02-20",
        policy=ON_REQUEST,
        prices=[BASIC],
        subscriptions=[holds(**leaves)],
        invoices=bills(),
    )
    return Told(
        seen_at="2025-05-20",
        policy=ON_REQUEST,
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=bills(at=MONTHS[:6]),
        earlier=[before],
    )


# Customers


def two_subscriptions_both_end() -> Told:
    """A second subscription comes in February; one ends in March, the last in April.

    The end of one of two is contraction, the end of the last churn.
    """
    return Told(
        seen_at="2025-05-10",
        prices=[BASIC, PRO],
        subscriptions=[
            holds(**ended(MARCH_5)),
            holds(PRO, MONTHS[1], 2, **ended(MONTHS[3])),
        ],
        invoices=[*bills(at=MONTHS[:4]), *bills(PRO, MONTHS[1:4], 2)],
    )


def _resubscribed(end: int, start: int, **more: Any) -> Told:
    later = [start, start + 28 * DAY]
    return Told(
        seen_at="2025-05-01",
        prices=[BASIC],
        subscriptions=[holds(**ended(end)), holds(BASIC, start, 2)],
        invoices=[*bills(), *bills(BASIC, later, 2)],
        **more,
    )


def resubscribe_across_midnight() -> Told:
    """Cancelled at 23:59:40 in Berlin, and there again at 0:00:20.

    Two days are two movements, as the reporting zone counts days.
    """
    end = moment("2025-02-15T22:59:40")
    return _resubscribed(end, end + 40, timezone="Europe/Berlin")


def resubscribe_within_a_minute() -> Told:
    """The same 40 seconds before UTC's midnight, with UTC as the reporting zone.

    Leaving and coming back on one day is no movement.
    """
    end = moment("2025-02-15T22:59:40")
    return _resubscribed(end, end + 40)


def return_after_six_weeks() -> Told:
    """A customer leaves in February and takes the same plan six weeks later.

    Neither the gap nor the new subscription makes it new: reactivation.
    """
    return _resubscribed(MID_FEBRUARY, MID_FEBRUARY + 42 * DAY)


def deleted_customer() -> Told:
    """The customer is deleted in the dashboard, and its subscription ends with it.

    The customer's object is a stub; its history stays.
    """
    stub = {"deleted": True, "id": "cus_1", "object": "customer"}
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        customers=[stub],
        subscriptions=[holds(**ended(MID_FEBRUARY))],
        invoices=bills(),
        events=[event("customer.deleted", MID_FEBRUARY, customer())],
    )


def deleted_customer_without_subscription() -> Told:
    """A customer is deleted, and only its invoices can still be listed.

    A life whose subscription is lost is a finding by name, never silently 0.
    """
    stub = {"deleted": True, "id": "cus_1", "object": "customer"}
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        customers=[stub],
        invoices=bills(at=MONTHS[:2]),
    )


def invoices_without_subscription() -> Told:
    """A customer of consulting pays two manual invoices.

    Without a subscription nothing recurs: no customer in the sense of MRR.
    """
    return Told(
        seen_at="2025-04-10",
        invoices=[invoice(at, [one_off(at, 50_000)], sub=None) for at in MONTHS[:2]],
    )


def _moved(of: Json, **more: Any) -> Told:
    old: Json = {"customer": "cus_old"}
    new: Json = {"customer": "cus_new"}
    start = MID_FEBRUARY + 120
    later = [start, start + 28 * DAY]
    return Told(
        seen_at="2025-03-10",
        merge={"cus_old": "cus_new"},
        prices=[BASIC, PRO],
        subscriptions=[
            holds(**old, **ended(MID_FEBRUARY)),
            holds(of, start, 2, **new),
        ],
        invoices=[*bills(**old), *bills(of, later, 2, **new)],
        **more,
    )


def merged_customers() -> Told:
    """A customer moves to another customer id, and the configuration says so.

    Read as one customer, it neither left nor is it new.
    """
    return _moved(BASIC)


def merged_customers_twice() -> Told:
    """A customer moved to another id, and in February to a third.

    All its ids are read as the last one.
    """
    moved, first = _moved(BASIC), moment("2024-12-01T10:00")
    oldest: Json = {"customer": "cus_oldest"}
    return replace(
        moved,
        merge={"cus_oldest": "cus_old", "cus_old": "cus_new"},
        subscriptions=[
            holds(BASIC, first, 3, **oldest, **ended(MONTHS[0])),
            *moved.subscriptions,
        ],
        invoices=[*bills(BASIC, [first, MONTHS[0]], 3, **oldest), *moved.invoices],
    )


def merged_customers_overlap() -> Told:
    """The new id's plan of $30 starts two weeks before the old id's of $10 ends.

    Read as one customer it has two subscriptions for a while.
    """
    old: Json = {"customer": "cus_old"}
    new: Json = {"customer": "cus_new"}
    return Told(
        seen_at="2025-03-10",
        merge={"cus_old": "cus_new"},
        prices=[BASIC, PRO],
        subscriptions=[
            holds(**old, **ended(MID_FEBRUARY)),
            holds(PRO, MONTHS[1], 2, **new),
        ],
        invoices=[*bills(**old), *bills(PRO, MONTHS[1:4], 2, **new)],
    )


def merged_customers_with_an_upgrade() -> Told:
    """A customer moves to another customer id and takes a dearer plan that day.

    Read as one customer, the move is expansion by plan.
    """
    return _moved(PRO)


def merged_customers_with_a_discount() -> Told:
    """The new customer id has 50 % off for ever, which the old one never had.

    A customer's discount is its own: it takes nothing off the old id's months.
    """
    half = coupon("HALF", 50)
    start = MID_FEBRUARY + 120
    given = discount("di_1", half, start, sub=None, customer="cus_new")
    taken = line(
        BASIC, start, start + 28 * DAY, item="si_2", sub="sub_2", taken=[("di_1", 500)]
    )
    moved = _moved(
        BASIC, coupons=[half], customers=[customer("cus_new", discount=given)]
    )
    *old, _ = moved.invoices
    new = invoice(start, [taken], sub="sub_2", customer="cus_new")
    return replace(moved, invoices=[*old, new])


def _with_half_off(customer_id: str, start: int) -> tuple[Json, Json]:
    """The customer, and the discount of its own that its invoices show."""
    given = discount(
        f"di_{customer_id}", coupon("HALF", 50), start, sub=None, customer=customer_id
    )
    return customer(customer_id, discount=given), given


def _halved(start: int, end: int, given: Json, number: int, **more: Any) -> Json:
    sub, item = f"sub_{number}", f"si_{number}"
    taken = [(given["id"], 500)]
    charged = line(BASIC, start, end, item=item, sub=sub, taken=taken)
    own = {"customer": given["customer"], "discounts": [given]}
    return invoice(start, [charged], sub=sub, **own, **more)


def merged_customers_keep_their_discount() -> Told:
    """Both customer ids have 50 % off for ever, each by a discount of its own.

    The same offer under another id is no movement.
    """
    start = MID_FEBRUARY + 120
    old, before = _with_half_off("cus_old", MONTHS[0])
    new, after = _with_half_off("cus_new", start)
    return replace(
        _moved(BASIC),
        coupons=[coupon("HALF", 50)],
        customers=[old, new],
        invoices=[
            _halved(MONTHS[0], MONTHS[1], before, 1),
            _halved(MONTHS[1], MONTHS[2], before, 1),
            _halved(start, start + 28 * DAY, after, 2),
        ],
    )


def merged_customers_without_the_discount() -> Told:
    """The old customer id had 50 % off, of one invoice so far; the new one has not.

    A discount of the old id is known and over: expansion on the day of the move.
    """
    moved = _moved(BASIC)
    old, before = _with_half_off("cus_old", MONTHS[1])
    started = holds(start=MONTHS[1], customer="cus_old", **ended(MID_FEBRUARY))
    return replace(
        moved,
        coupons=[coupon("HALF", 50)],
        customers=[old],
        subscriptions=[started, moved.subscriptions[1]],
        invoices=[_halved(MONTHS[1], MONTHS[2], before, 1), moved.invoices[2]],
    )


# Invoices


def draft_invoice() -> Told:
    """The renewal's draft is being edited when we look: it says 5 seats, for now.

    A draft's regular line proves nothing.
    """
    return Told(
        seen_at="2025-02-01T10:30",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], quantity=5, status="draft"),
        ],
    )


def void_invoice() -> Told:
    """February's invoice is made void, and the subscription goes on.

    A void invoice proves no debt; the status decides, and it is active.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], status="void"),
            *bills(at=MONTHS[2:4]),
        ],
    )


def uncollectible_invoice() -> Told:
    """February's invoice is given up as uncollectible, and the subscription goes on.

    Money that never came is not the question; the status is active.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], status="uncollectible"),
            *bills(at=MONTHS[2:4]),
        ],
    )


def _upgrade(status: str, at: int = MID_FEBRUARY, end: int = MONTHS[2]) -> Json:
    """$10 becomes $30 half-way through a month, with an invoice of its own."""
    lines = [credit(BASIC, at, end, -500), debit(PRO, at, end, 1_500)]
    return invoice(at, lines, status, billing_reason="subscription_update")


def void_upgrade_that_stays() -> Told:
    """An upgrade's invoice is made void as a courtesy; the plan stays the dearer one.

    A void line proves no debt, but it says since when the subscription is what it is.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC, PRO],
        subscriptions=[holds(PRO)],
        invoices=[*bills(), _upgrade("void"), *bills(PRO, MONTHS[2:4])],
    )


def revised_invoice() -> Told:
    """The first invoice said 3 seats and is revised, two days later, to 2.

    A revision makes its original void: what counts is what it says.
    """
    original, revision = "in_original", "in_revision"
    source = {"action": "revision", "invoice": original}
    [wrong] = bills(
        at=MONTHS[:2],
        quantity=3,
        status="void",
        invoice_id=original,
        latest_revision=revision,
    )
    period = (MONTHS[0], MONTHS[1])
    right = invoice(
        MONTHS[0] + 2 * DAY,
        [line(BASIC, *period, quantity=2)],
        invoice_id=revision,
        from_invoice=source,
    )
    return Told(
        seen_at="2025-01-20",
        prices=[BASIC],
        subscriptions=[holds(quantity=2)],
        invoices=[wrong, right],
    )


def revised_renewal() -> Told:
    """February's renewal said 3 seats by mistake and is revised, two days on, to 1.

    What a revision made void is no movement up and back down.
    """
    [wrong] = bills(
        at=MONTHS[1:3],
        quantity=3,
        status="void",
        invoice_id="in_original",
        latest_revision="in_revision",
    )
    right = invoice(
        MONTHS[1] + 2 * DAY,
        [line(BASIC, MONTHS[1], MONTHS[2])],
        invoice_id="in_revision",
        from_invoice={"action": "revision", "invoice": "in_original"},
    )
    return Told(
        seen_at="2025-03-20",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[*bills(at=MONTHS[:2]), wrong, right, *bills(at=MONTHS[2:4])],
    )


def credit_note() -> Told:
    """A credit note takes $4 of February's $10 back before it is paid.

    Credit notes are never MRR.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], pre_payment_credit_notes_amount=400, total=600),
            *bills(at=MONTHS[2:4]),
        ],
    )


def refunded() -> Told:
    """February is paid and refunded in full.

    Refunds are never MRR: while the status is active, the customer stays.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], post_payment_credit_notes_amount=1_000),
            *bills(at=MONTHS[2:4]),
        ],
    )


def zero_invoice() -> Told:
    """February's $10 are paid from the customer's balance: nothing is due.

    What is charged is not the question; the subscription costs what it did.
    """
    from_balance: Json = {
        "amount_due": 0,
        "ending_balance": 0,
        "starting_balance": -1_000,
    }
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            *bills(at=MONTHS[:2]),
            *bills(at=MONTHS[1:3], **from_balance),
            *bills(at=MONTHS[2:4]),
        ],
    )


def one_off_item_on_a_renewal() -> Told:
    """A set-up fee is on the first invoice, a training of $80 on February's.

    One-off items are never MRR, though they name the subscription.
    """
    regular = [line(BASIC, start, end) for start, end in pairwise(MONTHS[:3])]
    return Told(
        seen_at="2025-02-20",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            invoice(MONTHS[0], [regular[0], one_off(MONTHS[0], 5_000, "sub_1")]),
            invoice(MONTHS[1], [regular[1], one_off(MONTHS[1] - DAY, 8_000, "sub_1")]),
        ],
    )


def manual_invoice() -> Told:
    """Beside a subscription of $10, a manual invoice of $500.

    A manual invoice is never MRR.
    """
    manual = invoice(MID_FEBRUARY, [one_off(MID_FEBRUARY, 50_000)], sub=None)
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[*bills(), manual, *bills(at=MONTHS[2:4])],
    )


def one_off_item_waiting() -> Told:
    """An hour of consulting waits for the next invoice and names the subscription.

    A pending invoice item that is no proration is never MRR.
    """
    hour = price("HOUR", 12_000)
    waits = pending(hour, MID_FEBRUARY, MID_FEBRUARY, 12_000, proration=False)
    details = {"subscription": "sub_1", "subscription_item": None}
    parent = {"subscription_details": details, "type": "subscription_details"}
    return Told(
        seen_at="2025-02-20",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=bills(),
        invoiceitems=[waits | {"parent": parent}],
    )


def prebilled_periods() -> Told:
    """One invoice for three months ahead; in February a second seat is added.

    March's line was written in January: it is no news of March.
    """
    ahead = [line(BASIC, MONTHS[n], MONTHS[n + 1]) for n in range(3)]
    more = [
        credit(BASIC, MID_FEBRUARY, MONTHS[2], -500),
        debit(BASIC, MID_FEBRUARY, MONTHS[2], 1_000, 2),
        credit(BASIC, MONTHS[2], MONTHS[3], -1_000),
        debit(BASIC, MONTHS[2], MONTHS[3], 2_000, 2),
    ]
    return Told(
        seen_at="2025-04-10",
        prices=[BASIC],
        subscriptions=[holds(quantity=2)],
        invoices=[
            invoice(MONTHS[0], ahead),
            invoice(MID_FEBRUARY, more),
            *bills(at=MONTHS[3:5], quantity=2),
        ],
    )


def prebilled_and_removed() -> Told:
    """One invoice for three months ahead; the customer cancels in February.

    What is billed ahead does not hold anybody.
    """
    ahead = [line(BASIC, MONTHS[n], MONTHS[n + 1]) for n in range(3)]
    return Told(
        seen_at="2025-04-10",
        prices=[BASIC],
        subscriptions=[holds(**ended(MID_FEBRUARY))],
        invoices=[invoice(MONTHS[0], ahead)],
    )


def imported_manual_lines() -> Told:
    """Invoices brought over from another system have manual lines only.

    What the subscription itself says counts, from its start.
    """
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC],
        subscriptions=[holds()],
        invoices=[
            invoice(at, [one_off(at, 1_000, "sub_1")], sub=None) for at in MONTHS[:3]
        ],
    )


# Currencies


def three_decimal_currency() -> Told:
    """A seat at 12.340 dinar a year, and a second one in February.

    A dinar has 1000 fils: 1.028 a month, and 2.057 for both, rounded once.
    """
    dinar = price("DINAR", 12_340, "year", currency="kwd")
    year = [MONTHS[0], MONTHS[12]]
    more = [
        credit(dinar, MID_FEBRUARY, year[1], -10_800),
        debit(dinar, MID_FEBRUARY, year[1], 21_600, 2),
    ]
    return Told(
        seen_at="2025-03-10",
        prices=[dinar],
        subscriptions=[holds(dinar, quantity=2)],
        invoices=[*bills(dinar, year), invoice(MID_FEBRUARY, more)],
    )


def currency_changed() -> Told:
    """A customer who pays $10 a month cancels and takes a plan of €9.

    Currencies are never added: churn in the one, new in the other.
    """
    euro = price("EURO", 900, currency="eur")
    start = MID_FEBRUARY + HOUR
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC, euro],
        subscriptions=[holds(**ended(MID_FEBRUARY)), holds(euro, start, 2)],
        invoices=[*bills(), *bills(euro, [start, start + 28 * DAY], 2)],
    )


def currency_changed_and_back() -> Told:
    """From $10 to €9 in February, and back to $10 in March.

    Who once paid in a currency is not new in it again: reactivation.
    """
    euro = price("EURO", 900, currency="eur")
    start, end = MID_FEBRUARY + HOUR, MARCH_5
    return Told(
        seen_at="2025-03-20",
        prices=[BASIC, euro],
        subscriptions=[
            holds(**ended(MID_FEBRUARY)),
            holds(euro, start, 2, **ended(end)),
            holds(BASIC, end + HOUR, 3),
        ],
        invoices=[
            *bills(),
            *bills(euro, [start, start + 28 * DAY], 2),
            *bills(BASIC, [end + HOUR, end + HOUR + 31 * DAY], 3),
        ],
    )


def two_currencies_at_once() -> Told:
    """A customer pays $10 and €9 a month, and gives up the dollar plan.

    Each currency is a customer of its own: churn in dollars, nothing in euros.
    """
    euro = price("EURO", 900, currency="eur")
    return Told(
        seen_at="2025-03-10",
        prices=[BASIC, euro],
        subscriptions=[
            holds(**ended(MID_FEBRUARY)),
            holds(euro, number=2),
        ],
        invoices=[*bills(), *bills(euro, MONTHS[:4], 2)],
    )


# Days


def _late(zone: str, end: str) -> Told:
    """Starts and upgrades at 23:30 UTC, and ends at ``end``."""
    month = months("2025-01-01T23:30", 4)
    upgraded = moment("2025-02-14T23:30")
    return Told(
        seen_at="2025-04-20",
        timezone=zone,
        prices=[BASIC, PRO],
        subscriptions=[holds(PRO, month[0], **ended(moment(end)))],
        invoices=[
            *bills(at=month[:3]),
            _upgrade("paid", upgraded, month[2]),
            *bills(PRO, month[2:5]),
        ],
    )


def late_evening_berlin() -> Told:
    """In Berlin 23:30 UTC is half past midnight in winter, half past one in summer.

    A change belongs to the local day of its instant: the next one.
    """
    return _late("Europe/Berlin", "2025-04-10T22:30")


def late_evening_new_york() -> Told:
    """In New York 23:30 UTC is the afternoon; the end at 3:30 UTC is the evening before.

    A change belongs to the local day of its instant.
    """
    return _late("America/New_York", "2025-04-10T03:30")


def late_evening_auckland() -> Told:
    """In Auckland 23:30 UTC is the next noon; the end at 11:30 UTC is 23:30 in winter.

    A change belongs to the local day of its instant, by the clock of that season.
    """
    return _late("Pacific/Auckland", "2025-04-10T11:30")


def daylight_saving_days() -> Told:
    """Upgraded at 22:30 UTC on the day Berlin's summer begins, back on that it ends.

    22:30 UTC is 0:30 of the next day in summer and 23:30 of the same one in winter.
    """
    month = months("2025-03-01T10:00", 8)
    up, down = moment("2025-03-30T22:30"), moment("2025-10-26T22:30")
    back = [
        credit(PRO, down, month[8], -477),
        debit(BASIC, down, month[8], 159),
    ]
    return Told(
        seen_at="2025-10-30",
        timezone="Europe/Berlin",
        prices=[BASIC, PRO],
        subscriptions=[holds(BASIC, month[0])],
        invoices=[
            *bills(at=month[:2]),
            _upgrade("paid", up, month[1]),
            *bills(PRO, month[1:9]),
            invoice(down, back),
        ],
    )


def exactly_at_midnight() -> Told:
    """In Berlin from 0:00:00 on 1 February to 23:59:59 on 31 March.

    Midnight belongs to the day that it begins.
    """
    start, end = moment("2025-01-31T23:00:00"), moment("2025-03-31T21:59:59")
    return Told(
        seen_at="2025-04-20",
        timezone="Europe/Berlin",
        prices=[BASIC],
        subscriptions=[holds(start=start, **ended(end))],
        invoices=bills(at=[start, start + 28 * DAY, start + 59 * DAY]),
    )


def anchor_on_the_31st() -> Told:
    """$10 from 31 January; two seats at the renewal of 31 March, gone on 30 April.

    A month's period ends on the 28th, 30th or 31st; its dates are the lines'.
    """
    month = [
        moment(f"2025-{day}T10:00") for day in ("01-31", "02-28", "03-31", "04-30")
    ]
    gone = ended(month[3], asked=moment("2025-04-08T10:00"))
    return Told(
        seen_at="2025-05-20",
        prices=[BASIC],
        subscriptions=[
            holds(
                start=month[0],
                quantity=2,
                cancel_at=month[3],
                cancel_at_period_end=True,
                **gone,
            )
        ],
        invoices=[*bills(at=month[:3]), *bills(at=month[2:], quantity=2)],
    )


def _29_february() -> Told:
    """$120 a year from 29 February 2024; renewed with two seats on 28 February 2025.

    A leap day's year ends on the 28th, and the end of 2026 is churn on that day.
    """
    yearly = price("YEARLY", 12_000, "year")
    year = [
        moment(f"{day}T10:00") for day in ("2024-02-29", "2025-02-28", "2026-02-28")
    ]
    return Told(
        seen_at="2026-04-01",
        prices=[yearly],
        subscriptions=[
            holds(yearly, year[0], quantity=2, **ended(year[2], asked=year[1] + DAY))
        ],
        invoices=[*bills(yearly, year[:2]), *bills(yearly, year[1:], quantity=2)],
    )


# The MRR that each case is worth from these days on, worked out by hand.
CASES: Mapping[Callable[[], Told], str] = {
    trial_running: "",
    trial_extended: "2025-01-29 1000",
    trial_ended_early: "2025-01-15 1000",
    second_trial: "2025-01-15 1000, 2025-02-15 0, 2025-03-15 1000",
    second_trial_classic: "2025-01-15 1000, 2025-02-15 0, 2025-03-15 1000",
    trial_on_a_paying_subscription: "2025-01-01 1000, 2025-02-15 0",
    trial_cancelled_to_its_end: "",
    item_trial: "2025-01-01 1000, 2025-01-15 4000",
    item_trial_running: "2025-01-01 1000",
    item_trial_alone: "2025-01-15 3000",
    item_trial_gone: "2025-01-01 1000",
    item_trial_of_an_add_on: "2025-01-01 1000, 2025-03-01 4000",
    trial_ends_paused: "",
    trial_ends_paused_then_paid: "2025-02-05 1000",
    paused_and_resumed: "2025-01-01 1000, 2025-02-15 0, 2025-03-05 1000",
    paused_long_ago: "2025-01-01 1000, 2025-02-15 0",
    paused_and_resumed_between_looks: "2025-01-01 1000, 2025-02-15 0, 2025-03-05 1000",
    paused_twice_between_looks: (
        "2025-01-01 1000, 2025-02-15 0, 2025-03-05 1000, 2025-05-10 0"
    ),
    paused_then_canceled: "2025-01-01 1000, 2025-02-15 0",
    incomplete_waits: "",
    unpaid_active_again: "2025-01-01 1000, 2025-02-12 0, 2025-03-05 1000",
    unpaid_observed: "2025-01-01 1000, 2025-03-10 0",
    past_due_after_days: "2025-01-01 1000, 2025-02-08 0, 2025-02-20 1000",
    past_due_paid_in_time: "2025-01-01 1000",
    one_off_overdue: "2025-01-01 1000",
    past_due_given_up: "2025-01-01 1000, 2025-02-08 0, 2025-02-28 1000",
    past_due_then_canceled: "2025-01-01 1000, 2025-02-08 0",
    invoice_due_in_30_days: "2025-01-01 3000",
    pause_collection_void: "2025-01-01 1000",
    pause_collection_keep_as_draft: "2025-01-01 1000",
    pause_collection_uncollectible: "2025-01-01 1000",
    pause_collection_excluded: "2025-01-01 1000, 2025-02-15 0, 2025-03-05 1000",
    pause_collection_resumes_by_itself: (
        "2025-01-01 1000, 2025-02-15 0, 2025-04-01 1000"
    ),
    cancel_now_with_credit: "2025-01-01 1000, 2025-02-15 0",
    cancel_at_by_the_portal: "2025-01-01 1000, 2025-04-01 0",
    cancel_at_still_to_come: "2025-01-01 1000",
    churn_when_requested: "2025-01-01 1000, 2025-02-15 0",
    churn_requested_and_undone: "2025-01-01 1000, 2025-02-15 0, 2025-02-20 1000",
    churn_requested_and_undone_between_looks: (
        "2025-01-01 1000, 2025-02-15 0, 2025-05-20 1000"
    ),
    two_subscriptions_both_end: (
        "2025-01-01 1000, 2025-02-01 4000, 2025-03-05 3000, 2025-04-01 0"
    ),
    resubscribe_across_midnight: "2025-01-01 1000, 2025-02-15 0, 2025-02-16 1000",
    resubscribe_within_a_minute: "2025-01-01 1000",
    return_after_six_weeks: "2025-01-01 1000, 2025-02-15 0, 2025-03-29 1000",
    deleted_customer: "2025-01-01 1000, 2025-02-15 0",
    deleted_customer_without_subscription: "",
    invoices_without_subscription: "",
    merged_customers: "2025-01-01 cus_new 1000",
    merged_customers_twice: "2024-12-01 cus_new 1000",
    merged_customers_overlap: (
        "2025-01-01 cus_new 1000, 2025-02-01 cus_new 4000, 2025-02-15 cus_new 3000"
    ),
    merged_customers_with_an_upgrade: (
        "2025-01-01 cus_new 1000, 2025-02-15 cus_new 3000"
    ),
    merged_customers_with_a_discount: "2025-01-01 cus_new 1000, 2025-02-15 cus_new 500",
    merged_customers_keep_their_discount: "2025-01-01 cus_new 500",
    merged_customers_without_the_discount: (
        "2025-02-01 cus_new 500, 2025-02-15 cus_new 1000"
    ),
    draft_invoice: "2025-01-01 1000",
    void_invoice: "2025-01-01 1000",
    uncollectible_invoice: "2025-01-01 1000",
    void_upgrade_that_stays: "2025-01-01 1000, 2025-02-15 3000",
    revised_invoice: "2025-01-01 2000",
    revised_renewal: "2025-01-01 1000",
    credit_note: "2025-01-01 1000",
    refunded: "2025-01-01 1000",
    zero_invoice: "2025-01-01 1000",
    one_off_item_on_a_renewal: "2025-01-01 1000",
    manual_invoice: "2025-01-01 1000",
    one_off_item_waiting: "2025-01-01 1000",
    prebilled_periods: "2025-01-01 1000, 2025-02-15 2000",
    prebilled_and_removed: "2025-01-01 1000, 2025-02-15 0",
    imported_manual_lines: "2025-01-01 1000",
    three_decimal_currency: "2025-01-01 kwd 1028, 2025-02-15 kwd 2057",
    currency_changed: "2025-01-01 1000, 2025-02-15 0, 2025-02-15 eur 900",
    currency_changed_and_back: (
        "2025-01-01 1000, 2025-02-15 0, 2025-02-15 eur 900, 2025-03-05 eur 0, "
        "2025-03-05 1000"
    ),
    two_currencies_at_once: "2025-01-01 1000, 2025-01-01 eur 900, 2025-02-15 0",
    late_evening_berlin: "2025-01-02 1000, 2025-02-15 3000, 2025-04-11 0",
    late_evening_new_york: "2025-01-01 1000, 2025-02-14 3000, 2025-04-09 0",
    late_evening_auckland: "2025-01-02 1000, 2025-02-15 3000, 2025-04-10 0",
    daylight_saving_days: "2025-03-01 1000, 2025-03-31 3000, 2025-10-26 1000",
    exactly_at_midnight: "2025-02-01 1000, 2025-03-31 0",
    anchor_on_the_31st: "2025-01-31 1000, 2025-03-31 2000, 2025-04-30 0",
    _29_february: "2024-02-29 1000, 2025-02-28 2000, 2026-02-28 0",
}
