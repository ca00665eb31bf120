"""What the other published formulas are worked out from, counted over everybody."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import numpy as np

from connector.core.windows import Window, WindowKind, windows
from connector.metrics.formulas import WindowInputs
from connector.metrics.wide.columns import Columns, added, levels
from connector.metrics.wide.fold import measured


def window_inputs(
    currency: str, parts: Iterable[Columns], window: Window
) -> WindowInputs:
    """Read one window; ``parts`` are of one currency, or of all in units of one."""
    within = windows(WindowKind.MONTH, window.start, window.end - timedelta(days=1))
    sums = np.zeros(4, np.object_)

    def counted() -> Iterator[Columns]:
        for each in parts:
            nonlocal sums
            sums = sums + _counted(each, window)
            yield each

    whole, *months = measured(counted(), [window, *within], has_terms=False)
    fallen_minor, won, churned, paying = sums.tolist()
    return WindowInputs(
        currency=currency,
        kept=whole.retention,
        moved=whole.waterfall,
        months=tuple(month.retention for month in months),
        fallen_minor=fallen_minor,
        won=won,
        churned=churned,
        paying_at_close=paying,
    )


def _counted(columns: Columns, window: Window) -> np.typing.NDArray[np.object_]:
    """What the opening's customers lost step by step; who was won, churned, and pays."""
    moves, who = columns.moves, len(columns.moves.who)
    bounds = np.array([window.start.toordinal(), window.end.toordinal()])
    places = np.searchsorted(bounds, moves.day, side="right")
    opening, closing = levels(moves, places, 2).T
    is_inside = places == 1
    came = (np.bincount(moves.own[is_inside], minlength=who) > 0) & (opening == 0)
    fell = is_inside & (moves.amount_minor < 0) & (opening > 0)[moves.own]
    nobody = np.zeros(int(fell.sum()), np.int64)
    churned = ((opening > 0) | came) & (closing == 0)
    counts = (came.sum(), churned.sum(), (closing > 0).sum())
    fallen = -int(added(nobody, moves.amount_minor[fell], 1)[0])
    return np.array([fallen, *map(int, counts)], np.object_)
