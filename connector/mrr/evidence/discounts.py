"""A subscription's discount scopes → when each discount applied, and in which order.

A discount lasts until its own end or, for an item, until the end of the last period that
it reduced: a year billed at half price is half price for that year. It ends at once where
it was taken away or replaced, or where a change took back what it had reduced.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.model import Evidence, ItemDiscount
from connector.core.policy import Policy
from connector.mrr.evidence.discount_order import billed_in_order, listed_in_order
from connector.mrr.evidence.discount_scopes import (
    DiscountScope,
    as_billed,
    coupon_of,
    discount_scopes,
)
from connector.mrr.evidence.discounted_periods import (
    ChangeWithout,
    FullAmounts,
    ReducedPeriod,
    changes_without,
    is_reduced_by,
    naming_lines,
    reduced_periods,
)
from connector.mrr.evidence.intervals import Interval
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import (
    History,
    SubscriptionVersion,
    versions_without_event,
)
from connector.mrr.pricing import amount_off_minor, discounted
from connector.stripe_api.decoding import ListOf, ref
from connector.stripe_api.events import DISCOUNT_DELETED, Event
from connector.stripe_api.objects import (
    Coupon,
    Discount,
    Price,
    Subscription,
    SubscriptionItem,
)

# When something ended (None: it goes on), and what shows it.
End = tuple[int | None, tuple[Evidence, ...]]


class AppliedDiscount(NamedTuple):
    """A discount, and when it is in force: at large, and for the items in ``by_item``.

    ``interval`` is None for a once coupon, which is in force for what it reduced alone.
    ``item`` is "" where it applies to the whole subscription. ``is_customers`` marks a
    customer's discount, which counts only where the subscription has none of its own.
    """

    discount: str
    coupon: Coupon
    item: str
    is_customers: bool
    interval: Interval | None
    by_item: Mapping[str, Interval]

    def interval_of(self, item: str) -> Interval | None:
        if self.item not in ("", item):
            return None
        return self.by_item.get(item, self.interval)

    def reduces(self, item: str, at_s: int) -> bool:
        interval = self.interval_of(item)
        return interval is not None and interval.covers(at_s)

    @property
    def intervals(self) -> Iterator[Interval]:
        if self.interval is not None:
            yield self.interval
        yield from self.by_item.values()


def applied_discounts(
    history: History,
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
    prices: Mapping[str, Price],
    policy: Policy,
) -> tuple[list[AppliedDiscount], list[Unvalued]]:
    """The subscription's discounts in the order Stripe applies them, and what is unknown.

    Items' discounts come before the subscription's; each in its own order.
    """
    order = listed_in_order(versions, events)
    scopes = discount_scopes(history, versions, line_items, events, order)
    if not scopes:
        return [], []
    coupons, unknown = _coupons(scopes, history, line_items)
    if len(scopes) > 1:
        subscription = versions[-1].subscription.id
        invoices = [i for i in history.invoices if i.subscription == subscription]
        order = billed_in_order(order, invoices, line_items, coupons)
    shown_by = _Shown(versions, line_items, events, prices, scopes, coupons)
    keys = [key for key in dict.fromkeys((*order, *scopes)) if key in coupons]
    found = [
        _applied(scopes[key], coupons[key], shown_by)
        for key in sorted(keys, key=lambda key: not scopes[key].item)
        if policy.subtracts(coupons[key].duration)
    ]
    return [each for each in found if any(each.intervals)], unknown


def _coupons(
    scopes: Mapping[str, DiscountScope],
    history: History,
    line_items: Sequence[LineItem],
) -> tuple[dict[str, Coupon], list[Unvalued]]:
    """Each discount's coupon, as its lines show it where nothing else does."""
    found, unknown = {}, []
    for key, scope in scopes.items():
        try:
            found[key] = coupon_of(scope.discount, history.catalogue.coupons)
        except Unvalued as error:
            unknown.append(error)
            billed = as_billed(scope.discount, line_items)
            if billed is not None:
                found[key] = billed
    return found, unknown


class _Shown:
    """All that shows when a subscription's discounts began and ended."""

    def __init__(
        self,
        versions: Sequence[SubscriptionVersion],
        line_items: Sequence[LineItem],
        events: Sequence[Event],
        prices: Mapping[str, Price],
        scopes: Mapping[str, DiscountScope],
        coupons: Mapping[str, Coupon],
    ) -> None:
        self.versions, self.events = versions, events
        self.prices, self.scopes, self.coupons = prices, scopes, coupons
        self.naming = naming_lines(line_items)
        self.regular = [line for line in line_items if line.is_regular]
        self.prorated = [n for n in line_items if n.proration and not n.credit]
        self.full = FullAmounts(line_items, prices)
        self.changes: Sequence[ChangeWithout] = ()
        if any(line.credit for line in line_items):
            self.changes = tuple(changes_without(line_items, self.full))

    def is_eligible(self, line: LineItem, coupon: Coupon) -> bool:
        """Whether the coupon may reduce the line: it may be limited to some products."""
        if coupon.applies_to is None:
            return True
        price = self.prices.get(line.price)
        return price is not None and ref(price.product) in coupon.applies_to.products


def _applied(scope: DiscountScope, coupon: Coupon, shown: _Shown) -> AppliedDiscount:
    start_s = _start(scope, shown.versions[-1].subscription)
    began = (Evidence("discount", scope.discount.id, start_s, coupon.id),)
    periods = _reduced_periods(scope, coupon, start_s, shown)
    whole: Interval | None = None
    if coupon.duration == "once":
        by_item = {
            item: _cut_short(
                Interval(period.start_s, period.end_s, period.began, period.ended),
                _replaced_later(scope, shown),
            )
            for item, period in periods.items()
        }
    else:
        end_s, proof = _end(scope, coupon, shown)
        whole = Interval(start_s, end_s, began, proof)
        by_item = {}
        if end_s is not None and end_s == scope.discount.end:
            by_item = {
                item: _cut_short(
                    Interval(start_s, period.end_s, began, period.ended),
                    _replaced_later(scope, shown),
                )
                for item, period in periods.items()
                if period.end_s > end_s
            }
        if end_s is not None and end_s <= start_s:
            whole = None
    where = (scope.item, scope.is_customers)
    return AppliedDiscount(scope.discount.id, coupon, *where, whole, by_item)


def _start(scope: DiscountScope, now: Subscription) -> int:
    """Given together with the subscription, it is there from the start, also backdated."""
    start_s = scope.discount.start
    is_given_with_it = abs(start_s - now.created) <= SAME_REQUEST_S
    return min(start_s, now.started_at) if is_given_with_it else start_s


def _reduced_periods(
    scope: DiscountScope, coupon: Coupon, start_s: int, shown: _Shown
) -> dict[str, ReducedPeriod]:
    """By item; none for one without an end of its own, which needs no other."""
    key, end_s = scope.discount.id, scope.discount.end
    if end_s is None and coupon.duration != "once":
        return {}
    lines = [n for n in shown.naming.get(key, ()) if is_reduced_by(n, key)]
    if end_s is not None:
        lines += [
            line
            for line in shown.prorated
            if not line.discounts
            and scope.item in ("", line.item)
            and start_s <= line.start_s < end_s < line.end_s
            and shown.is_eligible(line, coupon)
            and shown.full.is_reduced(line)
        ]
    return reduced_periods(key, lines, shown.changes, shown.regular)


def _cut_short(interval: Interval, ends: Iterable[End]) -> Interval:
    for end_s, proof in ends:
        if end_s is not None and interval.covers(end_s):
            interval = interval._replace(end_s=end_s, ended=proof)
    return interval


def _end(scope: DiscountScope, coupon: Coupon, shown: _Shown) -> End:
    """When the discount stopped, and what shows it; None while it goes on.

    What shows it gone when it had run out shows nothing else.
    """
    own_s = scope.discount.end
    ends = _shown_removed(scope, shown.versions, shown.events)
    if not scope.is_current:
        ends += _billed_without(scope, coupon, shown)
        ends += _replaced(scope, shown.scopes.values())
    early = [end for end in ends if own_s is None or (end[0] or 0) < own_s]
    if early:
        return min(early, key=lambda end: end[0] or 0)
    if own_s is None:
        return None, ()
    said = f"{coupon.id} ended"
    return own_s, (Evidence("discount", scope.discount.id, own_s, said),)


def _shown_removed(
    scope: DiscountScope,
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
) -> list[End]:
    """Events that take it away, and the first version after the last that shows it."""
    discount = scope.discount.id
    found: list[End] = []
    for event in events:
        is_gone = event.type == DISCOUNT_DELETED and event.touched == discount
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
    after = [other.discount for other in others if _comes_after(other, scope)]
    return [(d.start, _replaces(d)) for d in after]


def _replaced_later(scope: DiscountScope, shown: _Shown) -> Iterator[End]:
    """The same of one that had run out: a once coupon begins with what it reduces."""
    for other in shown.scopes.values():
        if not _comes_after(other, scope):
            continue
        key, start_s = other.discount.id, other.discount.start
        coupon = shown.coupons.get(key)
        if coupon is not None and coupon.duration == "once":
            lines = [n for n in shown.naming.get(key, ()) if is_reduced_by(n, key)]
            starts_s = [line.start_s for line in lines]
            if not starts_s:
                continue
            start_s = min(starts_s)
        yield start_s, _replaces(other.discount)


def _comes_after(other: DiscountScope, scope: DiscountScope) -> bool:
    where = (scope.item, scope.is_customers)
    is_same_place = (other.item, other.is_customers) == where
    return is_same_place and other.discount.start > scope.last_seen_s


def _replaces(discount: Discount) -> tuple[Evidence, ...]:
    return (Evidence("discount", discount.id, discount.start, "replaces it"),)


def _billed_without(scope: DiscountScope, coupon: Coupon, shown: _Shown) -> list[End]:
    """The first line or change after it was last seen that is billed without it.

    Only lines of items that once had it can show that: a coupon may be limited to some
    products.
    """
    key, start_s = scope.discount.id, scope.discount.start
    named = shown.naming.get(key, ())
    # What others reduced to nothing leaves nothing to take off.
    lines = [n for n in shown.regular if n.amount_minor > n.discounted_minor]
    items = {line.item for line in named} or {scope.item}
    since_s = max([start_s - 1, *(line.start_s for line in named)])
    ends: list[End] = [
        (change.at_s, change.evidence())
        for change in shown.changes
        if change.at_s > max(since_s, scope.last_seen_s)
        and scope.item in ("", change.item)
        and change.is_without(key)
        and all(shown.is_eligible(line, coupon) for line in change.billed)
    ]
    for line in lines:
        if (
            line.start_s > since_s
            and (items == {""} or line.item in items)
            and key not in line.discounts
            and shown.is_eligible(line, coupon)
        ):
            ends.append((line.start_s, line.evidence()))
            break
    return ends


class DiscountedItem(NamedTuple):
    """What discounts are taken off: an item's amount for its interval.

    ``months_factor`` is the larger, the shorter the interval is.
    """

    gross_minor: Fraction
    months_factor: Fraction
    product: str


def item_discounts(
    applied: Sequence[AppliedDiscount],
    at_s: int,
    items: Mapping[str, DiscountedItem],
    currency: str,
) -> dict[str, tuple[ItemDiscount, ...]]:
    """Each item's discounts at an instant, in order.

    An amount off the whole subscription is taken off every invoice: the items of the
    shortest interval share it, in proportion to what they cost after the discounts before
    it.
    """
    left_minor = {key: item.gross_minor for key, item in items.items()}
    found: dict[str, tuple[ItemDiscount, ...]] = dict.fromkeys(items, ())
    for each in applied:
        reduced = _reduced_items(each, applied, at_s, items)
        total_minor = sum((left_minor[key] for key in reduced), Fraction(0))
        for key in reduced:
            own = _item_discount(each, currency, left_minor[key], total_minor)
            left_minor[key] = discounted(left_minor[key], [own])
            found[key] += (own,)
    return found


def _reduced_items(
    each: AppliedDiscount,
    applied: Iterable[AppliedDiscount],
    at_s: int,
    items: Mapping[str, DiscountedItem],
) -> list[str]:
    limited = each.coupon.applies_to
    reduced = [
        key
        for key, item in items.items()
        if each.reduces(key, at_s)
        and (limited is None or item.product in limited.products)
        and not (each.is_customers and _has_own(applied, key, at_s))
    ]
    if each.coupon.percent_off is not None or not reduced:
        return reduced
    shortest = max(items[key].months_factor for key in reduced)
    return [key for key in reduced if items[key].months_factor == shortest]


def _has_own(applied: Iterable[AppliedDiscount], item: str, at_s: int) -> bool:
    """Whether the subscription has a discount itself: the customer's then is overruled."""
    return any(
        not each.item and not each.is_customers and each.reduces(item, at_s)
        for each in applied
    )


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
