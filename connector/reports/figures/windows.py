"""The figures of any windows, of everybody or of some.

Standard windows are read from the sums that are kept; others, and every segment, are
counted over the columns of everybody. What counts them is imported where it is needed.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from connector.core.dates import YEARS, add_months
from connector.core.figures import RollupDelta, WindowFigures
from connector.core.model import EVERYBODY, SegmentValue
from connector.core.windows import Window, ending_with
from connector.metrics.retention import measure
from connector.metrics.rollups import CustomerBooks, differences, figures_of
from connector.reports.figures.segments import cut_in
from connector.reports.ledger import Ledger
from connector.store.ledger import balances, columns, rollups
from connector.store.ledger.as_of import touched_since

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns
    from connector.metrics.wide.fold import Segmentation

MANY = 2_000  # customers: counting everybody is as fast as the difference of these


def figures(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
) -> list[WindowFigures]:
    """Each window's; of a past moment without renewals, as terms are not kept."""
    changes = _kept(ledger, currency, wanted, as_of)
    if changes is None:
        return counted(ledger.connection, currency, wanted, as_of)
    told = figures_of(changes, wanted)
    return told if as_of is None else [x._replace(renewals=None) for x in told]


def counted(
    connection: sqlite3.Connection,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
) -> list[WindowFigures]:
    """The same, counted over everybody."""
    from connector.metrics.wide.columns import columns_of
    from connector.metrics.wide.fold import measured

    blocks = columns.blocks(connection, currency, as_of, columns.TERMS)
    return measured(map(columns_of, blocks), wanted, has_terms=as_of is None)


def _kept(
    ledger: Ledger, currency: str, wanted: Sequence[Window], as_of: datetime | None
) -> list[RollupDelta] | None:
    """What the windows' figures are sums of; None where that is not kept.

    Of a past moment, with what has changed since of those to whom anything happened.
    """
    if not (ledger.is_whole and all(map(_is_standard, wanted))):
        return None
    connection = ledger.connection
    touched = [] if as_of is None else touched_since(connection, as_of)
    if len(touched) > MANY:
        return None
    now, then = (
        [CustomerBooks(tuple(own)) for own in balances.flows_of_some(connection, *of)]
        for of in ((touched, None), (touched, as_of))
    )
    since = differences(now, then).get(currency, [])
    kept = rollups.deltas(connection, currency, wanted)
    return sorted([*kept, *since], key=lambda change: change.window.start)


def _is_standard(window: Window) -> bool:
    last = add_months(window.end, -1)
    return last.year in YEARS and window in ending_with(last)


def paid_at(parts: "Iterable[Columns]", days: Sequence[date]) -> list[dict[int, int]]:
    """What each paying customer paid at the very beginning of each of some days."""
    from connector.metrics.wide.columns import standing

    keys, paid = standing(parts, days)
    return [
        {key: minor for key, minor in zip(keys, own, strict=True) if minor}
        for own in paid
    ]


def figures_of_some(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> list[WindowFigures]:
    """Each window's, with ``only`` of those alone whom all of these segments have."""
    if not only:
        return figures(ledger, currency, wanted, as_of)
    found = figures_by_segment(ledger, currency, wanted, None, as_of, only)
    return [
        named.get(EVERYBODY) or measure((), [window])[0]
        for named, window in zip(found, wanted, strict=True)
    ]


def figures_by_segment(
    ledger: Ledger,
    currency: str,
    wanted: Sequence[Window],
    by: str | None,
    as_of: datetime | None = None,
    only: Sequence[SegmentValue] = (),
) -> list[dict[str, WindowFigures]]:
    """Each window's by segment, in order of the segments' names; None: all in one.

    With ``only``, of those alone whom all of these segments have.
    """
    from connector.metrics.wide.columns import columns_of
    from connector.metrics.wide.fold import by_segment

    of = cut_in(ledger, currency, by, only)
    blocks = columns.blocks(ledger.connection, currency, as_of, columns.TERMS)
    return by_segment(map(columns_of, blocks), wanted, of, has_terms=as_of is None)


def members_at_opening(
    opening: Mapping[int, int], day: date, of: "Segmentation"
) -> dict[int, int]:
    """Those of an opening who are in a cut at the very beginning of ``day``."""
    from connector.metrics.wide.fold import OUTSIDE

    days = [eve(day)] * len(opening)
    names = of.named(list(opening), days, list(opening.values()))
    return {
        customer: minor
        for (customer, minor), name in zip(opening.items(), names, strict=True)
        if name != OUTSIDE
    }


def eve(day: date) -> date:
    return day - timedelta(days=1) if day > date.min else day
