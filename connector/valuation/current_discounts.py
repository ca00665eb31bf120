"""One subscription as Stripe shows it → the discounts on it now, and what they leave.

Part of ``current_mrr``, and apart from ``evidence`` as all of that is: here a discount is
what the objects show at one instant, in the order in which they list it.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.policy import Policy
from connector.mrr.history import History, SubscriptionVersion, versions_in
from connector.mrr.pricing import amount_off_minor
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice, InvoiceItem
from connector.stripe_api.objects import Coupon, Discount, Subscription
from connector.valuation.billed_periods import BilledPeriod
from connector.valuation.lasting_discounts import (
    Charge,
    charges,
    order_as_shown,
    still_reduced,
    was_taken_away,
)

# What a discount is on: an item, "" for the whole subscription, None for the customer's.
Place = str | None
_Listed = tuple[str | Discount, Place]  # as an object lists it, in full or by its id


class CurrentDiscount(NamedTuple):
    """``items``: those that a discount which is over still reduces; None: it is not."""

    coupon: Coupon
    place: Place
    items: frozenset[str] | None

    def reduces(self, item: str) -> bool:
        is_at_its_place = not self.place or item == self.place
        return is_at_its_place and (self.items is None or item in self.items)


class CurrentItem(NamedTuple):
    """What discounts are taken off. ``months_factor`` is largest for short intervals."""

    gross_minor: Fraction
    months_factor: Fraction
    product: str


def current_discounts(
    now: Subscription,
    customers: Discount | None,
    history: History,
    billed: Sequence[BilledPeriod],
    policy: Policy,
    at_s: int,
) -> tuple[list[CurrentDiscount], list[Unvalued]]:
    """Those in force at ``at_s``, in the order they apply; and those without a value.

    ``customers`` is the customer's own; ``billed`` are the subscription's periods.
    """
    invoices = [each for each in history.invoices if each.subscription == now.id]
    listed = _listed(now, customers)
    own = charges(now, billed, history)
    seen = [*history.versions.get(now.id, ()), *versions_in(history.events)]
    versions = [each for each in seen if each.subscription.id == now.id]
    on_bills = _on_bills(invoices, history.pending)
    every = {**on_bills, **_once_listed(versions), **listed}
    over = _Over(every, own, versions, history.catalogue.coupons, at_s)
    order = order_as_shown([*listed], versions, invoices, own)
    found: list[CurrentDiscount] = []
    unknown: list[Unvalued] = []
    for key in sorted(dict.fromkeys((*order, *every)), key=lambda k: not _on(every, k)):
        if key not in every:
            continue
        discount, place = every[key]
        if not isinstance(discount, Discount):
            if key in listed:
                unknown.append(Unvalued(now.id, "discounts", discount))
            continue
        coupon = _coupon(discount, history.catalogue.coupons)
        if coupon is None and key in listed:
            named = ref(discount.named_coupon) or None
            unknown.append(Unvalued(discount.id, "source.coupon", named))
            coupon = _coupon_as_billed(discount, billed)
        if coupon is None or not policy.subtracts(coupon.duration):
            continue
        runs = (
            key in listed
            and coupon.duration != "once"
            and discount.start <= at_s
            and (discount.end is None or at_s < discount.end)
        )
        items = None if runs else over.items(discount, place, coupon)
        if items is None or items:
            found.append(CurrentDiscount(coupon, place, items))
    return found, unknown


def _on(every: Mapping[str, _Listed], key: str) -> Place:
    return every[key][1] if key in every else None


def _listed(now: Subscription, customers: Discount | None) -> dict[str, _Listed]:
    """What the objects list now, by id."""
    listed: list[_Listed] = [*now.listed_discounts]
    if customers is not None and not customers.subscription:
        listed.append((customers, None))
    found: dict[str, _Listed] = {}
    for each, item in listed:
        found.setdefault(ref(each), (each, item))
    return found


def _once_listed(versions: Iterable[SubscriptionVersion]) -> dict[str, _Listed]:
    """What looks and events once showed in full; no bill may ever have named it."""
    return {
        each.id: (each, place)
        for _, shown in versions
        for each, place in shown.listed_discounts
        if isinstance(each, Discount)
    }


def _on_bills(
    invoices: Iterable[Invoice], pending: Iterable[InvoiceItem]
) -> dict[str, _Listed]:
    """Those on invoices and pending items, without what is given for one invoice."""
    named = [each for item in pending for each in item.discounts or ()]
    for invoice in invoices:
        named += invoice.discounts or ()
        named += [each for line in invoice.lines.data for each in line.discounts or ()]
    found: dict[str, _Listed] = {}
    for each in named:
        if isinstance(each, Discount):
            recurs = each.subscription or each.subscription_item
            if recurs or not (each.invoice or each.invoice_item):
                whole = "" if each.subscription else None
                found[each.id] = (each, each.subscription_item or whole)
    return found


class _Over:
    """Which items a discount still reduces that the subscription has no more."""

    def __init__(
        self,
        every: Mapping[str, _Listed],
        own: Sequence[Charge],
        versions: Sequence[SubscriptionVersion],
        coupons: Mapping[str, Coupon],
        at_s: int,
    ) -> None:
        self.every, self.own, self.at_s = every, own, at_s
        self.versions, self.coupons = versions, coupons

    def items(self, discount: Discount, place: Place, coupon: Coupon) -> frozenset[str]:
        is_once = coupon.duration == "once"
        items = still_reduced(discount, is_once=is_once, own=self.own, at_s=self.at_s)
        others_s = [
            start_s
            for other, where in self.every.values()
            if isinstance(other, Discount) and where == place
            if (start_s := self._begins(other)) is not None and start_s <= self.at_s
        ]
        if items and was_taken_away(discount, others_s, self.own, self.versions):
            return frozenset()
        return items

    def _begins(self, discount: Discount) -> int | None:
        """A once coupon begins with the first charge that it reduced."""
        coupon = _coupon(discount, self.coupons)
        if coupon is None or coupon.duration != "once":
            return discount.start
        naming = [each.start_s for each in self.own if discount.id in each.named]
        return min(naming, default=None)


def _coupon(discount: Discount, coupons: Mapping[str, Coupon]) -> Coupon | None:
    """The listed coupon, or the discount's own copy where that takes off otherwise.

    A coupon that was deleted and made again under its id is another one.
    """
    named = discount.named_coupon
    listed = coupons.get(ref(named))
    if not isinstance(named, Coupon) or not (named.percent_off or named.amount_off):
        return listed
    takes_off = (named.percent_off, named.amount_off)
    if listed is not None and (listed.percent_off, listed.amount_off) == takes_off:
        return listed
    return named


def _coupon_as_billed(
    discount: Discount, billed: Sequence[BilledPeriod]
) -> Coupon | None:
    """For one that nothing shows any more: the share that it last took off a period."""
    for period in reversed(billed):
        amounts_minor = period.discount_amounts_minor
        if not period.is_regular or not amounts_minor.get(discount.id):
            continue
        left_minor = period.amount_minor
        for key, minor in amounts_minor.items():
            if key == discount.id and left_minor:
                percent = Decimal(100 * minor) / left_minor
                return Coupon(id=ref(discount.named_coupon), percent_off=percent)
            left_minor -= minor
    return None


def after_discounts(
    discounts: Sequence[CurrentDiscount],
    items: Mapping[str, CurrentItem],
    currency: str,
) -> dict[str, Fraction]:
    """What each item costs for its interval after the discounts, one after the other.

    Each takes the same share off all that it reduces: a percentage is that share, an
    amount is one of what those cost together that every invoice bills.
    """
    left_minor = {key: item.gross_minor for key, item in items.items()}
    own = [each for each in discounts if each.place == ""]
    for each in discounts:
        limited = each.coupon.applies_to
        reduced = [
            key
            for key, item in items.items()
            if each.reduces(key)
            and (limited is None or item.product in limited.products)
            and not (each.place is None and any(one.reduces(key) for one in own))
        ]
        if reduced and each.coupon.percent_off is None:
            often = max(items[key].months_factor for key in reduced)
            reduced = [key for key in reduced if items[key].months_factor == often]
        total_minor = sum((left_minor[key] for key in reduced), Fraction(0))
        share = _share_off(each.coupon, currency, total_minor) if reduced else 0
        for key in reduced:
            left_minor[key] *= 1 - share
    return left_minor


def _share_off(coupon: Coupon, currency: str, total_minor: Fraction) -> Fraction:
    if coupon.percent_off is not None:
        return min(Fraction(coupon.percent_off) / 100, Fraction(1))
    off_minor = Fraction(amount_off_minor(coupon, currency))
    return min(off_minor / total_minor, Fraction(1)) if total_minor else Fraction(0)
