"""Discounts: what is billed with them, and how long they count.

What is billed is reduced by the discounts that a subscription has at that moment. What
counts as MRR is so until the period is over that was billed with them: a discount that ran
out, and a once coupon where those count, last for an item until then, or until a change
bills the item anew without them. One that is taken away or replaced counts no more.
"""

from collections.abc import Iterable
from fractions import Fraction

from tests.billing.catalogue import Coupon
from tests.billing.state import Discount, Item, Line, Subscription


def off(coupon: Coupon, amount: Fraction) -> Fraction:
    """What the coupon takes from ``amount``."""
    if coupon.percent_off is not None:
        return amount * Fraction(coupon.percent_off) / 100
    assert coupon.amount_off is not None
    return min(Fraction(coupon.amount_off), amount)


def taken_from(item: Item, at: int) -> list[tuple[Discount, Fraction]]:
    """What the discounts that recur and run now take off a whole period of the item.

    An amount off the whole subscription is shared by the items of the same interval, in
    proportion to what they cost.
    """
    sub = item.subscription
    same = [i for i in sub.items if i.price.cycle == item.price.cycle]
    peers = [i for i in same if not i.price.metered]
    left = {one: one.price.amount(one.quantity) for one in (*peers, item)}
    found = []
    held = [(made, [one]) for one in left for made in one.discounts]
    held += [(made, list(left)) for made in sub.discounts]
    for made, reduced in held:
        if made.coupon.duration != "once" and made.runs(at):
            taken = _take(made.coupon, reduced, left)
            if item in taken:
                found.append((made, taken[item]))
    return found


def _take(
    coupon: Coupon, items: list[Item], left: dict[Item, Fraction]
) -> dict[Item, Fraction]:
    total = sum((left[one] for one in items), Fraction(0))
    share = off(coupon, total) / total if total else Fraction(0)
    taken = {one: left[one] * share for one in items}
    for one, amount in taken.items():
        left[one] -= amount
    return taken


def counted_nets(
    sub: Subscription,
    at: int,
    *,
    once: bool,
    usage: bool = False,
    repeating: bool = True,
    if_dropped: bool = False,
) -> dict[Item, Fraction]:
    """Each item's amount for its interval, less all discounts that count.

    Of what is metered, the last full period's, or nothing unless ``usage`` counts.
    ``if_dropped``: those that would, were the prorations that wait never billed.
    An amount off is on every invoice: the items of the shortest interval share it.
    """
    left = {
        item: item.price.amount(item.quantity) if item.used is None else item.used
        for item in sub.items
        if not item.price.metered or (usage and item.used is not None)
    }
    items = list(left)
    for made in sorted(sub.given, key=lambda made: made.subscription_item is None):
        if made.coupon.duration == "repeating" and not repeating:
            continue
        reduced = [
            item
            for item in items
            if _counts(made, item, at, once=once, if_dropped=if_dropped)
        ]
        if reduced and made.coupon.percent_off is None:
            often = max(item.price.monthly(Fraction(1)) for item in reduced)
            reduced = [i for i in reduced if i.price.monthly(Fraction(1)) == often]
        _take(made.coupon, reduced, left)
    return left


def _counts(
    made: Discount, item: Item, at: int, *, once: bool, if_dropped: bool
) -> bool:
    if made.coupon.duration != "once" and made.runs(at):
        if any(
            made is each for each in (*item.subscription.discounts, *item.discounts)
        ):
            return True
    elif made.coupon.duration == "once" and not once:
        return False
    reduced = item.reduced
    if if_dropped and item.if_dropped is not None:
        _, reduced = item.if_dropped
    return any(made is each and at < until for each, until in reduced)


def note_reduced(item: Item, lines: Iterable[Line]) -> None:
    """The item's new period was billed with these lines."""
    reduced = [(made, x.end) for x in lines for made, taken in x.discounted if taken]
    item.reduced = reduced


def no_longer(sub: Subscription, gone: Iterable[Discount]) -> None:
    for item in sub.all_items:
        kept = [item.reduced, *([item.if_dropped[1]] if item.if_dropped else [])]
        for reduced in kept:
            reduced[:] = [e for e in reduced if not any(e[0] is g for g in gone)]


def replaced_by(
    sub: Subscription, made: Discount, beside: Iterable[Discount] = ()
) -> None:
    """Of what is over, nothing counts on where the next discount is given in its place.

    Those ``beside`` it reduced the same line; what ran when it was given stood beside it.
    """
    held = [d for holder in sub.holders for d in holder.discounts]
    held += beside
    where = made.subscription_item
    no_longer(
        sub,
        [
            each
            for each in sub.given
            if each.subscription_item == where
            and each.start < made.start
            and not (each.coupon.duration != "once" and each.runs(made.start))
            and not any(each is one for one in held)
        ],
    )
