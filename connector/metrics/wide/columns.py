"""Movements, terms and components as columns, some thousand customers at a time.

    Columns
      Moves   by customer, then day
      Terms   what was renewed or not, by customer, subscription, day
      Parts   the components of the movements, in their order; read where they are asked for

Comes in: a ledger's packed columns, or a few customers' values. Goes out: arrays of whole
numbers, whose sums are exact whatever their size.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connector.core.kept.columns import CAUSES, KINDS, WIDTHS, Block
from connector.core.model import Cause, ContractTerm, Flow

Ints = NDArray[
    Any
]  # whole numbers: of 8 to 64 bits, or Python's own where those are few
Truths = NDArray[np.bool_]
_TYPES = [np.dtype({"i": "<i4", "b": "i1", "q": "<i8"}[width]) for width in WIDTHS]
_EXACT = 2**53  # float64, in which ``bincount`` adds up, holds whole numbers to here


class Moves(NamedTuple):
    """Movements by customer, then day. ``own`` is each one's place in ``who``."""

    who: Ints
    own: Ints
    day: Ints
    kind: Ints
    amount_minor: Ints


class Terms(NamedTuple):
    """Terms by customer, subscription, day; ``next_day`` is the subscription's next."""

    customer: Ints
    day: Ints
    before_minor: Ints
    after_minor: Ints
    next_day: Ints


class Parts(NamedTuple):
    """The components: each one's movement, by its place, its cause in ``CAUSES``.

    ``movement`` is the ledger's id of each movement.
    """

    movement: Ints
    move: Ints
    cause: Ints
    amount_minor: Ints

    def is_any(self, causes: Collection[Cause]) -> Truths:
        is_one: Truths = np.array([cause in causes for cause in CAUSES])
        return is_one[self.cause]


NO_PARTS = Parts(*np.zeros((4, 0), np.int64))


class Columns(NamedTuple):
    moves: Moves
    terms: Terms
    parts: Parts


def columns_of(block: Block) -> Columns:
    read: list[Ints] = list(map(np.frombuffer, block, _TYPES))
    move = np.repeat(np.arange(len(read[10])), read[10])
    parts = Parts(read[9], move, *read[11:])
    return Columns(_by_customer(*read[:4]), _ended(*read[4:9]), parts)


def columns_of_flows(
    flows: Iterable[Flow], terms: Iterable[ContractTerm] = ()
) -> Columns:
    """Of few customers, with amounts of any size. The flows are by customer, then day."""
    numbers: dict[tuple[int, str], int] = {}
    ended = [
        (
            *(
                t.customer,
                numbers.setdefault((t.customer, t.subscription), len(numbers)),
            ),
            *(t.day.toordinal(), t.before_minor, t.after_minor),
        )
        for t in terms
    ]
    ended.sort(key=itemgetter(0, 1, 2))
    owner, number, ended_on, before, after = _turned(ended, 5)
    kinds = {kind: number for number, kind in enumerate(KINDS)}
    moved = [(who, day.toordinal(), kinds[kind], n) for who, day, kind, n in flows]
    customer, day, kind, amount = _turned(moved, 4)
    return Columns(
        _by_customer(_narrow(customer), _narrow(day), _narrow(kind), _wide(amount)),
        _ended(
            _narrow(owner),
            _narrow(number),
            _narrow(ended_on),
            _wide(before),
            _wide(after),
        ),
        NO_PARTS,
    )


def _turned(rows: Sequence[Sequence[int]], width: int) -> list[Sequence[int]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _narrow(numbers: Sequence[int]) -> Ints:
    return np.array(numbers, np.int64)


def _wide(amounts: Sequence[int]) -> Ints:
    """Whole numbers of any size."""
    return np.array(amounts, np.object_)


def in_units(
    columns: Columns, unit: int, some: Collection[int] = (), *, are_in: bool = False
) -> Columns:
    """Every amount so many times as large; without some customers, or of them alone."""
    moves, terms, _ = columns
    keys = list(some)
    own = np.isin(moves.who, keys, invert=not are_in)[moves.own]
    customer, day, before, after, next_day = (
        each[np.isin(terms.customer, keys, invert=not are_in)] for each in terms
    )
    amount_minor = _times(moves.amount_minor[own], unit)
    return Columns(
        _by_customer(
            moves.who[moves.own[own]], moves.day[own], moves.kind[own], amount_minor
        ),
        Terms(customer, day, _times(before, unit), _times(after, unit), next_day),
        NO_PARTS,
    )


def _times(minor: Ints, unit: int) -> Ints:
    """In 64 bits where there is room for all of them together."""
    is_narrow = _magnitude(minor) * unit < _EXACT
    found: Ints = (minor if is_narrow else minor.astype(np.object_)) * unit
    return found


def _magnitude(minor: Ints) -> float:
    return float(np.abs(minor).sum(dtype=np.float64))


def _by_customer(customer: Ints, day: Ints, kind: Ints, amount_minor: Ints) -> Moves:
    is_new = _differs(customer)
    return Moves(customer[is_new], np.cumsum(is_new) - 1, day, kind, amount_minor)


def _ended(
    customer: Ints, number: Ints, day: Ints, before_minor: Ints, after_minor: Ints
) -> Terms:
    next_day: Ints = np.full(len(day), date.max.toordinal(), np.int32)
    goes_on = ~(_differs(customer) | _differs(number))[1:]
    next_day[:-1][goes_on] = day[1:][goes_on]
    return Terms(customer, day, before_minor, after_minor, next_day)


def _differs(column: Ints) -> Truths:
    """Where a value is another one than before it."""
    found = np.ones(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=found[1:])
    return found


def added(places: Ints, minor: Ints, size: int) -> Ints:
    """The exact sum of the amounts at each place; beyond 64 bits where those are."""
    if minor.dtype != np.object_ and _magnitude(minor) < _EXACT:
        return np.bincount(places, minor, size).astype(np.int64)
    sums = np.zeros(size, np.object_)
    np.add.at(sums, places, minor)
    return sums


def plus(one: Ints, other: Ints) -> Ints:
    """Their exact sum; beyond 64 bits where those are."""
    is_exact = _magnitude(one) + _magnitude(other) < _EXACT
    return one + other if is_exact else one.astype(np.object_) + other


def standing(
    parts: Iterable[Columns], days: Sequence[date]
) -> tuple[list[int], list[list[int]]]:
    """Everybody, and what each paid at the very beginning of each day, which are in order.

    Customers in the order of their keys; who never paid is absent.
    """
    bounds = np.array([day.toordinal() for day in days])
    who, paid = [np.zeros(0, np.int64)], [np.zeros((0, len(days)), np.int64)]
    for moves, *_ in parts:
        places = np.searchsorted(bounds, moves.day, side="right")
        who.append(moves.who)
        paid.append(levels(moves, places, len(days)))
    return np.concatenate(who).tolist(), np.concatenate(paid).T.tolist()


def levels(moves: Moves, places: Ints, days: int) -> Ints:
    """By customer, what it pays before each of so many days; movements by place."""
    cells = len(moves.who) * (days + 1)
    by_level = added(moves.own * (days + 1) + places, moves.amount_minor, cells)
    found: Ints = by_level.reshape(-1, days + 1)[:, :days].cumsum(axis=1)
    return found


def months_of(day: Ints) -> Ints:
    """The number of each day's month, counted from January 1970 on."""
    first = int(day.min(initial=_LAST))
    days = np.arange(first, day.max(initial=0) + 1) - _EPOCH
    found: Ints = days.astype("M8[D]").astype("M8[M]").astype(np.int64)[day - first]
    return found


def month_name(number: int) -> str:
    """``2026-03``."""
    return f"{1970 + number // 12}-{number % 12 + 1:02}"


_EPOCH, _LAST = date(1970, 1, 1).toordinal(), date.max.toordinal()
