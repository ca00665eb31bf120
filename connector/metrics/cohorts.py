"""Customers by the month or quarter in which they first paid → how they were retained.

The same NRR, GRR and CRR as everywhere, against the MRR at the end of the period in which
the cohort first paid (period 0). Who came and left within that period is nobody's base.
"""

from datetime import date
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from connector.core.figures import Retention
from connector.core.money import round_minor
from connector.metrics.currency_total import retention_in_minor


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


def in_minor_of(cohort: Cohort, scale: int) -> Cohort:
    """One of the total, measured in units of ``scale``, in whole minor units."""
    return replace(
        cohort,
        opening_minor=round_minor(Fraction(cohort.opening_minor, scale)),
        ages=tuple(retention_in_minor(age, scale) for age in cohort.ages),
        mrr_minor=tuple(round_minor(Fraction(u, scale)) for u in cohort.mrr_minor),
    )
