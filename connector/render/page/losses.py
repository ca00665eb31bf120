"""Churn by month and reason, and what is committed, as a dashboard draws them."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from connector.core.dates import add_months, parse_month
from connector.core.figures import WindowFigures
from connector.core.language import month_name
from connector.core.losses import LossReason
from connector.render.page.charts import Mark
from connector.render.page.svg import Dot, Scale, dots, line, middle, scale, stacks
from connector.reports.churn import ChurnReport

HEIGHT = 190


class ColumnSum(NamedTuple):
    """What stands above a column, in minor units, and where."""

    x: float
    y: float
    amount_minor: int


class LossChart(NamedTuple):
    """Churn by month: of each reason that took any, the outline of all its bars."""

    scale: Scale
    paths: Sequence[tuple[LossReason, str]]
    marks: Sequence[Mark]
    sums: Sequence[ColumnSum]
    height: int = HEIGHT


def loss_chart(found: ChurnReport) -> LossChart | None:
    """None where nobody left."""
    reasons = [x.reason for x in found.everyone.reasons if x.churn_minor]
    if not reasons:
        return None
    columns = [
        [month.of(reason).churn_minor for reason in reasons] for month in found.months
    ]
    ruler, outlines = stacks(columns, HEIGHT)
    taken = [sum(column) for column in columns]
    return LossChart(
        scale=ruler,
        paths=[
            (reason, "".join(own[place] for own in outlines))
            for place, reason in enumerate(reasons)
        ],
        marks=month_marks([parse_month(month.name) for month in found.months]),
        sums=[
            ColumnSum(middle(place, len(taken)), ruler.y(minor), minor)
            for place, minor in enumerate(taken)
            if minor
        ],
    )


def month_marks(months: Sequence[date]) -> list[Mark]:
    """Each month's name; the year at the first and at every January."""
    return [
        Mark(
            middle(place, len(months)),
            month_name(month),
            f"{month.year}" if place == 0 or month.month == 1 else "",
            minor=place % 2 == 1 and month.month != 1,
        )
        for place, month in enumerate(months)
    ]


class RatioLine(NamedTuple):
    name: str
    dots: Sequence[Dot]
    path: str


class CommittedChart(NamedTuple):
    """NRR and GRR of windows to come, if nothing else happens."""

    scale: Scale
    lines: Sequence[RatioLine]
    marks: Sequence[Mark]
    decimals: int  # of the scale's ticks, in per cent
    height: int = HEIGHT


def committed_chart(committed: Sequence[WindowFigures]) -> CommittedChart | None:
    """None where no window has a ratio."""
    values = {
        name: [each.retention.ratios[name] for each in committed]
        for name in ("nrr", "grr")
    }
    known = [each for own in values.values() for each in own if each is not None]
    if not known:
        return None
    ruler = scale(min([*known, Fraction(1)]), max([*known, Fraction(1)]), HEIGHT, 5)
    lines = []
    for name, own in values.items():
        placed = dots(own, ruler)
        lines.append(RatioLine(name, placed, line(placed)))
    is_whole = all((at * 100).denominator == 1 for at in ruler.ticks)
    months = [each.window.end for each in committed]
    return CommittedChart(
        scale=ruler,
        lines=lines,
        marks=month_marks([add_months(month, -1) for month in months]),
        decimals=0 if is_whole else 1,
    )
