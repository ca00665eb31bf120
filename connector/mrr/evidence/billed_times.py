"""Line items and trials → the time that a subscription was billed for, and what of it.

A credit bills nothing, and ends what was billed before it.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, takewhile
from operator import attrgetter
from typing import NamedTuple

from connector.core.dates import instant, later
from connector.core.model import Evidence
from connector.mrr.evidence.dated_versions import DAY_S
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.trials import is_trial_line
from connector.mrr.intervals import CoveredTime, Instants, Interval
from connector.mrr.pricing import MONTHS_FACTOR, is_metered
from connector.stripe_api.invoices import NOT_DUE
from connector.stripe_api.objects import Price

Prices = Mapping[str, Price]
ENDLESS_S = 1 << 40
_START = attrgetter("start_s")
_IN_ORDER = attrgetter("start_s", "known_s")


class BilledTime(NamedTuple):
    """The time that a line bills, or a trial takes, which ``shown_by`` shows.

    ``cycle`` is the price's interval and count: ("month", 3); None for a trial, also one
    that a free line bills.
    """

    start_s: int
    end_s: int
    item: str
    cycle: tuple[str, int] | None
    shown_by: LineItem | Interval
    is_regular: bool = False  # and not shortened by a credit
    is_due: bool = True
    is_metered: bool = False

    @property
    def began(self) -> tuple[Evidence, ...]:
        shown = self.shown_by
        return shown.evidence() if isinstance(shown, LineItem) else shown.began

    @property
    def ended(self) -> tuple[Evidence, ...]:
        shown = self.shown_by
        return shown.evidence() if isinstance(shown, LineItem) else shown.ended

    @property
    def in_months(self) -> bool:
        return self.cycle is not None and self.cycle[0] in ("month", "year")

    @property
    def whole_end_s(self) -> int:
        """Where its period ends, had no end that was set for a while shortened it."""
        if not self.is_regular or self.cycle is None:
            return self.end_s
        end_s = later(self.start_s, *self.cycle)
        is_clipped = self.in_months and instant(self.start_s + DAY_S).day == 1
        if is_clipped:  # at a month's end: its anchor may be any day up to the 31st
            end_s += (31 - instant(self.start_s).day) * DAY_S
        return max(self.end_s, end_s)


class BilledTimes:
    """All of a subscription's, in order, and what is to be known of it at each gap."""

    def __init__(
        self,
        line_items: Iterable[LineItem],
        trials: Iterable[Interval],
        prices: Prices,
    ) -> None:
        in_order = sorted(line_items, key=_IN_ORDER)
        found = [
            BilledTime(each.start_s, trial_end_s(each), "", None, each)
            for each in trials
        ]
        found += [
            _billed(line, end_s, prices) for line, end_s in billed_until(in_order)
        ]
        self.all = sorted(found, key=lambda each: each[:2])

    def beginning_at(self, place: int) -> list[BilledTime]:
        """Those that begin with the one at ``place``."""
        start_s = self.all[place].start_s
        rest = (self.all[n] for n in range(place, len(self.all)))
        return list(takewhile(lambda each: each.start_s == start_s, rest))

    @cached_property
    def due(self) -> Instants:
        """When what was due begins."""
        return Instants(each.start_s for each in self.all if each.is_due)

    @cached_property
    def first_s(self) -> dict[str, int]:
        """When each item was billed first."""
        return {item: each.start_s for item, each in self._first.items()}

    def first_of(self, item: str) -> BilledTime | None:
        return self._first.get(item)

    @cached_property
    def _first(self) -> dict[str, BilledTime]:
        return {each.item: each for each in reversed(self.all)}

    @cached_property
    def goes_on(self) -> CoveredTime:
        """Between the first and the last time that an item was billed, exclusively."""
        last_s = {each.item: each.start_s for each in self.all if each.item}
        return CoveredTime(
            Interval(self.first_s[item] + 1, at_s, (), ())
            for item, at_s in last_s.items()
        )

    @cached_property
    def last_s(self) -> dict[tuple[str, int], int]:
        """When each cycle began last."""
        return {each.cycle: each.start_s for each in self.all if each.cycle}

    def last_of(self, item: str, before_s: int) -> BilledTime | None:
        """What it was billed last, but for trials."""
        own = self._by_item[item]
        place = bisect_left(own, before_s, key=_START)
        return own[place - 1] if place else None

    def is_unfinished(self, start_s: int, end_s: int) -> bool:
        """Whether a period that was shortened for a while would have lasted so long."""
        place = bisect_left(self.all, start_s, key=_START)
        return bool(place) and end_s <= self._whole_until_s[place - 1]

    @cached_property
    def _by_item(self) -> Mapping[str, list[BilledTime]]:
        found: defaultdict[str, list[BilledTime]] = defaultdict(list)
        for each in self.all:
            if each.cycle:
                found[each.item].append(each)
        return found

    @cached_property
    def _whole_until_s(self) -> list[int]:
        return list(accumulate((each.whole_end_s for each in self.all), max))


def trial_end_s(trial: Interval) -> int:
    return ENDLESS_S if trial.end_s is None else trial.end_s


def billed_until(line_items: Sequence[LineItem]) -> list[tuple[LineItem, int]]:
    """Until when each line bills, where that is any time; both in order of time.

    A credit bills nothing, and ends what was billed before it; not what is billed anew
    from the same instant on, nor what was billed when it was over (usage).
    """
    if not any(line.credit for line in line_items):
        return [(n, n.end_s) for n in line_items if n.end_s > n.start_s]
    found: list[tuple[LineItem, int]] = []
    later_credits: dict[str, list[LineItem]] = {}  # by item, the latest first
    for line in reversed(line_items):
        if line.credit:
            later_credits.setdefault(line.item, []).append(line)
            continue
        end_s = line.end_s
        for credit in reversed(later_credits.get(line.item, ())):
            if credit.start_s >= end_s or line.is_in_arrears:
                break
            if (line.known_s, line.start_s) < (credit.known_s, credit.start_s):
                end_s = credit.start_s
        if end_s > line.start_s:
            found.append((line, end_s))
    found.reverse()
    return found


def _billed(line: LineItem, end_s: int, prices: Prices) -> BilledTime:
    price = prices.get(line.price)
    return BilledTime(
        line.start_s,
        end_s,
        line.item,
        cycle_of(price)
        if line.amount_minor or not is_trial_line(line, prices)
        else None,
        line,
        is_regular=line.is_regular and end_s == line.end_s,
        is_due=line.status not in NOT_DUE,
        is_metered=is_metered(price),
    )


def cycle_of(price: Price | None) -> tuple[str, int]:
    """A price that cannot be read recurs at no time."""
    recurring = price.recurring if price is not None else None
    if recurring is None or recurring.interval not in MONTHS_FACTOR:
        return "day", 0
    return recurring.interval, recurring.interval_count
