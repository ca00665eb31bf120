"""Customers by the month or quarter in which they first paid → how they were retained.

The same NRR, GRR and CRR as everywhere, against the MRR at the end of the period in which
the cohort first paid (period 0). Who came and left within that period is nobody's base.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from operator import attrgetter

from msgspec import Struct, field

from connector.model import Flow, Kind, Retention
from connector.periods import add_months, month_start, quarter_start
from connector.retention import Balances, retention


class Period(StrEnum):
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def length(self) -> int:
        """In months."""
        return 1 if self is Period.MONTH else 3

    def start(self, day: date) -> date:
        return month_start(day) if self is Period.MONTH else quarter_start(day)


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


def cohorts(flows: Iterable[Flow], period: Period, today: date) -> list[Cohort]:
    """Every cohort that somebody joined, oldest first, over the periods that have ended.

    ``flows`` are one currency's live movements by day.
    """
    days = groupby(flows, key=attrgetter("day"))
    day, moved_then = next(days, (None, ()))
    growing: list[_Growing] = []
    balances_of: dict[int, dict[int, int]] = {}
    for start, end in _ended(period, day, today):
        newest = _Growing(start)
        growing.append(newest)
        while day is not None and day < end:
            for customer, _, kind, amount_minor in moved_then:
                if kind is Kind.NEW:
                    newest.joined += 1
                    balances_of[customer] = newest.balances
                balances = balances_of[customer]
                left_minor = balances.pop(customer, 0) + amount_minor
                if left_minor:
                    balances[customer] = left_minor
            day, moved_then = next(days, (None, ()))
        for cohort in growing:
            cohort.end_period()
    return [cohort.grown() for cohort in growing if cohort.joined]


def _ended(
    period: Period, first: date | None, today: date
) -> Iterator[tuple[date, date]]:
    """The periods from the first movement's to the last that is over."""
    start = today if first is None else period.start(first)
    while (end := add_months(start, period.length)) <= today:
        yield start, end
        start = end


class _Growing(Struct):
    """A cohort while the movements go by."""

    start: date
    joined: int = 0
    balances: dict[int, int] = field(default_factory=dict)
    base: Balances | None = None
    ages: list[Retention] = field(default_factory=list)
    mrr_minor: list[int] = field(default_factory=list)

    def end_period(self) -> None:
        if self.base is None:
            self.base = dict(self.balances)
        self.ages.append(retention(self.base, self.balances))
        self.mrr_minor.append(sum(self.balances.values()))

    def grown(self) -> Cohort:
        return Cohort(
            start=self.start,
            joined=self.joined,
            customers=self.ages[0].customers,
            opening_minor=self.ages[0].opening_minor,
            ages=tuple(self.ages),
            mrr_minor=tuple(self.mrr_minor),
        )
