"""Discounts that end with a period, with a change, or with the next one, told by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.cases.odd_bills import AT, MONTH, SEEN, YEAR, bill, one, rest
from tests.support.shapes import (
    Json,
    coupon,
    credit,
    debit,
    discount,
    invoice,
    line,
    moment,
    pending,
    price,
    subscription,
    subscription_item,
    updated,
)
from tests.support.told import Told

FIFTY, HUNDRED = price("price_50", 5_000), price("price_100", 10_000)
TWO_HUNDRED = price("price_200", 20_000)
SMALL_YEAR = price("price_y120", 12_000, "year")
YEARLY, LARGE_YEAR = (
    price("price_y1200", 120_000, "year"),
    price("price_y2400", 240_000, "year"),
)
FIFTH, HALF, FIVE = coupon("FIFTH", 20), coupon("HALF", 50), coupon("FIVE", amount=500)
TENTH = coupon("TENTH", 10, duration="repeating", duration_in_months=2)
FEW_MONTHS = coupon("FEW", 50, duration="repeating", duration_in_months=2)
JUNE = MONTH[5]


def _told(
    of: Json,
    coupons: Sequence[Json],
    invoices: Sequence[Json],
    discounts: Sequence[Json] = (),
    **more: Any,
) -> Told:
    """A subscription since January to what it now costs, and the discounts on it now."""
    given: dict[str, Any] = {
        "seen_at": SEEN,
        "prices": [FIFTY, HUNDRED, TWO_HUNDRED, SMALL_YEAR, YEARLY, LARGE_YEAR],
        "coupons": coupons,
        "subscriptions": [one(of, discounts=list(discounts))],
        "invoices": invoices,
    }
    return Told(**(given | more))


def _monthly(
    of: Json, number: int, given: Sequence[Json], *taken: tuple[str, int]
) -> Json:
    made = line(of, MONTH[number], MONTH[number + 1], taken=taken)
    return bill(number, made, discounts=list(given))


def _yearly(of: Json, n: int, given: Sequence[Json], *taken: tuple[str, int]) -> Json:
    made = line(of, YEAR[n], YEAR[n + 1], taken=taken)
    return invoice(YEAR[n], [made], discounts=list(given))


def half_price_for_two_months_of_a_year() -> Told:
    """$120 a year with 50 % off for two months.

    5.00 for the year that was billed with it, 10.00 from the renewal.
    """
    few = discount("di_few", FEW_MONTHS, YEAR[0], MONTH[2])
    bills = [_yearly(SMALL_YEAR, 0, [few], ("di_few", 6_000))]
    bills.append(_yearly(SMALL_YEAR, 1, []))
    return _told(SMALL_YEAR, [FEW_MONTHS], bills, seen_at="2026-03-20")


def repeating_coupon_from_the_middle_of_a_month() -> Told:
    """$100 a month; from 15 February 30 % off for three months, which end on 15 May.

    The periods of March, April and May were billed reduced: 70.00 until 1 June.
    """
    thirty = coupon("THIRTY", 30, duration="repeating", duration_in_months=3)
    own = discount("di_30", thirty, AT, moment("2025-05-15T12:00"))
    bills = [_monthly(HUNDRED, n, []) for n in (0, 1)]
    bills += [_monthly(HUNDRED, n, [own], ("di_30", 3_000)) for n in (2, 3, 4)]
    bills += [_monthly(HUNDRED, n, []) for n in (5, 6)]
    return _told(HUNDRED, [thirty], bills, seen_at="2025-07-20")


def _stacked(*taken: tuple[str, int]) -> Told:
    """Two months of 10 % and $5 off, then $5 off; only the latter is still there."""
    ten = discount("di_ten", TENTH, MONTH[0], MONTH[2])
    five = discount("di_five", FIVE, MONTH[0])
    bills = [_monthly(FIFTY, n, [ten, five], *taken) for n in (0, 1)]
    bills.append(_monthly(FIFTY, 2, [five], ("di_five", 500)))
    return _told(FIFTY, [TENTH, FIVE], bills, [five])


def stacked_in_the_order_of_the_invoice() -> Told:
    """$50 with 10 % off for two months and $5 off for ever, in the invoice's order.

    The percentage took $5.00, so it came first: 40.00, then 45.00.
    """
    return _stacked(("di_ten", 500), ("di_five", 500))


def stacked_in_the_order_that_amounts_show() -> Told:
    """The same, but the percentage took $4.50 of what the amount had left.

    What was taken off decides over how it is listed: 40.50, then 45.00.
    """
    return _stacked(("di_ten", 450), ("di_five", 500))


def _half_a_year() -> Sequence[Json]:
    end = YEAR[1]
    lines = [
        credit(YEARLY, JUNE, end, -round(rest(YEARLY, JUNE, end) / 2)),
        debit(LARGE_YEAR, JUNE, end, rest(LARGE_YEAR, JUNE, end)),
    ]
    return [invoice(JUNE, lines, billing_reason="subscription_update")]


def discount_that_ran_out_taken_back_by_an_upgrade() -> Told:
    """$1,200 a year at half price, given for two months; in June $2,400, classic mode.

    The credit takes the reduced amount back, the debit bills in full: 50.00, 200.00.
    """
    few = discount("di_few", FEW_MONTHS, YEAR[0], MONTH[2])
    bills = [_yearly(YEARLY, 0, [few], ("di_few", 60_000)), *_half_a_year()]
    return _told(LARGE_YEAR, [FEW_MONTHS], bills, seen_at="2025-08-20")


def coupon_dropped_with_a_classic_upgrade() -> Told:
    """The same with 50 % off for ever, dropped with the upgrade.

    No line names it, but the amounts show that it ended with the debit.
    """
    half = discount("di_half", HALF, YEAR[0])
    bills = [_yearly(YEARLY, 0, [half], ("di_half", 60_000)), *_half_a_year()]
    return _told(LARGE_YEAR, [HALF], bills, seen_at="2025-08-20")


def same_coupon_given_anew() -> Told:
    """$100 at 20 % off; in February the same coupon in place of itself.

    Another discount and the same price: 80.00, and no movement.
    """
    first, again = discount("di_1", FIFTH, MONTH[0]), discount("di_2", FIFTH, AT)
    bills = [_monthly(HUNDRED, n, [first], ("di_1", 2_000)) for n in (0, 1)]
    bills.append(_monthly(HUNDRED, 2, [again], ("di_2", 2_000)))
    return _told(HUNDRED, [FIFTH], bills, [again])


def coupon_dropped_with_a_pending_upgrade() -> Told:
    """$1,200 a year at 20 % off becomes $2,400 without; the prorations wait (itemized).

    The pending credit names the discount, the debit none: 80.00, then 200.00.
    """
    fifth, end = discount("di_1", FIFTH, YEAR[0]), YEAR[1]
    old, new = rest(YEARLY, JUNE, end), rest(LARGE_YEAR, JUNE, end)
    waiting = [
        pending(YEARLY, JUNE, end, -old, discounts=[fifth]),
        pending(LARGE_YEAR, JUNE, end, new),
    ]
    bills = [_yearly(YEARLY, 0, [fifth], ("di_1", 24_000))]
    seen = "2025-08-20"
    return _told(LARGE_YEAR, [FIFTH], bills, invoiceitems=waiting, seen_at=seen)


def coupon_given_with_a_pending_upgrade() -> Told:
    """$1,200 a year becomes $2,400 at 20 % off until October; the prorations wait.

    The pending debit was reduced until the renewal: 100.00, 160.00, 200.00.
    """
    four = coupon("FOUR", 20, duration="repeating", duration_in_months=4)
    own, end = discount("di_4", four, JUNE, MONTH[9]), YEAR[1]
    old, new = rest(YEARLY, JUNE, end), rest(LARGE_YEAR, JUNE, end)
    lines = [
        credit(YEARLY, JUNE, end, -old),
        debit(LARGE_YEAR, JUNE, end, new, taken=[("di_4", round(new / 5))])
        | {"discounts": [own]},
    ]
    renewed = [*lines, line(LARGE_YEAR, YEAR[1], YEAR[2])]
    bills = [_yearly(YEARLY, 0, []), invoice(YEAR[1], renewed)]
    return _told(LARGE_YEAR, [four], bills, seen_at="2026-03-20")


def once_coupon_taken_back_by_an_upgrade() -> Told:
    """$1,200 a year with 50 % off once; in June $2,400. Once coupons are subtracted.

    The credit takes the reduced amount back, the debit bills in full: 50.00, 200.00.
    """
    once = coupon("ONCE", 50, duration="once")
    own = discount("di_once", once, YEAR[0])
    bills = [_yearly(YEARLY, 0, [own], ("di_once", 60_000)), *_half_a_year()]
    policy = {"once_coupon": "subtracted"}
    return _told(LARGE_YEAR, [once], bills, seen_at="2025-08-20", policy=policy)


def discount_moved_to_the_item() -> Told:
    """$100 at 20 % off becomes $200 with 50 % off on the item itself; itemized.

    The debit names the item's alone, so the subscription's is over: 80.00, 100.00.
    """
    fifth = discount("di_1", FIFTH, MONTH[0])
    half = discount("di_2", HALF, AT, item="si_1")
    end = MONTH[2]
    old, new = rest(HUNDRED, AT, end), rest(TWO_HUNDRED, AT, end)
    taken = [("di_2", round(new / 2))]
    lines = [
        credit(HUNDRED, AT, end, -old, taken=[("di_1", -round(old / 5))])
        | {"discounts": [fifth]},
        debit(TWO_HUNDRED, AT, end, new, taken=taken) | {"discounts": [half]},
    ]
    third = line(TWO_HUNDRED, MONTH[2], MONTH[3], taken=[("di_2", 10_000)])
    bills = [_monthly(HUNDRED, n, [fifth], ("di_1", 2_000)) for n in (0, 1)]
    bills.append(invoice(AT, lines, billing_reason="subscription_update"))
    bills.append(bill(2, third | {"discounts": [half]}))
    items = [subscription_item("si_1", TWO_HUNDRED, discounts=[half])]
    now = [subscription(MONTH[0], items)]
    return _told(TWO_HUNDRED, [FIFTH, HALF], bills, subscriptions=now)


CALLS = price("price_calls", 7, usage="metered")


def _calls(*taken: Sequence[tuple[str, int]], own: Json, **more: Any) -> Told:
    """100 calls a month at $0.07: what their discount took off each bill from 1 February.

    ``own`` is named where it took something; ``metered = "invoiced"``.
    """
    bills = [bill(0)]
    for n, off in enumerate(taken):
        named = [own] if off else []
        used = line(CALLS, MONTH[n], MONTH[n + 1], 700, 100, taken=off, discounts=named)
        bills.append(bill(n + 1, used))
    told: dict[str, Any] = {
        "prices": [CALLS],
        "subscriptions": [_caller()],
        "policy": {"metered": "invoiced"},
    }
    return _told(CALLS, [HALF], bills, **(told | more))


def _caller(*discounts: Json, **more: Any) -> Json:
    item = subscription_item("si_1", CALLS, None)
    return subscription(MONTH[0], [item], discounts=list(discounts), **more)


def coupon_of_usage_taken_away() -> Told:
    """Calls at 50 % off until 20 March; March's are billed on 1 April, with no coupon.

    A bill of usage says what is in force that day, not on 1 March: 3.50, 7.00 in time.
    """
    own, off = discount("di_half", HALF, MONTH[0]), [("di_half", 350)]
    gone = updated(moment("2025-03-20T10:00"), _caller(own), _caller())
    return _calls(off, off, [], own=own, events=[gone], seen_at="2025-04-20")


def coupon_of_usage_missing_on_a_bill() -> Told:
    """Calls at 50 % off until some day in March, which only the bill of 1 April shows.

    A bill of usage says what is in force that day: 3.50, and 7.00 from 1 April.
    """
    own, off = discount("di_half", HALF, MONTH[0]), [("di_half", 350)]
    return _calls(off, off, [], own=own, seen_at="2025-04-20")


def coupon_of_usage_given_after_a_look() -> Told:
    """Calls get 50 % off on 15 February, five days after a look; they end on 15 March.

    The bill of 1 March has it, so it was there that day: 7.00, 3.50, and 0 in the end.
    """
    own, end = discount("di_half", HALF, AT, item="si_1"), moment("2025-03-15T10:00")
    before = _calls([], own=own, seen_at="2025-02-10")
    over = _caller(status="canceled", canceled_at=end, ended_at=end)
    off = [("di_half", 350)]
    return _calls([], off, own=own, earlier=[before], subscriptions=[over])


CASES: Mapping[Callable[[], Told], str] = {
    half_price_for_two_months_of_a_year: "2025-01-01 500, 2026-01-01 1000",
    repeating_coupon_from_the_middle_of_a_month: (
        "2025-01-01 10000, 2025-02-15 7000, 2025-06-01 10000"
    ),
    stacked_in_the_order_of_the_invoice: "2025-01-01 4000, 2025-03-01 4500",
    stacked_in_the_order_that_amounts_show: "2025-01-01 4050, 2025-03-01 4500",
    discount_that_ran_out_taken_back_by_an_upgrade: (
        "2025-01-01 5000, 2025-06-01 20000"
    ),
    coupon_dropped_with_a_classic_upgrade: "2025-01-01 5000, 2025-06-01 20000",
    same_coupon_given_anew: "2025-01-01 8000",
    coupon_dropped_with_a_pending_upgrade: "2025-01-01 8000, 2025-06-01 20000",
    coupon_given_with_a_pending_upgrade: (
        "2025-01-01 10000, 2025-06-01 16000, 2026-01-01 20000"
    ),
    once_coupon_taken_back_by_an_upgrade: "2025-01-01 5000, 2025-06-01 20000",
    discount_moved_to_the_item: "2025-01-01 8000, 2025-02-15 10000",
    coupon_of_usage_taken_away: "2025-02-01 350, 2025-03-20 700",
    coupon_of_usage_missing_on_a_bill: "2025-02-01 350, 2025-04-01 700",
    coupon_of_usage_given_after_a_look: (
        "2025-02-01 700, 2025-02-15 350, 2025-03-15 0"
    ),
}
