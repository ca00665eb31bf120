"""Customers by segment → the same figures for each of them, adding up to the total.

A customer belongs to the segment that it had at a window's opening; who did not pay then,
to the one with which it came in the window. So moving between two plans is expansion or
contraction of the one it had, never churn, and segments add up to the total.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from typing import NamedTuple

from connector.core.figures import WindowFigures
from connector.core.model import ContractTerm, Flow, MovementKind
from connector.core.windows import Window
from connector.metrics.retention import Balances
from connector.metrics.segment_totals import (
    CustomerActivity,
    NewNumbers,
    SegmentOf,
    SegmentTotals,
    eve,
    no_amounts,
    packed,
)

NONE = "(none)"
EVERYBODY = "all"
OUTSIDE = ""  # no segment is called so


class SegmentValue(NamedTuple):
    """What customers are told apart by, and what those wanted have: ``plan=Team``."""

    by: str
    value: str

    def __str__(self) -> str:
        return f"{self.by}={self.value}"


def segment_value(text: str, kinds: Iterable[str]) -> SegmentValue:
    """``plan=Team`` read; raises ``ValueError`` where it begins with none of the kinds."""
    for by in sorted(kinds, key=len, reverse=True):
        if text.startswith(f"{by}=") and len(text) > len(by) + 1:
            return SegmentValue(by, text[len(by) + 1 :])
    raise ValueError(text)


class CurrencyBook(NamedTuple):
    """One currency's ledger from some day on: what stood before, and what moved since.

    ``flows`` and ``terms`` are by customer, each one's by day, and read once. ``terms``
    None: they are not known.
    """

    opening: Balances
    flows: Iterable[Flow]
    terms: Iterable[ContractTerm] | None = None


def by_segment(
    book: CurrencyBook,
    windows: Sequence[Window],
    segment_of: SegmentOf,
    numbers: NewNumbers = packed,
) -> list[dict[str, WindowFigures]]:
    """Each window's figures by segment, in order of the segments' names.

    Of those who are ``OUTSIDE`` nothing is told. ``numbers`` makes what keeps amounts: a
    list, where 64 bits are too few for them.
    """
    counted = SegmentTotals(windows, numbers)
    for account in _accounts(book):
        counted.count(account, segment_of)
    return [
        {
            name: tally.measured(window, has_terms=book.terms is not None)
            for name, tally in sorted(counted.by_window[window].items())
            if name != OUTSIDE
        }
        for window in windows
    ]


_NOBODY = (1 << 63, 0)  # comes after every customer


def _accounts(book: CurrencyBook) -> Iterator[CustomerActivity]:
    """Everybody who paid or moved, by customer."""
    terms = _TermsByCustomer(book.terms or ())
    standing = iter([*sorted(book.opening.items()), _NOBODY])
    customer, paid_minor = next(standing)
    for mover, flows in _by_customer(book.flows):
        while customer < mover:
            yield CustomerActivity(customer, paid_minor, (), terms.of(customer))
            customer, paid_minor = next(standing)
        if not flows:
            return
        if customer == mover:
            yield CustomerActivity(mover, paid_minor, flows, terms.of(mover))
            customer, paid_minor = next(standing)
        else:
            yield CustomerActivity(mover, 0, flows, terms.of(mover))


def _by_customer(flows: Iterable[Flow]) -> Iterator[tuple[int, Sequence[Flow]]]:
    """Each customer's flows; at last nobody's, after everybody else."""
    for customer, own in groupby(flows, key=itemgetter(0)):
        yield customer, list(own)
    yield _NOBODY[0], ()


class _TermsByCustomer:
    """Terms by customer, asked for in that order; those of others are passed over."""

    def __init__(self, terms: Iterable[ContractTerm]) -> None:
        self._rest = groupby(terms, key=attrgetter("customer"))
        self._customer, self._terms = -1, list[ContractTerm]()

    def of(self, customer: int) -> Sequence[ContractTerm]:
        while self._customer < customer:
            self._customer, own = next(self._rest, (_NOBODY[0], ()))
            self._terms = list(own)
        return self._terms if self._customer == customer else ()


class SegmentMovements(NamedTuple):
    """A segment's movements added up; ``amounts_minor`` has every kind, signed."""

    currency: str
    segment: str
    movements: int
    amounts_minor: Mapping[MovementKind, int]


def moved_by_segment(
    currency: str,
    book: CurrencyBook,
    start: date,
    segment_of: SegmentOf,
    is_wanted: Callable[[Flow], bool] | None = None,
) -> list[SegmentMovements]:
    """The sums of the flows wanted by segment, in order of the segments' names.

    A customer's segment is what it had at the opening of ``start``, or came with.
    """
    sums: dict[str, dict[MovementKind, int]] = defaultdict(no_amounts)
    counts: dict[str, int] = defaultdict(int)
    for customer, paid_minor, flows, _ in _accounts(book):
        wanted = flows if is_wanted is None else list(filter(is_wanted, flows))
        if wanted:
            day, minor = flows[0].day, flows[0].amount_minor
            if paid_minor:
                day, minor = eve(start), paid_minor
            [name] = segment_of(customer, [day], [minor])
            amounts_minor = sums[name]
            for _, _, kind, amount_minor in wanted:
                amounts_minor[kind] += amount_minor
            counts[name] += len(wanted)
    return [
        SegmentMovements(currency, name, counts[name], sums[name])
        for name in sorted(sums)
    ]


def everybody(_customer: int, days: Sequence[date], _minor: Sequence[int]) -> list[str]:
    """Tells nobody apart."""
    return [EVERYBODY] * len(days)


def within(wanted: Sequence[tuple[SegmentOf, str]], of: SegmentOf) -> SegmentOf:
    """The segments of those alone who have every value wanted; others are outside."""

    def names(customer: int, days: Sequence[date], minor: Sequence[int]) -> list[str]:
        found = of(customer, days, minor)
        for told, value in wanted:
            has = [own == value for own in told(customer, days, minor)]
            found = [
                name if is_in else OUTSIDE
                for name, is_in in zip(found, has, strict=True)
            ]
        return found

    return names


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


def main_currencies(
    books: Mapping[str, Iterable[Flow]], units: Mapping[str, int]
) -> Traits:
    """Each customer's currency with most of its MRR, from day to day.

    ``units`` is what a minor unit of each is worth, 0 where that is not known. Who pays
    nothing any more has the last one that it had.
    """
    moves: dict[int, list[tuple[date, str, int]]] = defaultdict(list)
    for code, flows in books.items():
        for customer, day, _, amount_minor in flows:
            moves[customer].append((day, code, amount_minor * units.get(code, 0)))
    return {customer: list(_largest(sorted(own))) for customer, own in moves.items()}


def _largest(moves: Iterable[tuple[date, str, int]]) -> Iterator[tuple[date, str]]:
    paid: dict[str, int] = defaultdict(int)
    for day, of_day in groupby(moves, key=itemgetter(0)):
        for _, code, change in of_day:
            paid[code] += change
        if any(paid.values()):
            yield day, max(sorted(paid), key=paid.__getitem__)


def by_main_currency(main: Traits, by_currency: Mapping[str, SegmentOf]) -> SegmentOf:
    """What a customer was in the currency with most of its MRR then."""
    currency_of = by_trait(main)

    def names(customer: int, days: Sequence[date], minor: Sequence[int]) -> list[str]:
        codes = currency_of(customer, days, minor)
        return [
            by_currency[code](customer, [day], [each])[0]
            if code in by_currency
            else NONE
            for code, day, each in zip(codes, days, minor, strict=True)
        ]

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
