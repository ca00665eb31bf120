"""Odd changes, intervals and items, told by hand."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from tests.support.shapes import (
    Json,
    credit,
    debit,
    invoice,
    line,
    moment,
    months,
    pending,
    price,
    subscription,
    subscription_item,
    updated,
)
from tests.support.told import Told

MONTH = months("2025-01-01T10:00", 30)  # the starts of the months that are billed
YEAR = MONTH[::12]
AT = moment("2025-02-15T12:00")  # in the middle of the second month
SEEN = "2025-03-20"

BASIC = price("price_basic", 1_000)
TEAM = price("price_team", 3_000)
EXTRA = price("price_extra", 600)
YEARLY = price("price_yearly", 24_000, "year")
FREE = price("price_free", 0)


def bill(number: int, *lines: Json, **more: Any) -> Json:
    """The invoice of a month's renewal, with what waited for it and other items."""
    return invoice(MONTH[number], lines, **more)


def month_of(of: Json, number: int, quantity: int = 1, item: str = "si_1") -> Json:
    """A regular line of a month."""
    start, end = MONTH[number], MONTH[number + 1]
    return line(of, start, end, quantity=quantity, item=item)


def rest(of: Json, at: int, end: int, quantity: int = 1) -> int:
    """What Stripe charges from ``at`` to the end of its month, or year."""
    whole = MONTH[2] - MONTH[1] if end - at < 31 * 86_400 else YEAR[1] - YEAR[0]
    full: int = of["unit_amount"] * quantity
    return round(full * (end - at) / whole)


def back(of: Json, at: int, end: int, quantity: int = 1, item: str = "si_1") -> Json:
    """The credit for the rest of a period."""
    return credit(of, at, end, -rest(of, at, end, quantity), quantity, item=item)


def due(of: Json, at: int, end: int, quantity: int = 1, item: str = "si_1") -> Json:
    """The debit for the rest of a period."""
    return debit(of, at, end, rest(of, at, end, quantity), quantity, item=item)


def one(of: Json, quantity: int = 1, **more: Any) -> Json:
    """A subscription to one price since January."""
    return subscription(MONTH[0], [subscription_item("si_1", of, quantity)], **more)


def two_months(of: Json, quantity: int = 1) -> list[Json]:
    return [bill(number, month_of(of, number, quantity)) for number in (0, 1)]


# Changes


def upgrade_invoiced_at_once() -> Told:
    """$10 becomes $30 on 15 February, with an invoice of its own on that day.

    The pair of credit and debit dates the change; the renewal's line adds nothing.
    """
    pair = [back(BASIC, AT, MONTH[2]), due(TEAM, AT, MONTH[2])]
    at_once = invoice(AT, pair, billing_reason="subscription_update")
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC), at_once, bill(2, month_of(TEAM, 2))],
    )


def upgrade_without_proration() -> Told:
    """$10 becomes $30 on 15 February, and nobody is charged for the rest of the month.

    The first regular line of the new price is the first to show it: 1 March.
    """
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC), bill(2, month_of(TEAM, 2))],
    )


def downgrade_with_prorations() -> Told:
    """$30 becomes $10 on 15 February; the March invoice takes back what was too much.

    A contraction on the day of the change, of the monthly difference, not of the credit.
    """
    pair = [back(TEAM, AT, MONTH[2]), due(BASIC, AT, MONTH[2])]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(TEAM), bill(2, *pair, month_of(BASIC, 2))],
    )


def downgrade_invoiced_at_once() -> Told:
    """$30 becomes $10 on 15 February; an invoice below zero says so on that day.

    An invoice that owes the customer is evidence like any other.
    """
    pair = [back(TEAM, AT, MONTH[2]), due(BASIC, AT, MONTH[2])]
    at_once = invoice(AT, pair, billing_reason="subscription_update")
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(TEAM), at_once, bill(2, month_of(BASIC, 2))],
    )


def monthly_change_pending() -> Told:
    """$10 becomes $30 on 15 February, and we look on the 20th, before any invoice.

    The pending pair shows the change today, with its day.
    """
    left = MONTH[2]
    return Told(
        seen_at="2025-02-20",
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=two_months(BASIC),
        invoiceitems=[
            pending(BASIC, AT, left, -rest(BASIC, AT, left)),
            pending(TEAM, AT, left, rest(TEAM, AT, left)),
        ],
    )


def change_at_the_instant_of_renewal() -> Told:
    """The February invoice is written, and $10 becomes $30 as of the same instant.

    The debit covers the whole month: the change is dated to the renewal's day.
    """
    pair = [
        credit(BASIC, MONTH[1], MONTH[2], -1_000),
        debit(TEAM, MONTH[1], MONTH[2], 3_000),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[
            *two_months(BASIC),
            invoice(MONTH[1] + 5, pair, billing_reason="subscription_update"),
            bill(2, month_of(TEAM, 2)),
        ],
    )


def change_during_a_trial() -> Told:
    """Two weeks on trial of $10, changed to $30 on the second day.

    A trial counts for nothing: the customer is new at its end, with the price it has then.
    """
    ends, next_month = moment("2025-01-15T10:00"), moment("2025-02-15T10:00")
    changed = MONTH[0] + 86_400
    pair = [credit(BASIC, changed, ends, 0), debit(TEAM, changed, ends, 0)]
    return Told(
        seen_at="2025-02-10",
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM, trial_start=MONTH[0], trial_end=ends)],
        invoices=[
            invoice(MONTH[0], [line(BASIC, MONTH[0], ends, 0)]),
            invoice(ends, [*pair, line(TEAM, ends, next_month)]),
        ],
    )


def plan_changed_without_passing_the_seats() -> Told:
    """5 seats at $10 become a plan of $30, and the quantity falls back to 1.

    One movement, two causes: the plan at 5 seats is +100, the seats at $30 are −120.
    """
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC, 5), bill(2, month_of(TEAM, 2))],
    )


def three_plans_in_one_second() -> Told:
    """$10 becomes $20 and $30 within a second, and the invoice says so newest first.

    Lines of one instant are put in order by what they credit: the last state counts.
    """
    middle = price("price_middle", 2_000)
    end = MONTH[2]
    lines = [
        month_of(TEAM, 2),
        due(TEAM, AT, end),
        back(middle, AT, end),
        due(middle, AT, end),
        back(BASIC, AT, end),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, middle, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC), bill(2, *lines)],
    )


def there_and_back_in_one_second() -> Told:
    """$10 becomes $30 by mistake and $10 again within the same second.

    Every line cancels out: no movement.
    """
    end = MONTH[2]
    lines = [
        back(BASIC, AT, end),
        due(TEAM, AT, end),
        back(TEAM, AT, end),
        due(BASIC, AT, end),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(BASIC), bill(2, *lines, month_of(BASIC, 2))],
    )


def change_dated_back() -> Told:
    """Asked for on 20 February as of the 15th (``proration_date``), as the event shows.

    The debit's start says when it took effect; what the event saw before is no denial.
    """
    asked = AT + 5 * 86_400
    pair = [back(BASIC, AT, MONTH[2]), due(TEAM, AT, MONTH[2])]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC), bill(2, *pair, month_of(TEAM, 2))],
        events=[updated(asked, one(BASIC), one(TEAM))],
    )


def two_events_in_one_second() -> Told:
    """$10 becomes $20 and $30 in one second, told by two events and a renewal.

    Each event says what was before it, and that puts them in order, whatever their ids.
    """
    middle = price("price_middle", 2_000)
    first = updated(AT, one(BASIC), one(middle)) | {"id": "evt_b"}
    second = updated(AT, one(middle), one(TEAM)) | {"id": "evt_a"}
    return Told(
        seen_at=SEEN,
        prices=[BASIC, middle, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC), bill(2, month_of(TEAM, 2))],
        events=[first, second],
    )


def upgrade_never_paid() -> Told:
    """An upgrade is invoiced at once, not paid within 23 hours, and taken back.

    A void invoice is no evidence that money was due: the subscription decides, $10.
    """
    pair = [back(BASIC, AT, MONTH[2]), due(TEAM, AT, MONTH[2])]
    void = invoice(AT, pair, "void", billing_reason="subscription_update")
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(BASIC), void, bill(2, month_of(BASIC, 2))],
    )


def upgrade_waiting_for_payment() -> Told:
    """An upgrade is invoiced at once and not yet paid; the subscription waits for it.

    A pending update has not taken effect: still $10.
    """
    pair = [back(BASIC, AT, MONTH[2]), due(TEAM, AT, MONTH[2])]
    wanted = subscription_item("si_1", TEAM, created=MONTH[0], subscription="sub_1")
    waits = {"expires_at": AT + 82_800, "subscription_items": [wanted]}
    return Told(
        seen_at="2025-02-15T20:00",
        prices=[BASIC, TEAM],
        subscriptions=[one(BASIC, pending_update=waits)],
        invoices=[*two_months(BASIC), invoice(AT, pair, "open")],
    )


def observed_and_billed_later() -> Told:
    """A look on 20 February sees $30; the renewal's line of 1 March says the same.

    What a look saw before the first line that shows it dates the change: observed.
    """
    early = Told(
        seen_at="2025-01-20",
        prices=[BASIC],
        subscriptions=[one(BASIC)],
        invoices=two_months(BASIC)[:1],
    )
    middle = Told(
        seen_at="2025-02-20",
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=two_months(BASIC),
    )
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[*two_months(BASIC), bill(2, month_of(TEAM, 2))],
        earlier=[early, middle],
    )


def free_to_paid() -> Told:
    """Six weeks on a free plan, then $10.

    Amount 0 is not a customer: new on the day of the first paid plan, not before.
    """
    pair = [credit(FREE, AT, MONTH[2], 0), due(BASIC, AT, MONTH[2])]
    return Told(
        seen_at=SEEN,
        prices=[FREE, BASIC],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(FREE), bill(2, *pair, month_of(BASIC, 2))],
    )


def paid_to_free() -> Told:
    """$10 becomes the free plan on 15 February; the subscription stays active.

    Going to 0 is churn.
    """
    pair = [back(BASIC, AT, MONTH[2]), debit(FREE, AT, MONTH[2], 0)]
    return Told(
        seen_at=SEEN,
        prices=[FREE, BASIC],
        subscriptions=[one(FREE)],
        invoices=[*two_months(BASIC), bill(2, *pair, month_of(FREE, 2))],
    )


# Intervals


def _every(interval: str, count: int, amount: int, ends: str) -> Told:
    of = price(f"price_{count}_{interval}", amount, interval, count)
    first = line(of, MONTH[0], moment(ends))
    return Told(
        seen_at="2025-01-01T20:00",
        prices=[of],
        subscriptions=[one(of)],
        invoices=[invoice(MONTH[0], [first])],
    )


def every_day() -> Told:
    """$1 a day.

    A day counts 365/12 times a month: 30.42.
    """
    return _every("day", 1, 100, "2025-01-02T10:00")


def every_week() -> Told:
    """$10 a week.

    A week counts 52/12 times a month: 43.33.
    """
    return _every("week", 1, 1_000, "2025-01-08T10:00")


def every_two_weeks() -> Told:
    """$25 every two weeks.

    52/12 divided by the interval's count: 25 × 52 / 24 is 54.17.
    """
    return _every("week", 2, 2_500, "2025-01-15T10:00")


def every_two_months() -> Told:
    """$50 every two months.

    A month divided by the interval's count: 25.00.
    """
    return _every("month", 2, 5_000, "2025-03-01T10:00")


def every_quarter() -> Told:
    """$100 a quarter.

    A third a month, rounded once: 33.33.
    """
    return _every("month", 3, 10_000, "2025-04-01T10:00")


def every_half_year() -> Told:
    """$100 every six months.

    A sixth a month, rounded once: 16.67.
    """
    return _every("month", 6, 10_000, "2025-07-01T10:00")


def every_two_years() -> Told:
    """$1,000 every two years.

    1/12 divided by two: 41.67, never 83.33 and never 1,000.
    """
    return _every("year", 2, 100_000, "2027-01-01T10:00")


def yearly_to_monthly_classic() -> Told:
    """$240 a year becomes $30 a month in February: the month starts at once.

    A monthly price counts in full: 20.00 becomes 30.00, however large the credit.
    """
    month = months("2025-02-15T12:00", 2)
    return Told(
        seen_at=SEEN,
        prices=[YEARLY, TEAM],
        subscriptions=[one(TEAM, mode="classic")],
        invoices=[
            invoice(YEAR[0], [line(YEARLY, YEAR[0], YEAR[1])]),
            invoice(AT, [back(YEARLY, AT, YEAR[1]), line(TEAM, month[0], month[1])]),
            invoice(month[1], [line(TEAM, month[1], month[2])]),
        ],
    )


def flexible_switch_flagged_proration() -> Told:
    """$30 a month becomes $240 a year; its only line is flagged as a proration.

    The flag alone decides nothing: 30.00 becomes 20.00 on the day of the change.
    """
    lines = [back(TEAM, AT, MONTH[2]), due(YEARLY, AT, YEAR[1])]
    return Told(
        seen_at=SEEN,
        prices=[YEARLY, TEAM],
        subscriptions=[one(YEARLY)],
        invoices=[*two_months(TEAM), invoice(AT, lines)],
    )


def flexible_switch_back() -> Told:
    """$240 a year becomes $30 a month; the rest of the month is flagged as a proration.

    20.00 becomes 30.00 on the day of the change; the next month's line adds nothing.
    """
    lines = [back(YEARLY, AT, YEAR[1]), due(TEAM, AT, MONTH[2])]
    return Told(
        seen_at=SEEN,
        prices=[YEARLY, TEAM],
        subscriptions=[one(TEAM)],
        invoices=[
            invoice(YEAR[0], [line(YEARLY, YEAR[0], YEAR[1])]),
            invoice(AT, lines),
            bill(2, month_of(TEAM, 2)),
        ],
    )


def several_credits_for_one_change() -> Told:
    """Seats grow from 1 to 2 to 3; flexible billing takes the 2 back in two credits.

    One credit for each debit or line that it takes back is still one change.
    """
    later = AT + 5 * 86_400
    end = MONTH[2]
    lines = [
        back(BASIC, AT, end),
        due(BASIC, AT, end, 2),
        back(BASIC, later, end),
        back(BASIC, later, end),
        due(BASIC, later, end, 3),
        month_of(BASIC, 2, 3),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        subscriptions=[one(BASIC, 3)],
        invoices=[*two_months(BASIC), bill(2, *lines)],
    )


def mixed_intervals() -> Told:
    """One subscription, $10 a month and $240 a year: invoices with one line or two.

    The yearly item has not gone because an invoice does not name it.
    """
    items = [subscription_item("si_1", BASIC), subscription_item("si_2", YEARLY)]
    year = line(YEARLY, YEAR[0], YEAR[1], item="si_2")
    return Told(
        seen_at=SEEN,
        prices=[BASIC, YEARLY],
        subscriptions=[subscription(MONTH[0], items)],
        invoices=[
            bill(0, month_of(BASIC, 0), year),
            *(bill(number, month_of(BASIC, number)) for number in (1, 2)),
        ],
    )


def yearly_item_joins_a_monthly_one() -> Told:
    """A yearly add-on of $240 joins a plan of $10 a month, with an invoice of its own.

    An item beside a paying one is an add-on, worth a twelfth a month.
    """
    items = [
        subscription_item("si_1", BASIC),
        subscription_item("si_2", YEARLY, created=AT),
    ]
    year = line(YEARLY, AT, moment("2026-02-15T12:00"), item="si_2")
    return Told(
        seen_at=SEEN,
        prices=[BASIC, YEARLY],
        subscriptions=[subscription(MONTH[0], items)],
        invoices=[
            *two_months(BASIC),
            invoice(AT, [year]),
            bill(2, month_of(BASIC, 2)),
        ],
    )


def yearly_item_leaves_a_monthly_one() -> Told:
    """Of $10 a month and $240 a year, the year is credited away in February.

    A credit alone is a removal: −20.00, not what is paid back.
    """
    year = line(YEARLY, YEAR[0], YEAR[1], item="si_2")
    return Told(
        seen_at=SEEN,
        prices=[BASIC, YEARLY],
        subscriptions=[one(BASIC)],
        invoices=[
            bill(0, month_of(BASIC, 0), year),
            bill(1, month_of(BASIC, 1)),
            bill(2, back(YEARLY, AT, YEAR[1], item="si_2"), month_of(BASIC, 2)),
        ],
    )


def last_period_shortened() -> Told:
    """$30 a month, to end on 15 March: the last renewal bills half a month.

    A shorter period is no lower price: 30.00 until the end, then churn.
    """
    ends = moment("2025-03-15T10:00")
    ended: Json = {"cancel_at": ends, "canceled_at": MONTH[1], "ended_at": ends}
    return Told(
        seen_at=SEEN,
        prices=[TEAM],
        subscriptions=[one(TEAM, status="canceled", **ended)],
        invoices=[*two_months(TEAM), bill(2, line(TEAM, MONTH[2], ends, 1_355))],
    )


def last_period_shortened_as_a_proration() -> Told:
    """$30 a month, to end on 15 March: a proration bills the last half month.

    The flag alone decides nothing: 30.00 until the end, then churn.
    """
    ends = moment("2025-03-15T10:00")
    ended: Json = {"cancel_at": ends, "canceled_at": MONTH[1], "ended_at": ends}
    return Told(
        seen_at=SEEN,
        prices=[TEAM],
        subscriptions=[one(TEAM, status="canceled", **ended)],
        invoices=[*two_months(TEAM), bill(2, debit(TEAM, MONTH[2], ends, 1_355))],
    )


def _anchored(amount: int) -> Told:
    start = moment("2025-01-10T10:00")
    return Told(
        seen_at="2025-02-20",
        prices=[TEAM],
        subscriptions=[
            subscription(
                start,
                [subscription_item("si_1", TEAM)],
                billing_cycle_anchor=MONTH[1],
            )
        ],
        invoices=[
            invoice(start, [debit(TEAM, start, MONTH[1], amount)]),
            bill(1, month_of(TEAM, 1)),
        ],
    )


def anchored_first_stub() -> Told:
    """From 10 January, anchored to the 1st: three weeks for $21.29, then $30 a month.

    A stub is the full price for a shorter time: 30.00 from its first day.
    """
    return _anchored(2_129)


def anchored_first_stub_free() -> Told:
    """From 10 January, anchored to the 1st; the stub is not charged for.

    No proration is no trial: 30.00 from the subscription's start.
    """
    return _anchored(0)


BACKDATED = moment("2025-01-10T10:00")
CREATED = moment("2025-04-10T10:00")
PERIODS = months("2025-01-10T10:00", 4)


def _backdated(mode: str, *lines: Json) -> Told:
    sub = subscription(
        BACKDATED,
        [subscription_item("si_1", TEAM, created=CREATED)],
        created=CREATED,
        billing_cycle_anchor=CREATED,
        mode=mode,
    )
    return Told(
        seen_at="2025-04-20",
        prices=[TEAM],
        subscriptions=[sub],
        invoices=[invoice(CREATED, [*lines, line(TEAM, CREATED, PERIODS[4])])],
    )


def backdated_start_one_line() -> Told:
    """Created in April, started on 10 January: one line bills the three months.

    New on the start date; three months on one line are no higher price.
    """
    return _backdated("classic", debit(TEAM, BACKDATED, CREATED, 9_000))


def backdated_start_line_per_period() -> Told:
    """Created in April, started on 10 January: a line for each month since.

    New on the start date, once.
    """
    months_ago = pairwise(PERIODS[:4])
    return _backdated("flexible", *(line(TEAM, *each) for each in months_ago))


def backdated_start_no_line() -> Told:
    """Created in April, started on 10 January; the past is not billed.

    The subscription says when it started, and that decides.
    """
    return _backdated("classic")


def backdated_start_of_two_items() -> Told:
    """Two items of $30 and $10, created in April, started on 10 January.

    A debit without a credit at the start is no add-on: both are new that day.
    """
    items = [
        subscription_item("si_1", TEAM, created=CREATED),
        subscription_item("si_2", BASIC, created=CREATED),
    ]
    lines = [
        debit(TEAM, BACKDATED, CREATED, 9_000),
        debit(BASIC, BACKDATED, CREATED, 3_000, item="si_2"),
        line(TEAM, CREATED, PERIODS[4]),
        line(BASIC, CREATED, PERIODS[4], item="si_2"),
    ]
    return Told(
        seen_at="2025-04-20",
        prices=[TEAM, BASIC],
        subscriptions=[subscription(BACKDATED, items, created=CREATED)],
        invoices=[invoice(CREATED, lines)],
    )


# Items


def item_added_and_removed_without_proration() -> Told:
    """An add-on of $6 comes on 15 February and goes in March, and nobody is charged.

    The item says when it came; the first invoice without it, that it has gone: 1 April.
    """
    both = [month_of(BASIC, 2), month_of(EXTRA, 2, item="si_2")]
    came = [
        subscription_item("si_1", BASIC),
        subscription_item("si_2", EXTRA, created=AT),
    ]
    early = Told(
        seen_at="2025-03-05",
        prices=[BASIC, EXTRA],
        subscriptions=[subscription(MONTH[0], came)],
        invoices=[*two_months(BASIC), bill(2, *both)],
    )
    return Told(
        seen_at="2025-04-20",
        prices=[BASIC, EXTRA],
        subscriptions=[one(BASIC)],
        invoices=[*early.invoices, bill(3, month_of(BASIC, 3))],
        earlier=[early],
    )


def item_removed_without_proration() -> Told:
    """A plan of $10 and an add-on of $6; the add-on goes in February without a line.

    The first invoice without it shows that it has gone: 1 March.
    """
    both = [
        bill(number, month_of(BASIC, number), month_of(EXTRA, number, item="si_2"))
        for number in (0, 1)
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, EXTRA],
        subscriptions=[one(BASIC)],
        invoices=[*both, bill(2, month_of(BASIC, 2))],
    )


def add_on_tried_for_five_days() -> Told:
    """An add-on of $6 comes on 15 February and is gone on the 20th, prorated both times.

    One invoice shows both days, and no regular line ever names the add-on.
    """
    gone = AT + 5 * 86_400
    lines = [
        due(EXTRA, AT, MONTH[2], item="si_2"),
        back(EXTRA, gone, MONTH[2], item="si_2"),
        month_of(BASIC, 2),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, EXTRA],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(BASIC), bill(2, *lines)],
    )


def _many(count: int) -> Told:
    """``count`` add-ons: $1, $2, $3 … a month; the last is worth twice as much later."""
    numbers = range(1, count + 1)
    prices = [price(f"price_{n:02d}", 100 * n) for n in numbers]
    items = [
        subscription_item(f"si_{n:02d}", of, 2 if n == count else 1)
        for n, of in zip(numbers, prices, strict=True)
    ]
    last, last_item = prices[-1], f"si_{count:02d}"

    def lines(month: int, quantity: int) -> list[Json]:
        quantities = [1] * (count - 1) + [quantity]
        found = zip(numbers, prices, quantities, strict=True)
        return [month_of(of, month, seats, f"si_{n:02d}") for n, of, seats in found]

    pair = [
        back(last, AT, MONTH[2], 1, last_item),
        due(last, AT, MONTH[2], 2, last_item),
    ]
    return Told(
        seen_at=SEEN,
        prices=prices,
        subscriptions=[subscription(MONTH[0], items)],
        invoices=[
            bill(0, *lines(0, 1)),
            bill(1, *lines(1, 1)),
            bill(2, *pair, *lines(2, 2)),
        ],
    )


def fourteen_items() -> Told:
    """14 items from $1 to $14 on one invoice; the last gets a second seat.

    All lines count, also those beyond the ten that an invoice shows inline.
    """
    return _many(14)


def twenty_five_items() -> Told:
    """25 items from $1 to $25 on one subscription; the last gets a second seat.

    All items count, also those beyond the inline list.
    """
    return _many(25)


def quantity_zero() -> Told:
    """Three seats of $10 become none on 15 February; the subscription stays active.

    Going to 0 is churn, whatever the status says.
    """
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        subscriptions=[one(BASIC, 0)],
        invoices=[
            *two_months(BASIC, 3),
            bill(
                2,
                back(BASIC, AT, MONTH[2], 3),
                due(BASIC, AT, MONTH[2], 0),
                month_of(BASIC, 2, 0),
            ),
        ],
    )


def seats_from_zero() -> Told:
    """A subscription starts with no seat and has three of $10 since 15 February.

    Amount 0 is not a customer: new when there is something to pay.
    """
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        subscriptions=[one(BASIC, 3)],
        invoices=[
            *two_months(BASIC, 0),
            bill(2, due(BASIC, AT, MONTH[2], 3), month_of(BASIC, 2, 3)),
        ],
    )


# The MRR that each case is worth from these days on, worked out by hand.
CASES: Mapping[Callable[[], Told], str] = {
    upgrade_invoiced_at_once: "2025-01-01 1000, 2025-02-15 3000",
    upgrade_without_proration: "2025-01-01 1000, 2025-03-01 3000",
    downgrade_with_prorations: "2025-01-01 3000, 2025-02-15 1000",
    downgrade_invoiced_at_once: "2025-01-01 3000, 2025-02-15 1000",
    monthly_change_pending: "2025-01-01 1000, 2025-02-15 3000",
    change_at_the_instant_of_renewal: "2025-01-01 1000, 2025-02-01 3000",
    change_during_a_trial: "2025-01-15 3000",
    plan_changed_without_passing_the_seats: "2025-01-01 5000, 2025-03-01 3000",
    three_plans_in_one_second: "2025-01-01 1000, 2025-02-15 3000",
    there_and_back_in_one_second: "2025-01-01 1000",
    change_dated_back: "2025-01-01 1000, 2025-02-15 3000",
    two_events_in_one_second: "2025-01-01 1000, 2025-02-15 3000",
    upgrade_never_paid: "2025-01-01 1000",
    upgrade_waiting_for_payment: "2025-01-01 1000",
    observed_and_billed_later: "2025-01-01 1000, 2025-02-20 3000",
    free_to_paid: "2025-02-15 1000",
    paid_to_free: "2025-01-01 1000, 2025-02-15 0",
    every_day: "2025-01-01 3042",
    every_week: "2025-01-01 4333",
    every_two_weeks: "2025-01-01 5417",
    every_two_months: "2025-01-01 2500",
    every_quarter: "2025-01-01 3333",
    every_half_year: "2025-01-01 1667",
    every_two_years: "2025-01-01 4167",
    yearly_to_monthly_classic: "2025-01-01 2000, 2025-02-15 3000",
    flexible_switch_flagged_proration: "2025-01-01 3000, 2025-02-15 2000",
    flexible_switch_back: "2025-01-01 2000, 2025-02-15 3000",
    several_credits_for_one_change: "2025-01-01 1000, 2025-02-15 2000, 2025-02-20 3000",
    mixed_intervals: "2025-01-01 3000",
    yearly_item_joins_a_monthly_one: "2025-01-01 1000, 2025-02-15 3000",
    yearly_item_leaves_a_monthly_one: "2025-01-01 3000, 2025-02-15 1000",
    last_period_shortened: "2025-01-01 3000, 2025-03-15 0",
    last_period_shortened_as_a_proration: "2025-01-01 3000, 2025-03-15 0",
    anchored_first_stub: "2025-01-10 3000",
    anchored_first_stub_free: "2025-01-10 3000",
    backdated_start_one_line: "2025-01-10 3000",
    backdated_start_line_per_period: "2025-01-10 3000",
    backdated_start_no_line: "2025-01-10 3000",
    backdated_start_of_two_items: "2025-01-10 4000",
    item_added_and_removed_without_proration: (
        "2025-01-01 1000, 2025-02-15 1600, 2025-04-01 1000"
    ),
    item_removed_without_proration: "2025-01-01 1600, 2025-03-01 1000",
    add_on_tried_for_five_days: "2025-01-01 1000, 2025-02-15 1600, 2025-02-20 1000",
    fourteen_items: "2025-01-01 10500, 2025-02-15 11900",
    twenty_five_items: "2025-01-01 32500, 2025-02-15 35000",
    quantity_zero: "2025-01-01 3000, 2025-02-15 0",
    seats_from_zero: "2025-02-15 3000",
}
