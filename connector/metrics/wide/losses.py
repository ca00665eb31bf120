"""What lost MRR in a window, found in columns: added up, or to be read one by one.

Most contractions need no look at what Stripe shows, as all that took away in them is
``REDUCING``: they are counted here. All other losses are named by customer and day.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from connector.core.model import KINDS, MovementKind
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


def found_losses(
    parts: Iterable[Columns],
    window: Window,
    of: Segmentation = WHOLE,
    customers: Collection[int] | None = None,
    *,
    is_all: bool = False,
) -> FoundLosses:
    """Those of a window, by what a customer had the evening before.

    ``parts`` are one currency's, with their components. ``customers`` are those of whom
    alone they are wanted. ``is_all``: nothing is added up.
    """
    wanted = None if customers is None else np.fromiter(customers, np.int64)
    sums: dict[tuple[str, str], Reductions] = {}
    start, end = window.start.toordinal(), window.end.toordinal()
    rows, left, back = [np.zeros((0, 7), np.int64)], 0, 0
    for columns in parts:
        moves = columns.moves
        is_inside = (moves.day >= start) & (moves.day < end)
        if wanted is not None:
            is_inside &= np.isin(moves.who, wanted)[moves.own]
        gone = np.flatnonzero(is_inside & (moves.kind == _CHURN))
        smaller = np.flatnonzero(is_inside & (moves.kind == _CONTRACTION))
        is_read = np.full(len(smaller), is_all) | _has_other_causes(columns)[smaller]
        for place, own in _summed(columns, smaller[~is_read], of).items():
            before = sums.get(place, Reductions())
            sums[place] = Reductions(*map(sum, zip(before, own, strict=True)))
        read = np.sort(np.concatenate([gone, smaller[is_read]]))
        rows.append(_rows(columns, read, of))
        left += len(np.unique(moves.own[gone]))
        next_own, next_kind = (np.append(c[1:], -1) for c in (moves.own, moves.kind))
        again = (next_own[gone] == moves.own[gone]) & (next_kind[gone] == _REACTIVATION)
        back += len(np.unique(moves.own[gone[again]]))
    return FoundLosses(sums, np.concatenate(rows), of.names, left, back)


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
