"""All that shows that a discount was taken away, replaced or left out → when it ended.

Credits show the state before a change: none of them is a sign that it was still there.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from connector.core.model import Evidence
from connector.mrr.discounts.reduced_periods import (
    ChangeWithout,
    FullAmounts,
    changes_without,
    is_reduced_by,
    naming_lines,
)
from connector.mrr.discounts.scopes import DiscountScope
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion, versions_without_event
from connector.stripe_api.decoding import ListOf, ref
from connector.stripe_api.events import DISCOUNT_DELETED, Event
from connector.stripe_api.objects import Coupon, Discount, Price, SubscriptionItem

# When something ended (None: it goes on), and what shows it.
End = tuple[int | None, tuple[Evidence, ...]]


class DiscountEvidence:
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
        # What others reduced to nothing leaves nothing to take off.
        self.charged = [n for n in self.regular if n.amount_minor > n.discounted_minor]
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


def end_of(scope: DiscountScope, coupon: Coupon, shown: DiscountEvidence) -> End:
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


def replaced_later(scope: DiscountScope, shown: DiscountEvidence) -> Iterator[End]:
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


def _billed_without(
    scope: DiscountScope, coupon: Coupon, shown: DiscountEvidence
) -> list[End]:
    """The first line or change after it was last seen that is billed without it.

    Only lines of items that once had it can show that: a coupon may be limited to some
    products.
    """
    key, start_s = scope.discount.id, scope.discount.start
    named = shown.naming.get(key, ())
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
    since = bisect_right(shown.charged, since_s, key=attrgetter("start_s"))
    for place in range(since, len(shown.charged)):
        line = shown.charged[place]
        if (
            (items == {""} or line.item in items)
            and key not in line.discounts
            and shown.is_eligible(line, coupon)
        ):
            ends.append((line.start_s, line.evidence()))
            break
    return ends
