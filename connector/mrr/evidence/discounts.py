"""When each discount applied, to what, and in which order.

A discount object says when it began, and often when it ended. Where it was simply taken
away, the first regular line without it, an event, or a later look shows its end.
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
    named_on,
)
from connector.mrr.evidence.intervals import Interval
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import History, SubscriptionVersion, unexplained
from connector.stripe_api.events import Event
from connector.stripe_api.objects import (
    Coupon,
    Discount,
    ListOf,
    Subscription,
    SubscriptionItem,
    ref,
)


class AppliedDiscount(NamedTuple):
    """A discount, and the span in which it is in force.

    ``item`` is "" where it applies to the whole subscription. ``is_customers`` marks a
    customer's discount, which counts only where the subscription has none of its own.
    """

    discount: str
    coupon: Coupon
    item: str
    is_customers: bool
    span: Interval


def applied(
    history: History,
    sightings: Sequence[SubscriptionVersion],
    charges: Sequence[LineItem],
    events: Sequence[Event],
    policy: Policy,
) -> tuple[list[AppliedDiscount], list[Unvalued]]:
    """The subscription's discounts in the order Stripe applies them, and what is unknown.

    Items' discounts come before the subscription's; each in its own order.
    """
    found, unknown = [], []
    seen = [s.subscription for s in sightings]
    seen += [e.subscription for e in events if e.subscription is not None]
    items = {i.id for s in seen for i in s.items.data} | {c.item for c in charges}
    found_places = discount_scopes(history, sightings, charges, events, items)
    for place in sorted(found_places.values(), key=lambda p: (not p.item, p.order)):
        try:
            coupon = coupon_of(place.discount, history.catalogue.coupons)
        except Unvalued as error:
            unknown.append(error)
            billed = as_billed(place.discount, charges)
            if billed is None:
                continue
            coupon = billed
        if _counts(coupon, policy):
            others = found_places.values()
            end_s, proof = _end(place, others, coupon, sightings, charges, events)
            start_s = _start(place, sightings[-1].subscription)
            if end_s is None or end_s > start_s:
                key, item, is_customers = (
                    place.discount.id,
                    place.item,
                    place.is_customers,
                )
                began = (Evidence("discount", key, start_s, coupon.id),)
                span = Interval(start_s, end_s, began, proof)
                found.append(AppliedDiscount(key, coupon, item, is_customers, span))
    return found, unknown


def _start(place: DiscountScope, now: Subscription) -> int:
    """Given together with the subscription, it is there from the start, also backdated."""
    start_s = place.discount.start
    is_given_with_it = abs(start_s - now.created) <= SAME_REQUEST_S
    return min(start_s, now.started_at) if is_given_with_it else start_s


def _counts(coupon: Coupon, policy: Policy) -> bool:
    if coupon.duration == "once":
        return policy.once_subtracted
    if coupon.duration == "repeating":
        return policy.repeating_subtracted
    return True


def _end(
    place: DiscountScope,
    others: Iterable[DiscountScope],
    coupon: Coupon,
    sightings: Sequence[SubscriptionVersion],
    charges: Sequence[LineItem],
    events: Sequence[Event],
) -> tuple[int | None, tuple[Evidence, ...]]:
    """When the discount stopped, and what shows it; None while it goes on."""
    discount = place.discount
    if coupon.duration == "once":
        return _once_used_up(discount, charges)
    ends: list[tuple[int, tuple[Evidence, ...]]] = []
    if discount.end is not None:
        proof = Evidence("discount", discount.id, discount.end, f"{coupon.id} ended")
        ends.append((discount.end, (proof,)))
    ends += _seen_gone(place, sightings, events)
    if not place.is_current:
        ends += _billed_without(place, charges)
        ends += _replaced(place, others)
    return min(ends, default=(None, ()), key=lambda end: end[0] or 0)


def _once_used_up(
    discount: Discount, charges: Sequence[LineItem]
) -> tuple[int | None, tuple[Evidence, ...]]:
    """A once coupon lasts as long as the period it paid for."""
    used = [c for c in charges if discount.id in c.discounts and c.is_regular]
    if not used:
        return None, ()
    last = max(used, key=lambda charge: charge.end_s)
    return last.end_s, last.evidence()


def _seen_gone(
    place: DiscountScope,
    sightings: Sequence[SubscriptionVersion],
    events: Sequence[Event],
) -> list[tuple[int, tuple[Evidence, ...]]]:
    """The first look, after the last that shows the discount, which does not."""
    discount = place.discount.id
    found: list[tuple[int, tuple[Evidence, ...]]] = []
    for event in events:
        if event.type == "customer.discount.deleted" and event.touched == discount:
            proof = Evidence("event", event.id, event.created, event.type)
            found.append((event.created, (proof,)))
        before = event.previous.items or ListOf[SubscriptionItem]()
        was = [ref(d) for d in event.previous.discounts or ()]
        was += [ref(d) for item in before.data for d in item.discounts or ()]
        if discount in was and event.subscription is not None:
            now = [key for key, _ in named_on(event.subscription)]
            if discount not in now:
                proof = Evidence("event", event.id, event.created, event.type)
                found.append((event.created, (proof,)))
    if not place.is_current:
        for seen_s, seen in unexplained(sightings, events):
            if seen_s > place.last_seen_s and seen.ended_at is None:
                proof = Evidence("observed", seen.id, seen_s, "discount removed")
                found.append((seen_s, (proof,)))
                break
    return found


def _replaced(
    place: DiscountScope, others: Iterable[DiscountScope]
) -> list[tuple[int, tuple[Evidence, ...]]]:
    """The first discount given in its place, after it was last seen."""
    where = (place.item, place.is_customers)
    after = [
        other.discount
        for other in others
        if (other.item, other.is_customers) == where
        and other.discount.start > place.last_seen_s
    ]
    return [
        (d.start, (Evidence("discount", d.id, d.start, "replaces it"),)) for d in after
    ]


def _billed_without(
    place: DiscountScope, charges: Sequence[LineItem]
) -> list[tuple[int, tuple[Evidence, ...]]]:
    """The first regular line after the last discounted one that lacks the discount.

    Only lines of items that once had it can show that: a coupon may be limited to some
    products.
    """
    regular = [c for c in charges if c.is_regular]
    # What others reduced to nothing leaves nothing to take off.
    lines = [c for c in regular if c.amount_minor > c.discounted_minor]
    reduced = [c for c in regular if place.discount.id in c.discounts]
    items = {c.item for c in reduced} or {place.item}
    lines = [c for c in lines if items == {""} or c.item in items]
    since_s = max([place.discount.start - 1, *(c.start_s for c in reduced)])
    for charge in lines:
        is_after = charge.start_s > since_s and charge.start_s >= place.discount.start
        if is_after and place.discount.id not in charge.discounts:
            return [(charge.start_s, charge.evidence())]
    return []


def offs(
    found: Sequence[AppliedDiscount],
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
    active = [a for a in found if a.span.covers(at_s)]
    if any(not a.item and not a.is_customers for a in active):
        active = [a for a in active if not a.is_customers]
    left = dict(gross_minor)
    result: dict[str, tuple[ItemDiscount, ...]] = dict.fromkeys(gross_minor, ())
    for each in active:
        limited = each.coupon.applies_to
        hit = [
            item
            for item in gross_minor
            if each.item in ("", item)
            and (limited is None or products.get(item) in limited.products)
        ]
        total = sum((left[item] for item in hit), Fraction(0))
        for item in hit:
            off = _off(each, currency, left[item], total)
            left[item] = _less(left[item], off)
            result[item] += (off,)
    return result


def _off(
    each: AppliedDiscount, currency: str, amount: Fraction, total: Fraction
) -> ItemDiscount:
    coupon = each.coupon
    if coupon.percent_off is not None:
        return ItemDiscount(discount=each.discount, percent=coupon.percent_off)
    off_minor = coupon.amount_off
    if (coupon.currency or currency) != currency:
        option = (coupon.currency_options or {}).get(currency)
        if option is None:
            raise Unvalued(coupon.id, "currency_options", currency)
        off_minor = option.amount_off
    share = amount / total if total else Fraction(0)
    whole = min(Fraction(off_minor or 0), total)
    return ItemDiscount(discount=each.discount, amount_minor=whole * share)


def _less(amount: Fraction, off: ItemDiscount) -> Fraction:
    if off.percent is not None:
        return amount * (1 - Fraction(off.percent) / 100)
    return amount - off.amount_minor
