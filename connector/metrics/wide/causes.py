"""Why the opening customers pay more, or less: by cause, counted over their components.

Of each who still pays at the closing, the net change of every cause over the window.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from connector.core.kept.columns import CAUSES
from connector.core.model import Cause
from connector.core.windows import Window
from connector.metrics.contributions import RETURN, Causes, Share
from connector.metrics.wide.columns import Columns, Ints, added
from connector.metrics.wide.fold import OUTSIDE, WHOLE, Segmentation

# One that left and came back in the window has ended and started again: that is one
# cause. So is a pause with its end; it is called by what is left of the two.
_NAMES = (*(cause.value for cause in CAUSES), RETURN)
_TOGETHER = {Cause.START: RETURN, Cause.END: RETURN, Cause.RESUME: Cause.PAUSE}
_NAME_OF = np.array([_NAMES.index(_TOGETHER.get(cause, cause)) for cause in CAUSES])
_GROUPS = 2 * len(_NAMES)
_PAUSE, _RESUME = _NAMES.index(Cause.PAUSE), _NAMES.index(Cause.RESUME)


class _Changed(NamedTuple):
    """A row for each customer and cause that came to anything.

    ``group`` is the cause, by its place in ``_NAMES``; of who pays less, so many beyond.
    """

    who: Ints
    group: Ints
    minor: Ints

    def largest(self, most: int | None) -> "_Changed":
        """By group, the largest first: no more than so many of each."""
        order = np.lexsort((self.who, -np.abs(self.minor), self.group))
        group = self.group[order]
        first = np.searchsorted(group, group)
        rank = np.arange(len(group)) - first
        own = order if most is None else order[rank < most]
        return _Changed(*(each[own] for each in self))


def causes(
    parts: Iterable[Columns],
    windows: Sequence[Window],
    of: Segmentation = WHOLE,
    most: int | None = None,
) -> list[Causes]:
    """Of each window's opening customers who are not outside; ``most`` are named a cause.

    ``parts`` are one currency's, with their components.
    """
    sums = np.zeros((len(windows), 2, _GROUPS), np.object_)
    none = _Changed(*np.zeros((3, 0), np.int64))
    found = [[none] for _ in windows]
    for columns in parts:
        for own, so_far, window in zip(found, sums, windows, strict=True):
            changed = _changed(columns, window, of)
            so_far[0] += added(changed.group, changed.minor, _GROUPS)
            so_far[1] += np.bincount(changed.group, minlength=_GROUPS)
            own.append(changed.largest(most))
    return [
        _told(
            _Changed(*map(np.concatenate, zip(*own, strict=True))), minor, number, most
        )
        for own, (minor, number) in zip(found, sums.tolist(), strict=True)
    ]


def _changed(columns: Columns, window: Window, of: Segmentation) -> _Changed:
    moves, _, parts = columns
    start, end = window.start.toordinal(), window.end.toordinal()
    is_before, customers = moves.day < start, len(moves.who)
    opening = added(moves.own[is_before], moves.amount_minor[is_before], customers)
    is_inside = (~is_before & (moves.day < end))[parts.move]
    own = moves.own[parts.move[is_inside]]
    cells = own * len(_NAMES) + _NAME_OF[parts.cause[is_inside]]
    minor = added(cells, parts.amount_minor[is_inside], customers * len(_NAMES))
    by_name = minor.reshape(customers, len(_NAMES))
    net = by_name.sum(axis=1)
    code = of.codes_of(moves.who, np.full(customers, start - 1), opening)
    counts = (opening > 0) & (net != 0) & (opening + net != 0)
    counts &= np.array([name != OUTSIDE for name in of.names])[code]
    place, name = np.divmod(np.flatnonzero(by_name * counts[:, None]), len(_NAMES))
    amount = by_name[place, name]
    name = np.where((name == _PAUSE) & (amount > 0), _RESUME, name)
    return _Changed(moves.who[place], name + (net[place] < 0) * len(_NAMES), amount)


def _told(
    changed: _Changed, sums: Sequence[int], counts: Sequence[int], most: int | None
) -> Causes:
    who, group, minor = (each.tolist() for each in changed.largest(most))
    shares: tuple[list[Share], list[Share]] = [], []
    for number, own in groupby(zip(group, who, minor, strict=True), itemgetter(0)):
        side, name = divmod(number, len(_NAMES))
        named = tuple((key, amount) for _, key, amount in own)
        shares[side].append(Share(_NAMES[name], sums[number], named, counts[number]))
    return Causes(*(tuple(sorted(each, key=_size)) for each in shares))


def _size(share: Share) -> tuple[int, str]:
    return -abs(share.amount_minor), share.cause
