"""Stripe's own MRR of an account under each of its settings, and the files it hands out.

As Stripe defines it (metrics of its billing overview), worked out from the engine's own
lives: four settings (repeating coupons, one-time coupons, when churn counts, when a
subscription becomes active), sixteen ways in all.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import product
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.billing.account import Account
from tests.billing.state import Item
from tests.billing.truth import Step, added_up

COUPON_SETTINGS = ((False, False), (False, True), (True, False), (True, True))
NO_DECIMALS = frozenset({"jpy", "krw"})
Grain = tuple[str, str]  # customer, currency


class StripeSettings(NamedTuple):
    """Of Stripe's billing overview; the defaults are Stripe's."""

    repeating_subtracted: bool = False
    once_subtracted: bool = False
    churn_when_requested: bool = False
    active_from_payment: bool = False


EVERY_SETTING = [StripeSettings(*each) for each in product((False, True), repeat=4)]


class ItemChange(NamedTuple):
    """One item's MRR changes by so much, at this instant."""

    at: int
    item: Item
    mrr_change: int
    mrr_minor: int


def item_steps(account: Account, item: Item, settings: StripeSettings) -> list[Step]:
    """The account must have booked all ``COUPON_SETTINGS``."""
    changes = item.changes_under[
        settings.repeating_subtracted, settings.once_subtracted
    ]
    sub, begins = item.subscription, 0
    if settings.active_from_payment:
        paid = account.first_payment(sub)
        if paid is None:
            return []
        begins = paid
    gone = sub.asked if settings.churn_when_requested else []
    instants = {begins, *(change.at for change in changes)}
    instants |= {at for span in gone for at in span if at is not None}
    steps, before = [], 0
    for at in sorted(instants):
        is_gone = any(a <= at and (b is None or at < b) for a, b in gone)
        past = [change.mrr_minor for change in changes if change.at <= at]
        now = past[-1] if past and at >= begins and not is_gone else 0
        if now != before:
            steps.append(Step(at, now))
        before = now
    return steps


def stripe_mrr(account: Account, settings: StripeSettings) -> dict[Grain, list[Step]]:
    """By customer and currency: the MRR from each instant on."""
    items: dict[Grain, list[Item]] = {}
    for sub in account.subscriptions:
        items.setdefault((sub.customer.id, sub.currency), []).extend(sub.all_items)
    return {
        grain: added_up(own, lambda item: item_steps(account, item, settings))
        for grain, own in items.items()
    }


def item_changes(account: Account, settings: StripeSettings) -> list[ItemChange]:
    found = []
    for sub in account.subscriptions:
        for item in sub.all_items:
            before = 0
            for step in item_steps(account, item, settings):
                changed = step.mrr_minor - before
                found.append(ItemChange(step.at, item, changed, step.mrr_minor))
                before = step.mrr_minor
    return sorted(found, key=lambda each: (each.at, each.item.id))


# --- months ---


def month_ends(first: int, now: int, zone: str) -> list[tuple[str, int]]:
    """Each month from that of ``first`` to that of ``now``, and the instant it is over."""
    local = datetime.fromtimestamp(first, ZoneInfo(zone))
    year, month, found = local.year, local.month, []
    while True:
        after = (year + month // 12, month % 12 + 1)
        ends = int(datetime(*after, 1, tzinfo=ZoneInfo(zone)).timestamp())
        found.append((f"{year}-{month:02d}", ends))
        if ends > now:
            return found
        year, month = after


def by_month(
    by_grain: dict[Grain, list[Step]], now: int, zone: str
) -> dict[Grain, dict[str, int]]:
    """Each customer's MRR at the end of each month, of all the account's months."""
    first = min(steps[0].at for steps in by_grain.values() if steps)
    ends = month_ends(first, now, zone)
    return {
        grain: {
            month: next((s.mrr_minor for s in reversed(steps) if s.at < over), 0)
            for month, over in ends
        }
        for grain, steps in by_grain.items()
    }


# --- the files ---


def major(minor: int, currency: str) -> str:
    return str(Decimal(minor).scaleb(0 if currency in NO_DECIMALS else -2))


def text_of(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return out.getvalue()


def change_events_csv(changes: Iterable[ItemChange], zone: str) -> str:
    """``subscription_item_change_events`` of Sigma and Data Pipeline."""
    heads = (
        *("event_timestamp", "local_event_timestamp", "event_type", "currency"),
        *("mrr_change", "quantity_change", "product_id", "price_id", "customer_id"),
        *("subscription_id", "subscription_item_id"),
    )
    return text_of(heads, (_event_row(each, zone) for each in changes))


def _event_row(change: ItemChange, zone: str) -> Iterator[object]:
    item, shape = change.item, "%Y-%m-%d %H:%M:%S.000"
    yield datetime.fromtimestamp(change.at, ZoneInfo("UTC")).strftime(shape)
    yield datetime.fromtimestamp(change.at, ZoneInfo(zone)).strftime(shape)
    is_start = change.mrr_minor == change.mrr_change
    kind = "UPGRADE" if change.mrr_change > 0 else "DOWNGRADE"
    kind = "START" if is_start else kind
    yield f"ACTIVE_{kind if change.mrr_minor else 'END'}"
    yield item.subscription.currency
    yield change.mrr_change
    yield item.quantity if is_start else 0
    yield item.price.product.id
    yield item.price.id
    yield item.subscription.customer.id
    yield item.subscription.id
    yield item.id


def customer_changes_csv(by_grain: dict[Grain, list[Step]], zone: str) -> str:
    """*Customer MRR changes* of the billing overview: a line a customer and day."""
    rows = []
    for (customer, currency), steps in by_grain.items():
        before, has_paid = 0, False
        for day, minor in closings_by_day(steps, zone).items():
            if minor != before:
                kind = _kind(before, minor, has_paid=has_paid)
                amounts = [major(n, currency) for n in (minor - before, minor)]
                rows.append([day, customer, currency, kind, *amounts])
                has_paid = True
            before = minor
    heads = ("Date", "Customer ID", "Currency", "Change type", "MRR change", "MRR")
    return text_of(heads, sorted(rows))


def closings_by_day(steps: Iterable[Step], zone: str) -> dict[str, int]:
    days = {}
    for step in steps:
        day = datetime.fromtimestamp(step.at, ZoneInfo(zone)).date().isoformat()
        days[day] = step.mrr_minor
    return days


def _kind(before: int, after: int, *, has_paid: bool) -> str:
    if not before:
        return "Reactivation" if has_paid else "New"
    if not after:
        return "Churn"
    return "Upgrade" if after > before else "Downgrade"


Months = dict[Grain, dict[str, int]]


def subscriber_months_csv(months: Months, *, is_long: bool = False) -> str:
    """*MRR per subscriber per month*: a column a month, or a line a month."""
    if is_long:
        rows = (
            [customer, month, major(minor, currency), currency]
            for (customer, currency), own in months.items()
            for month, minor in own.items()
            if minor
        )
        return text_of(("Customer ID", "Month", "MRR", "Currency"), rows)
    names = list(next(iter(months.values())))
    pivoted = (
        [customer, currency, *(major(own[name], currency) for name in names)]
        for (customer, currency), own in months.items()
    )
    return text_of(("Customer ID", "Currency", *names), pivoted)


def all_files(account: Account, settings: StripeSettings, zone: str) -> dict[str, str]:
    """File name → content, of the three that Stripe hands out."""
    by_grain = stripe_mrr(account, settings)
    return {
        "subscription_item_change_events.csv": change_events_csv(
            item_changes(account, settings), zone
        ),
        "customer_mrr_changes.csv": customer_changes_csv(by_grain, zone),
        "mrr_per_subscriber.csv": subscriber_months_csv(
            by_month(by_grain, account.now, zone)
        ),
    }
