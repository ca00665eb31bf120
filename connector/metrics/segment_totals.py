"""A window's segments, while one customer after the other is counted.

Of each customer are kept two numbers a window in which it moved, however many customers
there are.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import NamedTuple

from connector.core.figures import WindowFigures
from connector.core.model import ContractTerm, Flow, MovementKind
from connector.core.windows import DayPositions, Window, boundaries_of
from connector.metrics.retention import compared, renewed, waterfall

# A customer's segment at the end of each of some days, in order, at what it pays then.
SegmentOf = Callable[[int, Sequence[date], Sequence[int]], list[str]]


class CustomerActivity(NamedTuple):
    """A customer, what it paid before all of its flows, and what came since, by day."""

    customer: int
    paid_minor: int
    flows: Sequence[Flow]
    terms: Sequence[ContractTerm]


Numbers = MutableSequence[int]
NewNumbers = Callable[[], Numbers]


def packed() -> Numbers:
    return array("q")


def no_amounts() -> dict[MovementKind, int]:
    return dict.fromkeys(MovementKind, 0)


@dataclass(slots=True)
class SegmentTotal:
    """A segment in a window: its opening, and before and after of all that changed."""

    start_minor: Numbers
    end_minor: Numbers
    before_minor: Numbers
    after_minor: Numbers
    customers: int = 0
    opening_minor: int = 0
    gained_customers: int = 0
    amounts_minor: dict[MovementKind, int] = field(default_factory=no_amounts)

    def measured(self, window: Window, *, has_terms: bool) -> WindowFigures:
        pairs = zip(self.start_minor, self.end_minor, strict=True)
        ended = zip(self.before_minor, self.after_minor, strict=True)
        return WindowFigures(
            window,
            waterfall(self.opening_minor, self.amounts_minor),
            compared(self.customers, self.opening_minor, pairs),
            self.customers + self.gained_customers,
            renewed(ended) if has_terms else None,
        )


class SegmentTotals:
    """Of each window by segment, what has been counted until now."""

    def __init__(self, windows: Iterable[Window], new: NewNumbers = packed) -> None:
        ordered = sorted(set(windows), key=lambda window: window.start)
        self.by_window: dict[Window, dict[str, SegmentTotal]] = {
            window: defaultdict(lambda: SegmentTotal(new(), new(), new(), new()))
            for window in ordered
        }
        self._by_name = list(self.by_window.values())
        self._eves = [eve(window.start) for window in ordered]
        days = boundaries_of(ordered)
        self._starts = [days.index(window.start) for window in ordered]
        self._place_of = DayPositions(days)
        self._levels = len(days)
        self._inside = [  # of each place, the numbers of the windows that it is in
            [n for n, each in enumerate(ordered) if each.start <= day < each.end]
            for day in [date.min, *days]
        ]

    def count(self, account: CustomerActivity, segment_of: SegmentOf) -> None:
        customer, paid_minor, flows, terms = account
        opened = [paid_minor] * len(self._starts)
        if flows:
            levels = self._balances(paid_minor, flows)
            opened = [levels[start] for start in self._starts]
        names = segment_of(customer, self._eves, opened)
        for by_name, name, opening_minor in zip(
            self._by_name, names, opened, strict=True
        ):
            if opening_minor:
                tally = by_name[name]
                tally.customers += 1
                tally.opening_minor += opening_minor
        closed = self._count_flows(flows, opened, names, segment_of) if flows else {}
        if terms:
            self._count_terms(terms, opened, names, closed)

    def _balances(self, paid_minor: int, flows: Iterable[Flow]) -> list[int]:
        """What it paid at the very beginning of each boundary."""
        levels: list[int] = []
        for _, day, _, amount_minor in flows:
            levels += [paid_minor] * (self._place_of[day] - len(levels))
            paid_minor += amount_minor
        return levels + [paid_minor] * (self._levels - len(levels))

    def _count_flows(
        self,
        flows: Iterable[Flow],
        opened: Sequence[int],
        names: list[str],
        segment_of: SegmentOf,
    ) -> dict[int, int]:
        """The closings of the windows in which it moved; names those in which it came."""
        closed: dict[int, int] = {}
        for customer, day, kind, amount_minor in flows:
            for window in self._inside[self._place_of[day]]:
                if window not in closed:
                    closed[window] = opened[window]
                    if not opened[window]:
                        [names[window]] = segment_of(customer, [day], [amount_minor])
                closed[window] += amount_minor
                tally = self._by_name[window][names[window]]
                tally.amounts_minor[kind] += amount_minor
        for window, end_minor in closed.items():
            tally, start_minor = self._by_name[window][names[window]], opened[window]
            tally.gained_customers += (end_minor > 0) - (start_minor > 0)
            if start_minor:
                tally.start_minor.append(start_minor)
                tally.end_minor.append(end_minor)
        return closed

    def _count_terms(
        self,
        terms: Iterable[ContractTerm],
        opened: Sequence[int],
        names: Sequence[str],
        closed: Mapping[int, int],
    ) -> None:
        """The last one of each subscription, in the windows in which it paid or moved."""
        last: dict[tuple[int, str], ContractTerm] = {}
        for term in terms:
            for window in self._inside[self._place_of[term.day]]:
                if opened[window] or window in closed:
                    last[window, term.subscription] = term
        for (window, _), term in last.items():
            tally = self._by_name[window][names[window]]
            tally.before_minor.append(term.before_minor)
            tally.after_minor.append(term.after_minor)


def eve(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day
