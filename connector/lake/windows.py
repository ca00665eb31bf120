"""The standard windows that a run is asked for, and their figures as reports read them."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import groupby
from operator import itemgetter, sub

from connector.core.dates import month_start, months
from connector.core.figures import SUMMED, RollupDelta
from connector.core.windows import Window, WindowKind, windows
from connector.lake.parquet import Row
from connector.lake.tables import WINDOWS

ASKED = {"kind": str, "first_day": date, "end_day": date, "month": str}
FIGURES = tuple(name for name in WINDOWS if name != "source_shape")


def asked(first: date | None, last: date) -> list[Row]:
    """Every standard window of the months from ``first`` to ``last``, month by month.

    First is the day of the first movement: without one there is nothing to ask for.
    """
    if first is None:
        return []
    since, until = month_start(first), max(month_start(last), month_start(first))
    return [
        (kind.value, start, end, f"{month:%Y-%m}")
        for kind in WindowKind
        for kind, start, end in windows(kind, since, until)
        for month in months(start, end)
    ]


def deltas(rows: Iterable[Row]) -> Iterator[tuple[str, RollupDelta]]:
    """Rows of ``FIGURES`` as what changes from window to window, with their currency."""
    key = itemgetter(0, 1)
    for (currency, kind), own in groupby(sorted(rows), key=key):
        before = (0,) * len(SUMMED)
        for _, _, start, end, *sums in own:
            window = Window(WindowKind(kind), start, end)
            yield currency, RollupDelta(window, tuple(map(sub, sums, before)))
            before = tuple(sums)
