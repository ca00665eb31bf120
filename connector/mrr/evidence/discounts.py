"""A subscription's discount scopes → when each discount applied, and in which order.

A discount object says when it began, and often when it ended. Where it was simply taken
away, the first regular line without it, an event, or a later version shows its end.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.model import Evidence, ItemDiscount
from connector.core.policy import Policy
from connector.mrr.evidence.discount_scopes import (
    DiscountScope,
    as_billed,
    coupon_of,
    discount_scopes,
    ids_in_order,
)
from connector.mrr.evidence.intervals import Interval
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import (
    History,
    SubscriptionVersion,
    versions_in,
    versions_without_event,
)
from connector.mrr.pricing import amount_off_minor, discounted
from connector.stripe_api.decoding import ListOf, ref
from connector.stripe_api.events import Event
from connector.stripe_api.objects import (
    Coupon,
    Discount,
    Subscription,
    SubscriptionItem,
)

# When something ended (None: it goes on), and what shows it.
End = tuple[int | None, tuple[Evidence, ...]]


class AppliedDiscount(NamedTuple):
    """A discount, and the interval in which it is in force.

    ``item`` is "" where it applies to the whole subscription. ``is_customers`` marks a
    customer's discount, which counts only where the subscription has none of its own.
    """

    discount: str
    coupon: Coupon
    item: str
    is_customers: bool
    interval: Interval


def applied_discounts(
    history: History,
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
    policy: Policy,
) -> tuple[list[AppliedDiscount], list[Unvalued]]:
    """The subscription's discounts in the order Stripe applies them, and what is unknown.

    Items' discounts come before the subscription's; each in its own order.
    """
    found, unknown = [], []
    shown = [each.subscription for each in (*versions, *versions_in(events))]
    items = {item.id for each in shown for item in each.items.data}
    items |= {line.item for line in line_items}
    ids = ids_in_order(versions, events)
    scopes = discount_scopes(history, versions, line_items, events, items, ids)
    keys = dict.fromkeys((*ids, *scopes))
    ordered = [scopes[key] for key in keys if key in scopes]
    for scope in sorted(ordered, key=lambda each: not each.item):
        try:
            coupon = coupon_of(scope.discount, history.catalogue.coupons)
        except Unvalued as error:
            unknown.append(error)
            billed = as_billed(scope.discount, line_items)
            if billed is None:
                continue
            coupon = billed
        if policy.subtracts(coupon.duration):
            others = scopes.values()
            end_s, proof = _end(scope, others, coupon, versions, line_items, events)
            start_s = _start(scope, versions[-1].subscription)
            if end_s is None or end_s > start_s:
                key = scope.discount.id
                began = (Evidence("discount", key, start_s, coupon.id),)
                interval = Interval(start_s, end_s, began, proof)
                where = (scope.item, scope.is_customers)
                found.append(AppliedDiscount(key, coupon, *where, interval))
    return found, unknown


def _start(scope: DiscountScope, now: Subscription) -> int:
    """Given together with the subscription, it is there from the start, also backdated."""
    start_s = scope.discount.start
    is_given_with_it = abs(start_s - now.created) <= SAME_REQUEST_S
    return min(start_s, now.started_at) if is_given_with_it else start_s


def _end(
    scope: DiscountScope,
    others: Iterable[DiscountScope],
    coupon: Coupon,
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
) -> End:
    """When the discount stopped, and what shows it; None while it goes on."""
    discount = scope.discount
    if coupon.duration == "once":
        return _once_used_up(discount, line_items)
    ends: list[End] = []
    if discount.end is not None:
        proof = Evidence("discount", discount.id, discount.end, f"{coupon.id} ended")
        ends.append((discount.end, (proof,)))
    ends += _shown_removed(scope, versions, events)
    if not scope.is_current:
        ends += _billed_without(scope, line_items)
        ends += _replaced(scope, others)
    return min(ends, default=(None, ()), key=lambda end: end[0] or 0)


def _once_used_up(discount: Discount, line_items: Sequence[LineItem]) -> End:
    """A once coupon lasts as long as the period it paid for."""
    reduced = [n for n in line_items if discount.id in n.discounts and n.is_regular]
    if not reduced:
        return None, ()
    last = max(reduced, key=lambda line: line.end_s)
    return last.end_s, last.evidence()


def _shown_removed(
    scope: DiscountScope,
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
) -> list[End]:
    """Events that take it away, and the first version after the last that shows it."""
    discount = scope.discount.id
    found: list[End] = []
    for event in events:
        is_gone = (
            event.type == "customer.discount.deleted" and event.touched == discount
        )
        before = event.previous.items or ListOf[SubscriptionItem]()
        ids_before = [ref(d) for d in event.previous.discounts or ()]
        ids_before += [ref(d) for item in before.data for d in item.discounts or ()]
        if discount in ids_before and event.subscription is not None:
            listed = event.subscription.listed_discounts
            is_gone |= all(ref(each) != discount for each, _ in listed)
        if is_gone:
            proof = Evidence("event", event.id, event.created, event.type)
            found.append((event.created, (proof,)))
    if not scope.is_current:
        for seen_s, shown in versions_without_event(versions, events):
            if seen_s > scope.last_seen_s and shown.ended_at is None:
                proof = Evidence("observed", shown.id, seen_s, "discount removed")
                found.append((seen_s, (proof,)))
                break
    return found


def _replaced(scope: DiscountScope, others: Iterable[DiscountScope]) -> list[End]:
    """The discounts given in its place, after it was last seen."""
    where = (scope.item, scope.is_customers)
    after = [
        other.discount
        for other in others
        if (other.item, other.is_customers) == where
        and other.discount.start > scope.last_seen_s
    ]
    return [
        (d.start, (Evidence("discount", d.id, d.start, "replaces it"),)) for d in after
    ]


def _billed_without(scope: DiscountScope, line_items: Sequence[LineItem]) -> list[End]:
    """The first regular line after the last discounted one that lacks the discount.

    Only lines of items that once had it can show that: a coupon may be limited to some
    products.
    """
    regular = [line for line in line_items if line.is_regular]
    # What others reduced to nothing leaves nothing to take off.
    lines = [line for line in regular if line.amount_minor > line.discounted_minor]
    reduced = [line for line in regular if scope.discount.id in line.discounts]
    items = {line.item for line in reduced} or {scope.item}
    lines = [line for line in lines if items == {""} or line.item in items]
    since_s = max([scope.discount.start - 1, *(line.start_s for line in reduced)])
    for line in lines:
        is_after = line.start_s > since_s and line.start_s >= scope.discount.start
        if is_after and scope.discount.id not in line.discounts:
            return [(line.start_s, line.evidence())]
    return []


def item_discounts(
    applied: Sequence[AppliedDiscount],
    at_s: int,
    gross_minor: Mapping[str, Fraction],
    currency: str,
    products: Mapping[str, str],
) -> dict[str, tuple[ItemDiscount, ...]]:
    """Each item's discounts at an instant, in order.

    ``gross_minor`` is each item's amount for its interval, ``products`` its product. An
    amount off the whole subscription is shared in proportion to what the items cost
    after the discounts before it.
    """
    left_minor = dict(gross_minor)
    found: dict[str, tuple[ItemDiscount, ...]] = dict.fromkeys(gross_minor, ())
    for each in _in_force(applied, at_s):
        limited = each.coupon.applies_to
        items = [
            item
            for item in gross_minor
            if each.item in ("", item)
            and (limited is None or products.get(item) in limited.products)
        ]
        total_minor = sum((left_minor[item] for item in items), Fraction(0))
        for item in items:
            own = _item_discount(each, currency, left_minor[item], total_minor)
            left_minor[item] = discounted(left_minor[item], [own])
            found[item] += (own,)
    return found


def _in_force(applied: Iterable[AppliedDiscount], at_s: int) -> list[AppliedDiscount]:
    active = [each for each in applied if each.interval.covers(at_s)]
    if any(not each.item and not each.is_customers for each in active):
        return [each for each in active if not each.is_customers]
    return active


def _item_discount(
    applied: AppliedDiscount,
    currency: str,
    amount_minor: Fraction,
    total_minor: Fraction,
) -> ItemDiscount:
    """What it takes off an item that still costs so much, of all that it reduces."""
    coupon, discount = applied.coupon, applied.discount
    if coupon.percent_off is not None:
        return ItemDiscount(discount=discount, percent=coupon.percent_off)
    whole_minor = min(Fraction(amount_off_minor(coupon, currency)), total_minor)
    share = amount_minor / total_minor if total_minor else Fraction(0)
    return ItemDiscount(discount=discount, amount_minor=whole_minor * share)
