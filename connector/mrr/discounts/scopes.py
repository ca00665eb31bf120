"""All that shows a discount → its scope: an item, a subscription or a customer.

Stripe shows a discount as an object, or only by its id, on subscriptions, items,
invoices, their lines and in events.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from operator import attrgetter
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.mrr.discounts.customer_lines import LinesByCustomer
from connector.mrr.evidence.line_items import LineItem, is_credit_item, is_credit_line
from connector.mrr.evidence.subscription_lines import pending_lines
from connector.mrr.history import History, SubscriptionVersion, versions_in
from connector.stripe_api.decoding import ref
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice, InvoiceLine
from connector.stripe_api.objects import Discount, Subscription

# The item that it is on, or "", and whether it is the customer's.
DiscountPlace = tuple[str, bool]


class DiscountScope(NamedTuple):
    """Where a discount was seen, and when last: on an item, the subscription or customer.

    ``item`` is "" where it is on none. ``is_current``: the newest version or the customer
    itself shows it.
    """

    discount: Discount
    last_seen_s: int
    item: str = ""
    is_customers: bool = False
    is_current: bool = False

    @property
    def place(self) -> DiscountPlace:
        return self.item, self.is_customers


class _Sightings(NamedTuple):
    """Of one discount: where the first and the last stand, and what the last shows."""

    first: int
    last: int
    scope: DiscountScope

    def and_of(self, other: "_Sightings | None") -> "_Sightings":
        if other is None:
            return self
        first, last = min(self.first, other.first), max(self, other, key=_LAST)
        seen_s = max(self.scope.last_seen_s, other.scope.last_seen_s)
        return _Sightings(first, last.last, last.scope._replace(last_seen_s=seen_s))


_FIRST, _LAST = attrgetter("first"), attrgetter("last")
_ById = dict[str, _Sightings]


class ShownDiscounts:
    """What a customer's invoices and pending items show of discounts, read once.

    By whose they are, so that each subscription finds its own. A discount of a single
    invoice does not recur.
    """

    def __init__(
        self, history: History, by_subscription: Mapping[str, Sequence[LineItem]]
    ) -> None:
        self.history = history
        self.lines = LinesByCustomer(history, by_subscription)
        self._at_large: _ById = {}
        self._of_subscriptions: defaultdict[str, _ById] = defaultdict(dict)
        self._of_items: defaultdict[str, _ById] = defaultdict(dict)
        self._ids: set[str] = set()
        shown = (*_on_invoices(history), *_on_pending(history))
        for place, seen in enumerate(shown):
            self._ids.add(seen.discount.id)
            own = self._owned_with(seen.discount)
            if own is not None:
                found = _Sightings(place, place, seen)
                own[seen.discount.id] = found.and_of(own.get(seen.discount.id))

    def _owned_with(self, discount: Discount) -> _ById | None:
        if discount.subscription_item is not None:
            return self._of_items[discount.subscription_item]
        if discount.subscription is not None:
            return self._of_subscriptions[discount.subscription]
        is_of_one = discount.invoice or discount.invoice_item
        return None if is_of_one else self._at_large

    def on(self, subscription: str, items: Iterable[str]) -> dict[str, DiscountScope]:
        """Those that may be on it, by id; ``items`` are all that it ever had."""
        found: _ById = {}
        of_items = (self._of_items.get(each, {}) for each in items)
        of_subscription = self._of_subscriptions.get(subscription, {})
        for own in (self._at_large, of_subscription, *of_items):
            for key, seen in own.items():
                found[key] = seen.and_of(found.get(key))
        in_order = sorted(found.values(), key=_FIRST)
        return {seen.scope.discount.id: seen.scope for seen in in_order}

    @property
    def is_empty(self) -> bool:
        return not self._ids

    @cached_property
    def ids(self) -> set[str]:
        """Of all that are shown in full, in events too."""
        events = _on_events(self.history.events)
        return self._ids | {seen.discount.id for seen in events}


def discount_scopes(
    shown: ShownDiscounts,
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
    ordered: Container[str],
) -> dict[str, DiscountScope]:
    """The scope of every discount that is or was on this subscription, by id.

    ``ordered`` are the ids of the discounts whose order is known.
    """
    now = versions[-1]
    told = list(_on_events(events))
    is_any = told or not shown.is_empty
    items = _items(versions, line_items, events) if is_any else set()
    scopes = shown.on(now.subscription.id, items)
    for seen in told:
        key = seen.discount.id
        if _may_be_on(seen.discount, now.subscription.id, items):
            known = scopes.get(key, seen)
            seen_s = max(known.last_seen_s, seen.last_seen_s)
            scopes[key] = seen._replace(last_seen_s=seen_s)
    own = shown.history.discount_of(ref(now.subscription.customer))
    if own is not None and not own.subscription:
        scopes[own.id] = DiscountScope(
            own, now.seen_s, is_customers=True, is_current=True
        )
    for version in versions:
        for seen in _on_subscription(*version):
            scopes[seen.discount.id] = seen._replace(is_current=version is now)
    for seen in _on_lines(line_items, ordered):
        scopes.setdefault(seen.discount.id, seen)
    if scopes:
        _see_by_id(scopes, versions, line_items, events)
    return scopes


def _see_by_id(
    scopes: dict[str, DiscountScope],
    versions: Sequence[SubscriptionVersion],
    line_items: Iterable[LineItem],
    events: Iterable[Event],
) -> None:
    """What shows no more than a discount's id counts too, but credits never do."""
    for version in (*versions_in(events), *versions):
        for discount, item in version.subscription.listed_discounts:
            if (key := ref(discount)) in scopes:
                scopes[key] = scopes[key]._replace(
                    item=item,
                    is_customers=False,
                    last_seen_s=max(scopes[key].last_seen_s, version.seen_s),
                    is_current=version is versions[-1],
                )
    for line in line_items:
        for key in line.discounts if not line.credit else ():
            if key in scopes:
                seen_s = min(line.discounted_s, line.known_s)
                seen_s = max(scopes[key].last_seen_s, seen_s)
                scopes[key] = scopes[key]._replace(last_seen_s=seen_s)


def _items(
    versions: Iterable[SubscriptionVersion],
    line_items: Iterable[LineItem],
    events: Iterable[Event],
) -> set[str]:
    """The ids of all that ever belonged to the subscription."""
    shown = (each.subscription for each in (*versions, *versions_in(events)))
    items = {item.id for each in shown for item in each.items.data}
    return items | {line.item for line in line_items}


def _on_lines(
    line_items: Iterable[LineItem], ordered: Container[str]
) -> Iterator[DiscountScope]:
    """Those that regular lines name, but for what may have been taken off once."""
    starts: dict[str, set[int]] = {}
    for line in line_items:
        if line.discounts and line.is_regular:
            for key in line.discounts:
                starts.setdefault(key, set()).add(line.discounted_s)
    for key, own in starts.items():
        if key in ordered or len(own) > 1:
            yield DiscountScope(Discount(id=key, start=min(own)), max(own))


def _on_invoices(history: History) -> Iterator[DiscountScope]:
    """A credit shows the state before it: that there was a discount, and no more."""
    for invoice in history.invoices:
        for line in invoice.lines.data:
            if line.discounts:
                at_s = None if is_credit_line(line) else _billed_s(line, invoice)
                yield from _shown_in_full(line.discounts, at_s)
        if invoice.discounts:
            yield from _shown_in_full(invoice.discounts, invoice.created)


def _billed_s(line: InvoiceLine, invoice: Invoice) -> int:
    """When what a line names was in force: of time that was over, at the bill."""
    parent = line.parent.subscription_item_details if line.parent else None
    is_regular = parent is not None and not parent.proration
    is_in_arrears = is_regular and line.period.end <= invoice.created
    return invoice.created if is_in_arrears else line.period.start


def _on_pending(history: History) -> Iterator[DiscountScope]:
    named = [item for item in history.pending if item.discounts]
    if not named:
        return
    taken_back = {line.id for line in pending_lines(history) if line.credit}
    for item in named:
        is_credit = item.id in taken_back or is_credit_item(item)
        at_s = None if is_credit else item.period.start
        yield from _shown_in_full(item.discounts, at_s)


def _on_events(events: Iterable[Event]) -> Iterator[DiscountScope]:
    for event in events:
        yield from _shown_in_full(event.previous.discounts, event.created - 1)
        if event.subscription is not None:
            yield from _on_subscription(event.created, event.subscription)
        if event.discount is not None:
            yield from _shown_in_full([event.discount], event.created)


def _on_subscription(at_s: int, subscription: Subscription) -> Iterator[DiscountScope]:
    for each, item in subscription.listed_discounts:
        if isinstance(each, Discount):
            yield DiscountScope(each, at_s, item)


def _shown_in_full(
    discounts: Iterable[str | Discount] | None, at_s: int | None
) -> Iterator[DiscountScope]:
    """``at_s`` None: seen at no time after its start."""
    for each in discounts or ():
        if isinstance(each, Discount):
            of_nothing_else = not (each.subscription or each.subscription_item)
            of_one_invoice = each.invoice or each.invoice_item
            is_customers = of_nothing_else and not of_one_invoice
            seen_s = each.start if at_s is None else at_s
            where = (each.subscription_item or "", is_customers)
            yield DiscountScope(each, seen_s, *where)


def _may_be_on(discount: Discount, subscription: str, items: Container[str]) -> bool:
    """Whether a discount seen elsewhere applies to this subscription at all.

    A discount of a single invoice does not recur.
    """
    if discount.subscription_item is not None:
        return discount.subscription_item in items
    if discount.subscription is not None:
        return discount.subscription == subscription
    return not (discount.invoice or discount.invoice_item)


def unresolved(
    shown: ShownDiscounts,
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
) -> list[Unvalued]:
    """Discounts that are only named, nowhere shown: their effect is unknown.

    Each once, where it is named first.
    """
    now = versions[-1].subscription
    named = [(now.id, ref(d)) for d in now.all_discounts]
    named += [(i.id, ref(d)) for i in now.items.data for d in i.discounts or ()]
    regular = [line for line in line_items if line.discounts and line.is_regular]
    named += [(line.id, key) for line in regular for key in line.discounts]
    if not named:
        return []
    own = {seen.discount.id for each in versions for seen in _on_subscription(*each)}
    own.add(ref(shown.history.discount_of(ref(now.customer))))
    unknown: dict[str, str] = {}
    for where, discount in named:
        if discount not in own and discount not in shown.ids:
            unknown.setdefault(discount, where)
    return [Unvalued(where, "discounts", d) for d, where in unknown.items()]
