"""All that shows that a discount was taken away, replaced or left out → when it ended.

Credits show the state before a change: none of them is a sign that it was still there.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from connector.core.model import Evidence
from connector.mrr.discounts.customer_lines import CHANGED, JOINED, CustomerLines
from connector.mrr.discounts.reduced_periods import (
    ChangeWithout,
    FullAmounts,
    changes_without,
    is_reduced_by,
)
from connector.mrr.discounts.scopes import DiscountPlace, DiscountScope
from connector.mrr.discounts.time_index import TimeIndex
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion, versions_without_event
from connector.mrr.intervals import Interval
from connector.mrr.pricing import is_metered
from connector.stripe_api.decoding import ListOf, ref
from connector.stripe_api.events import DISCOUNT_DELETED, Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Coupon, Discount, Price, SubscriptionItem

ANY_ITEM = ""
_START, _AT, _SEEN = attrgetter("start_s"), attrgetter("at_s"), attrgetter("seen_s")
_DISCOUNTED = attrgetter("discounted_s")
# When something ended (None: it goes on), and what shows it.
End = tuple[int | None, tuple[Evidence, ...]]


class _Begun(NamedTuple):
    at_s: int
    scope: DiscountScope


class DiscountEvidence:
    """All that shows when a subscription's discounts began and ended."""

    def __init__(
        self,
        versions: Sequence[SubscriptionVersion],
        line_items: Sequence[LineItem],
        naming: Mapping[str, Sequence[LineItem]],
        events: Sequence[Event],
        prices: Mapping[str, Price],
        scopes: Mapping[str, DiscountScope],
        coupons: Mapping[str, Coupon],
        customers: CustomerLines,
        invoices: Sequence[Invoice],
    ) -> None:
        self.versions, self.line_items, self.naming = versions, line_items, naming
        self.events, self.prices = events, prices
        self.scopes, self.coupons = scopes, coupons
        self.customers, self.invoices = customers, invoices
        self.full = FullAmounts(line_items, prices)
        self.prorated = [n for n in line_items if n.proration and not n.credit]

    @cached_property
    def charged(self) -> TimeIndex[str, LineItem]:
        """The regular lines that cost something, by their item, and all of them.

        What others reduced to nothing leaves nothing to take off.
        """
        regular = (line for line in self.line_items if line.is_regular)
        left = (line for line in regular if line.amount_minor > line.discounted_minor)
        return TimeIndex(left, _DISCOUNTED, lambda line: (line.item, ANY_ITEM))

    @cached_property
    def debits(self) -> TimeIndex[str, LineItem]:
        return TimeIndex(self.prorated, _START, lambda line: (line.item,))

    @cached_property
    def reduced_debits(self) -> Sequence[LineItem]:
        """Those whose amount alone shows a discount, in order of time."""
        unnamed = (line for line in self.prorated if not line.discounts)
        return list(filter(self.full.is_reduced, unnamed))

    @cached_property
    def changes(self) -> TimeIndex[str | None, ChangeWithout]:
        """By the discounts that they are billed without; None: without any."""
        found = changes_without(self.line_items, self.full)
        return TimeIndex(found, _AT, lambda change: change.discounts or (None,))

    @cached_property
    def removals(self) -> Mapping[str, Event]:
        """The first event that takes a discount away, by its id."""
        found: dict[str, Event] = {}
        for event in self.events:
            for key in _taken_away(event):
                found.setdefault(key, event)
        return found

    @cached_property
    def looks(self) -> TimeIndex[None, SubscriptionVersion]:
        """The versions that no event explains, of the time before it ended."""
        shown = versions_without_event(self.versions, self.events)
        lasting = (each for each in shown if each.subscription.ended_at is None)
        return TimeIndex(lasting, _SEEN, lambda _: (None,))

    @cached_property
    def customers_named(self) -> TimeIndex[None, Invoice]:
        """The invoices that name a customer's discount: it had none of its own then."""
        found = (
            invoice
            for invoice in self.invoices
            for each in invoice.discounts or ()
            if (scope := self.scopes.get(ref(each))) is not None and scope.is_customers
        )
        return TimeIndex(found, attrgetter("created"), lambda _: (None,))

    @cached_property
    def given(self) -> TimeIndex[DiscountPlace, _Begun]:
        """The discounts by their place, from the instant that each was given."""
        begun = (_Begun(each.discount.start, each) for each in self.scopes.values())
        return TimeIndex(begun, _AT, lambda it: (it.scope.place,))

    @cached_property
    def in_effect(self) -> TimeIndex[DiscountPlace, _Begun]:
        """The same from what it reduced first, where that is all that it reduces."""
        begun = (
            _Begun(at_s, each)
            for each in self.scopes.values()
            if (at_s := self._in_effect_s(each.discount)) is not None
        )
        return TimeIndex(begun, _AT, lambda it: (it.scope.place,))

    def _in_effect_s(self, discount: Discount) -> int | None:
        coupon = self.coupons.get(discount.id)
        if coupon is None or coupon.duration != "once":
            return discount.start
        return min(map(_START, self.reduced_in_advance(discount.id)), default=None)

    def reduced_in_advance(self, discount: str) -> Iterator[LineItem]:
        """The lines for a time to come that name it, and that it reduced: no usage."""
        for line in self.naming.get(discount, ()):
            is_usage = is_metered(self.prices.get(line.price))
            if not is_usage and is_reduced_by(line, discount):
                yield line

    def is_eligible(self, line: LineItem, coupon: Coupon) -> bool:
        """Whether the coupon may reduce the line: it may be limited to some products."""
        if coupon.applies_to is None:
            return True
        price = self.prices.get(line.price)
        return price is not None and ref(price.product) in coupon.applies_to.products


def _taken_away(event: Event) -> Iterator[str]:
    """The discounts that an event shows to be gone: deleted, or listed only before."""
    if event.type == DISCOUNT_DELETED and event.touched is not None:
        yield event.touched
    if event.subscription is None:
        return
    before = event.previous.items or ListOf[SubscriptionItem]()
    listed_before = [ref(each) for each in event.previous.discounts or ()]
    listed_before += [ref(d) for item in before.data for d in item.discounts or ()]
    if listed_before:
        listed = {ref(each) for each, _ in event.subscription.listed_discounts}
        yield from (key for key in listed_before if key not in listed)


def end_of(scope: DiscountScope, coupon: Coupon, shown: DiscountEvidence) -> End:
    """When the discount stopped, and what shows it; None while it goes on.

    What shows it gone when it had run out shows nothing else.
    """
    own_s, ends = scope.discount.end, list(_removed(scope, shown))
    if not scope.is_current:
        ends += _billed_without(scope, coupon, shown)
        if scope.is_customers and shown.customers.are_of_several:
            ends += _billed_without_elsewhere(scope, coupon, shown)
        ends += _replaced(scope, shown)
    early = [end for end in ends if own_s is None or (end[0] or 0) < own_s]
    if early:
        return min(early, key=lambda end: end[0] or 0)
    if own_s is None:
        return None, ()
    said = f"{coupon.id} ended"
    return own_s, (Evidence("discount", scope.discount.id, own_s, said),)


def _removed(scope: DiscountScope, shown: DiscountEvidence) -> Iterator[End]:
    """An event that takes it away, and the first version after the last that shows it."""
    event = shown.removals.get(scope.discount.id)
    if event is not None:
        proof = Evidence("event", event.id, event.created, event.type)
        yield event.created, (proof,)
    if not scope.is_current:
        look = shown.looks.first((None,), scope.last_seen_s + 1)
        if look is not None:
            key, seen_s = look.subscription.id, look.seen_s
            yield seen_s, (Evidence("observed", key, seen_s, "discount removed"),)


def _replaced(scope: DiscountScope, shown: DiscountEvidence) -> Iterator[End]:
    """The first discount given in its place, after it was last seen."""
    other = shown.given.first((scope.place,), scope.last_seen_s + 1)
    if other is not None:
        yield other.at_s, _replaces(other.scope.discount)


def until_replaced(
    interval: Interval, scope: DiscountScope, shown: DiscountEvidence
) -> Interval:
    """The same of one that had run out: a once coupon begins with what it reduces."""
    other = shown.in_effect.first(
        (scope.place,),
        interval.start_s,
        lambda it: it.scope.discount.start > scope.last_seen_s,
        before_s=interval.end_s,
    )
    if other is None:
        return interval
    return interval._replace(end_s=other.at_s, ended=_replaces(other.scope.discount))


def _replaces(discount: Discount) -> tuple[Evidence, ...]:
    return (Evidence("discount", discount.id, discount.start, "replaces it"),)


def _billed_without(
    scope: DiscountScope, coupon: Coupon, shown: DiscountEvidence
) -> Iterator[End]:
    """The first line or change after it was last seen that is billed without it.

    Only lines of items that once had it can show that: a coupon may be limited to some
    products.
    """
    key, start_s = scope.discount.id, scope.discount.start
    named = shown.naming.get(key, ())
    items = {line.item for line in named} or {scope.item}
    since_s = max([start_s - 1, *map(_DISCOUNTED, named)])
    if not scope.item and not scope.is_customers:
        instead = shown.customers_named.first((None,), scope.last_seen_s + 1)
        if instead is not None:
            at_s, said = instead.created, "a customer's discount instead"
            yield at_s, (Evidence("invoice", instead.id, at_s, said),)
    change = shown.changes.first(
        (key, None),
        max(since_s, scope.last_seen_s) + 1,
        lambda it: (
            scope.item in (ANY_ITEM, it.item)
            and it.tells_of(coupon)
            and all(shown.is_eligible(line, coupon) for line in it.billed)
        ),
    )
    if change is not None:
        yield change.at_s, change.evidence()
    line = shown.charged.first(
        items,
        since_s + 1,
        lambda it: key not in it.discounts and shown.is_eligible(it, coupon),
    )
    if line is not None:
        yield line.discounted_s, line.evidence()


def _billed_without_elsewhere(
    scope: DiscountScope, coupon: Coupon, shown: DiscountEvidence
) -> Iterator[End]:
    """A customer's: what is billed on any subscription without any discount at all.

    Where another takes its place on a subscription, it may go on for the others.
    """
    named = shown.customers.naming(scope.discount.id)
    kinds = (CHANGED,) if coupon.percent_off is None else (CHANGED, JOINED)
    found = shown.customers.in_full.first(
        {*kinds, *(line.item for line in named)},
        max([scope.last_seen_s, *map(_DISCOUNTED, named)]) + 1,
        lambda it: all(
            _is_in_currency(coupon, line.currency) and shown.is_eligible(line, coupon)
            for line in it[1]
        ),
    )
    if found is not None:
        at_s, lines = found
        yield at_s, tuple(proof for line in lines for proof in line.evidence())


def _is_in_currency(coupon: Coupon, currency: str) -> bool:
    """Whether it takes anything off amounts in this currency."""
    if coupon.percent_off is not None or coupon.currency is None:
        return True
    return currency in (coupon.currency, *(coupon.currency_options or ()))
