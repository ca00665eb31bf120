"""Line items → the periods that a discount reduced, and the changes billed without it.

A regular line says what each discount took off. A proration's amount is net of discounts
but where they are itemized: then it names them, else its amount alone shows whether
anything was taken off. A credit shows the state before it, and never one still in force.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.pricing import interval_minor, tariff
from connector.stripe_api.objects import Coupon, Price

# An amount is rounded once; what differs by more was discounted.
ROUNDING_MINOR = 1
LONGEST_DAYS = {"day": 1, "week": 7, "month": 31, "year": 366}


class ReducedPeriod(NamedTuple):
    """From the first line of an item that a discount reduced to the end of the last."""

    start_s: int
    end_s: int
    began: tuple[Evidence, ...]
    ended: tuple[Evidence, ...]


class ChangeWithout(NamedTuple):
    """A change of ``item`` whose credits took back what ``discounts`` had reduced.

    What was billed from ``at_s`` on, it bills without them. None: without any, as it is
    billed in full and names none; of an item that joined there are no credits.
    """

    at_s: int
    item: str
    discounts: frozenset[str] | None
    billed: tuple[LineItem, ...]

    def is_without(self, discount: str) -> bool:
        return self.discounts is None or discount in self.discounts

    def tells_of(self, coupon: Coupon) -> bool:
        """What an item that joins shares of an amount off, others may have instead."""
        is_joining = not any(line.credit for line in self.billed)
        return coupon.percent_off is not None or not is_joining

    def evidence(self) -> tuple[Evidence, ...]:
        return tuple(each for line in self.billed for each in line.evidence())


class FullAmounts:
    """What prorations would cost without discounts: the rest of a period that was billed.

    Read off the prices, and only where asked for.
    """

    def __init__(
        self, line_items: Sequence[LineItem], prices: Mapping[str, Price]
    ) -> None:
        self.prices = prices
        self.line_items = line_items

    def is_in_full(self, line: LineItem) -> bool:
        price = self.prices.get(line.price)
        full_minor = self._of(line, self._starts_s.get((line.end_s, _cycle(price))))
        if full_minor is None:
            return False
        return abs(abs(line.amount_minor) - full_minor) <= ROUNDING_MINOR

    def is_reduced(self, line: LineItem) -> bool:
        """Also where no line shows the whole period, which then is as long as can be."""
        full_minor = self._of(line, self._start_of(line))
        if full_minor is None:
            return False
        return abs(line.amount_minor) < full_minor - 2 * ROUNDING_MINOR

    def is_free(self, line: LineItem) -> bool:
        """Whether its price is 0, so that no discount takes anything off it."""
        return not line.amount_minor and self._of(line, self._start_of(line)) == 0

    def _start_of(self, line: LineItem) -> int | None:
        price = self.prices.get(line.price)
        start_s = self._starts_s.get((line.end_s, _cycle(price)))
        if start_s is not None or price is None or price.recurring is None:
            return start_s
        days = LONGEST_DAYS.get(price.recurring.interval, 0)
        return line.end_s - days * price.recurring.interval_count * 86_400

    def _of(self, line: LineItem, start_s: int | None) -> Fraction | None:
        """None where the price or its whole period is not known."""
        price = self.prices.get(line.price)
        if price is None or start_s is None or start_s > line.start_s:
            return None
        if start_s == line.end_s:
            return None
        try:
            rate = tariff(price, line.currency)
        except Unvalued:
            return None
        share = Fraction(line.end_s - line.start_s, line.end_s - start_s)
        return interval_minor(rate, line.quantity) * share

    @cached_property
    def _starts_s(self) -> dict[tuple[int, str], int]:
        """When the periods began that regular lines show, by their end and interval."""
        return {
            (line.end_s, _cycle(self.prices.get(line.price))): line.start_s
            for line in self.line_items
            if line.is_regular
        }


def _cycle(price: Price | None) -> str:
    recurring = price.recurring if price is not None else None
    if recurring is None:
        return ""
    return f"{recurring.interval_count} {recurring.interval}"


def naming_lines(line_items: Iterable[LineItem]) -> dict[str, list[LineItem]]:
    """By discount, the lines that name it as in force: credits never do."""
    found: dict[str, list[LineItem]] = {}
    for line in line_items:
        if line.discounts and not line.credit:
            for key in line.discounts:
                found.setdefault(key, []).append(line)
    return found


def changes_without(
    line_items: Sequence[LineItem], full: FullAmounts
) -> Iterator[ChangeWithout]:
    """The changes that are billed without what their own credits take back.

    And what is billed in full without any, whatever its credit takes back: what was given
    since that was billed would reduce it too. Also an item that joined, prorated.
    """
    credits_at: defaultdict[tuple[str, int], list[LineItem]] = defaultdict(list)
    billed_at: defaultdict[tuple[str, int], list[LineItem]] = defaultdict(list)
    for line in line_items:
        if line.credit:
            credits_at[line.item, line.start_s].append(line)
        elif line.amount_minor > 0 and line.discounted_s == line.start_s:
            billed_at[line.item, line.start_s].append(line)
    for (item, at_s), billed in billed_at.items():
        own = credits_at.get((item, at_s), [])
        if not own and not any(line.proration for line in billed):
            continue
        before = {key for line in own for key in line.discounts}
        after = {key for line in billed for key in line.discounts}
        if not after and all(n.is_regular or full.is_in_full(n) for n in billed):
            yield ChangeWithout(at_s, item, None, (*billed, *own))
        elif before - after:
            gone = frozenset(before - after)
            yield ChangeWithout(at_s, item, gone, (*billed, *own))


def reduced_periods(
    lines: Iterable[LineItem],
    billed_anew: Callable[[LineItem], LineItem | None],
) -> dict[str, ReducedPeriod]:
    """By item, how long the last period lasts that a discount reduced.

    ``lines`` are those that it reduced. A period is over early where the item was billed
    anew without the discount: by the first such line inside of it, which is asked for.
    """
    by_item: dict[str, list[LineItem]] = {}
    for line in lines:
        by_item.setdefault(line.item, []).append(line)
    return {item: _reduced(own, billed_anew) for item, own in by_item.items()}


def _reduced(
    lines: Sequence[LineItem], billed_anew: Callable[[LineItem], LineItem | None]
) -> ReducedPeriod:
    first = min(lines, key=lambda line: line.start_s)
    last = max(lines, key=lambda line: (line.start_s, line.end_s))
    anew = billed_anew(last)
    end_s, shown_by = (last.end_s, last) if anew is None else (anew.start_s, anew)
    return ReducedPeriod(first.start_s, end_s, first.evidence(), shown_by.evidence())


def is_reduced_by(line: LineItem, discount: str) -> bool:
    """Whether a line says that the discount reduced it.

    Where prorations include their discounts, they name them with an amount of 0.
    """
    if discount not in line.discounts or line.credit:
        return False
    if not line.is_regular:
        return True
    if not line.discount_amounts:
        return line.amount_minor > 0
    return any(key == discount and minor for key, minor in line.discount_amounts)
