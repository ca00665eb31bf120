"""Discount scopes, the catalogue and lines → the coupon behind each discount.

Stripe shows a coupon as an object, an id, or not any more.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from connector.core.errors import Unvalued
from connector.mrr.discounts.scopes import DiscountScope
from connector.mrr.evidence.line_items import LineItem
from connector.stripe_api.decoding import ref
from connector.stripe_api.objects import Coupon, Discount


def coupons_of(
    scopes: Mapping[str, DiscountScope],
    known: Mapping[str, Coupon],
    naming: Mapping[str, Sequence[LineItem]],
) -> tuple[dict[str, Coupon], list[Unvalued]]:
    """Each discount's coupon, as its lines show it where nothing else does."""
    found, unknown = {}, []
    for key, scope in scopes.items():
        try:
            found[key] = _coupon_of(scope.discount, known)
        except Unvalued as error:
            unknown.append(error)
            billed = _as_billed(scope.discount, naming.get(key, ()))
            if billed is not None:
                found[key] = billed
    return found, unknown


def _coupon_of(discount: Discount, coupons: Mapping[str, Coupon]) -> Coupon:
    """The coupon behind a discount, also where Stripe names only its id."""
    named = discount.named_coupon
    if isinstance(named, Coupon) and (named.percent_off or named.amount_off):
        listed = coupons.get(named.id, named)
        takes_off = (named.percent_off, named.amount_off)
        # Deleted and made again under its id, it is another coupon.
        return listed if (listed.percent_off, listed.amount_off) == takes_off else named
    if ref(named) in coupons:
        return coupons[ref(named)]
    raise Unvalued(discount.id, "source.coupon", ref(named) or None)


def _as_billed(discount: Discount, naming: Sequence[LineItem]) -> Coupon | None:
    """A coupon that takes off the share that the last line with the discount shows.

    For a coupon that was deleted, and is named on lines by its discount only.
    """
    for line in reversed(naming):
        taken_minor = dict(line.discount_amounts).get(discount.id)
        if line.is_regular and line.amount_minor and taken_minor:
            ids = [key for key, _ in line.discount_amounts]
            before = line.discount_amounts[: ids.index(discount.id)]
            left_minor = line.amount_minor - sum(amount for _, amount in before)
            percent = Decimal(100 * taken_minor) / left_minor
            return Coupon(id=ref(discount.named_coupon), percent_off=percent)
    return None
