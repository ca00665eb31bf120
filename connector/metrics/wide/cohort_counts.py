"""Cohorts counted over columns: what each movement changes, by cohort and age.

A customer's movements after the period in which it first paid each change what its
cohort has kept, grown and lost against the end of that period; these changes add up.
"""

from collections.abc import Iterable
from datetime import date

import numpy as np

from connector.metrics.cohorts import Cohort, CohortPeriod
from connector.metrics.retention import retained
from connector.metrics.wide.columns import Columns, Ints, Moves, added, months_of, plus


def cohorts(
    parts: Iterable[Columns], period: CohortPeriod, today: date
) -> list[Cohort]:
    """Every cohort that somebody joined, oldest first, over the periods that have ended.

    ``parts`` are one currency's live movements, all of each customer's together.
    """
    end = int(_periods(np.array([today.toordinal()]), period)[0])
    grid: Ints = np.zeros((0, 0, len(_CHANGES)), np.int64)
    for moves, *_ in parts:
        if len(moves.who):
            own = _grown(moves, period, end)
            size = max(len(grid), len(own))
            grid = plus(_padded(grid, size), _padded(own, size))
    joined = np.flatnonzero(grid[:, :1, -1]).tolist()
    return [
        _cohort(period, end - 1 - number, grid[number, : number + 1])
        for number in reversed(joined)
    ]


def _periods(day: Ints, period: CohortPeriod) -> Ints:
    """The number of each day's period, counted from 1970 on."""
    found: Ints = months_of(day) // period.length
    return found


def _padded(grid: Ints, size: int) -> Ints:
    more = size - len(grid)
    return np.pad(grid, ((0, more), (0, more), (0, 0))) if more else grid


# What is added up by age: what ``retained`` asks for, and the cohort's MRR. The number of
# customers and their opening MRR stand at age 0 alone.
_CHANGES = (
    *("customers", "left", "opening_minor"),
    *("expansion_minor", "contraction_minor", "churn_minor"),
    *("mrr_minor", "joined"),
)


def _grown(moves: Moves, period: CohortPeriod, end: int) -> Ints:
    """By cohort, the newest first, and age what changed at that age (see ``_CHANGES``)."""
    own, amount = moves.own, moves.amount_minor
    at = _periods(moves.day, period)
    first = np.flatnonzero(np.diff(own, prepend=-1))
    start = at[first]
    size = max(end - int(start.min()), 0)
    age = at - start[own]
    cell = ((end - 1 - start) * size)[own] + age
    is_young, is_over = age == 0, at < end
    base = added(own[is_young], amount[is_young], len(moves.who))

    def summed(rows: Ints, minor: Ints) -> Ints:
        return added(cell[rows], minor, size * size)

    # What they pay beyond the end of their first period, against what they paid then.
    later = np.flatnonzero((base > 0)[own] & is_over & ~is_young)
    standing = np.cumsum(amount)
    before = (standing - amount)[later] - (standing - amount)[first][own[later]]
    paid, after = base[own[later]], before + amount[later]
    left = (after == 0).astype(np.int64) - (before == 0)
    kept = summed(later, np.minimum(after, paid) - np.minimum(before, paid))
    churned = summed(later, paid * left)

    joined = first[start < end]
    opening = base[own[joined]]
    changes = (
        summed(joined, (opening > 0).astype(np.int64)),
        summed(later, left),
        summed(joined, opening),
        summed(later, amount[later]) - kept,
        -kept - churned,
        churned,
        summed(np.flatnonzero(is_over), amount[is_over]),
        summed(joined, np.ones_like(joined)),
    )
    return np.stack(changes, axis=1).reshape(size, size, len(changes))


def _cohort(period: CohortPeriod, start: int, grid: Ints) -> Cohort:
    found = grid.astype(np.object_).cumsum(axis=0).tolist()
    ages = tuple(retained(*own) for *own, _, _ in found)
    month = start * period.length
    return Cohort(
        start=date(1970 + month // 12, month % 12 + 1, 1),
        joined=found[0][-1],
        customers=ages[0].customers,
        opening_minor=ages[0].opening_minor,
        ages=ages,
        mrr_minor=tuple(mrr_minor for *_, mrr_minor, _ in found),
    )
