"""Why the opening customers pay more, or less: by cause, counted over their components.

Of each who still pays at the closing, the net change of every cause over the window.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from connector.core.model import CAUSES, Cause
from connector.core.windows import Window
from connector.metrics.contributions import RETURN, Causes, Share
from connector.metrics.wide.columns import Columns, Ints, added
from connector.metrics.wide.fold import OUTSIDE, WHOLE, Segmentation

# One that left and came back in the window has ended and started again: that is one
# cause. So is a pause with its end; it is called by what is left of the two.
_NAMES = (*(cause.value for cause in CAUSES), RETURN)
_TOGETHER = {Cause.START: RETURN, Cause.END: RETURN, Cause.RESUME: Cause.PAUSE}
_NAME_OF = np.array([_NAMES.index(_TOGETHER.get(cause, cause)) for cause in CAUSES])
_PAUSE, _RESUME = _NAMES.index(Cause.PAUSE), _NAMES.index(Cause.RESUME)

Changed = tuple[
    Ints, Ints, Ints, Ints
]  # customers, their net change, a name, its amount


def causes(
    parts: Iterable[Columns],
    window: Window,
    of: Segmentation = WHOLE,
    most: int | None = None,
) -> Causes:
    """Of the window's opening customers who are not outside; ``most`` are named a cause.

    ``parts`` are one currency's, with their components.
    """
    found = [_changed(each, window, of) for each in parts]
    if not found:
        return Causes((), ())
    who, net, name, minor = map(np.concatenate, zip(*found, strict=True))
    return Causes(
        *(
            tuple(sorted(_shares(who[own], name[own], minor[own], most), key=_size))
            for own in (net > 0, net < 0)
        )
    )


def _changed(columns: Columns, window: Window, of: Segmentation) -> Changed:
    """A row for each customer and cause that came to anything."""
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
    place, name = np.nonzero(by_name * counts[:, None])
    amount = by_name[place, name]
    name = np.where((name == _PAUSE) & (amount > 0), _RESUME, name)
    return moves.who[place], net[place], name, amount


def _shares(who: Ints, name: Ints, minor: Ints, most: int | None) -> Iterator[Share]:
    sums = added(name, minor, len(_NAMES)).tolist()
    order = np.lexsort((who, -np.abs(minor)))
    for number in np.unique(name).tolist():
        own = order[name[order] == number]
        named = own[:most]
        largest = zip(who[named].tolist(), minor[named].tolist(), strict=True)
        yield Share(_NAMES[number], sums[number], tuple(largest), len(own))


def _size(share: Share) -> tuple[int, str]:
    return -abs(share.amount_minor), share.cause
