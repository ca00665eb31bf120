"""Customers by the month or quarter in which they first paid → how they were retained.

The same NRR, GRR and CRR as everywhere, against the MRR at the end of the period in which
the cohort first paid (period 0). Who came and left within that period is nobody's base.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from itertools import compress

from msgspec import Struct
from msgspec.structs import replace

from connector.core.dates import add_months, period_start
from connector.core.figures import Retention
from connector.core.money import round_minor
from connector.metrics.currency_total import retention_in_minor
from connector.metrics.retention import compared
from connector.metrics.segment_totals import NewNumbers, Numbers, packed

# Of a cohort, in each period: who moved, by its place among them, and by how much. Two
# numbers a movement, as a ledger has many.
_Moves = dict[date, tuple[Numbers, Numbers]]


class CohortPeriod(StrEnum):
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def length(self) -> int:
        """In months."""
        return 1 if self is CohortPeriod.MONTH else 3


class Cohort(Struct, frozen=True, kw_only=True):
    """The customers who first paid in the period from ``start`` on.

    ``joined`` counts all of them, ``customers`` those who still paid at its end, whose
    MRR then is ``opening_minor``. ``ages[n]`` compares the end of period n with the end
    of period 0; ``mrr_minor[n]`` is what all who joined pay then, so that the cohorts of
    a moment add up to everybody's MRR.
    """

    start: date
    joined: int
    customers: int
    opening_minor: int
    ages: tuple[Retention, ...]
    mrr_minor: tuple[int, ...]

    def ratios(self, metric: str) -> tuple[Fraction | None, ...]:
        """One of ``nrr``, ``grr`` and ``crr``, at period 0, 1, 2 and so on."""
        return tuple(getattr(age, metric) for age in self.ages)


def cohorts(
    changes: Iterable[tuple[int, str, int]],
    period: CohortPeriod,
    today: date,
    numbers: NewNumbers = packed,
) -> list[Cohort]:
    """Every cohort that somebody joined, oldest first, over the periods that have ended.

    ``changes`` are one currency's live movements by customer, then day: the customer's
    key, the day as the ledger writes it, and the signed amount. ``numbers`` makes what
    keeps these: a list, where 64 bits are too few for them.
    """

    def empty() -> _Growing:
        return _Growing(defaultdict(lambda: (numbers(), numbers())))

    growing: dict[date, _Growing] = defaultdict(empty)
    start_of: dict[str, date] = {}  # few days, many rows
    before, place = -1, 0
    moves: _Moves = {}
    for customer, day, amount_minor in changes:
        start = start_of.get(day)
        if start is None:
            start = start_of[day] = period_start(date.fromisoformat(day), period.length)
        if customer != before:
            own = growing[start]
            before, place, moves = customer, own.joined, own.moves
            own.joined += 1
        places, amounts_minor = moves[start]
        places.append(place)
        amounts_minor.append(amount_minor)
    grown = (
        _grown(start, growing[start], list(_ended(period, start, today)))
        for start in sorted(growing)
    )
    return [cohort for cohort in grown if cohort.ages]


def _ended(period: CohortPeriod, first: date, today: date) -> Iterator[date]:
    """The starts of the periods from ``first`` on that are over."""
    start = first
    while (end := add_months(start, period.length)) <= today:
        yield start
        start = end


@dataclass(slots=True)
class _Growing:
    """Who joined in one period."""

    moves: _Moves
    joined: int = 0


def _grown(start: date, own: _Growing, periods: Sequence[date]) -> Cohort:
    paying = [0] * own.joined
    base: list[int] = []
    ages: list[Retention] = []
    mrr_minor: list[int] = []
    for each in periods:
        for place, amount_minor in zip(*own.moves[each], strict=True):
            paying[place] += amount_minor
        base = base or list(paying)
        opened = [minor for minor in base if minor]
        pairs = zip(opened, compress(paying, base), strict=True)
        ages.append(compared(len(opened), sum(opened), pairs))
        mrr_minor.append(sum(paying))
    return Cohort(
        start=start,
        joined=own.joined,
        customers=ages[0].customers if ages else 0,
        opening_minor=ages[0].opening_minor if ages else 0,
        ages=tuple(ages),
        mrr_minor=tuple(mrr_minor),
    )


def in_minor_of(cohort: Cohort, scale: int) -> Cohort:
    """One of the total, measured in units of ``scale``, in whole minor units."""
    return replace(
        cohort,
        opening_minor=round_minor(Fraction(cohort.opening_minor, scale)),
        ages=tuple(retention_in_minor(age, scale) for age in cohort.ages),
        mrr_minor=tuple(round_minor(Fraction(u, scale)) for u in cohort.mrr_minor),
    )
