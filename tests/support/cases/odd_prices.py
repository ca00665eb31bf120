"""Odd prices and discounts, told by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.cases.odd_bills import (
    AT,
    BASIC,
    MONTH,
    SEEN,
    TEAM,
    YEAR,
    bill,
    month_of,
    one,
    two_months,
)
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
    price,
    subscription,
    subscription_item,
    tier,
    tiered,
    updated,
)
from tests.support.told import Told

TRIAL_ENDS = moment("2025-01-15T10:00")
ON_TRIAL: Json = {"trial_start": MONTH[0], "trial_end": TRIAL_ENDS}
YEARLY = price("price_yearly", 120_000, "year")


def billed(of: Json, *lines: Sequence[Json], quantity: int = 1, **more: Any) -> Told:
    """A subscription to ``of`` since January, and the lines of each month's invoice."""
    return Told(
        seen_at=SEEN,
        prices=[of],
        subscriptions=[one(of, quantity, **more)],
        invoices=[bill(number, *each) for number, each in enumerate(lines)],
    )


# Prices


def decimal_amount() -> Told:
    """1,250 contacts at $0.005 each, which the line rounds to $6.25, and 125 to $0.63.

    Fractions of a cent count exactly, rounded once, half to even: 0.625 is 0.62.
    """
    tiny = price("price_contact", 0.5)
    pair = [
        credit(tiny, AT, MONTH[2], -311, 1_250),
        debit(tiny, AT, MONTH[2], 31, 125),
    ]
    return billed(
        tiny,
        [line(tiny, MONTH[0], MONTH[1], 625, 1_250)],
        [line(tiny, MONTH[1], MONTH[2], 625, 1_250)],
        [*pair, line(tiny, MONTH[2], MONTH[3], 63, 125)],
        quantity=125,
    )


GRADUATED = tiered("price_graduated", "graduated", [tier(10, 100, 500), tier(None, 50)])


def _tier_lines(number: int, seats: int) -> list[Json]:
    """A line for each tier, and one for the flat fee."""
    start, end = MONTH[number], MONTH[number + 1]
    upper = max(0, seats - 10)
    found = [line(GRADUATED, start, end, (seats - upper) * 100, seats - upper)]
    if upper:
        found.append(line(GRADUATED, start, end, upper * 50, upper))
    return [*found, line(GRADUATED, start, end, 500, 0)]


def graduated_tiers_with_flat_fee() -> Told:
    """15 seats: ten at $1, five at $0.50 and a fee of $5, on three lines; later 8.

    The lines of an item and period belong together: 17.50, then 13.00.
    """
    end = MONTH[2]
    changed = [
        credit(GRADUATED, AT, end, -497, 10),
        credit(GRADUATED, AT, end, -124, 5),
        credit(GRADUATED, AT, end, -249, 0),
        debit(GRADUATED, AT, end, 398, 8),
        debit(GRADUATED, AT, end, 249, 0),
    ]
    return billed(
        GRADUATED,
        _tier_lines(0, 15),
        _tier_lines(1, 15),
        [*changed, *_tier_lines(2, 8)],
        quantity=8,
    )


def volume_tiers() -> Told:
    """Up to ten seats at $1, more than that at $0.50 each and $3: 10 seats, then 11.

    Volume prices all seats by the tier reached: 10.00, then 8.50 for one seat more.
    """
    tiers = [tier(10, 100), tier(None, 50, 300)]
    volume = tiered("price_volume", "volume", tiers)
    fee = line(volume, MONTH[2], MONTH[3], 300, 0)
    return billed(
        volume,
        [line(volume, MONTH[0], MONTH[1], 1_000, 10)],
        [line(volume, MONTH[1], MONTH[2], 1_000, 10)],
        [line(volume, MONTH[2], MONTH[3], 550, 11), fee],
        quantity=11,
    )


def _packages(rounds: str, amount: int) -> Told:
    transform = {"divide_by": 5, "round": rounds}
    of = price("price_package", 500, transform_quantity=transform)
    return billed(of, [line(of, MONTH[0], MONTH[1], amount, 12)], quantity=12)


def package_rounded_up() -> Told:
    """12 seats in packages of five at $5, rounded up.

    Three packages: 15.00, never 12 × 5.
    """
    return _packages("up", 1_500)


def package_rounded_down() -> Told:
    """12 seats in packages of five at $5, rounded down.

    Two packages: 10.00.
    """
    return _packages("down", 1_000)


GROSS = price("price_gross", 11_900, tax_behavior="inclusive")


def _tax(amount: int, net: int) -> Json:
    taxes = {"amount": amount, "tax_behavior": "inclusive", "taxable_amount": net}
    return {"taxes": [taxes | {"type": "tax_rate_details"}]}


def tax_inclusive() -> Told:
    """€119 a month that include 19 % of tax, as the line's taxes say.

    Tax is never MRR: 100.00.
    """
    gross = GROSS | {"currency": "eur"}
    return billed(gross, [line(gross, MONTH[0], MONTH[1], **_tax(1_900, 10_000))])


def tax_inclusive_by_rate() -> Told:
    """$119 a month with an inclusive tax rate of 19 % on the subscription.

    Where no line names the tax, the rate does: 100.00.
    """
    rate = {"id": "txr_1", "object": "tax_rate", "inclusive": True, "percentage": 19.0}
    return billed(GROSS, [month_of(GROSS, 0)], default_tax_rates=[rate])


def tax_rate_changes() -> Told:
    """$119 a month include 19 % of tax, and 16 % from February on.

    Each line has the tax of its time: 100.00 becomes 102.59, by cause: price.
    """
    return billed(
        GROSS,
        [line(GROSS, MONTH[0], MONTH[1], **_tax(1_900, 10_000))],
        [line(GROSS, MONTH[1], MONTH[2], **_tax(1_641, 10_259))],
        [line(GROSS, MONTH[2], MONTH[3], **_tax(1_641, 10_259))],
    )


def tax_inclusive_with_coupon() -> Told:
    """$119 a month that include 19 % of tax, at half the price for ever.

    Neither tax nor discount counts: 50.00.
    """
    half = coupon("HALF", 50)
    given = discount("di_half", half, MONTH[0])
    taxed = _tax(950, 5_000)
    each = line(GROSS, MONTH[0], MONTH[1], taken=[("di_half", 5_950)], **taxed)
    return Told(
        seen_at=SEEN,
        prices=[GROSS],
        coupons=[half],
        subscriptions=[one(GROSS, discounts=[given])],
        invoices=[bill(0, each, discounts=[given])],
    )


def _in_euro(amount: int, *months_billed: int, **more: Any) -> Told:
    """A price of $10 with an option of €9, billed at ``amount`` euro cents."""
    option = {
        "eur": {
            "custom_unit_amount": None,
            "tax_behavior": "unspecified",
            "unit_amount": 900,
            "unit_amount_decimal": "900",
        }
    }
    world = price("price_world", 1_000, currency_options=option)
    euro = price("price_world", amount, currency="eur")
    told = billed(
        world, *([month_of(euro, number)] for number in months_billed), **more
    )
    euros = [sub | {"currency": "eur"} for sub in told.subscriptions]
    return Told(
        seen_at=SEEN, prices=[world], subscriptions=euros, invoices=told.invoices
    )


def currency_option() -> Told:
    """A price of $10 that also costs €9, subscribed to in euro.

    The subscription's currency chooses the option: €9.00.
    """
    return _in_euro(900, 0, 1, 2)


def currency_option_changed() -> Told:
    """A price of $10 whose euro option was €8 when it was billed, and is €9 now.

    Options are mutable: for the past the line's unit amount counts, €8.00.
    """
    return _in_euro(800, 0, 1, 2)


def price_archived() -> Told:
    """$10 a month at a price that is no longer sold.

    An archived price goes on for those who have it.
    """
    archived = BASIC | {"active": False}
    return billed(archived, *([month_of(archived, number)] for number in range(3)))


def price_gone() -> Told:
    """Billed twice at a price that Stripe no longer knows, then at $10 a month.

    A line does not say its interval: what cannot be valued is refused, by name.
    """
    gone = price("price_gone", 700)
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        subscriptions=[one(BASIC)],
        invoices=[*two_months(gone), bill(2, month_of(BASIC, 2))],
    )


def price_deleted() -> Told:
    """$10 a month at a price that no list shows any more.

    The subscription's item holds its price, whatever became of it: 10.00.
    """
    told = billed(BASIC, *([month_of(BASIC, number)] for number in range(3)))
    return Told(seen_at=SEEN, subscriptions=told.subscriptions, invoices=told.invoices)


def tiers_gone() -> Told:
    """15 seats at a tiered price that no list shows any more.

    An item's price has no tiers with it, and lines are no tariff: refused, by name.
    """
    told = billed(GRADUATED, _tier_lines(0, 15), quantity=15)
    return Told(seen_at=SEEN, subscriptions=told.subscriptions, invoices=told.invoices)


def interval_unknown() -> Told:
    """$10 a fortnight, an interval that Stripe did not have when this was written.

    What is not understood is refused by name, never taken for a month.
    """
    of = price("price_odd", 1_000, "fortnight")
    return billed(of, [month_of(of, 0)])


CUSTOM = price(
    "price_custom",
    None,
    custom_unit_amount={"maximum": None, "minimum": 100, "preset": None},
)
PAYS = CUSTOM | {"unit_amount": 700, "unit_amount_decimal": "700"}


def custom_amount() -> Told:
    """The customer chose to pay $7 a month.

    Only the line says how much: 7.00.
    """
    return billed(CUSTOM, [month_of(PAYS, 0)], [month_of(PAYS, 1)])


def custom_amount_after_a_trial() -> Told:
    """The customer chose to pay $7 a month, after two weeks on trial.

    The trial's line of 0 is no amount that was chosen.
    """
    free = CUSTOM | {"unit_amount": 0, "unit_amount_decimal": "0"}
    first = [
        line(free, MONTH[0], TRIAL_ENDS, 0),
        line(PAYS, TRIAL_ENDS, moment("2025-02-15T10:00")),
    ]
    told = billed(CUSTOM, **ON_TRIAL)
    bills = [invoice(each["period"]["start"], [each]) for each in first]
    return Told(
        seen_at="2025-02-10",
        prices=told.prices,
        subscriptions=told.subscriptions,
        invoices=bills,
    )


def custom_amount_changed() -> Told:
    """The customer chose to pay $7 a month, and $9 from March on.

    The same price with another amount: expansion by cause price.
    """
    more = CUSTOM | {"unit_amount": 900, "unit_amount_decimal": "900"}
    return billed(CUSTOM, [month_of(PAYS, 0)], [month_of(PAYS, 1)], [month_of(more, 2)])


def custom_amount_never_invoiced() -> Told:
    """The customer chose an amount that no invoice has shown.

    Nobody knows what it is worth: refused by name, never counted as 0.
    """
    return billed(CUSTOM)


USAGE = price("price_usage", 7, usage="metered")
WITH_USAGE = [
    subscription_item("si_1", BASIC),
    subscription_item("si_2", USAGE, None),
]


def _usage(**policy: str) -> Told:
    """100 calls in January, 50 in February, each billed after its month."""
    used = [
        line(USAGE, MONTH[0], MONTH[1], 700, 100, item="si_2"),
        line(USAGE, MONTH[1], MONTH[2], 350, 50, item="si_2"),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, USAGE],
        subscriptions=[subscription(MONTH[0], WITH_USAGE)],
        invoices=[
            bill(0, month_of(BASIC, 0)),
            bill(1, month_of(BASIC, 1), used[0]),
            bill(2, month_of(BASIC, 2), used[1]),
        ],
        policy=policy,
    )


def metered_excluded() -> Told:
    """A plan of $10 and calls at $0.07: 100 in January, 50 in February.

    Usage does not recur: 10.00, unless the policy says otherwise.
    """
    return _usage()


def metered_invoiced() -> Told:
    """$10 and calls at $0.07, 100, then 50, under the policy ``metered = "invoiced"``.

    The last full period's usage line counts from the end of its period, by cause: usage.
    """
    return _usage(metered="invoiced")


def metered_in_tiers() -> Told:
    """100 calls of which 50 are free, on two lines, with ``metered = "invoiced"``.

    The lines of an item and period belong together: 5.00 of usage.
    """
    tiers = [tier(50, 0), tier(None, 10)]
    calls = tiered("price_calls", "graduated", tiers, usage="metered")
    items = [subscription_item("si_1", BASIC), subscription_item("si_2", calls, None)]
    used = [
        line(calls, MONTH[0], MONTH[1], 0, 50, item="si_2"),
        line(calls, MONTH[0], MONTH[1], 500, 50, item="si_2"),
    ]
    return Told(
        seen_at="2025-02-20",
        prices=[BASIC, calls],
        subscriptions=[subscription(MONTH[0], items)],
        invoices=[bill(0, month_of(BASIC, 0)), bill(1, month_of(BASIC, 1), *used)],
        policy={"metered": "invoiced"},
    )


def metered_from_a_short_first_period() -> Told:
    """20 calls in three days, 100 in the first full month; ``metered = "invoiced"``.

    A stub is no full period: the customer is new with the first full one.
    """
    start = moment("2024-12-29T10:00")
    items = [subscription_item("si_2", USAGE, None)]
    return Told(
        seen_at="2025-02-20",
        prices=[USAGE],
        subscriptions=[subscription(start, items)],
        invoices=[
            bill(0, line(USAGE, start, MONTH[0], 140, 20, item="si_2")),
            bill(1, line(USAGE, MONTH[0], MONTH[1], 700, 100, item="si_2")),
        ],
        policy={"metered": "invoiced"},
    )


# Discounts

HALF = coupon("HALF", 50)
FIFTH = coupon("FIFTH", 20)
OFF3 = coupon("OFF3", amount=300)
REPEATS = coupon("START", 50, duration="repeating", duration_in_months=3)
ONCE = coupon("WELCOME", 20, duration="once")


def discounted(
    number: int, *taken: tuple[str, int], of: Json = BASIC, item: str = "si_1"
) -> Json:
    """A month's line with what each discount takes off it."""
    return line(of, MONTH[number], MONTH[number + 1], item=item, taken=taken)


def _sold(
    coupons: Sequence[Json],
    discounts: Sequence[Json | str],
    invoices: Sequence[Json],
    **more: Any,
) -> Told:
    """$10 a month with these discounts on the subscription."""
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        coupons=coupons,
        subscriptions=[one(BASIC, discounts=list(discounts), **more)],
        invoices=invoices,
    )


def _three_months(given: Sequence[Json | str], *taken: tuple[str, int]) -> list[Json]:
    return [
        bill(number, discounted(number, *taken), discounts=list(given))
        for number in range(3)
    ]


def forever_amount_off() -> Told:
    """$10 a month with $3 off, for ever.

    An amount is subtracted as a percentage is: 7.00.
    """
    given = [discount("di_off", OFF3, MONTH[0])]
    return _sold([OFF3], given, _three_months(given, ("di_off", 300)))


def amount_off_two_items() -> Told:
    """A subscription of $10 and $30 with $4 off.

    Stripe shares an amount among the lines by their amounts: $1 and $3; 36.00 in all.
    """
    off = coupon("OFF4", amount=400)
    given = [discount("di_off", off, MONTH[0])]
    items = [subscription_item("si_1", BASIC), subscription_item("si_2", TEAM)]
    lines = [
        discounted(0, ("di_off", 100)),
        discounted(0, ("di_off", 300), of=TEAM, item="si_2"),
    ]
    return Told(
        seen_at="2025-01-20",
        prices=[BASIC, TEAM],
        coupons=[off],
        subscriptions=[subscription(MONTH[0], items, discounts=given)],
        invoices=[bill(0, *lines, discounts=given)],
    )


def coupon_for_one_product() -> Told:
    """Items of $10 and $30; a coupon of 50 % that applies to the first one's product.

    Only the items of that product are discounted: 35.00.
    """
    half = HALF | {"applies_to": {"products": [BASIC["product"]]}}
    given = [discount("di_half", half, MONTH[0])]
    items = [subscription_item("si_1", BASIC), subscription_item("si_2", TEAM)]
    lines = [discounted(0, ("di_half", 500)), month_of(TEAM, 0, item="si_2")]
    return Told(
        seen_at="2025-01-20",
        prices=[BASIC, TEAM],
        coupons=[half],
        subscriptions=[subscription(MONTH[0], items, discounts=given)],
        invoices=[bill(0, *lines, discounts=given)],
    )


def amount_off_currency_option() -> Told:
    """€10 a month; a coupon of $3 off that also takes €1 off.

    The coupon's amount in the subscription's currency counts: €9.00.
    """
    euro = BASIC | {"currency": "eur"}
    off = OFF3 | {"currency_options": {"eur": {"amount_off": 100}}}
    given = [discount("di_off", off, MONTH[0])]
    first = bill(0, discounted(0, ("di_off", 100), of=euro), discounts=given)
    return Told(
        seen_at="2025-01-20",
        prices=[euro],
        coupons=[off],
        subscriptions=[one(euro, discounts=given)],
        invoices=[first],
    )


def discount_in_the_old_shape() -> Told:
    """$10 at half the price, as accounts show it that pin a version before 2025.

    One ``discount`` and no list, with its ``coupon`` inside: 5.00 all the same.
    """
    given = discount("di_half", HALF, MONTH[0])
    del given["source"]
    old = given | {"coupon": HALF}
    told = _sold([], [], _three_months([old], ("di_half", 500)))
    shown = one(BASIC, discount=old)
    del shown["discounts"]
    return Told(
        seen_at=SEEN,
        prices=told.prices,
        subscriptions=[shown],
        invoices=told.invoices,
    )


def promotion_code() -> Told:
    """$10 a month; the customer typed in a code for 20 % off.

    A promotion code is another way to a coupon: 8.00.
    """
    code = discount("di_code", FIFTH, MONTH[0], promotion_code="promo_1")
    return _sold([FIFTH], [code], _three_months([code], ("di_code", 200)))


def _repeating(**policy: str) -> Told:
    ends = discount("di_start", REPEATS, MONTH[0], MONTH[3])
    bills = _three_months([ends], ("di_start", 500))
    return Told(
        seen_at="2025-05-20",
        prices=[BASIC],
        coupons=[REPEATS],
        subscriptions=[one(BASIC)],
        invoices=[*bills, bill(3, month_of(BASIC, 3)), bill(4, month_of(BASIC, 4))],
        policy=policy,
    )


def repeating_percent_ends() -> Told:
    """$10 a month at half the price for three months.

    Subtracted while it runs: its end is expansion by discount, on the day it ends.
    """
    return _repeating()


def repeating_coupon_ignored() -> Told:
    """Half the price for three months, under the policy ``repeating_coupon = "ignored"``.

    Stripe's own default: the full price from the start, and no movement at the end.
    """
    return _repeating(repeating_coupon="ignored")


def yearly_inside_repeating_window() -> Told:
    """$1,200 a year with 50 % off for three months; the invoice is discounted whole.

    A year billed at half price is half price for that year: 50.00 until the renewal.
    """
    ends = discount("di_start", REPEATS, MONTH[0], MONTH[3])
    whole = line(YEARLY, YEAR[0], YEAR[1], taken=[("di_start", 60_000)])
    return Told(
        seen_at="2026-05-20",
        prices=[YEARLY],
        coupons=[REPEATS],
        subscriptions=[one(YEARLY)],
        invoices=[
            invoice(YEAR[0], [whole], discounts=[ends]),
            invoice(YEAR[1], [line(YEARLY, YEAR[1], YEAR[2])]),
        ],
    )


def once_coupon_subtracted() -> Told:
    """$1,200 a year with 20 % off the first invoice; ``once_coupon = "subtracted"``.

    80.00 for the year that the coupon paid for, 100.00 from the renewal on.
    """
    given = [discount("di_once", ONCE, YEAR[0])]
    first = line(YEARLY, YEAR[0], YEAR[1], taken=[("di_once", 24_000)])
    return Told(
        seen_at="2026-05-20",
        prices=[YEARLY],
        coupons=[ONCE],
        subscriptions=[one(YEARLY)],
        invoices=[
            invoice(YEAR[0], [first], discounts=given),
            invoice(YEAR[1], [line(YEARLY, YEAR[1], YEAR[2])]),
        ],
        policy={"once_coupon": "subtracted"},
    )


def once_coupon_monthly() -> Told:
    """$10 a month with 20 % off the first invoice.

    A once coupon is no change of what recurs: 10.00, and nothing in February.
    """
    given = [discount("di_once", ONCE, MONTH[0])]
    first = bill(0, discounted(0, ("di_once", 200)), discounts=given)
    return _sold([ONCE], [], [first, bill(1, month_of(BASIC, 1))])


def stacked_discounts() -> Told:
    """$10 with $3 off the item and half off the subscription.

    The item's discount first: (10 − 3) ÷ 2 is 3.50, not 10 ÷ 2 − 3.
    """
    own = discount("di_off", OFF3, MONTH[0], item="si_1")
    half = discount("di_half", HALF, MONTH[0])
    item = subscription_item("si_1", BASIC, discounts=[own])
    each = discounted(0, ("di_off", 300), ("di_half", 350)) | {"discounts": [own]}
    return Told(
        seen_at="2025-01-20",
        prices=[BASIC],
        coupons=[OFF3, HALF],
        subscriptions=[subscription(MONTH[0], [item], discounts=[half])],
        invoices=[bill(0, each, discounts=[half])],
    )


def stacked_amount_then_percent() -> Told:
    """$10 with $3 off and then half off, both on the subscription.

    In the subscription's order: (10 − 3) ÷ 2 is 3.50.
    """
    given = [
        discount("di_off", OFF3, MONTH[0]),
        discount("di_half", HALF, MONTH[0]),
    ]
    taken = ("di_off", 300), ("di_half", 350)
    return _sold([OFF3, HALF], given, _three_months(given, *taken))


def stacked_percent_then_amount() -> Told:
    """$10 with half off and then $3 off, both on the subscription.

    In the subscription's order: 10 ÷ 2 − 3 is 2.00.
    """
    given = [
        discount("di_half", HALF, MONTH[0]),
        discount("di_off", OFF3, MONTH[0]),
    ]
    taken = ("di_half", 500), ("di_off", 300)
    return _sold([OFF3, HALF], given, _three_months(given, *taken))


def discount_larger_than_the_price() -> Told:
    """$10 a month with $50 off.

    Never below 0, and amount 0 is not a customer: no movement.
    """
    large = coupon("OFF50", amount=5_000)
    given = [discount("di_large", large, MONTH[0])]
    return _sold([large], given, _three_months(given, ("di_large", 1_000)))


def hundred_percent_off_ends() -> Told:
    """The first three months are free by a coupon of 100 %.

    Amount 0 is not a customer: new on the day that the coupon ends, by cause: discount.
    """
    free = coupon("FREE", 100, duration="repeating", duration_in_months=3)
    ends = discount("di_free", free, MONTH[0], MONTH[3])
    bills = _three_months([ends], ("di_free", 1_000))
    return Told(
        seen_at="2025-04-20",
        prices=[BASIC],
        coupons=[free],
        subscriptions=[one(BASIC)],
        invoices=[*bills, bill(3, month_of(BASIC, 3))],
    )


def two_discounts_of_hundred_percent() -> Told:
    """The item is free until 11 February, the subscription until the 21st.

    Nothing falls below 0; new on 1 March, when the period ends that was billed for nothing.
    """
    free = coupon("FREE", 100, duration="repeating", duration_in_months=1)
    first, second = moment("2025-02-11T10:00"), moment("2025-02-21T10:00")
    own = discount("di_item", free, MONTH[0], first, item="si_1")
    whole = discount("di_sub", free, MONTH[0] + 7_200, second)
    each = [discounted(n, ("di_item", 1_000)) | {"discounts": [own]} for n in (0, 1)]
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        coupons=[free],
        subscriptions=[one(BASIC)],
        invoices=[
            *(bill(n, each[n], discounts=[whole]) for n in (0, 1)),
            bill(2, month_of(BASIC, 2)),
        ],
    )


def hundred_percent_off_given() -> Told:
    """A customer of six weeks pays nothing any more, for ever.

    Going to 0 is churn, though the subscription stays active.
    """
    free = coupon("FREE", 100)
    given = [discount("di_free", free, AT)]
    third = bill(2, discounted(2, ("di_free", 1_000)), discounts=given)
    return _sold([free], given, [*two_months(BASIC), third])


def coupon_deleted() -> Told:
    """$10 at half the price; the coupon has been deleted meanwhile.

    Deleting a coupon keeps its discounts alive, and they still say how much: 5.00.
    """
    given = [discount("di_half", HALF, MONTH[0])]
    return _sold([], given, _three_months(given, ("di_half", 500)))


def coupon_deleted_and_made_again() -> Told:
    """$10 at half the price; a coupon of the same id now takes 10 % off.

    The discount has the coupon that it was given with: 5.00.
    """
    again = coupon("HALF", 10, created=MONTH[1])
    given = [discount("di_half", HALF, MONTH[0])]
    return _sold([again], given, _three_months(given, ("di_half", 500)))


def coupon_as_bare_id() -> Told:
    """$10 at half the price; discounts name their coupon by its id only.

    The catalogue knows the coupon: 5.00.
    """
    given = [discount("di_half", "HALF", MONTH[0])]
    return _sold([HALF], given, _three_months(given, ("di_half", 500)))


def coupon_as_bare_id_and_deleted() -> Told:
    """$10 at half the price; only the id of a coupon is left, which has been deleted.

    The share that the lines show is taken off, 5.00, and the coupon named as a finding.
    """
    given = [discount("di_half", "HALF", MONTH[0])]
    return _sold([], given, _three_months(given, ("di_half", 500)))


def discount_as_bare_id() -> Told:
    """The subscription names its discount by its id; the invoice has the discount itself.

    Whoever tells a discount's coupon tells it for everybody: 5.00.
    """
    given = [discount("di_half", HALF, MONTH[0])]
    return _sold([HALF], ["di_half"], _three_months(given, ("di_half", 500)))


def customer_discount() -> Told:
    """$10 a month of a customer who has 50 % off whatever it buys.

    A customer's discount counts where the subscription has none of its own.
    """
    given = discount("di_cus", HALF, MONTH[0], sub=None)
    told = _sold([HALF], [], _three_months([given], ("di_cus", 500)))
    return Told(
        seen_at=SEEN,
        prices=told.prices,
        coupons=told.coupons,
        customers=[customer(discount=given)],
        subscriptions=told.subscriptions,
        invoices=told.invoices,
    )


def customer_discount_overruled() -> Told:
    """A customer with 50 % off everything, and a subscription with 20 % off.

    The subscription's own discount replaces the customer's: 8.00.
    """
    general = discount("di_cus", HALF, MONTH[0], sub=None)
    own = discount("di_own", FIFTH, MONTH[0])
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        coupons=[HALF, FIFTH],
        customers=[customer(discount=general)],
        subscriptions=[one(BASIC, discounts=[own])],
        invoices=_three_months([own], ("di_own", 200)),
    )


def customer_and_item_discounts() -> Told:
    """A customer with 50 % off everything, and an item with 20 % off.

    Both apply, the item's first, as the line shows: 4.00.
    """
    general = discount("di_cus", HALF, MONTH[0], sub=None)
    own = discount("di_own", FIFTH, MONTH[0], item="si_1")
    item = subscription_item("si_1", BASIC, discounts=[own])
    each = discounted(0, ("di_own", 200), ("di_cus", 400)) | {"discounts": [own]}
    return Told(
        seen_at="2025-01-20",
        prices=[BASIC],
        coupons=[HALF, FIFTH],
        customers=[customer(discount=general)],
        subscriptions=[subscription(MONTH[0], [item])],
        invoices=[bill(0, each, discounts=[general])],
    )


def customer_discount_removed() -> Told:
    """A customer's 50 % off is taken away on 15 February, as an event shows.

    The event's day, not the next invoice's.
    """
    given = discount("di_cus", HALF, MONTH[0], sub=None)
    bills = _three_months([given], ("di_cus", 500))[:2]
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        coupons=[HALF],
        subscriptions=[one(BASIC)],
        invoices=[*bills, bill(2, month_of(BASIC, 2))],
        events=[event("customer.discount.deleted", AT, given)],
    )


def item_discount() -> Told:
    """Items of $10 and $30; the second alone has 20 % off.

    An item's discount is its own: 34.00.
    """
    own = discount("di_own", FIFTH, MONTH[0], item="si_2")
    items = [
        subscription_item("si_1", BASIC),
        subscription_item("si_2", TEAM, discounts=[own]),
    ]
    second = discounted(0, ("di_own", 600), of=TEAM, item="si_2")
    return Told(
        seen_at="2025-01-20",
        prices=[BASIC, TEAM],
        coupons=[FIFTH],
        subscriptions=[subscription(MONTH[0], items)],
        invoices=[bill(0, month_of(BASIC, 0), second | {"discounts": [own]})],
    )


def item_discount_removed() -> Told:
    """An item's 20 % off are taken away on 15 February, as an event shows.

    The event's day, by cause: discount.
    """
    own = discount("di_own", FIFTH, MONTH[0], item="si_1")
    item = subscription_item("si_1", BASIC, discounts=[own])
    each = [discounted(n, ("di_own", 200)) | {"discounts": [own]} for n in (0, 1)]
    before = subscription(MONTH[0], [item])
    return Told(
        seen_at=SEEN,
        prices=[BASIC],
        coupons=[FIFTH],
        subscriptions=[one(BASIC)],
        invoices=[bill(0, each[0]), bill(1, each[1]), bill(2, month_of(BASIC, 2))],
        events=[updated(AT, before, one(BASIC))],
    )


def item_swapped_with_its_discount() -> Told:
    """An item of $10 at half the price is deleted, one of $30 at half the price added.

    Each item has its own discount: 5.00 becomes 15.00, a change of plan.
    """
    old = discount("di_old", HALF, MONTH[0], item="si_1")
    new = discount("di_new", HALF, AT, item="si_2")
    item = subscription_item("si_2", TEAM, created=AT, discounts=[new])
    before = [discounted(n, ("di_old", 500)) | {"discounts": [old]} for n in (0, 1)]
    third = discounted(2, ("di_new", 1_500), of=TEAM, item="si_2")
    pair = [
        credit(BASIC, AT, MONTH[2], -249),
        debit(TEAM, AT, MONTH[2], 746, item="si_2"),
    ]
    return Told(
        seen_at=SEEN,
        prices=[BASIC, TEAM],
        coupons=[HALF],
        subscriptions=[subscription(MONTH[0], [item])],
        invoices=[
            bill(0, before[0]),
            bill(1, before[1]),
            bill(2, *pair, third | {"discounts": [new]}),
        ],
    )


def discount_known_by_its_lines() -> Told:
    """Half the price for two months, by a discount that only the lines still name.

    The share that they show is taken off while they show it, and named as a finding.
    """
    bills = _three_months(["di_half"], ("di_half", 500))[:2]
    return _sold([], [], [*bills, bill(2, month_of(BASIC, 2))])


def discount_swapped() -> Told:
    """20 % off become 50 % off on 15 February, without an event.

    They never stacked on a line: the old one ends where the new one starts.
    """
    old = discount("di_old", FIFTH, MONTH[0])
    new = discount("di_new", HALF, AT)
    bills = _three_months([old], ("di_old", 200))[:2]
    third = bill(2, discounted(2, ("di_new", 500)), discounts=[new])
    return _sold([FIFTH, HALF], [new], [*bills, third])


def discount_removed_by_event() -> Told:
    """20 % off are taken away on 15 February, as an event shows.

    The event's day, not the next invoice's.
    """
    old = discount("di_old", FIFTH, MONTH[0])
    bills = _three_months([old], ("di_old", 200))[:2]
    told = _sold([FIFTH], [], [*bills, bill(2, month_of(BASIC, 2))])
    removed = updated(AT, one(BASIC, discounts=["di_old"]), one(BASIC))
    return Told(
        seen_at=SEEN,
        prices=told.prices,
        coupons=told.coupons,
        subscriptions=told.subscriptions,
        invoices=told.invoices,
        events=[removed],
    )


def discount_of_a_trial() -> Told:
    """Two weeks on trial with 20 % off from the start.

    A trial's line of 0 has nothing to discount: new with 8.00 at its end.
    """
    given = [discount("di_own", FIFTH, MONTH[0])]
    month = months("2025-01-15T10:00", 1)
    first = line(BASIC, month[0], month[1], taken=[("di_own", 200)])
    bills = [
        invoice(MONTH[0], [line(BASIC, MONTH[0], TRIAL_ENDS, 0)], discounts=given),
        invoice(TRIAL_ENDS, [first], discounts=given),
    ]
    told = _sold([FIFTH], given, bills, **ON_TRIAL)
    return Told(
        seen_at="2025-02-10",
        prices=told.prices,
        coupons=told.coupons,
        subscriptions=told.subscriptions,
        invoices=told.invoices,
    )


def discount_of_a_canceled_subscription() -> Told:
    """$10 with 20 % off ends in March; the subscription no longer names the discount.

    The lines still do: 8.00 all the while, and churn of 8.00.
    """
    old = discount("di_old", FIFTH, MONTH[0])
    bills = _three_months([old], ("di_old", 200))[:2]
    ended: Json = {"status": "canceled", "canceled_at": AT, "ended_at": MONTH[2]}
    return _sold([FIFTH], [], bills, **ended)


# The MRR that each case is worth from these days on, worked out by hand.
CASES: Mapping[Callable[[], Told], str] = {
    decimal_amount: "2025-01-01 625, 2025-02-15 62",
    graduated_tiers_with_flat_fee: "2025-01-01 1750, 2025-02-15 1300",
    volume_tiers: "2025-01-01 1000, 2025-03-01 850",
    package_rounded_up: "2025-01-01 1500",
    package_rounded_down: "2025-01-01 1000",
    tax_inclusive: "2025-01-01 eur 10000",
    tax_inclusive_by_rate: "2025-01-01 10000",
    tax_rate_changes: "2025-01-01 10000, 2025-02-01 10259",
    tax_inclusive_with_coupon: "2025-01-01 5000",
    currency_option: "2025-01-01 eur 900",
    currency_option_changed: "2025-01-01 eur 800",
    price_archived: "2025-01-01 1000",
    price_gone: "2025-03-01 1000",
    price_deleted: "2025-01-01 1000",
    tiers_gone: "",
    interval_unknown: "",
    custom_amount: "2025-01-01 700",
    custom_amount_after_a_trial: "2025-01-15 700",
    custom_amount_changed: "2025-01-01 700, 2025-03-01 900",
    custom_amount_never_invoiced: "",
    metered_excluded: "2025-01-01 1000",
    metered_invoiced: "2025-01-01 1000, 2025-02-01 1700, 2025-03-01 1350",
    metered_in_tiers: "2025-01-01 1000, 2025-02-01 1500",
    metered_from_a_short_first_period: "2025-02-01 700",
    forever_amount_off: "2025-01-01 700",
    amount_off_two_items: "2025-01-01 3600",
    coupon_for_one_product: "2025-01-01 3500",
    amount_off_currency_option: "2025-01-01 eur 900",
    discount_in_the_old_shape: "2025-01-01 500",
    promotion_code: "2025-01-01 800",
    repeating_percent_ends: "2025-01-01 500, 2025-04-01 1000",
    repeating_coupon_ignored: "2025-01-01 1000",
    yearly_inside_repeating_window: "2025-01-01 5000, 2026-01-01 10000",
    once_coupon_subtracted: "2025-01-01 8000, 2026-01-01 10000",
    once_coupon_monthly: "2025-01-01 1000",
    stacked_discounts: "2025-01-01 350",
    stacked_amount_then_percent: "2025-01-01 350",
    stacked_percent_then_amount: "2025-01-01 200",
    discount_larger_than_the_price: "",
    hundred_percent_off_ends: "2025-04-01 1000",
    two_discounts_of_hundred_percent: "2025-03-01 1000",
    hundred_percent_off_given: "2025-01-01 1000, 2025-02-15 0",
    coupon_deleted: "2025-01-01 500",
    coupon_deleted_and_made_again: "2025-01-01 500",
    coupon_as_bare_id: "2025-01-01 500",
    coupon_as_bare_id_and_deleted: "2025-01-01 500",
    discount_as_bare_id: "2025-01-01 500",
    customer_discount: "2025-01-01 500",
    customer_discount_overruled: "2025-01-01 800",
    customer_and_item_discounts: "2025-01-01 400",
    customer_discount_removed: "2025-01-01 500, 2025-02-15 1000",
    item_discount: "2025-01-01 3400",
    item_discount_removed: "2025-01-01 800, 2025-02-15 1000",
    item_swapped_with_its_discount: "2025-01-01 500, 2025-02-15 1500",
    discount_known_by_its_lines: "2025-01-01 500, 2025-03-01 1000",
    discount_swapped: "2025-01-01 800, 2025-02-15 500",
    discount_removed_by_event: "2025-01-01 800, 2025-02-15 1000",
    discount_of_a_trial: "2025-01-15 800",
    discount_of_a_canceled_subscription: "2025-01-01 800, 2025-03-01 0",
}
