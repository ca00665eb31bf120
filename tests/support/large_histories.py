"""Histories of one customer that is as large as is asked for, in a few ways.

Of so many lines each: many subscriptions, or one that has many items, many periods, whose
seats are changed all the time, that is given one coupon after the other, whose item
makes way for another one again and again, or that does not count every few days: seen to
be paused, billed for no time, on trial, with its collection stopped, or unpaid.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from connector.mrr.history import Catalogue, History, SubscriptionVersion
from connector.stripe_api.decoding import decode
from connector.stripe_api.events import StripeEvent, trimmed
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Coupon, Price, Subscription
from tests.billing.calendar_ import DAY
from tests.support import shapes
from tests.support.shapes import Json

BEGAN = shapes.moment("2020-01-01T00:00")
MONTH = 30 * DAY  # as long as a line's period needs to be here
PERIODS = 12
ITEMS = 20  # as many as Stripe lets a subscription have at a time
CHANGES = 500  # of seats, in a month
T = TypeVar("T")
MONTHLY, DAILY = shapes.price("price_month"), shapes.price("price_day", 100, "day")
CALLS = shapes.price("price_calls", 3, "day", usage="metered")
TENTH = shapes.coupon("tenth", percent=10)
FIVE_OFF = shapes.coupon("five_off", amount=5, duration="once")
HALF_ONCE = shapes.coupon("half_once", percent=50, duration="once")
FIFTH_FOR_LONG = shapes.coupon("fifth", percent=20, duration="repeating")
COUPONS = (TENTH, FIVE_OFF, HALF_ONCE, FIFTH_FOR_LONG)


def _history(
    subscriptions: Iterable[Json],
    invoices: Iterable[Json],
    events: Iterable[Json] = (),
    looks: Iterable[tuple[int, Json]] = (),
) -> History:
    """As it is seen a day after the last invoice, and was seen in ``looks`` before."""
    billed = sorted(
        (_read(each, Invoice) for each in invoices), key=lambda each: each.created
    )
    shown = [_read(each, Subscription) for each in subscriptions]
    seen_s = billed[-1].created + DAY
    before = [SubscriptionVersion(at_s, _read(x, Subscription)) for at_s, x in looks]
    return History(
        customer="cus_1",
        versions={
            each.id: (*before, SubscriptionVersion(seen_s, each)) for each in shown
        },
        invoices=tuple(billed),
        events=tuple(trimmed(_read(each, StripeEvent)) for each in events),
        catalogue=Catalogue(
            prices={each["id"]: _read(each, Price) for each in (MONTHLY, DAILY, CALLS)},
            coupons={each["id"]: _read(each, Coupon) for each in COUPONS},
        ),
    )


def _read(thing: Json, shape: type[T]) -> T:
    return decode(json.dumps(thing).encode(), shape)


def many_subscriptions(lines: int) -> History:
    """A year of each, with a discount of its own that every invoice shows in full."""
    subscriptions, invoices = [], []
    for n in range(max(1, lines // PERIODS)):
        sub, start, quantity = f"sub_{n}", BEGAN + n % 700 * DAY + n, 1 + n % 5
        given = shapes.discount(f"di_{n}", TENTH, start, sub=sub)
        item = shapes.subscription_item(f"si_{n}", MONTHLY, quantity, created=start)
        subscriptions.append(shapes.subscription(start, [item], sub, discounts=[given]))
        taken = [(given["id"], 100 * quantity)]
        for at in range(start, start + PERIODS * MONTH, MONTH):
            line = shapes.line(
                *(MONTHLY, at, at + MONTH, None, quantity),
                item=item["id"],
                sub=sub,
                taken=taken,
            )
            invoices.append(
                shapes.invoice(
                    at, [line], sub=sub, invoice_id=f"in_{n}_{at}", discounts=[given]
                )
            )
    return _history(subscriptions, invoices)


def many_items(lines: int) -> History:
    """A year of one subscription; each month a twentieth of the items has more seats."""
    return _periods(max(1, lines // PERIODS), PERIODS, MONTHLY, MONTH)


def long_daily(lines: int) -> History:
    """Billed each day; each day one of twenty items has another quantity."""
    return _periods(ITEMS, max(1, lines // ITEMS), DAILY, DAY)


def _periods(items: int, periods: int, price: Json, length_s: int) -> History:
    def quantity(item: int, period: int) -> int:
        return 1 + (period + ITEMS - 1 - item % ITEMS) // ITEMS % 7

    invoices = []
    for n in range(periods):
        at = BEGAN + n * length_s
        own = [
            shapes.line(
                *(price, at, at + length_s, None, quantity(item, n)),
                item=f"si_{item}",
                taxes=[{"amount": 10 * quantity(item, n), "tax_behavior": "inclusive"}],
            )
            for item in range(items)
        ]
        invoices.append(shapes.invoice(at, own))
    now = [
        shapes.subscription_item(
            f"si_{item}", price, quantity(item, periods - 1), created=BEGAN
        )
        for item in range(items)
    ]
    return _history([shapes.subscription(BEGAN, now)], invoices)


def many_changes(lines: int) -> History:
    """Seats come and go, each time a credit and a debit; events show half of it."""
    given = shapes.discount("di_1", TENTH, BEGAN)
    invoices, events = [], []
    waiting: list[Json] = []
    at, end, seats = BEGAN, BEGAN + MONTH, 1
    for n in range(max(1, lines // 2)):
        if n % CHANGES == 0:
            at = BEGAN + n // CHANGES * MONTH
            invoices.append(_renewal(at, seats, waiting, given))
            waiting = []
            end = at + MONTH
        at += MONTH // (CHANGES + 1)
        waiting += _change(at, end, seats, seats % 9 + 1)
        before, seats = seats, seats % 9 + 1
        if n % 2:
            shown = [_with_seats(each, given) for each in (before, seats)]
            events.append(shapes.updated(at, *shown) | {"id": f"evt_{n}"})
    invoices.append(_renewal(end, seats, waiting, given))
    return _history([_with_seats(seats, given)], invoices, events)


def _with_seats(seats: int, given: Json) -> Json:
    item = shapes.subscription_item("si_1", MONTHLY, seats, created=BEGAN)
    return shapes.subscription(BEGAN, [item], discounts=[given])


def _renewal(at: int, seats: int, changes: Sequence[Json], given: Json) -> Json:
    taken = [(given["id"], 100 * seats)]
    whole = shapes.line(MONTHLY, at, at + MONTH, None, seats, taken=taken)
    return shapes.invoice(at, [whole, *changes], discounts=[given])


def _change(at: int, end: int, before: int, after: int) -> Iterator[Json]:
    """Net of the discount, as prorations are."""
    for make, seats, sign in ((shapes.credit, before, -1), (shapes.debit, after, 1)):
        rest = 900 * seats * (end - at) // MONTH
        yield make(MONTHLY, at, end, sign * rest, seats)


def many_coupons(lines: int) -> History:
    """Billed each day with a coupon of that day's alone, beside one that stays."""
    stays = shapes.discount("di_stays", TENTH, BEGAN)
    invoices = []
    for n in range(max(1, lines)):
        at, of = BEGAN + n * DAY, (HALF_ONCE, FIVE_OFF)[n % 2]
        own = shapes.discount(f"di_{n}", of, at)
        taken = [(own["id"], 50 if of is HALF_ONCE else 5), (stays["id"], 5)]
        line = shapes.line(DAILY, at, at + DAY, taken=taken)
        invoices.append(
            shapes.invoice(at, [line], invoice_id=f"in_{n}", discounts=[own, stays])
        )
    item = shapes.subscription_item("si_1", DAILY, created=BEGAN)
    return _history([shapes.subscription(BEGAN, [item], discounts=[stays])], invoices)


def many_discounts(lines: int) -> History:
    """Each day another discount for a year takes the place of the one before."""
    item = shapes.subscription_item("si_1", DAILY, created=BEGAN)
    invoices, events, before = [], [], shapes.subscription(BEGAN, [item])
    for n in range(max(1, lines)):
        at = BEGAN + n * DAY
        own = shapes.discount(f"di_{n}", FIFTH_FOR_LONG, at, at + 365 * DAY)
        line = shapes.line(DAILY, at, at + DAY, taken=[(own["id"], 20)])
        invoices.append(
            shapes.invoice(at, [line], invoice_id=f"in_{n}", discounts=[own])
        )
        shown = shapes.subscription(BEGAN, [item], discounts=[own])
        events.append(shapes.updated(at, before, shown) | {"id": f"evt_{n}"})
        before = shown
    return _history([before], invoices, events)


def many_replaced(lines: int) -> History:
    """Every twelve hours an item makes way for another one, before the eyes of events."""

    def with_item(n: int, at: int) -> Json:
        item = shapes.subscription_item(f"si_{n}", DAILY, 1 + n % 3, created=at)
        return shapes.subscription(BEGAN, [item])

    invoices, events, before = [], [], with_item(0, BEGAN)
    for n in range(max(1, lines // 3)):
        at, middle, end = (BEGAN + n * DAY + part * DAY // 2 for part in range(3))
        after = with_item(n + 1, middle)
        first, second = 1 + n % 3, 1 + (n + 1) % 3
        invoices.append(
            shapes.invoice(
                at, [shapes.line(DAILY, at, end, None, first, item=f"si_{n}")]
            )
        )
        change = [
            shapes.credit(DAILY, middle, end, -50 * first, first, item=f"si_{n}"),
            shapes.debit(DAILY, middle, end, 50 * second, second, item=f"si_{n + 1}"),
        ]
        invoices.append(shapes.invoice(middle, change))
        events.append(shapes.updated(middle, before, after) | {"id": f"evt_{n}"})
        before = after
    return _history([before], invoices, events)


def many_pauses(lines: int) -> History:
    """Paused for three days of four: half of that is seen in events, half in looks."""
    tried: Json = {"trial_start": BEGAN - 7 * DAY, "trial_end": BEGAN}
    return _off_and_on(lines, {"status": "paused"}, tried, looks=True)


def many_stops(lines: int) -> History:
    """Its collection is stopped for three days of four."""
    stopped = {"behavior": "void", "resumes_at": None}
    return _off_and_on(lines, {"pause_collection": stopped})


def many_unpaid(lines: int) -> History:
    """Unpaid for three days of four, from a renewal on that is left a draft."""
    return _off_and_on(lines, {"status": "unpaid"}, draft=True)


def many_unbilled(lines: int) -> History:
    """Billed for one day of four."""
    return _off_and_on(lines)


def much_usage(lines: int) -> History:
    """What was used is billed each day, when it is over."""
    used = [_used(n, n + 1) for n in range(max(1, lines))]
    item = shapes.subscription_item("si_1", CALLS, None, created=BEGAN)
    return _history([shapes.subscription(BEGAN, [item])], used)


def often_metered(lines: int) -> History:
    """Metered by turns: of three days one is paid in advance, half a one is used."""
    invoices = []
    for n in range(max(1, lines // 2)):
        at = BEGAN + 3 * n * DAY
        paid = shapes.line(DAILY, at, at + DAY)
        invoices += [shapes.invoice(at, [paid]), _used(3 * n + 1, 3 * n + 1.5)]
    item = shapes.subscription_item("si_1", DAILY, created=BEGAN)
    return _history([shapes.subscription(BEGAN, [item])], invoices)


def _used(since: float, until: float) -> Json:
    """The bill of usage between two days, counted from the beginning."""
    start, end = BEGAN + int(since * DAY), BEGAN + int(until * DAY)
    return shapes.invoice(end, [shapes.line(CALLS, start, end, quantity=7)])


def many_trials(lines: int) -> History:
    """Free for three days of four."""
    tried: Json = {"trial_start": BEGAN + DAY, "trial_end": BEGAN + 2 * DAY}
    return _off_and_on(lines, always=tried, free=True)


def _off_and_on(
    lines: int,
    off: Json | None = None,
    always: Json | None = None,
    *,
    looks: bool = False,
    draft: bool = False,
    free: bool = False,
) -> History:
    """Billed for a day, then ``off`` for three days, as events show; by turns ``looks``.

    For these three there is no line, the line of a ``draft``, or a ``free`` one.
    """
    item = shapes.subscription_item("si_1", DAILY, created=BEGAN)
    on = shapes.subscription(BEGAN, [item], **(always or {}))
    other = on | (off or {})
    invoices, events, seen = [], [], []
    for n in range(max(1, lines)):
        start, middle, end = (BEGAN + (4 * n + day) * DAY for day in (0, 1, 4))
        billed = shapes.invoice(start, [shapes.line(DAILY, start, middle)])
        invoices.append(billed)
        if draft:
            billed["status_transitions"]["paid_at"] = end
            rest = shapes.line(DAILY, middle, middle + DAY)
            invoices.append(shapes.invoice(middle, [rest], "draft"))
        if free:
            rest = shapes.line(DAILY, middle, end, 0)
            invoices.append(shapes.invoice(middle, [rest]))
        if off and looks and n % 2:
            seen += [(middle, other), (end, on)]
        elif off:
            for at, *change in ((middle, on, other), (end, other, on)):
                events.append(shapes.updated(at, *change) | {"id": f"evt_{at}"})
    return _history([on], invoices, events, seen)


LARGE: Mapping[str, Callable[[int], History]] = {
    "many subscriptions": many_subscriptions,
    "one of many items": many_items,
    "one of many days": long_daily,
    "one of many changes": many_changes,
    "one of many coupons": many_coupons,
    "one of many discounts": many_discounts,
    "one of many items that made way": many_replaced,
    "one of many pauses": many_pauses,
    "one of many stops": many_stops,
    "one that was often unpaid": many_unpaid,
    "one that was often not billed": many_unbilled,
    "one of many trials": many_trials,
    "one of much usage": much_usage,
    "one that was often metered": often_metered,
}
