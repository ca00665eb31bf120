"""All that shows several discounts at once → the order in which they apply.

Looks and events list a subscription's discounts in their order. Where one of them is over
by then, the order is the invoices', and what each took off a line proves it: 10 % and 5.00
off 50.00 are 5.00 and 5.00, or 4.50 and 5.00.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from itertools import permutations
from typing import NamedTuple

from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion, versions_in
from connector.stripe_api.decoding import ref
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Coupon

# A line of several tiers adds up as many rounded amounts.
ROUNDING_MINOR = 2
# Of more discounts on one line not every order is tried: four have 24.
MOST_TRIED = 4


class _Place(NamedTuple):
    """What an id was put before, and where among what was put there; "" is the end."""

    before: str
    number: int
    depth: int


class DiscountOrder:
    """Ids in an order that grows: a new one is put right before others, or at the end.

    So what was put before an id hangs on it, in the order in which it came.
    """

    def __init__(self) -> None:
        self._places = {"": _Place("", 0, 0)}
        self._hanging: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, ids: Sequence[str]) -> None:
        """Put those that are new before what they stand before here."""
        for position, key in enumerate(ids):
            if key in self._places:
                continue
            after = [k for k in ids[position + 1 :] if k in self._places]
            before = reduce(self._first, after) if after else ""
            own = self._hanging[before]
            depth = self._places[before].depth + 1
            self._places[key] = _Place(before, len(own), depth)
            own.append(key)

    def _first(self, one: str, other: str) -> str:
        """Which of two stands first: found where what they hang on is the same."""
        places, left, right = self._places, one, other
        while places[left].depth > places[right].depth:
            left = places[left].before
        while places[right].depth > places[left].depth:
            right = places[right].before
        if left == right:  # one hangs on the other
            return max(one, other, key=lambda key: places[key].depth)
        while places[left].before != places[right].before:
            left, right = places[left].before, places[right].before
        return one if places[left].number < places[right].number else other

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        found, waiting = [], list(self._hanging[""])
        while waiting:  # from the end: an id, then what hangs on it
            found.append(key := waiting.pop())
            waiting += self._hanging.get(key, ())
        return reversed(found)


def listed_in_order(
    versions: Sequence[SubscriptionVersion], events: Iterable[Event]
) -> DiscountOrder:
    """The discounts' ids in the order they apply, as the newest versions show it.

    One that only older versions show stands before what it stood before there.
    """
    shown = [*versions_in(events), *versions]
    shown.sort(key=lambda version: version.seen_s, reverse=True)
    order = DiscountOrder()
    for version in shown:
        listed = version.subscription.listed_discounts
        if listed:
            order.add([ref(each) for each, _ in listed])
    return order


def add_billed_in_order(
    order: DiscountOrder,
    invoices: Iterable[Invoice],
    line_items: Sequence[LineItem],
    coupons: Mapping[str, Coupon],
) -> None:
    """Add what only invoices show beside one another, the newest first.

    Last what prorations name that include them, also those that wait for an invoice.
    ``coupons`` are by discount.
    """
    named = {each.id: [ref(d) for d in each.discounts or ()] for each in invoices}
    lines = [line for line in line_items if line.discount_amounts and not line.credit]
    for line in reversed(lines):
        order.add(_order_on(line, named.get(line.invoice, []), coupons))
    for ids in reversed(named.values()):
        order.add(ids)
    for line in reversed(line_items):
        if len(line.discounts) > 1 and line.proration and not line.credit:
            order.add(line.discounts)


def _order_on(
    line: LineItem, of_invoice: Sequence[str], coupons: Mapping[str, Coupon]
) -> Sequence[str]:
    """The invoice's order, or the line's, unless what they took off shows another."""
    amounts_minor = {key: minor for key, minor in line.discount_amounts if minor}
    if len(amounts_minor) < 2 or len(amounts_minor) > MOST_TRIED:
        return list(amounts_minor)
    for order in _orders(tuple(amounts_minor), of_invoice):
        if _explains(order, line.amount_minor, amounts_minor, coupons):
            return order
    return list(amounts_minor)


def _orders(ids: tuple[str, ...], of_invoice: Sequence[str]) -> Iterator[Sequence[str]]:
    """Those that are written down first, then every other."""
    on_items = [key for key in ids if key not in of_invoice]
    yield [*on_items, *(key for key in of_invoice if key in ids)]
    yield from permutations(ids)


def _explains(
    order: Iterable[str],
    amount_minor: int,
    taken_minor: Mapping[str, int],
    coupons: Mapping[str, Coupon],
) -> bool:
    """Whether each percentage took its share of what those before it had left."""
    left_minor = amount_minor
    for key in order:
        coupon = coupons.get(key)
        if coupon is not None and coupon.percent_off is not None:
            share_minor = left_minor * Fraction(coupon.percent_off) / 100
            if abs(share_minor - taken_minor[key]) > ROUNDING_MINOR:
                return False
        left_minor -= taken_minor[key]
    return left_minor >= 0
