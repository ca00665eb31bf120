"""Customers by segment → the same figures for each of them, adding up to the total.

A customer belongs to the segment that it had at a window's opening; who did not pay then,
to the one with which it came in the window. So moving between two plans is expansion or
contraction of the one it had, never churn, and segments add up to the total.

Customers are counted one after the other, so that what is kept of each is two numbers a
window in which it moved, however many there are.
"""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from typing import NamedTuple

from connector.model import Flow, Kind, Term, Window
from connector.retention import (
    Balances,
    Measured,
    Places,
    boundaries_of,
    compared,
    renewed,
    waterfall,
)

NONE = "(none)"

# A customer's segment at the end of each of some days, in order, at what it pays then.
SegmentOf = Callable[[int, Sequence[date], Sequence[int]], list[str]]


class Book(NamedTuple):
    """One currency's ledger from some day on: what stood before, and what moved since.

    ``flows`` and ``terms`` are by customer, each one's by day, and read once. ``terms``
    None: they are not known.
    """

    opening: Balances
    flows: Iterable[Flow]
    terms: Iterable[Term] | None = None


def by_segment(
    book: Book, windows: Sequence[Window], segment_of: SegmentOf
) -> list[dict[str, Measured]]:
    """Each window's figures by segment, in order of the segments' names."""
    counted = _Counted(windows)
    for account in _accounts(book):
        counted.count(account, segment_of)
    return [
        {
            name: tally.measured(window, has_terms=book.terms is not None)
            for name, tally in sorted(counted.tallies[window].items())
        }
        for window in windows
    ]


class _Account(NamedTuple):
    """A customer, what it paid before all of its flows, and what came since, by day."""

    customer: int
    paid_minor: int
    flows: Sequence[Flow]
    terms: Sequence[Term]


_NOBODY = (1 << 63, 0)  # comes after every customer


def _accounts(book: Book) -> Iterator[_Account]:
    """Everybody who paid or moved, by customer."""
    terms = _Ahead(book.terms or ())
    standing = iter([*sorted(book.opening.items()), _NOBODY])
    customer, paid_minor = next(standing)
    for mover, flows in _by_customer(book.flows):
        while customer < mover:
            yield _Account(customer, paid_minor, (), terms.of(customer))
            customer, paid_minor = next(standing)
        if not flows:
            return
        if customer == mover:
            yield _Account(mover, paid_minor, flows, terms.of(mover))
            customer, paid_minor = next(standing)
        else:
            yield _Account(mover, 0, flows, terms.of(mover))


def _by_customer(flows: Iterable[Flow]) -> Iterator[tuple[int, Sequence[Flow]]]:
    """Each customer's flows; at last nobody's, after everybody else."""
    for customer, own in groupby(flows, key=itemgetter(0)):
        yield customer, list(own)
    yield _NOBODY[0], ()


class _Ahead:
    """Terms by customer, asked for in that order; those of others are passed over."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._rest = groupby(terms, key=attrgetter("customer"))
        self._customer, self._terms = -1, list[Term]()

    def of(self, customer: int) -> Sequence[Term]:
        while self._customer < customer:
            self._customer, own = next(self._rest, (_NOBODY[0], ()))
            self._terms = list(own)
        return self._terms if self._customer == customer else ()


def _amounts() -> "array[int]":
    return array("q")


def _no_amounts() -> dict[Kind, int]:
    return dict.fromkeys(Kind, 0)


@dataclass(slots=True)
class _Tally:
    """A segment in a window: its opening, and before and after of all that changed."""

    customers: int = 0
    opening_minor: int = 0
    gained_customers: int = 0
    amounts_minor: dict[Kind, int] = field(default_factory=_no_amounts)
    start_minor: "array[int]" = field(default_factory=_amounts)
    end_minor: "array[int]" = field(default_factory=_amounts)
    before_minor: "array[int]" = field(default_factory=_amounts)
    after_minor: "array[int]" = field(default_factory=_amounts)

    def measured(self, window: Window, *, has_terms: bool) -> Measured:
        pairs = zip(self.start_minor, self.end_minor, strict=True)
        ended = zip(self.before_minor, self.after_minor, strict=True)
        return Measured(
            window,
            waterfall(self.opening_minor, self.amounts_minor),
            compared(self.customers, self.opening_minor, pairs),
            self.customers + self.gained_customers,
            renewed(ended) if has_terms else None,
        )


class _Counted:
    """Of each window by segment, what has been counted until now."""

    def __init__(self, windows: Iterable[Window]) -> None:
        ordered = sorted(set(windows), key=lambda window: window.start)
        self.tallies: dict[Window, dict[str, _Tally]] = {
            window: defaultdict(_Tally) for window in ordered
        }
        self._by_name = list(self.tallies.values())
        self._eves = [_eve(window.start) for window in ordered]
        days = boundaries_of(ordered)
        self._starts = [days.index(window.start) for window in ordered]
        self._place_of = Places(days)
        self._levels = len(days)
        self._inside = [  # of each place, the numbers of the windows that it is in
            [n for n, each in enumerate(ordered) if each.start <= day < each.end]
            for day in [date.min, *days]
        ]

    def count(self, account: _Account, segment_of: SegmentOf) -> None:
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
        terms: Iterable[Term],
        opened: Sequence[int],
        names: Sequence[str],
        closed: Mapping[int, int],
    ) -> None:
        """The last one of each subscription, in the windows in which it paid or moved."""
        last: dict[tuple[int, str], Term] = {}
        for term in terms:
            for window in self._inside[self._place_of[term.day]]:
                if opened[window] or window in closed:
                    last[window, term.subscription] = term
        for (window, _), term in last.items():
            tally = self._by_name[window][names[window]]
            tally.before_minor.append(term.before_minor)
            tally.after_minor.append(term.after_minor)


def _eve(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day


class Moved(NamedTuple):
    """A segment's movements added up; ``amounts_minor`` has every kind, signed."""

    currency: str
    segment: str
    movements: int
    amounts_minor: Mapping[Kind, int]


def moved_by_segment(
    currency: str,
    book: Book,
    start: date,
    segment_of: SegmentOf,
    is_wanted: Callable[[Flow], bool] | None = None,
) -> list[Moved]:
    """The sums of the flows wanted by segment, in order of the segments' names.

    A customer's segment is what it had at the opening of ``start``, or came with.
    """
    sums: dict[str, dict[Kind, int]] = defaultdict(_no_amounts)
    counts: dict[str, int] = defaultdict(int)
    for customer, paid_minor, flows, _ in _accounts(book):
        wanted = flows if is_wanted is None else list(filter(is_wanted, flows))
        if wanted:
            day, minor = flows[0].day, flows[0].amount_minor
            if paid_minor:
                day, minor = _eve(start), paid_minor
            [name] = segment_of(customer, [day], [minor])
            amounts_minor = sums[name]
            for _, _, kind, amount_minor in wanted:
                amounts_minor[kind] += amount_minor
            counts[name] += len(wanted)
    return [Moved(currency, name, counts[name], sums[name]) for name in sorted(sums)]


# What a customer is, from certain days on; the last one of these counts.
Traits = Mapping[int, Sequence[tuple[date, str]]]


def by_trait(traits: Traits) -> SegmentOf:
    """The value a customer had at the end of a day; ``(none)`` before the first."""

    def names(customer: int, days: Sequence[date], _minor: Sequence[int]) -> list[str]:
        own = traits.get(customer, ())
        if own and own[-1][0] <= days[0]:  # days are in order
            return [own[-1][1] or NONE] * len(days)
        return [_at(own, day) or NONE for day in days]

    return names


def _at(own: Sequence[tuple[date, str]], day: date) -> str:
    for since, value in reversed(own):
        if since <= day:
            return value
    return ""


def by_value(values: Mapping[int, str]) -> SegmentOf:
    """What a customer has always been; ``(none)`` where that is not known."""

    def names(customer: int, days: Sequence[date], _minor: Sequence[int]) -> list[str]:
        return [values.get(customer) or NONE] * len(days)

    return names


def by_band(edges: Sequence[int], to_minor: int) -> SegmentOf:
    """The band of its contract value a year, ``edges`` being in whole units.

    ``to_minor`` is how many minor units make one: 100 cents, 1 yen. A contract of
    exactly an edge belongs to the band above it.
    """
    texts = band_names(edges)
    limits = [edge * to_minor for edge in edges]

    @cache  # many customers pay the same
    def band(mrr_minor: int) -> str:
        return texts[bisect_right(limits, mrr_minor * 12)]

    def names(_customer: int, _days: Sequence[date], minor: Sequence[int]) -> list[str]:
        return list(map(band, minor))

    return names


def band_names(edges: Sequence[int]) -> list[str]:
    """``1: under 10,000``, ``2: 10,000 to 100,000``, ``3: 100,000 and more``."""
    texts = [f"{edge:,}" for edge in edges]
    middle = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"under {texts[0]}", *middle, f"{texts[-1]} and more"]
    return [f"{place}: {name}" for place, name in enumerate(names, start=1)]
