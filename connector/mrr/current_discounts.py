"""One subscription as Stripe shows it → the discounts on it now, and what they leave.

Part of ``current_mrr``, and apart from ``evidence`` as all of that is: here a discount is
what the objects show at one instant, in the order in which they list it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from connector.core.errors import Unvalued
from connector.core.policy import Policy
from connector.mrr.billed_periods import BilledPeriod
from connector.mrr.pricing import amount_off_minor
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Coupon, Discount, Subscription

# What a discount is on: an item, "" for the whole subscription, None for the customer's.
Place = str | None
CurrentDiscount = tuple[Coupon, Place]
_Listed = tuple[str | Discount, Place]  # as an object lists it, in full or by its id


def current_discounts(
    now: Subscription,
    customers: Discount | None,
    coupons: Mapping[str, Coupon],
    invoices: Sequence[Invoice],
    billed: Sequence[BilledPeriod],
    policy: Policy,
    at_s: int,
) -> tuple[list[CurrentDiscount], list[Unvalued]]:
    """Those in force at ``at_s``, in the order they apply; and those without a value.

    ``customers`` is the customer's own; ``invoices`` and ``billed`` are the subscription's.
    """
    until = _reduced_until(billed)
    found: list[CurrentDiscount] = []
    unknown: list[Unvalued] = []
    listed = _listed(now, customers, _once_on(invoices, coupons), until, at_s)
    for discount, item in listed:
        if not isinstance(discount, Discount):
            unknown.append(Unvalued(now.id, "discounts", discount))
            continue
        coupon = _coupon(discount, coupons)
        if coupon is None:
            named = ref(discount.named_coupon) or None
            unknown.append(Unvalued(discount.id, "source.coupon", named))
            coupon = _coupon_as_billed(discount, billed)
        if coupon is None or not policy.subtracts(coupon.duration):
            continue
        end_s = until.get(discount.id) if coupon.duration == "once" else discount.end
        if discount.start <= at_s and (end_s is None or at_s < end_s):
            found.append((coupon, item))
    if any(item == "" for _, item in found):  # then the customer's own do not count
        found = [(coupon, item) for coupon, item in found if item is not None]
    return found, unknown


def _listed(
    now: Subscription,
    customers: Discount | None,
    once: Iterable[_Listed],
    until: Mapping[str, int],
    at_s: int,
) -> list[_Listed]:
    """Each once, the items' before all others."""
    listed: list[_Listed] = [*now.listed_discounts]
    listed += [(each, item) for each, item in once if until.get(ref(each), 0) > at_s]
    if customers is not None and not customers.subscription:
        listed.append((customers, None))
    found: dict[str, _Listed] = {}
    for each, item in listed:
        found.setdefault(ref(each), (each, item))
    return sorted(found.values(), key=lambda each: not each[1])


def _reduced_until(billed: Iterable[BilledPeriod]) -> dict[str, int]:
    """Until when the periods that a discount reduced last: a once coupon's end."""
    until: dict[str, int] = {}
    for period in billed:
        for key in period.discounts if period.is_regular else ():
            until[key] = max(period.end_s, until.get(key, 0))
    return until


def _once_on(
    invoices: Iterable[Invoice], coupons: Mapping[str, Coupon]
) -> Iterator[_Listed]:
    """The once coupons on invoices, without what is given for a single invoice.

    Stripe takes a once coupon off the subscription with the first invoice, but it lasts
    as long as the period which that invoice bills.
    """
    for invoice in invoices:
        named = [*(invoice.discounts or ())]
        named += [each for line in invoice.lines.data for each in line.discounts or ()]
        for each in named:
            if not isinstance(each, Discount) or not _is_once(each, coupons):
                continue
            recurs = each.subscription or each.subscription_item
            if recurs or not (each.invoice or each.invoice_item):
                whole = "" if each.subscription else None
                yield each, each.subscription_item or whole


def _is_once(discount: Discount, coupons: Mapping[str, Coupon]) -> bool:
    coupon = _coupon(discount, coupons)
    return coupon is not None and coupon.duration == "once"


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
    discounts: Iterable[CurrentDiscount],
    gross_minor: Mapping[str, Fraction],
    currency: str,
    products: Mapping[str, str],
) -> dict[str, Fraction]:
    """What each item costs for its interval after the discounts, one after the other.

    Each takes the same share off all that it reduces: a percentage is that share, an
    amount is one of what they cost together. ``products`` is each item's product.
    """
    left_minor = dict(gross_minor)
    for coupon, item in discounts:
        limited = coupon.applies_to
        reduced = [
            key
            for key in left_minor
            if (not item or key == item)
            and (limited is None or products.get(key) in limited.products)
        ]
        if reduced:
            total_minor = sum((left_minor[key] for key in reduced), Fraction(0))
            share = _share_off(coupon, currency, total_minor)
            for key in reduced:
                left_minor[key] *= 1 - share
    return left_minor


def _share_off(coupon: Coupon, currency: str, total_minor: Fraction) -> Fraction:
    if coupon.percent_off is not None:
        return min(Fraction(coupon.percent_off) / 100, Fraction(1))
    off_minor = Fraction(amount_off_minor(coupon, currency))
    return min(off_minor / total_minor, Fraction(1)) if total_minor else Fraction(0)
