"""Where each discount was met: on an item, a subscription or a customer, and until when.

Stripe shows a discount as an object, or only by its id, on subscriptions, items,
invoices, their lines and in events; a coupon as an object, an id, or not any more.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import History, SubscriptionVersion
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Coupon, Discount, Subscription, ref


class DiscountScope(NamedTuple):
    """Where a discount was seen: on an item, the subscription or the customer."""

    discount: Discount
    item: str
    is_customers: bool
    order: int
    last_seen_s: int
    is_current: bool


class _SeenDiscount(NamedTuple):
    discount: Discount
    at_s: int
    item: str = ""
    is_customers: bool = False


def discount_scopes(
    history: History,
    sightings: Sequence[SubscriptionVersion],
    charges: Sequence[LineItem],
    events: Sequence[Event],
    items: Container[str],
) -> dict[str, DiscountScope]:
    """Every discount that is or was on this subscription, by id, newest look last.

    ``items`` are the ids of all that ever belonged to it.
    """
    found: dict[str, DiscountScope] = {}
    newest = _order(sightings, events)

    def see(met: _SeenDiscount, *, last: bool = False) -> None:
        key = met.discount.id
        order = found[key].order if key in found else len(newest) + len(found)
        if key in newest:
            order = newest.index(key)
        item, is_customers = met.item, met.is_customers
        found[key] = DiscountScope(
            met.discount, item, is_customers, order, met.at_s, last
        )

    now = sightings[-1]
    for met in (*_on_invoices(history), *_on_events(events)):
        if _is_of(met.discount, now.subscription.id, items):
            see(met)
    if history.discount is not None and not history.discount.subscription:
        see(_SeenDiscount(history.discount, now.seen_s, is_customers=True), last=True)
    for sighting in sightings:
        for met in _on_subscription(*sighting):
            see(met, last=sighting is now)
    for key, starts in _only_billed(charges).items():
        if key not in found and (key in newest or len(starts) > 1):  # else maybe once
            see(_SeenDiscount(Discount(id=key, start=min(starts)), max(starts)))
    return _seen_by_name(found, sightings, events)


def _order(
    sightings: Sequence[SubscriptionVersion], events: Iterable[Event]
) -> list[str]:
    """The discounts' ids in the order they apply, as the newest looks show it.

    One that only older looks show stands before what it stood before there.
    """
    looks = [
        SubscriptionVersion(e.created, e.subscription) for e in events if e.subscription
    ]
    looks += sightings
    looks.sort(key=lambda look: look.seen_s, reverse=True)
    order: list[str] = []
    for look in looks:
        shown = [key for key, _ in named_on(look.subscription)]
        for position, key in enumerate(shown):
            if key not in order:
                after = [order.index(k) for k in shown[position + 1 :] if k in order]
                order.insert(min(after, default=len(order)), key)
    return order


def _seen_by_name(
    found: Mapping[str, DiscountScope],
    sightings: Sequence[SubscriptionVersion],
    events: Iterable[Event],
) -> dict[str, DiscountScope]:
    """The same places; a look that shows no more than a discount's id has seen it too."""
    seen = dict(found)
    looks = [
        SubscriptionVersion(e.created, e.subscription) for e in events if e.subscription
    ]
    for look in (*looks, *sightings):
        for key, item in named_on(look.subscription):
            if key in seen:
                seen[key] = seen[key]._replace(
                    item=item,
                    is_customers=False,
                    last_seen_s=max(seen[key].last_seen_s, look.seen_s),
                    is_current=look is sightings[-1],
                )
    return seen


def _only_billed(charges: Iterable[LineItem]) -> dict[str, set[int]]:
    """The periods that regular lines show each discount's id for."""
    found: dict[str, set[int]] = {}
    for charge in charges:
        if charge.discounts and charge.is_regular:
            for key in charge.discounts:
                found.setdefault(key, set()).add(charge.start_s)
    return found


def named_on(subscription: Subscription) -> Iterator[tuple[str, str]]:
    """Each discount's id with the item that it is on, in the order they apply."""
    for item in subscription.items.data:
        for each in item.discounts or ():
            yield ref(each), item.id
    for each in subscription.all_discounts:
        yield ref(each), ""


def _on_invoices(history: History) -> Iterator[_SeenDiscount]:
    for invoice in history.invoices:
        for line in invoice.lines.data:
            if line.discounts:
                yield from _met(line.discounts, line.period.start)
        if invoice.discounts:
            yield from _met(invoice.discounts, invoice.created)


def _on_events(events: Iterable[Event]) -> Iterator[_SeenDiscount]:
    for event in events:
        yield from _met(event.previous.discounts, event.created - 1)
        if event.subscription is not None:
            yield from _on_subscription(event.created, event.subscription)
        if event.discount is not None:
            yield from _met([event.discount], event.created)


def _on_subscription(at_s: int, subscription: Subscription) -> Iterator[_SeenDiscount]:
    for item in subscription.items.data:
        for met in _met(item.discounts, at_s):
            yield met._replace(item=item.id, is_customers=False)
    for met in _met(subscription.all_discounts, at_s):
        yield met._replace(item="", is_customers=False)


def _met(
    discounts: Iterable[str | Discount] | None, at_s: int
) -> Iterator[_SeenDiscount]:
    for each in discounts or ():
        if isinstance(each, Discount):
            of_nothing_else = not (each.subscription or each.subscription_item)
            of_one_invoice = each.invoice or each.invoice_item
            is_customers = of_nothing_else and not of_one_invoice
            yield _SeenDiscount(each, at_s, each.subscription_item or "", is_customers)


def _is_of(discount: Discount, subscription: str, items: Container[str]) -> bool:
    """Whether a discount met somewhere applies to this subscription at all.

    A discount of a single invoice does not recur.
    """
    if discount.subscription_item is not None:
        return discount.subscription_item in items
    if discount.subscription is not None:
        return discount.subscription == subscription
    return not (discount.invoice or discount.invoice_item)


def unresolved(
    history: History,
    sightings: Sequence[SubscriptionVersion],
    charges: Sequence[LineItem],
) -> list[Unvalued]:
    """Discounts that are only named, nowhere shown: their effect is unknown.

    Each once, where it is named first.
    """
    now = sightings[-1].subscription
    named = [(now.id, ref(d)) for d in now.all_discounts]
    named += [(i.id, ref(d)) for i in now.items.data for d in i.discounts or ()]
    named += [
        (c.id, d) for c in charges if c.discounts and c.is_regular for d in c.discounts
    ]
    if not named:
        return []
    met = [*_on_invoices(history), *_on_events(history.events)]
    for sighting in sightings:
        met += _on_subscription(*sighting)
    known = {each.discount.id for each in met}
    known |= {ref(history.discount)}
    unknown: dict[str, str] = {}
    for where, discount in named:
        if discount not in known:
            unknown.setdefault(discount, where)
    return [Unvalued(where, "discounts", d) for d, where in unknown.items()]


def coupon_of(discount: Discount, coupons: Mapping[str, Coupon]) -> Coupon:
    """The coupon behind a discount, also where Stripe names only its id."""
    named = discount.named_coupon
    if isinstance(named, Coupon) and (named.percent_off or named.amount_off):
        listed = coupons.get(named.id, named)
        worth = (named.percent_off, named.amount_off)
        # Deleted and made again under its id, it is another coupon.
        return listed if (listed.percent_off, listed.amount_off) == worth else named
    if ref(named) in coupons:
        return coupons[ref(named)]
    raise Unvalued(discount.id, "source.coupon", ref(named) or None)


def as_billed(discount: Discount, charges: Sequence[LineItem]) -> Coupon | None:
    """A coupon that takes off the share that the last line with the discount shows.

    For a coupon that was deleted, and is named on lines by its discount only.
    """
    for charge in reversed(charges):
        off_minor = dict(charge.reductions).get(discount.id)
        if charge.is_regular and charge.amount_minor and off_minor:
            names = [name for name, _ in charge.reductions]
            first = charge.reductions[: names.index(discount.id)]
            left_minor = charge.amount_minor - sum(amount for _, amount in first)
            percent = Decimal(100 * off_minor) / left_minor
            return Coupon(id=ref(discount.named_coupon), percent_off=percent)
    return None
