"""Stripe's MRR as its settings make it, by hand; and its three files tell one story."""

import csv
import io
from collections import defaultdict
from decimal import Decimal

import pytest

from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.state import Subscription
from tests.billing.stripe_mrr import (
    COUPON_SETTINGS,
    EVERY_SETTING,
    StripeSettings,
    all_files,
    by_month,
    change_events_csv,
    customer_changes_csv,
    item_changes,
    stripe_mrr,
    subscriber_months_csv,
)

START = instant("2024-01-15T10:00:00")


def one_life() -> Account:
    """$100 a month, half off for two months and $20 off once; asked to leave in May."""
    acc = Account(START, coupon_settings=COUPON_SETTINGS)
    price = acc.add_price(acc.add_product("Plan"), 10_000)
    half = acc.add_coupon("HALF", percent_off=50, duration="repeating", months=2)
    first = acc.add_coupon("FIRST", amount_off=2_000, currency="usd", duration="once")
    one, other = acc.add_customer(), acc.add_customer()
    acc.subscribe(one, price, coupon=half)
    acc.subscribe(other, price, coupon=first)
    acc.advance(instant("2024-05-03T10:00:00"))
    for sub in acc.subscriptions:
        acc.cancel_at_period_end(sub)
    acc.advance(instant("2024-06-20T10:00:00"))
    return acc


MONTHS = ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05", "2024-06"]


@pytest.mark.parametrize(
    ("settings", "repeating", "once"),
    [
        pytest.param(
            StripeSettings(),
            [10_000, 10_000, 10_000, 10_000, 0, 0],
            [10_000, 10_000, 10_000, 10_000, 0, 0],
            id="as Stripe is set",
        ),
        pytest.param(
            StripeSettings(repeating_subtracted=True),
            [5_000, 5_000, 10_000, 10_000, 0, 0],
            [10_000, 10_000, 10_000, 10_000, 0, 0],
            id="repeating coupons subtracted",
        ),
        pytest.param(
            StripeSettings(once_subtracted=True),
            [10_000, 10_000, 10_000, 10_000, 0, 0],
            [8_000, 10_000, 10_000, 10_000, 0, 0],
            id="one-time coupons subtracted",
        ),
    ],
)
def test_a_life_by_month(
    settings: StripeSettings, repeating: list[int], once: list[int]
) -> None:
    acc = one_life()
    found = by_month(stripe_mrr(acc, settings), acc.now, "UTC")
    assert [list(own.values()) for own in found.values()] == [repeating, once]
    assert [list(own) for own in found.values()] == [MONTHS, MONTHS]


def left(settings: StripeSettings) -> dict[str, int]:
    """Asked to leave on 3 April, for 15 April; over days, what the MRR was."""
    acc = Account(START, coupon_settings=COUPON_SETTINGS)
    price = acc.add_price(acc.add_product("Plan"), 10_000)
    sub = acc.subscribe(acc.add_customer(), price)
    acc.advance(instant("2024-02-20T10:00:00"))
    acc.cancel_at_period_end(sub)
    acc.advance(instant("2024-02-25T10:00:00"))
    acc.undo_cancel(sub)
    acc.advance(instant("2024-04-03T10:00:00"))
    acc.cancel_at_period_end(sub)
    acc.advance(instant("2024-05-01T10:00:00"))
    [steps] = stripe_mrr(acc, settings).values()
    return {f"{(s.at - START) // DAY}": s.mrr_minor for s in steps}


def test_churn_counts_at_the_end_or_when_it_is_asked_for() -> None:
    """A request that is withdrawn brings the customer back."""
    assert left(StripeSettings()) == {"0": 10_000, "91": 0}
    assert left(StripeSettings(churn_when_requested=True)) == {
        "0": 10_000,
        "36": 0,
        "41": 10_000,
        "79": 0,
    }


def paid_late() -> tuple[Account, Subscription]:
    acc = Account(START, coupon_settings=COUPON_SETTINGS)
    price = acc.add_price(acc.add_product("Plan"), 10_000)
    sub = acc.subscribe(acc.add_customer(), price, trial_days=14)
    acc.fail_payments(sub.customer)
    acc.advance(START + 20 * DAY)
    acc.recover(sub.customer)
    acc.advance(START + 30 * DAY)
    return acc, sub


def test_active_from_the_start_or_the_first_payment() -> None:
    acc, _ = paid_late()
    [from_start] = stripe_mrr(acc, StripeSettings()).values()
    [from_paid] = stripe_mrr(acc, StripeSettings(active_from_payment=True)).values()
    assert [(s.at - START) // DAY for s in from_start] == [14]
    assert [(s.at - START) // DAY for s in from_paid] == [20]


@pytest.mark.parametrize("settings", EVERY_SETTING)
def test_the_three_files_tell_the_same_months(settings: StripeSettings) -> None:
    acc = one_life()
    zone = "Asia/Tokyo"
    files = {name: list(csv.DictReader(io.StringIO(text)))
             for name, text in all_files(acc, settings, zone).items()}  # fmt: skip
    pivoted = {
        (row["Customer ID"], month): Decimal(row[month])
        for row in files["mrr_per_subscriber.csv"]
        for month in MONTHS
    }
    for name, day, amount, whole in (
        ("subscription_item_change_events.csv", "local_event_timestamp", "mrr_change", 100),
        ("customer_mrr_changes.csv", "Date", "MRR change", 1),
    ):  # fmt: skip
        summed: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for row in files[name]:
            customer = row.get("customer_id") or row["Customer ID"]
            for month in MONTHS:
                if row[day][:7] <= month:
                    summed[customer, month] += Decimal(row[amount]) / whole
        assert {key: summed[key] for key in pivoted} == pivoted


def test_a_line_a_month_says_the_same_as_a_column_a_month() -> None:
    acc = one_life()
    months = by_month(stripe_mrr(acc, StripeSettings()), acc.now, "UTC")
    long = csv.DictReader(io.StringIO(subscriber_months_csv(months, is_long=True)))
    wide = list(csv.DictReader(io.StringIO(subscriber_months_csv(months))))
    told = {(r["Customer ID"], r["Month"]): r["MRR"] for r in long}
    assert told == {
        (r["Customer ID"], m): r[m] for r in wide for m in MONTHS if Decimal(r[m])
    }


def test_changes_are_an_items_or_a_customers() -> None:
    acc = one_life()
    settings = StripeSettings(repeating_subtracted=True)
    events = change_events_csv(item_changes(acc, settings), "UTC").splitlines()
    changes = customer_changes_csv(stripe_mrr(acc, settings), "UTC").splitlines()
    assert [line.split(",")[2] for line in events[1:]] == [
        *("ACTIVE_START", "ACTIVE_START", "ACTIVE_UPGRADE", "ACTIVE_END", "ACTIVE_END"),
    ]
    assert [line.split(",")[3] for line in changes[1:]] == [
        *("New", "New", "Upgrade", "Churn", "Churn"),
    ]
