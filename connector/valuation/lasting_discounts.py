"""Discounts that a subscription no longer has → the items whose paid period they reduced.

Part of ``current_mrr``, and apart from ``evidence``: a once coupon and a repeating one that
ran out are off the subscription, but what they reduced stays reduced until it is billed
anew. Each item's last charge (a period or a proration, billed or pending) says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.mrr.history import History, SubscriptionVersion
from connector.mrr.pricing import interval_minor, tariff, units_billed
from connector.mrr.tiers import TierLine
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice, InvoiceItem, units_of
from connector.stripe_api.objects import Discount, Price, Subscription
from connector.valuation.billed_periods import BilledPeriod

_LONGEST_DAYS = {"day": 1, "week": 7, "month": 31, "year": 366}


class Charge(NamedTuple):
    """What an item was charged from ``start_s`` on; credits are none.

    What was charged for a time that was over (usage) has the discounts of its bill: it
    lasts for no time, then.
    ``named`` are the discounts in the order in which they are named, with what they took.
    ``full_minor`` is what a proration would cost without any; None where unknown.
    """

    item: str
    start_s: int
    end_s: int
    is_regular: bool
    amount_minor: int
    full_minor: Fraction | None
    named: Mapping[str, int]


class _Rest(NamedTuple):
    """The rest of a period that a proration is for, at a price."""

    price: Price | None
    currency: str
    units: Decimal
    start_s: int
    end_s: int


def charges(
    now: Subscription, billed: Sequence[BilledPeriod], history: History
) -> list[Charge]:
    """All of a subscription's charges, by their start."""
    prices = history.catalogue.prices
    whole = {
        (each.end_s, _cycle(prices.get(each.price))): each.start_s
        for each in billed
        if each.is_regular
    }
    found = [_billed(each, whole, prices) for each in billed if not each.is_credit]
    found += _pending(now.id, history.pending, whole, prices)
    return sorted(found, key=lambda charge: charge.start_s)


def _billed(
    period: BilledPeriod,
    whole: Mapping[tuple[int, str], int],
    prices: Mapping[str, Price],
) -> Charge:
    taken = period.discount_amounts_minor
    names = [ref(each) for line in period.lines for each in line.discounts or ()]
    untold_minor = 0 if taken or not period.is_regular else period.amount_minor
    price = prices.get(period.price)
    units = units_of(period.lines[0]) if price is None else period.units(price)
    rest = _Rest(price, period.currency, units, period.start_s, period.end_s)
    is_over = period.is_regular and period.end_s <= period.invoice.created
    return Charge(
        item=period.item,
        start_s=period.invoice.created if is_over else period.start_s,
        end_s=period.invoice.created if is_over else period.end_s,
        is_regular=period.is_regular,
        amount_minor=period.amount_minor,
        full_minor=None if period.is_regular else _full_minor(rest, whole),
        named={**taken, **{key: untold_minor for key in names if key not in taken}},
    )


def _pending(
    subscription: str,
    items: Iterable[InvoiceItem],
    whole: Mapping[tuple[int, str], int],
    prices: Mapping[str, Price],
) -> Iterator[Charge]:
    """What was free is credited with 0, and never said to be a credit."""
    alike: dict[tuple[object, ...], list[InvoiceItem]] = {}
    for item in items:
        of = item.parent.subscription_details if item.parent else None
        if of is None or ref(of.subscription) != subscription or item.amount < 0:
            continue
        if of.subscription_item and item.proration:
            span = (item.period.start, item.period.end)
            key = (ref(of.subscription_item), _price_of(item), *span)
            alike.setdefault(key, []).append(item)
    found = [_waiting(own, whole, prices) for own in alike.values()]
    billed = {(each.item, each.start_s) for each in found if each.amount_minor}
    for each in found:
        if each.amount_minor or (each.item, each.start_s) not in billed:
            yield each


def _waiting(
    tiers: Sequence[InvoiceItem],
    whole: Mapping[tuple[int, str], int],
    prices: Mapping[str, Price],
) -> Charge:
    """A pending debit; one item for each tier of its price."""
    item = tiers[0]
    of = item.parent.subscription_details if item.parent else None
    price, start_s, end_s = (
        prices.get(_price_of(item)),
        item.period.start,
        item.period.end,
    )
    billed = [TierLine(units_of(each), each.amount) for each in tiers]
    units = billed[0].quantity
    if price is not None and len(tiers) > 1:
        units = units_billed(price, item.currency, billed)
    return Charge(
        item=ref(of.subscription_item) if of is not None else "",
        start_s=start_s,
        end_s=end_s,
        is_regular=False,
        amount_minor=sum(each.amount for each in tiers),
        full_minor=_full_minor(
            _Rest(price, item.currency, units, start_s, end_s), whole
        ),
        named={ref(d): 0 for each in tiers for d in each.discounts or ()},
    )


def _price_of(item: InvoiceItem) -> str:
    priced = item.pricing.price_details if item.pricing else None
    return ref(priced.price) if priced is not None else ""


def _cycle(price: Price | None) -> str:
    every = price.recurring if price is not None else None
    return "" if every is None else f"{every.interval} {every.interval_count}"


def _full_minor(rest: _Rest, whole: Mapping[tuple[int, str], int]) -> Fraction | None:
    if rest.price is None or rest.price.recurring is None:
        return None
    recurring = rest.price.recurring
    days = _LONGEST_DAYS.get(recurring.interval, 0) * recurring.interval_count
    at_most_s = rest.end_s - days * 86_400
    start_s = whole.get((rest.end_s, _cycle(rest.price)), at_most_s)
    if start_s > rest.start_s or start_s == rest.end_s:
        return None
    try:
        rate = tariff(rest.price, rest.currency)
    except Unvalued:
        return None
    share = Fraction(rest.end_s - rest.start_s, rest.end_s - start_s)
    return interval_minor(rate, rest.units) * share


def still_reduced(
    discount: Discount, *, is_once: bool, own: Iterable[Charge], at_s: int
) -> frozenset[str]:
    """The items whose charge for the time at ``at_s`` it reduced, though it is over."""
    if not is_once and (discount.end is None or discount.end > at_s):
        return frozenset()
    reduced: dict[str, Charge] = {}  # the last of each item, where it reduced that
    for charge in own:
        if charge.start_s > at_s:
            break
        if charge.start_s == charge.end_s:
            continue
        if _reduces(discount, charge):
            reduced[charge.item] = charge
        elif charge.amount_minor or not charge.is_regular:
            reduced.pop(charge.item, None)
    return frozenset(item for item, own in reduced.items() if at_s < own.end_s)


def _reduces(discount: Discount, charge: Charge) -> bool:
    """A proration that names nothing is net of what ran then, and of nothing else."""
    if charge.is_regular:
        return charge.named.get(discount.id, 0) > 0
    if charge.named:
        is_free = not charge.amount_minor and charge.full_minor == 0
        return discount.id in charge.named and not is_free
    return (
        discount.end is not None
        and discount.start <= charge.start_s < discount.end
        and charge.full_minor is not None
        and charge.amount_minor + 2 < charge.full_minor
    )


def was_taken_away(
    discount: Discount,
    others_since_s: Iterable[int],
    own: Sequence[Charge],
    versions: Sequence[SubscriptionVersion],
) -> bool:
    """Whether it was removed before its end, or another was given in its place since.

    ``others_since_s``: when those at its place began; ``versions`` are all that were seen,
    in looks and events.
    """
    naming = [each.start_s for each in own if discount.id in each.named]
    naming += [seen_s for seen_s, shown in versions if _lists(shown, discount.id)]
    since_s = max(naming, default=discount.start)
    end_s = discount.end
    if any(other_s > since_s for other_s in others_since_s):
        return True
    if end_s is None:
        return False
    is_billed_without = any(
        since_s < each.start_s < end_s
        and each.is_regular
        and each.amount_minor > sum(each.named.values())
        for each in own
    )
    return is_billed_without or any(
        since_s < seen_s < end_s and not _lists(shown, discount.id)
        for seen_s, shown in versions
    )


def _lists(shown: Subscription, discount: str) -> bool:
    return any(ref(each) == discount for each, _ in shown.listed_discounts)


def order_as_shown(
    listed: Sequence[str],
    versions: Iterable[SubscriptionVersion],
    invoices: Sequence[Invoice],
    own: Iterable[Charge],
) -> list[str]:
    """The listed ones, and among them those that were only shown beside them once."""
    order = list(listed)
    sequences = [[ref(d) for d, _ in now.listed_discounts] for _, now in versions]
    sequences += [list(each.named) for each in own]
    sequences += [[ref(d) for d in invoice.discounts or ()] for invoice in invoices]
    for ids in reversed([each for each in sequences if len(each) > 1]):
        for position, key in enumerate(ids):
            if key not in order:
                behind = [n for n, k in enumerate(order) if k in ids[position + 1 :]]
                order.insert(min(behind, default=len(order)), key)
    return order
