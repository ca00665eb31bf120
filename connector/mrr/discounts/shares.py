"""The discounts in force at an instant → what each takes off each item."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from connector.core.model import ItemDiscount
from connector.mrr.intervals import Interval
from connector.mrr.pricing import amount_off_minor, discounted
from connector.stripe_api.objects import Coupon


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
