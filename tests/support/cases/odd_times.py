"""Pauses, unpaid time and trials that nobody watched, told by hand.

What is looked at months later shows only what was billed, and how it stands now.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.support.shapes import (
    Json,
    credit,
    debit,
    event,
    invoice,
    line,
    moment,
    months,
    price,
    subscription,
    subscription_item,
    updated,
)
from tests.support.told import Told

BASIC = price("price_basic", 1_000)
PRO = price("price_pro", 3_000)
YEARLY = price("price_yearly", 24_000, "year")
CALLS = price("price_calls", 2, usage="metered")
MONTH = months("2025-01-01T10:00", 24)
ANEW = months("2025-04-20T14:30", 6)  # after a pause, the periods begin anew
MID_JANUARY = moment("2025-01-15T10:00")
MID_FEBRUARY = moment("2025-02-15T12:00")
APRIL_20 = ANEW[0]
SEEN = "2025-07-20"


def held(of: Json = BASIC, quantity: int | None = 1, **more: Any) -> Json:
    """A subscription to one price since January."""
    return subscription(MONTH[0], [subscription_item("si_1", of, quantity)], **more)


def bills(
    starts: Sequence[int], of: Json = BASIC, status: str = "paid", **more: Any
) -> list[Json]:
    """An invoice for each period, the last of which ends where the list does."""
    return [
        invoice(start, [line(of, start, end)], status, **more)
        for start, end in pairwise(starts)
    ]


def paid_late(created: int, end: int, paid: int) -> Json:
    """A renewal that was due at once, and paid long after."""
    moments = {
        "finalized_at": created,
        "marked_uncollectible_at": None,
        "paid_at": paid,
        "voided_at": None,
    }
    lines = [line(BASIC, created, end)]
    return invoice(created, lines, status_transitions=moments)


def finalized_late(created: int, end: int, at: int, status: str = "paid") -> Json:
    """A draft that was left one, and finalized in the end."""
    moments = {
        "finalized_at": at,
        "marked_uncollectible_at": None,
        "paid_at": at if status == "paid" else None,
        "voided_at": at if status == "void" else None,
    }
    lines = [line(BASIC, created, end)]
    return invoice(created, lines, status, status_transitions=moments)


def seen(subscriptions: Sequence[Json], invoices: Sequence[Json], **more: Any) -> Told:
    """What one look in July shows, newest first."""
    newest = sorted(invoices, key=lambda each: -each["created"])
    prices = [BASIC, PRO, YEARLY, CALLS]
    told: dict[str, Any] = {"seen_at": SEEN, "prices": prices} | more
    return Told(subscriptions=subscriptions, invoices=newest, **told)


# Pauses


def unbilled_with_the_anchor_kept() -> Told:
    """Paused as of 1 March, resumed without prorations; the next bill is of 1 May.

    Two periods of the same price are missing: a pause, until the first billed period.
    """
    return seen([held()], [*bills(MONTH[:3]), *bills(MONTH[4:8])])


def unbilled_until_a_proration() -> Told:
    """Paused as of 1 March, resumed on 20 April: the rest of the period is billed.

    A debit is billed time too: it begins on 20 April.
    """
    rest = debit(BASIC, APRIL_20, MONTH[4], 350)
    begun = [invoice(APRIL_20, [rest]), *bills(MONTH[4:8])]
    return seen([held()], [*bills(MONTH[:3]), *begun])


def unbilled_after_a_credit() -> Told:
    """Paused on 15 February, the rest of the month credited; resumed on 20 April.

    What a credit takes back was not billed: the pause begins with it.
    """
    taken = invoice(MID_FEBRUARY, [credit(BASIC, MID_FEBRUARY, MONTH[2], -480)])
    return seen([held()], [*bills(MONTH[:3]), taken, *bills(ANEW)])


def unbilled_twice() -> Told:
    """No period for March and half of April, and none from 20 May to 20 June.

    Two pauses, with a reactivation between them.
    """
    return seen([held()], [*bills(MONTH[:3]), *bills(ANEW[:2]), *bills(ANEW[2:4])])


def unbilled_between_two_years() -> Told:
    """A year is over on 1 January, and the next begins on 20 April.

    A year in advance is billed time for the year: the pause begins with its end.
    """
    begins = MONTH[12] + 109 * 86_400
    years = [
        invoice(MONTH[0], [line(YEARLY, MONTH[0], MONTH[12])]),
        invoice(begins, [line(YEARLY, begins, begins + 365 * 86_400)]),
    ]
    return seen([held(YEARLY)], years, seen_at="2026-07-20")


def unbilled_for_a_day() -> Told:
    """The next period begins half a day after the last one ended.

    Not more than a day: no pause.
    """
    late = [at + 43_200 for at in MONTH[2:6]]
    return seen([held()], [*bills(MONTH[:3]), *bills(late)])


def unbilled_item_beside_a_billed_one() -> Told:
    """One of two items is not billed for March and April; the other one is.

    Only where all items are billed for no time it is a pause.
    """
    both = [
        invoice(s, [line(BASIC, s, e), line(PRO, s, e, item="si_2")])
        for s, e in ((MONTH[0], MONTH[1]), (MONTH[1], MONTH[2]))
    ]
    again = [
        invoice(s, [line(BASIC, s, e), line(PRO, s, e, item="si_2")])
        for s, e in ((MONTH[4], MONTH[5]), (MONTH[5], MONTH[6]))
    ]
    items = [subscription_item("si_1", BASIC), subscription_item("si_2", PRO)]
    return seen([subscription(MONTH[0], items)], [*both, *bills(MONTH[2:5]), *again])


def unbilled_metered_price() -> Told:
    """Usage is billed for January and May alone; ``metered = "invoiced"``.

    Only a licensed item is billed in advance: a month without usage is no pause.
    """
    used = [
        invoice(end, [line(CALLS, start, end, 800, 400)])
        for start, end in ((MONTH[0], MONTH[1]), (MONTH[4], MONTH[5]))
    ]
    return seen([held(CALLS, None)], used, policy={"metered": "invoiced"})


def void_renewals_of_stopped_collection() -> Told:
    """``pause_collection`` voided March and April, and is over.

    Void invoices are billed time: its status stayed active, and it counts.
    """
    stopped = bills(MONTH[2:5], status="void")
    return seen([held()], [*bills(MONTH[:3]), *stopped, *bills(MONTH[4:8])])


def draft_renewals_of_stopped_collection() -> Told:
    """``pause_collection`` left March and April as drafts, and is over.

    All before was paid, so it was not unpaid; drafts are billed time, so no pause.
    """
    stopped = bills(MONTH[2:5], status="draft")
    return seen([held()], [*bills(MONTH[:3]), *stopped, *bills(MONTH[4:8])])


def void_invoice_of_a_failed_resumption() -> Told:
    """Paused as of 1 March; resuming on 5 April was not paid, on 20 April it was.

    An invoice that was void before its period was over began nothing.
    """
    at = moment("2025-04-05T14:30")
    failed = invoice(at, [line(BASIC, at, at + 30 * 86_400)], "void")
    return seen([held()], [*bills(MONTH[:3]), failed, *bills(ANEW[:4])])


def unbilled_and_then_canceled() -> Told:
    """Paused as of 1 March and cancelled on 10 July, without being billed again.

    Nothing was billed for four months: it left with its last period.
    """
    ended = moment("2025-07-10T10:00")
    over = held(status="canceled", canceled_at=ended, ended_at=ended)
    return seen([over], bills(MONTH[:3]))


def unbilled_before_it_was_seen_paused() -> Told:
    """Paused when we look in July, without a word since when; billed until 1 March.

    Nothing new is billed to who is paused: it was since the last period's end.
    """
    return seen([held(status="paused")], bills(MONTH[:3]))


def seen_active_while_unbilled() -> Told:
    """Billed until 1 March and from 1 May; a look in March sees it active.

    What a look shows is stronger than what was not billed.
    """
    before = seen([held()], bills(MONTH[:3]), seen_at="2025-03-20")
    other = held(cancel_at=MONTH[20])
    return seen([other], [*bills(MONTH[:3]), *bills(MONTH[4:8])], earlier=[before])


def moved_to_a_year_without_proration() -> Told:
    """On 20 March the monthly price becomes a yearly one, without prorations.

    The year has begun in January, and is billed next January: unbilled, but no pause.
    """
    ends = MONTH[24]
    year = invoice(MONTH[12], [line(YEARLY, MONTH[12], ends)])
    return seen([held(YEARLY)], [*bills(MONTH[:4]), year], seen_at="2026-07-20")


def anchored_in_the_future_without_proration() -> Told:
    """Started on 1 January, billed from 1 March, and nothing for the time before.

    There is no period before it that ended: no pause, its start decides.
    """
    return seen([held(billing_cycle_anchor=MONTH[2])], bills(MONTH[2:8]))


def cancellation_undone_in_a_shortened_period() -> Told:
    """Set to end on 15 March, so billed until then; that was undone, and April is billed.

    The rest of a period that was shortened is no pause.
    """
    half = moment("2025-03-15T10:00")
    short = invoice(MONTH[2], [line(BASIC, MONTH[2], half, 450)])
    return seen([held()], [*bills(MONTH[:3]), short, *bills(MONTH[3:8])])


def trial_between_two_periods() -> Told:
    """A trial moves the billing date from the 1st to the 20th of April.

    A trial between two periods is a trial, and no pause.
    """
    free = line(BASIC, MONTH[2], APRIL_20, 0)
    tried = held(trial_start=MONTH[2], trial_end=APRIL_20)
    return seen(
        [tried], [*bills(MONTH[:3]), invoice(MONTH[2], [free]), *bills(ANEW[:4])]
    )


def trial_never_billed() -> Told:
    """A trial ends without a card on 15 January, and is cancelled in March.

    Paused or not, nothing was ever billed: no new, no churn.
    """
    ended = moment("2025-03-10T10:00")
    free = invoice(MONTH[0], [line(BASIC, MONTH[0], MID_JANUARY, 0)])
    tried: Json = {"trial_start": MONTH[0], "trial_end": MID_JANUARY}
    over = held(status="canceled", canceled_at=ended, ended_at=ended, **tried)
    return seen([over], [free])


def paused_by_a_failed_payment() -> Told:
    """A renewal fails on 1 April, and an event tells that the subscription pauses.

    It shows as paused, not as gone.
    """
    at = moment("2025-04-03T10:00")
    details = {"type": "payment_failed", "transitioned_at": at}
    paused = held(status="paused", status_details={"paused": details})
    told = event("customer.subscription.paused", at, paused, {"status": "past_due"})
    return seen(
        [paused],
        [*bills(MONTH[:4]), *bills(MONTH[3:5], status="open")],
        events=[told],
        seen_at="2025-04-20",
    )


def one_of_two_subscriptions_paused() -> Told:
    """Of two subscriptions one is paused as of 1 March, and resumed on 20 April.

    The customer contracts and expands, by pause and resume.
    """
    other = subscription(MONTH[0], [subscription_item("si_2", PRO)], "sub_2")
    others = [
        invoice(s, [line(PRO, s, e, item="si_2", sub="sub_2")], sub="sub_2")
        for s, e in pairwise(MONTH[:8])
    ]
    return seen([held(), other], [*bills(MONTH[:3]), *bills(ANEW[:4]), *others])


# Unpaid


def unpaid_and_paid_again() -> Told:
    """April is not paid, May and June are left drafts; all are paid on 10 July.

    Unpaid from the first draft on, until a bill was paid.
    """
    paid = moment("2025-07-10T12:00")
    late = [
        paid_late(MONTH[3], MONTH[4], paid),
        finalized_late(MONTH[4], MONTH[5], paid + 60),
        finalized_late(MONTH[5], MONTH[6], paid + 120),
        finalized_late(MONTH[6], MONTH[7], paid + 180),
    ]
    return seen([held()], [*bills(MONTH[:4]), *late])


def unpaid_with_the_drafts_left() -> Told:
    """April is paid on 10 June; the drafts of May and June stay what they are.

    Paying what was open ends it: drafts of unpaid time are never collected.
    """
    paid = moment("2025-06-10T12:00")
    late = paid_late(MONTH[3], MONTH[4], paid)
    drafts = bills(MONTH[4:7], status="draft")
    return seen([held()], [*bills(MONTH[:4]), late, *drafts, *bills(MONTH[6:8])])


def unpaid_and_then_canceled() -> Told:
    """April is not paid, May and June are drafts; it is cancelled on 10 July.

    It left when it became unpaid: on 1 May.
    """
    ended = moment("2025-07-10T10:00")
    over = held(status="canceled", canceled_at=ended, ended_at=ended)
    unpaid = bills(MONTH[3:5], status="open")
    drafts = bills(MONTH[4:7], status="draft")
    return seen([over], [*bills(MONTH[:4]), *unpaid, *drafts])


def unpaid_and_written_off() -> Told:
    """April was marked uncollectible; May to July are drafts, the status is unpaid.

    Whatever became of the last attempt, the first draft dates it.
    """
    lost = bills(MONTH[3:5], status="uncollectible")
    drafts = bills(MONTH[4:8], status="draft")
    return seen([held(status="unpaid")], [*bills(MONTH[:4]), *lost, *drafts])


def unpaid_by_an_event() -> Told:
    """An event tells that it became unpaid on 25 June; the draft of July came after.

    An event knows the instant.
    """
    at = moment("2025-06-25T12:00")
    unpaid = held(status="unpaid")
    told = updated(at, held(status="past_due"), unpaid)
    late = bills(MONTH[5:7], status="open")
    drafts = bills(MONTH[6:8], status="draft")
    return seen([unpaid], [*bills(MONTH[:6]), *late, *drafts], events=[told])


def finalized_by_hand_every_month() -> Told:
    """Sent by hand a week after each renewal, due in 30 days, paid on the 15th after.

    Nothing was overdue when the next draft came: it was never unpaid.
    """
    week, due_days = 7 * 86_400, 37 * 86_400
    sent = []
    for start, end in pairwise(MONTH[:7]):
        paid = end + 14 * 86_400
        made = finalized_late(start, end, start + week)
        made["status_transitions"]["paid_at"] = paid
        sent.append(made | {"due_date": start + due_days})
    return seen([held(collection_method="send_invoice")], sent)


# Policy


FIRST_PAYMENT = {"active_from": "first_payment"}
AFTER_PAYING = {"trial_after_paying": "counts"}


def active_from_the_first_payment() -> Told:
    """Sent on 1 January, paid on 10 February; ``active_from = "first_payment"``.

    It counts from the first paid invoice.
    """
    late = paid_late(MONTH[0], MONTH[1], moment("2025-02-10T12:00"))
    return seen([held()], [late], policy=FIRST_PAYMENT)


def active_from_a_payment_that_never_came() -> Told:
    """Sent every month and never paid; ``active_from = "first_payment"``.

    Under this policy it never was MRR.
    """
    return seen([held()], bills(MONTH[:8], status="open"), policy=FIRST_PAYMENT)


def active_from_the_start_though_sent() -> Told:
    """Sent every month and never paid, under the default.

    It counts from its start.
    """
    return seen([held()], bills(MONTH[:8], status="open"))


def active_from_the_payment_after_a_trial() -> Told:
    """A free trial, then $10; ``active_from = "first_payment"``.

    An invoice of nothing is no payment.
    """
    free = invoice(MONTH[0], [line(BASIC, MONTH[0], MID_JANUARY, 0)])
    paid = months("2025-01-15T10:00", 7)
    tried = held(trial_start=MONTH[0], trial_end=MID_JANUARY)
    late = paid_late(paid[0], paid[1], moment("2025-01-18T10:00"))
    return seen([tried], [free, late, *bills(paid[1:])], policy=FIRST_PAYMENT)


def _tried(status: str = "active", **more: Any) -> Json:
    return held(status=status, trial_start=MONTH[2], trial_end=APRIL_20, **more)


_TRIED = [
    *bills(MONTH[:3]),
    invoice(MONTH[2], [line(BASIC, MONTH[2], APRIL_20, 0)]),
]


def trial_after_paying_counts() -> Told:
    """A trial moves the billing date of who pays; ``trial_after_paying = "counts"``.

    It goes on at what it paid.
    """
    return seen([_tried()], [*_TRIED, *bills(ANEW[:4])], policy=AFTER_PAYING)


def trial_after_paying_runs() -> Told:
    """The same, while the trial is running.

    It goes on at what it paid, though its status is trialing.
    """
    trialing = _tried("trialing")
    return seen([trialing], _TRIED, seen_at="2025-04-01", policy=AFTER_PAYING)


def trial_after_paying_ends_unpaid() -> Told:
    """Nothing is paid when the trial ends: the subscription pauses.

    It ends when the trial ends.
    """
    details = {"type": "subscription", "transitioned_at": APRIL_20}
    paused = _tried("paused", status_details={"paused": details})
    return seen([paused], _TRIED, policy=AFTER_PAYING)


def trial_after_paying_of_a_larger_plan() -> Told:
    """$10 a month, then a trial of $30; ``trial_after_paying = "counts"``.

    It goes on at what it paid, and is $30 when that is paid.
    """
    free = invoice(MONTH[2], [line(PRO, MONTH[2], APRIL_20, 0)])
    tried = held(PRO, trial_start=MONTH[2], trial_end=APRIL_20)
    return seen(
        [tried], [*bills(MONTH[:3]), free, *bills(ANEW[:4], PRO)], policy=AFTER_PAYING
    )


def trial_before_paying_counts_nothing() -> Told:
    """A trial at the beginning; ``trial_after_paying = "counts"``.

    Nobody paid until then: a trial as every other.
    """
    free = invoice(MONTH[0], [line(BASIC, MONTH[0], MID_JANUARY, 0)])
    paid = months("2025-01-15T10:00", 7)
    tried = held(trial_start=MONTH[0], trial_end=MID_JANUARY)
    return seen([tried], [free, *bills(paid)], policy=AFTER_PAYING)


_FIRST_TRIAL = MONTH[0] - 31 * 86_400
MAY = months("2025-05-10T10:00", 4)


def _tried_twice(start: int, end: int, **more: Any) -> Json:
    """Since December, when there was a trial; another one ends at ``end``."""
    items = [subscription_item("si_1", BASIC)]
    return subscription(_FIRST_TRIAL, items, trial_start=start, trial_end=end, **more)


def _free(start: int, end: int) -> Json:
    return invoice(start, [line(BASIC, start, end, 0)])


_PAID_BEFORE = [_free(_FIRST_TRIAL, MONTH[0]), *bills(MONTH[:3])]


def trial_without_a_line_of_its_own() -> Told:
    """In classic mode a second trial until 20 April was given, and no line names it.

    ``trial_end`` says when it ended, the last paid period since when: no pause.
    """
    tried = _tried_twice(_FIRST_TRIAL, APRIL_20)
    return seen([tried], [*_PAID_BEFORE, *bills(ANEW[:4])])


def trial_without_a_line_after_paying() -> Told:
    """The same; ``trial_after_paying = "counts"``.

    It goes on at what it paid.
    """
    tried = _tried_twice(_FIRST_TRIAL, APRIL_20)
    return seen([tried], [*_PAID_BEFORE, *bills(ANEW[:4])], policy=AFTER_PAYING)


def trial_put_off_after_paying() -> Told:
    """A trial until 20 April is put off to 10 May; ``trial_after_paying = "counts"``.

    ``trial_end`` says so, though its line ends before: it goes on until then.
    """
    put_off = _tried_twice(_FIRST_TRIAL, MAY[0])
    told = [*_PAID_BEFORE, _free(MONTH[2], APRIL_20), *bills(MAY[:3])]
    return seen([put_off], told, policy=AFTER_PAYING)


def trial_put_off_and_running() -> Told:
    """A second trial's line ends on 20 April, and in July it is trialing until September.

    Put off, it runs on: nothing counts between.
    """
    trialing = _tried_twice(_FIRST_TRIAL, moment("2025-09-01"), status="trialing")
    return seen([trialing], [*_PAID_BEFORE, _free(MONTH[2], APRIL_20)])


def trial_given_in_unbilled_time() -> Told:
    """Paid until 1 March, nothing billed; on 10 April a trial until 10 May.

    No trial and no bill between: a pause, until the first billed period.
    """
    tried = _tried_twice(moment("2025-04-10T10:00"), MAY[0])
    return seen([tried], [*_PAID_BEFORE, *bills(MAY[:3])])


def trial_given_again_after_a_pause() -> Told:
    """A trial ends on 20 April without a card; on 1 May another one begins until 10 May.

    Between the two nothing was billed: it begins again with the first billed period.
    """
    tried = _tried_twice(MONTH[4], MAY[0])
    free = [_free(MONTH[2], APRIL_20), _free(MONTH[4], MAY[0])]
    return seen([tried], [*_PAID_BEFORE, *free, *bills(MAY[:3])])


def trial_given_again_before_paying() -> Told:
    """A first trial ends without a card; on 1 February it is given another month.

    Nobody paid before 1 March: new on that day.
    """
    tried = _tried_twice(MONTH[1], MONTH[2])
    free = [_free(_FIRST_TRIAL, MONTH[0]), _free(MONTH[1], MONTH[2])]
    return seen([tried], [*free, *bills(MONTH[2:7])])


def trial_before_a_year_begun_without_proration() -> Told:
    """Monthly until 1 March, then a year without prorations, and a trial in April.

    The year has begun in January and is billed after the trial: no pause before it.
    """
    april_10 = moment("2025-04-10T10:00")
    free = invoice(april_10, [line(YEARLY, april_10, MAY[0], 0)])
    year = invoice(MAY[0], [line(YEARLY, MAY[0], MAY[0] + 365 * 86_400)])
    tried = held(YEARLY, trial_start=april_10, trial_end=MAY[0])
    return seen([tried], [*bills(MONTH[:3]), free, year])


CASES: Mapping[Callable[[], Told], str] = {
    unbilled_with_the_anchor_kept: "2025-01-01 1000, 2025-03-01 0, 2025-05-01 1000",
    unbilled_until_a_proration: "2025-01-01 1000, 2025-03-01 0, 2025-04-20 1000",
    unbilled_after_a_credit: "2025-01-01 1000, 2025-02-15 0, 2025-04-20 1000",
    unbilled_twice: (
        "2025-01-01 1000, 2025-03-01 0, 2025-04-20 1000, 2025-05-20 0, 2025-06-20 1000"
    ),
    unbilled_between_two_years: "2025-01-01 2000, 2026-01-01 0, 2026-04-20 2000",
    unbilled_for_a_day: "2025-01-01 1000",
    unbilled_item_beside_a_billed_one: "2025-01-01 4000",
    unbilled_metered_price: "2025-02-01 800",
    void_renewals_of_stopped_collection: "2025-01-01 1000",
    draft_renewals_of_stopped_collection: "2025-01-01 1000",
    void_invoice_of_a_failed_resumption: (
        "2025-01-01 1000, 2025-03-01 0, 2025-04-20 1000"
    ),
    unbilled_and_then_canceled: "2025-01-01 1000, 2025-03-01 0",
    unbilled_before_it_was_seen_paused: "2025-01-01 1000, 2025-03-01 0",
    seen_active_while_unbilled: "2025-01-01 1000",
    moved_to_a_year_without_proration: "2025-01-01 1000, 2026-01-01 2000",
    anchored_in_the_future_without_proration: "2025-01-01 1000",
    cancellation_undone_in_a_shortened_period: "2025-01-01 1000",
    trial_between_two_periods: "2025-01-01 1000, 2025-03-01 0, 2025-04-20 1000",
    trial_never_billed: "",
    paused_by_a_failed_payment: "2025-01-01 1000, 2025-04-03 0",
    one_of_two_subscriptions_paused: (
        "2025-01-01 4000, 2025-03-01 3000, 2025-04-20 4000"
    ),
    unpaid_and_paid_again: "2025-01-01 1000, 2025-05-01 0, 2025-07-10 1000",
    unpaid_with_the_drafts_left: "2025-01-01 1000, 2025-05-01 0, 2025-06-10 1000",
    unpaid_and_then_canceled: "2025-01-01 1000, 2025-05-01 0",
    unpaid_and_written_off: "2025-01-01 1000, 2025-05-01 0",
    unpaid_by_an_event: "2025-01-01 1000, 2025-06-25 0",
    finalized_by_hand_every_month: "2025-01-01 1000",
    active_from_the_first_payment: "2025-02-10 1000",
    active_from_a_payment_that_never_came: "",
    active_from_the_start_though_sent: "2025-01-01 1000",
    active_from_the_payment_after_a_trial: "2025-01-18 1000",
    trial_after_paying_counts: "2025-01-01 1000",
    trial_after_paying_runs: "2025-01-01 1000",
    trial_after_paying_ends_unpaid: "2025-01-01 1000, 2025-04-20 0",
    trial_after_paying_of_a_larger_plan: "2025-01-01 1000, 2025-04-20 3000",
    trial_before_paying_counts_nothing: "2025-01-15 1000",
    trial_without_a_line_of_its_own: ("2025-01-01 1000, 2025-03-01 0, 2025-04-20 1000"),
    trial_without_a_line_after_paying: "2025-01-01 1000",
    trial_put_off_after_paying: "2025-01-01 1000",
    trial_put_off_and_running: "2025-01-01 1000, 2025-03-01 0",
    trial_given_in_unbilled_time: "2025-01-01 1000, 2025-03-01 0, 2025-05-10 1000",
    trial_given_again_after_a_pause: "2025-01-01 1000, 2025-03-01 0, 2025-05-10 1000",
    trial_given_again_before_paying: "2025-03-01 1000",
    trial_before_a_year_begun_without_proration: (
        "2025-01-01 1000, 2025-04-10 0, 2025-05-10 2000"
    ),
}
