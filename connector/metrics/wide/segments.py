"""How a customer's segment is told: by its country, its plan from day to day, its MRR.

Each gives the segments' names, and a number of one of them for each of many customers at
the end of a day, at what it pays then (see ``fold``). Moving between two plans is
expansion or contraction of the one that a customer had at a window's opening, never
churn, and segments add up to the total.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil
from operator import itemgetter

import numpy as np

from connector.core.model import EVERYBODY, NONE, Flow
from connector.metrics.wide.columns import Ints
from connector.metrics.wide.fold import OUTSIDE, Segmentation

_MOST = 2**63 - 1
_DAY_BITS = 22  # enough for the ordinal of any day


def by_one(name: str) -> Segmentation:
    """All of them in one."""
    return by_value({}, name)


def within(
    wanted: Sequence[tuple[Segmentation, str]], of: Segmentation
) -> Segmentation:
    """The segments of those alone who have every value wanted; others are outside."""

    def codes_of(who: Ints, until: Ints, minor: Ints) -> Ints:
        found = of.codes_of(who, until, minor) + 1
        for told, value in wanted:
            place = told.names.index(value) if value in told.names else -1
            found = np.where(told.codes_of(who, until, minor) == place, found, 0)
        return found

    return Segmentation((OUTSIDE, *of.names), codes_of)


def by_value(keys: Mapping[str, Iterable[int]], other: str = NONE) -> Segmentation:
    """What customers have always been: the keys of each; ``other`` where it is unknown."""
    names = list(dict.fromkeys([other, *(name or other for name in keys)]))
    own = [np.fromiter(each, np.int64) for each in keys.values()]
    size = 1 + max((int(each.max()) for each in own if len(each)), default=-1)
    codes = np.zeros(size + 1, np.int32)  # the last one is of everybody beyond
    for name, each in zip(keys, own, strict=True):
        codes[each] = names.index(name or other)

    def codes_of(who: Ints, until: Ints, _minor: Ints) -> Ints:
        found = codes[np.minimum(who, size)]
        return np.broadcast_to(found, np.broadcast_shapes(who.shape, until.shape))

    return Segmentation(names, codes_of)


everybody = by_one(EVERYBODY)  # tells nobody apart


# What customers are from certain days on, by value: their keys, and those days' ordinals.
Traits = Mapping[str, tuple[Sequence[int], Sequence[int]]]


def by_trait(traits: Traits) -> Segmentation:
    """The value a customer had at the end of a day; ``(none)`` before the first."""
    names = list(dict.fromkeys([NONE, *(value or NONE for value in traits)]))
    since = [np.array([-1])]  # nobody's, before all others
    codes = [np.zeros(1, np.int32)]
    for value, (customers, days) in traits.items():
        since.append(
            _moment(*(np.asarray(each, np.int64) for each in (customers, days)))
        )
        codes.append(np.full(len(days), names.index(value or NONE), np.int32))
    moments, values = np.concatenate(since), np.concatenate(codes)
    order = np.argsort(moments)
    moments, values = moments[order], values[order]

    def codes_of(who: Ints, until: Ints, _minor: Ints) -> Ints:
        last = np.searchsorted(moments, _moment(who, until), side="right") - 1
        return np.where(moments[last] >> _DAY_BITS == who, values[last], 0)

    return Segmentation(names, codes_of)


def _moment(who: Ints, day: Ints) -> Ints:
    """A customer's day as one number, in the order of both."""
    return np.left_shift(who.astype(np.int64), _DAY_BITS) | day


def by_main_currency(main: Traits, own: Mapping[str, Segmentation]) -> Segmentation:
    """What a customer was in the currency with most of its MRR then."""
    currency_of = by_trait(main)
    names = list(
        dict.fromkeys([NONE, *(n for each in own.values() for n in each.names)])
    )

    def codes_of(who: Ints, until: Ints, minor: Ints) -> Ints:
        places = np.broadcast_arrays(who, until, minor)
        currency = currency_of.codes_of(*places)
        found = np.zeros(currency.shape, np.int64)
        for number, code in enumerate(currency_of.names):
            if code in own:
                is_it = currency == number
                told = own[code].codes_of(*(each[is_it] for each in places))
                found[is_it] = np.array([names.index(n) for n in own[code].names])[told]
        return found

    return Segmentation(names, codes_of)


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
    found: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for customer, own in moves.items():
        for day, code in _largest(sorted(own)):
            found[code][0].append(customer)
            found[code][1].append(day.toordinal())
    return found


def _largest(moves: Iterable[tuple[date, str, int]]) -> Iterator[tuple[date, str]]:
    paid: dict[str, int] = defaultdict(int)
    for day, of_day in groupby(moves, key=itemgetter(0)):
        for _, code, change in of_day:
            paid[code] += change
        if any(paid.values()):
            yield day, max(sorted(paid), key=paid.__getitem__)


def by_band(edges: Sequence[int], to_minor: int | Fraction) -> Segmentation:
    """The band of its contract value a year, ``edges`` being in whole units.

    ``to_minor`` is how many minor units make one: 100 cents, 1 yen. A contract of
    exactly an edge belongs to the band above it.
    """
    limits = [ceil(Fraction(edge) * to_minor / 12) for edge in edges]
    is_small = limits[-1] < _MOST
    least_minor = np.array(limits, np.int64 if is_small else np.object_)

    def codes_of(_who: Ints, _until: Ints, minor: Ints) -> Ints:
        return np.searchsorted(least_minor, minor, side="right")

    return Segmentation(band_names(edges), codes_of)


def band_names(edges: Sequence[int]) -> list[str]:
    """``1: under 10,000``, ``2: 10,000 to 100,000``, ``3: 100,000 and more``."""
    texts = [f"{edge:,}" for edge in edges]
    middle = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"under {texts[0]}", *middle, f"{texts[-1]} and more"]
    return [f"{place}: {name}" for place, name in enumerate(names, start=1)]
