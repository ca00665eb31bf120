"""When each discount applied, to what, and in which order.

A discount object says when it began, and often when it ended. Where it was simply taken
away, the first regular line without it, an event, or a later look shows its end.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from connector.charges import Charge
from connector.errors import Unvalued
from connector.history import History, Sighting
from connector.model import Evidence, Off, Policy
from connector.stripe_objects import Coupon, Discount, Event, Subscription, ref


class Applied(NamedTuple):
    """A discount in force from ``start_s`` until ``end_s`` (None: goes on).

    ``item`` is "" where it applies to the whole subscription. ``is_customers`` marks a
    customer's discount, which counts only where the subscription has none of its own.
    """

    discount: str
    coupon: Coupon
    item: str
    is_customers: bool
    start_s: int
    end_s: int | None
    ended: tuple[Evidence, ...]

    def covers(self, at_s: int) -> bool:
        return self.start_s <= at_s and (self.end_s is None or at_s < self.end_s)

    def began(self) -> tuple[Evidence, ...]:
        return (Evidence("discount", self.discount, self.start_s, self.coupon.id),)


class _Place(NamedTuple):
    """Where a discount was seen: on an item, the subscription or the customer."""

    discount: Discount
    item: str
    is_customers: bool
    order: int
    last_seen_s: int
    is_current: bool


def applied(
    history: History,
    sightings: Sequence[Sighting],
    charges: Sequence[Charge],
    events: Sequence[Event],
    policy: Policy,
) -> tuple[list[Applied], list[Unvalued]]:
    """The subscription's discounts in the order Stripe applies them, and what is unknown.

    Items' discounts come before the subscription's; each in its own order.
    """
    found, unknown = [], []
    seen = [s.subscription for s in sightings]
    seen += [e.subscription for e in events if e.subscription is not None]
    items = {i.id for s in seen for i in s.items.data} | {c.item for c in charges}
    places = _places(history, sightings, events, items)
    for place in sorted(places.values(), key=lambda p: (not p.item, p.order)):
        try:
            coupon = coupon_of(place.discount, history.catalogue.coupons)
        except Unvalued as error:
            unknown.append(error)
            continue
        if _counts(coupon, policy):
            end_s, proof = _end(place, coupon, sightings, charges, events)
            if end_s is None or end_s > place.discount.start:
                found.append(
                    Applied(
                        place.discount.id,
                        coupon,
                        place.item,
                        place.is_customers,
                        place.discount.start,
                        end_s,
                        proof,
                    )
                )
    return found, unknown


def coupon_of(discount: Discount, coupons: Mapping[str, Coupon]) -> Coupon:
    """The coupon behind a discount, also where Stripe names only its id."""
    named = discount.named_coupon
    if isinstance(named, Coupon) and (named.percent_off or named.amount_off):
        return coupons.get(named.id, named)
    if ref(named) in coupons:
        return coupons[ref(named)]
    raise Unvalued(discount.id, "source.coupon", ref(named) or None)


def _counts(coupon: Coupon, policy: Policy) -> bool:
    if coupon.duration == "once":
        return policy.once_subtracted
    if coupon.duration == "repeating":
        return policy.repeating_subtracted
    return True


def _places(
    history: History,
    sightings: Sequence[Sighting],
    events: Sequence[Event],
    items: Container[str],
) -> dict[str, _Place]:
    """Every discount that is or was on this subscription, by id, newest look last.

    ``items`` are the ids of all that ever belonged to it.
    """
    places: dict[str, _Place] = {}

    def see(met: _Met, *, last: bool = False) -> None:
        key = met.discount.id
        order = places[key].order if key in places else len(places)
        item, is_customers = met.item, met.is_customers
        places[key] = _Place(met.discount, item, is_customers, order, met.at_s, last)

    for met in (*_on_invoices(history), *_on_events(events)):
        if _is_of(met.discount, sightings[-1].subscription.id, items):
            see(met)
    if history.discount is not None and not history.discount.subscription:
        seen_s = sightings[-1].seen_s
        see(_Met(history.discount, seen_s, is_customers=True), last=True)
    for sighting in sightings:
        for met in _on_subscription(*sighting):
            see(met, last=sighting is sightings[-1])
    return places


class _Met(NamedTuple):
    discount: Discount
    at_s: int
    item: str = ""
    is_customers: bool = False


def _on_invoices(history: History) -> Iterator[_Met]:
    for invoice in history.invoices:
        for line in invoice.lines.data:
            yield from _met(line.discounts, line.period.start)
        yield from _met(invoice.discounts, invoice.created)


def _on_events(events: Iterable[Event]) -> Iterator[_Met]:
    for event in events:
        yield from _met(event.previous.discounts, event.created - 1)
        if event.subscription is not None:
            yield from _on_subscription(event.created, event.subscription)
        if event.discount is not None:
            yield from _met([event.discount], event.created)


def _on_subscription(at_s: int, subscription: Subscription) -> Iterator[_Met]:
    for item in subscription.items.data:
        for met in _met(item.discounts, at_s):
            yield met._replace(item=item.id, is_customers=False)
    for met in _met(subscription.all_discounts, at_s):
        yield met._replace(item="", is_customers=False)


def _met(discounts: Iterable[str | Discount] | None, at_s: int) -> Iterator[_Met]:
    for each in discounts or ():
        if isinstance(each, Discount):
            of_nothing_else = not (each.subscription or each.subscription_item)
            of_one_invoice = each.invoice or each.invoice_item
            is_customers = of_nothing_else and not of_one_invoice
            yield _Met(each, at_s, each.subscription_item or "", is_customers)


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
    history: History, sightings: Sequence[Sighting], charges: Sequence[Charge]
) -> list[Unvalued]:
    """Discounts that are only named, nowhere shown: their effect is unknown."""
    met = [*_on_invoices(history), *_on_events(history.events)]
    for sighting in sightings:
        met += _on_subscription(*sighting)
    known = {each.discount.id for each in met}
    known |= {ref(history.discount)}
    now = sightings[-1].subscription
    named = [(now.id, ref(d)) for d in now.all_discounts]
    named += [(i.id, ref(d)) for i in now.items.data for d in i.discounts or ()]
    named += [(c.id, d) for c in charges if c.is_regular for d in c.discounts]
    return [Unvalued(where, "discounts", d) for where, d in named if d not in known]


def _end(
    place: _Place,
    coupon: Coupon,
    sightings: Sequence[Sighting],
    charges: Sequence[Charge],
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
    return min(ends, default=(None, ()), key=lambda end: end[0] or 0)


def _once_used_up(
    discount: Discount, charges: Sequence[Charge]
) -> tuple[int | None, tuple[Evidence, ...]]:
    """A once coupon lasts as long as the period it paid for."""
    used = [c for c in charges if discount.id in c.discounts and c.is_regular]
    if not used:
        return None, ()
    last = max(used, key=lambda charge: charge.end_s)
    return last.end_s, last.evidence()


def _seen_gone(
    place: _Place, sightings: Sequence[Sighting], events: Sequence[Event]
) -> list[tuple[int, tuple[Evidence, ...]]]:
    """The first look, after the last that shows the discount, which does not."""
    discount = place.discount.id
    found: list[tuple[int, tuple[Evidence, ...]]] = []
    for event in events:
        if event.type == "customer.discount.deleted" and event.touched == discount:
            proof = Evidence("event", event.id, event.created, event.type)
            found.append((event.created, (proof,)))
        was = [ref(d) for d in event.previous.discounts or ()]
        if discount in was and event.subscription is not None:
            now = [ref(d) for d in event.subscription.all_discounts]
            if discount not in now:
                proof = Evidence("event", event.id, event.created, event.type)
                found.append((event.created, (proof,)))
    if not place.is_current:
        for seen_s, seen in sightings:
            if seen_s > place.last_seen_s and seen.ended_at is None:
                proof = Evidence("observed", seen.id, seen_s, "discount removed")
                found.append((seen_s, (proof,)))
                break
    return found


def _billed_without(
    place: _Place, charges: Sequence[Charge]
) -> list[tuple[int, tuple[Evidence, ...]]]:
    """The first regular line after the last discounted one that lacks the discount.

    Only lines of items that once had it can show that: a coupon may be limited to some
    products.
    """
    lines = [c for c in charges if c.is_regular and c.amount_minor > 0]
    reduced = [c for c in lines if place.discount.id in c.discounts]
    items = {c.item for c in reduced} or {place.item}
    lines = [c for c in lines if items == {""} or c.item in items]
    since_s = max((c.start_s for c in reduced), default=place.discount.start - 1)
    for charge in lines:
        is_after = charge.start_s > since_s and charge.start_s >= place.discount.start
        if is_after and place.discount.id not in charge.discounts:
            return [(charge.start_s, charge.evidence())]
    return []


def offs(
    found: Sequence[Applied],
    at_s: int,
    gross_minor: Mapping[str, Fraction],
    currency: str,
    products: Mapping[str, str],
) -> dict[str, tuple[Off, ...]]:
    """Each item's discounts at an instant, in order.

    ``gross_minor`` is each item's amount for its interval, ``products`` its product. An
    amount off the whole subscription is shared in proportion to what the items cost
    after the discounts before it.
    """
    own = [a for a in found if a.covers(at_s) and not a.is_customers]
    active = own or [a for a in found if a.covers(at_s)]
    left = dict(gross_minor)
    result: dict[str, tuple[Off, ...]] = dict.fromkeys(gross_minor, ())
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


def _off(each: Applied, currency: str, amount: Fraction, total: Fraction) -> Off:
    coupon = each.coupon
    if coupon.percent_off is not None:
        return Off(discount=each.discount, percent=coupon.percent_off)
    off_minor = coupon.amount_off
    if (coupon.currency or currency) != currency:
        option = (coupon.currency_options or {}).get(currency)
        if option is None:
            raise Unvalued(coupon.id, "currency_options", currency)
        off_minor = option.amount_off
    share = amount / total if total else Fraction(0)
    whole = min(Fraction(off_minor or 0), total)
    return Off(discount=each.discount, amount_minor=whole * share)


def _less(amount: Fraction, off: Off) -> Fraction:
    if off.percent is not None:
        return amount * (1 - Fraction(off.percent) / 100)
    return amount - off.amount_minor
