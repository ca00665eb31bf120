"""Cohorts counted over columns: what each movement changes, by cohort and age.

A customer's movements after the period in which it first paid each change what its
cohort has kept, grown and lost against the end of that period; these changes add up.
"""

from collections.abc import Iterable, Iterator
from datetime import date

import numpy as np

from connector.metrics.cohorts import Cohort, CohortPeriod
from connector.metrics.retention import retained
from connector.metrics.wide.columns import (
    Columns,
    Ints,
    Moves,
    Truths,
    added,
    months_of,
)


def cohorts(
    parts: Iterable[Columns], period: CohortPeriod, today: date
) -> list[Cohort]:
    """Every cohort that somebody joined, oldest first, over the periods that have ended.

    ``parts`` are one currency's live movements, all of each customer's together.
    """
    end = int(_periods(np.array([today.toordinal()]), period)[0])
    grids: dict[int, Ints] = {}
    for moves, *_ in parts:
        if len(moves.who):
            for start, grid in _grown(moves, period, end):
                grids[start] = grids.get(start, 0) + grid
    return [_cohort(period, start, grids[start]) for start in sorted(grids)]


def _periods(day: Ints, period: CohortPeriod) -> Ints:
    """The number of each day's period, counted from 1970 on."""
    found: Ints = months_of(day) // period.length
    return found


def _grown(moves: Moves, period: CohortPeriod, end: int) -> Iterator[tuple[int, Ints]]:
    """Each cohort, and by age what changed at that age (see ``_CHANGES``)."""
    own, amount = moves.own, moves.amount_minor
    in_period = _periods(moves.day, period)
    first = np.flatnonzero(np.diff(own, prepend=-1))
    start, age = in_period[first], in_period - in_period[first][own]
    is_young = age == 0
    base = added(own[is_young], amount[is_young], len(moves.who))
    standing = np.cumsum(amount)
    after = standing - (standing[first] - amount[first])[own]
    oldest, length = int(start.min()), max(end - int(start.min()), 0)
    cohorts, of = int(start.max()) - oldest + 1, start - oldest

    def by_age(which: Truths, minor: Ints) -> Ints:
        rows = which & (in_period < end)
        cells = of[own[rows]] * length + age[rows]
        return added(cells, minor[rows], cohorts * length).reshape(cohorts, length)

    paid, is_base = base[own], (base > 0)[own] & ~is_young
    before = after - amount
    changes = [
        by_age(is_base, now - was)
        for now, was in zip(
            _compared(paid, after), _compared(paid, before), strict=True
        )
    ]
    changes.append(by_age(np.ones_like(is_young), amount))
    grid = np.stack(changes, axis=2)
    at_first = ((base > 0).astype(np.int64), base, np.ones_like(start))
    firsts = np.stack([added(of, each, cohorts) for each in at_first], axis=1)
    for number in np.flatnonzero(firsts[:length, -1]).tolist():
        told: Ints = np.zeros((length - number, len(_CHANGES)), np.object_)
        told[:, [1, 3, 4, 5, 6]] = grid[number, : len(told)]
        told[0, [0, 2, 7]] = firsts[number]
        yield oldest + number, told


# What is added up by age: what ``retained`` asks for, and the cohort's MRR. The number of
# customers and their opening MRR stand at age 0 alone.
_CHANGES = (
    *("customers", "left", "opening_minor"),
    *("expansion_minor", "contraction_minor", "churn_minor"),
    *("mrr_minor", "joined"),
)


def _compared(paid: Ints, pays: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Of who paid so much: whether it left, expansion, contraction, churn."""
    is_gone = pays == 0
    lost = np.maximum(paid - pays, 0)
    return (
        is_gone.astype(np.int64),
        np.maximum(pays - paid, 0),
        np.where(is_gone, 0, lost),
        np.where(is_gone, paid, 0),
    )


def _cohort(period: CohortPeriod, start: int, grid: Ints) -> Cohort:
    found = grid.cumsum(axis=0).tolist()
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
