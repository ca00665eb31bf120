"""What lost MRR in a window, found in columns: added up, or to be read one by one.

Most contractions need no look at what Stripe shows, as all that took away in them is
``REDUCING``: they are counted here. All other losses are named by customer and day.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from connector.core.kept.columns import KINDS
from connector.core.model import MovementKind
from connector.core.windows import Window
from connector.metrics.churn import REDUCING, Reductions
from connector.metrics.wide.columns import Columns, Ints, added, month_name, months_of
from connector.metrics.wide.fold import WHOLE, Segmentation

_CHURN = KINDS.index(MovementKind.CHURN)
_CONTRACTION = KINDS.index(MovementKind.CONTRACTION)
_REACTIVATION = KINDS.index(MovementKind.REACTIVATION)


class LostMovement(NamedTuple):
    """A churn or contraction, and what its customer was the evening before.

    ``movement`` and ``customer`` are the ledger's numbers, ``kind`` one of ``KINDS``.
    """

    movement: int
    customer: int
    day: int
    kind: int
    amount_minor: int
    before_minor: int
    segment: int


class FoundLosses(NamedTuple):
    """``reduced`` are those added up, by month and segment; the others are to be read.

    Of these ``rows`` has one each, as ``LostMovement`` does. ``left`` is how many customers
    left, ``back`` how many of them came back.
    """

    reduced: Mapping[tuple[str, str], Reductions]
    rows: Ints
    names: Sequence[str]
    left: int
    back: int

    def latest(self, most: int | None = None, *, only_churn: bool = False) -> Ints:
        """The rows with the latest first, no more than so many."""
        own = self.rows[self.rows[:, 3] == _CHURN] if only_churn else self.rows
        order = np.lexsort((own[:, 1], own[:, 2]))[::-1]
        found: Ints = own[order[:most]]
        return found


class LossFinder:
    """Finds those of a window, by what a customer had the evening before.

    ``customers`` are those of whom alone they are wanted. ``is_all``: nothing is added
    up.
    """

    def __init__(
        self,
        window: Window,
        of: Segmentation = WHOLE,
        customers: Collection[int] | None = None,
        *,
        is_all: bool = False,
    ) -> None:
        self._start, self._end = window.start.toordinal(), window.end.toordinal()
        self._of, self._is_all = of, is_all
        self._wanted = None if customers is None else np.fromiter(customers, np.int64)
        self._sums: dict[tuple[str, str], Reductions] = {}
        self._rows = [np.zeros((0, 7), np.int64)]
        self._left = self._back = 0

    def passing(self, parts: Iterable[Columns]) -> Iterator[Columns]:
        """The same parts: one currency's, with their components."""
        for columns in parts:
            self._add(columns)
            yield columns

    def found(self, parts: Iterable[Columns] = ()) -> FoundLosses:
        """In all parts that have passed, and these."""
        for columns in parts:
            self._add(columns)
        rows = np.concatenate(self._rows)
        return FoundLosses(self._sums, rows, self._of.names, self._left, self._back)

    def _add(self, columns: Columns) -> None:
        moves = columns.moves
        is_inside = (moves.day >= self._start) & (moves.day < self._end)
        if self._wanted is not None:
            is_inside &= np.isin(moves.who, self._wanted)[moves.own]
        gone = np.flatnonzero(is_inside & (moves.kind == _CHURN))
        smaller = np.flatnonzero(is_inside & (moves.kind == _CONTRACTION))
        is_read = np.full(len(smaller), self._is_all)
        is_read |= _has_other_causes(columns)[smaller]
        for place, own in _summed(columns, smaller[~is_read], self._of).items():
            before = self._sums.get(place, Reductions())
            self._sums[place] = Reductions(*map(sum, zip(before, own, strict=True)))
        read = np.sort(np.concatenate([gone, smaller[is_read]]))
        self._rows.append(_rows(columns, read, self._of))
        self._left += _distinct(moves.own[gone])
        next_own, next_kind = (np.append(c[1:], -1) for c in (moves.own, moves.kind))
        again = (next_own[gone] == moves.own[gone]) & (next_kind[gone] == _REACTIVATION)
        self._back += _distinct(moves.own[gone[again]])


def _distinct(ordered: Ints) -> int:
    return int(np.count_nonzero(np.diff(ordered, prepend=-1)))


def _has_other_causes(columns: Columns) -> Ints:
    """Of each movement whether anything took away in it that is not ``REDUCING``."""
    parts = columns.parts
    other = parts.move[(parts.amount_minor < 0) & ~parts.is_any(REDUCING)]
    return np.bincount(other, minlength=len(columns.moves.day)) > 0


def _summed(
    columns: Columns, rows: Ints, of: Segmentation
) -> dict[tuple[str, str], Reductions]:
    names, lost = len(of.names), _rows(columns, rows, of)
    months = months_of(lost[:, 2])
    first = int(months.min()) if len(rows) else 0
    cells = (months - first) * names + lost[:, 6]
    size = int(cells.max(initial=-1)) + 1
    counts = np.bincount(cells, minlength=size)
    minor = added(cells, lost[:, 4], size)
    return {
        (month_name(first + cell // names), of.names[cell % names]): Reductions(
            int(counts[cell]), -int(minor[cell])
        )
        for cell in np.flatnonzero(counts).tolist()
    }


def _rows(columns: Columns, rows: Ints, of: Segmentation) -> Ints:
    """Movements as ``LostMovement`` has them."""
    moves = columns.moves
    who, day = moves.who[moves.own[rows]], moves.day[rows]
    firsts = np.flatnonzero(np.diff(moves.own, prepend=-1))
    until = np.cumsum(moves.amount_minor) - moves.amount_minor
    paid = until[rows] - until[firsts][moves.own[rows]]
    kind, amount_minor = moves.kind[rows], moves.amount_minor[rows]
    code = of.codes_of(who, day - 1, paid)
    ids = columns.parts.movement[rows]
    return np.stack([ids, who, day, kind, amount_minor, paid, code], axis=1)
