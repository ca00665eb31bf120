"""A subscription's discount scopes → when each discount applied, and in which order.

A discount lasts until its own end or, for an item, until the end of the last period that
it reduced: a year billed at half price is half price for that year. It ends at once where
it was taken away or replaced, or where a change took back what it had reduced.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter

from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.core.policy import Policy
from connector.mrr.discounts.coupons import coupons_of
from connector.mrr.discounts.ends import (
    ANY_ITEM,
    DiscountEvidence,
    end_of,
    until_replaced,
)
from connector.mrr.discounts.order import add_billed_in_order, listed_in_order
from connector.mrr.discounts.reduced_periods import (
    ReducedPeriod,
    naming_lines,
    reduced_periods,
)
from connector.mrr.discounts.scopes import (
    DiscountScope,
    ShownDiscounts,
    discount_scopes,
)
from connector.mrr.discounts.shares import AppliedDiscount
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion
from connector.mrr.intervals import Interval
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Coupon, Price, Subscription


def applied_discounts(
    shown: ShownDiscounts,
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
    invoices: Sequence[Invoice],
    prices: Mapping[str, Price],
    policy: Policy,
) -> tuple[list[AppliedDiscount], list[Unvalued]]:
    """The subscription's discounts in the order Stripe applies them, and what is unknown.

    Items' discounts come before the subscription's; each in its own order.
    """
    order = listed_in_order(versions, events)
    scopes = discount_scopes(shown, versions, line_items, events, order)
    if not scopes:
        return [], []
    naming = naming_lines(line_items)
    coupons, unknown = coupons_of(scopes, shown.history.catalogue.coupons, naming)
    if len(scopes) > 1:
        add_billed_in_order(order, invoices, line_items, coupons)
    shown_by = DiscountEvidence(
        *(versions, line_items, naming, events, prices, scopes, coupons),
        customers=shown.lines.of(versions[-1].subscription),
        invoices=invoices,
    )
    keys = [key for key in dict.fromkeys((*order, *scopes)) if key in coupons]
    found = [
        _applied(scopes[key], coupons[key], shown_by)
        for key in sorted(keys, key=lambda key: not scopes[key].item)
        if policy.subtracts(coupons[key].duration)
    ]
    return [each for each in found if any(each.intervals)], unknown


def _applied(
    scope: DiscountScope, coupon: Coupon, shown: DiscountEvidence
) -> AppliedDiscount:
    start_s = _start(scope, shown.versions[-1].subscription)
    began = (Evidence("discount", scope.discount.id, start_s, coupon.id),)
    periods = _reduced_periods(scope, coupon, start_s, shown)
    whole: Interval | None = None
    if coupon.duration == "once":
        by_item = {
            item: until_replaced(Interval(*period), scope, shown)
            for item, period in periods.items()
        }
    else:
        end_s, proof = end_of(scope, coupon, shown)
        whole = Interval(start_s, end_s, began, proof)
        by_item = {}
        if end_s is not None and end_s == scope.discount.end:
            by_item = {
                item: until_replaced(
                    Interval(start_s, period.end_s, began, period.ended), scope, shown
                )
                for item, period in periods.items()
                if period.end_s > end_s
            }
        if end_s is not None and end_s <= start_s:
            whole = None
    return AppliedDiscount(scope.discount.id, coupon, *scope.place, whole, by_item)


def _start(scope: DiscountScope, now: Subscription) -> int:
    """Given together with the subscription, it is there from the start, also backdated."""
    start_s = scope.discount.start
    is_given_with_it = abs(start_s - now.created) <= SAME_REQUEST_S
    return min(start_s, now.started_at) if is_given_with_it else start_s


def _reduced_periods(
    scope: DiscountScope, coupon: Coupon, start_s: int, shown: DiscountEvidence
) -> dict[str, ReducedPeriod]:
    """By item; none for one without an end of its own, which needs no other."""
    key, end_s = scope.discount.id, scope.discount.end
    if end_s is None and coupon.duration != "once":
        return {}
    lines = [
        line for line in shown.reduced_in_advance(key) if not shown.full.is_free(line)
    ]
    if end_s is not None:
        since, end = (
            bisect_left(shown.reduced_debits, at_s, key=attrgetter("start_s"))
            for at_s in (start_s, end_s)
        )
        lines += [
            line
            for line in shown.reduced_debits[since:end]
            if scope.item in (ANY_ITEM, line.item)
            and end_s < line.end_s
            and shown.is_eligible(line, coupon)
        ]
    return reduced_periods(lines, partial(_billed_without, key, end_s, shown))


def _billed_without(
    discount: str, end_s: int | None, shown: DiscountEvidence, reduced: LineItem
) -> LineItem | None:
    """The first line of a reduced period that it did not reduce.

    What had run out or was used up reduces no debit.
    """

    def is_without(line: LineItem) -> bool:
        return discount not in line.discounts

    of, since_s, before_s = (reduced.item,), reduced.start_s + 1, reduced.end_s
    charged = shown.charged.first(of, since_s, is_without, before_s=before_s)
    since_s = max(since_s, end_s or 0)
    debit = shown.debits.first(of, since_s, is_without, before_s=before_s)
    found = (line for line in (charged, debit) if line is not None)
    return min(found, key=attrgetter("start_s"), default=None)
