"""Tax inside a price: each line has the tax of its time, and the other valuation agrees.

The amounts were worked out by hand: the price of a period without its tax, a month.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.reports.test_reconcile import beside, booked
from tests.support.cases.odd_bills import AT, MONTH, SEEN, YEAR, bill, one
from tests.support.ledgers import settle
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
    tier,
    tiered,
)
from tests.support.told import Told

GROSS = price("price_gross", 11_900, tax_behavior="inclusive")
NET = price("price_net", 10_000, tax_behavior="exclusive")
SOME = price("price_some", 11_900)
DEAR = price("price_dear", 23_800, tax_behavior="inclusive")
YEARLY = price("price_yearly", 142_800, "year", tax_behavior="inclusive")
WEEKLY = price("price_weekly", 999, "week", tax_behavior="inclusive")
STEPS = tiered("price_steps", "graduated", [tier(1, 11_900), tier(None, 5_950)]) | {
    "tax_behavior": "inclusive"
}


def taxed(*minor: int, inside: bool = True, of: int = 0) -> Json:
    behavior = "inclusive" if inside else "exclusive"
    taxes = [
        {"amount": each, "tax_behavior": behavior, "taxable_amount": of or None}
        for each in minor
    ]
    return {"taxes": taxes}


def month(number: int, of: Json = GROSS, **more: Any) -> Json:
    return line(of, MONTH[number], MONTH[number + 1], **more)


def sold(of: Json, *bills: Json, prices: Sequence[Json] = (), **more: Any) -> Told:
    """A subscription to one price since January, of which these are the invoices."""
    found = {each["id"]: each for each in (of, *prices)}
    return Told(
        seen_at=SEEN,
        prices=[*found.values()],
        subscriptions=[one(of, **more)],
        invoices=bills,
    )


def _steps_together(number: int, seats: int, *taxes: int) -> Json:
    amounts = (11_900, 5_950 * (seats - 1))
    parts = zip(amounts, (1, seats - 1), taxes, strict=True)
    return bill(
        number,
        *(month(number, STEPS, amount=a, quantity=n, **taxed(t)) for a, n, t in parts),
    )


def _two_items(first: Json, second: Json, *bills: Json) -> Told:
    items = [subscription_item("si_1", first), subscription_item("si_2", second)]
    return Told(
        seen_at=SEEN,
        prices=[first, second],
        subscriptions=[subscription(MONTH[0], items)],
        invoices=bills,
    )


def _joined_in_february(*, of_first: int, joined: int, prorated: int = 0) -> Told:
    """A second item, prorated on the bill of March: the taxes of that day."""
    return Told(
        seen_at=SEEN,
        prices=[GROSS, DEAR],
        subscriptions=[
            subscription(
                MONTH[0],
                [
                    subscription_item("si_1", GROSS),
                    subscription_item("si_2", DEAR, created=AT),
                ],
            )
        ],
        invoices=[
            bill(0, month(0, **taxed(1_900))),
            bill(1, month(1, **taxed(1_900))),
            bill(
                2,
                debit(DEAR, AT, MONTH[2], 11_424, item="si_2", **taxed(prorated)),
                month(2, **taxed(of_first)),
                month(2, DEAR, item="si_2", **taxed(joined)),
            ),
        ],
    )


ALL_OFF = coupon("ALL", 100, duration="repeating")
GIVEN = discount("di_all", ALL_OFF, MONTH[0], MONTH[1])
OPTION = {
    "eur": {
        "tax_behavior": "exclusive",
        "unit_amount": 10_000,
        "unit_amount_decimal": "10000",
    }
}
DOLLARS = price(
    "price_world", 11_900, tax_behavior="inclusive", currency_options=OPTION
)
EUROS = price("price_world", 10_000, currency="eur")
TINY = MONTH[1] - 5_400  # 90 minutes before a renewal

CASES: dict[str, tuple[Told, list[int]]] = {
    "a VAT id from March on: the tax is 0 and the amount the same": (
        sold(
            GROSS,
            bill(0, month(0, **taxed(1_900))),
            bill(1, month(1, **taxed(1_900))),
            bill(2, month(2, **taxed(0))),
        ),
        [10_000, 11_900],
    ),
    "a VAT id for February only": (
        sold(
            GROSS,
            bill(0, month(0, **taxed(1_900))),
            bill(1, month(1, **taxed(0))),
            bill(2, month(2, **taxed(1_900))),
        ),
        [10_000, 11_900, 10_000],
    ),
    "registered in February: nothing is carried back": (
        sold(GROSS, bill(0, month(0)), bill(1, month(1, **taxed(1_900)))),
        [11_900, 10_000],
    ),
    "a price that does not say, and taxes that do": (
        sold(SOME, bill(0, month(0, SOME, **taxed(1_900)))),
        [10_000],
    ),
    "taxes beside the price": (
        sold(NET, bill(0, month(0, NET, **taxed(1_900, inside=False)))),
        [10_000],
    ),
    "a small change of the rate": (
        sold(
            GROSS,
            bill(0, month(0, **taxed(851))),  # 7.7 %
            bill(1, month(1, **taxed(892))),  # 8.1 %
        ),
        [11_049, 11_008],
    ),
    "two rates inside one line, 5 % and 9.975 %": (
        sold(GROSS, bill(0, month(0, **taxed(518, 1_032)))),
        [10_350],
    ),
    "a week at €9.99 with 19 % inside": (  # 999 ÷ 1.19 × 52 ÷ 12
        sold(
            WEEKLY,
            invoice(
                MONTH[0],
                [line(WEEKLY, MONTH[0], MONTH[0] + 604_800, **taxed(160))],
            ),
        ),
        [3_638],
    ),
    "a year, in whose middle nothing but a proration shows another rate": (
        sold(
            YEARLY,
            invoice(YEAR[0], [line(YEARLY, YEAR[0], YEAR[1], **taxed(22_800))]),
            invoice(
                AT,
                [
                    credit(YEARLY, AT, YEAR[1], -125_000, **taxed(-19_958)),
                    debit(YEARLY, AT, YEAR[1], 250_000, 2, **taxed(0)),
                ],
            ),
            quantity=2,
        ),
        [10_000, 20_000],
    ),
    "a tier on each line, tax on each": (
        Told(
            seen_at=SEEN,
            prices=[STEPS],
            subscriptions=[one(STEPS, 3)],
            invoices=[_steps_together(0, 3, 1_900, 1_900)],
        ),
        [20_000],
    ),
    "a tier on each line, until a VAT id comes": (
        Told(
            seen_at=SEEN,
            prices=[STEPS],
            subscriptions=[one(STEPS, 3)],
            invoices=[
                _steps_together(0, 3, 1_900, 1_900),
                _steps_together(1, 3, 0, 0),
            ],
        ),
        [20_000, 23_800],
    ),
    "a first month for nothing shows no rate": (
        Told(
            seen_at=SEEN,
            prices=[GROSS],
            coupons=[ALL_OFF],
            subscriptions=[one(GROSS)],
            invoices=[
                bill(
                    0,
                    month(0, taken=[("di_all", 11_900)], **taxed(0)),
                    discounts=[GIVEN],
                ),
                bill(1, month(1, **taxed(1_900))),
            ],
        ),
        [10_000],
    ),
    "a trial shows no rate": (
        sold(
            GROSS,
            bill(0, month(0, amount=0)),
            bill(1, month(1, **taxed(1_900))),
            trial_start=MONTH[0],
            trial_end=MONTH[1],
        ),
        [10_000],
    ),
    "another price, prorated for cents, before its first whole month": (
        sold(
            DEAR,
            bill(0, month(0, **taxed(1_900))),
            bill(
                1,
                credit(GROSS, TINY, MONTH[1], -24, **taxed(-3)),
                debit(DEAR, TINY, MONTH[1], 48, **taxed(7)),
                line(DEAR, MONTH[1], MONTH[2], **taxed(3_800)),
            ),
            prices=[GROSS],
        ),
        [10_000, 20_000],
    ),
    "from tax beside the price to tax inside it, by a proration": (
        sold(
            DEAR,
            bill(0, month(0, NET, **taxed(1_900, inside=False))),
            invoice(
                AT,
                [
                    credit(NET, AT, MONTH[2], -4_800, **taxed(-912, inside=False)),
                    debit(DEAR, AT, MONTH[2], 11_424, **taxed(1_824)),
                ],
            ),
            prices=[NET],
        ),
        [10_000, 20_000],
    ),
    "an item that joins by a pending proration takes the other's rate": (
        Told(
            seen_at="2025-02-20",
            prices=[GROSS, DEAR],
            subscriptions=[
                subscription(
                    MONTH[0],
                    [
                        subscription_item("si_1", GROSS),
                        subscription_item("si_2", DEAR, created=AT),
                    ],
                )
            ],
            invoices=[
                bill(0, month(0, **taxed(1_900))),
                bill(1, month(1, **taxed(1_900))),
            ],
            invoiceitems=[pending(DEAR, AT, MONTH[2], 11_424, item="si_2")],
        ),
        [10_000, 30_000],
    ),
    "a VAT id that came after an item had joined, before either was billed": (
        _joined_in_february(of_first=0, joined=0),
        [10_000, 30_000, 35_700],
    ),
    "an item that joined with a rate of its own": (  # 23,800 ÷ 1.07
        _joined_in_february(of_first=1_900, joined=1_557, prorated=747),
        [10_000, 32_243],
    ),
    "inside one price, and beside the other": (
        _two_items(
            GROSS,
            NET,
            bill(
                0,
                month(0, **taxed(1_900)),
                month(0, NET, item="si_2", **taxed(1_900, inside=False)),
            ),
        ),
        [20_000],
    ),
    "lines of dollars with tax inside say nothing of an option without": (
        Told(
            seen_at=SEEN,
            prices=[DOLLARS],
            subscriptions=[
                subscription(
                    MONTH[0], [subscription_item("si_1", DOLLARS)], currency="eur"
                )
            ],
            invoices=[bill(0, month(0, EUROS, **taxed(1_900, inside=False)))],
        ),
        [10_000],
    ),
    "the rate on the subscription is as exact as the lines are not": (
        sold(
            WEEKLY,
            invoice(
                MONTH[0],
                [line(WEEKLY, MONTH[0], MONTH[0] + 604_800, **taxed(70))],
            ),
            default_tax_rates=[{"inclusive": True, "percentage": 7.475}],
        ),
        [4_028],
    ),
    "exempt, whatever the rate on the subscription says": (
        sold(
            GROSS,
            bill(0, month(0, **taxed(0))),
            default_tax_rates=[{"inclusive": True, "percentage": 19}],
        ),
        [11_900],
    ),
}


@pytest.mark.parametrize(("told", "mrr_minor"), CASES.values(), ids=CASES.keys())
def test_each_line_has_the_tax_of_its_time(told: Told, mrr_minor: list[int]) -> None:
    seen = told.seen()
    with booked([seen]) as connection:
        known = settle(connection, moment(told.seen_at))
        assert [each.after_minor for each in known.movements] == mrr_minor
        [row] = beside(connection, seen)
        assert (row.stripe_minor, row.parts) == (mrr_minor[-1], ())


def test_a_change_of_tax_is_one_of_the_price() -> None:
    told, _ = CASES["registered in February: nothing is carried back"]
    with booked([told.seen()]) as connection:
        [_, change] = settle(connection, moment(SEEN)).movements
    [part] = change.components
    assert (part.cause, part.amount_minor) == ("price", -1_900)
    assert [each.kind for each in part.evidence] == ["invoice_line", "invoice"]
