"""Opening and closing MRR by customer → NRR, GRR, CRR and the waterfall of a window.

The start-MRR formula, and the only place that works it out. For the customers who pay at
a window's opening, ``s`` is what each paid then and ``e`` what it pays at the closing:
NRR = Σe ÷ Σs, GRR = Σ min(s, e) ÷ Σs. Who came later does not count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from connector.model import Flow, Kind, Retention, Waterfall, Window, WindowKind
from connector.periods import (
    add_months,
    month_start,
    months,
    quarter_start,
    year_start,
)

Balances = Mapping[
    int, int
]  # customer → MRR in minor units; who pays nothing is absent


class Measured(NamedTuple):
    window: Window
    waterfall: Waterfall
    retention: Retention


def retention(opening: Balances, closing: Balances) -> Retention:
    """Compare two moments for the customers who pay at the first.

    Each customer's net change counts once: one who leaves and returns in between is
    neither churn nor expansion, and one who grew before leaving costs what it paid at
    the opening.
    """
    expansion_minor = contraction_minor = churn_minor = kept = 0
    for customer, start_minor in opening.items():
        end_minor = closing.get(customer, 0)
        if end_minor == 0:
            churn_minor += start_minor
            continue
        kept += 1
        if end_minor > start_minor:
            expansion_minor += end_minor - start_minor
        else:
            contraction_minor += start_minor - end_minor
    opening_minor = sum(opening.values())
    lost_minor = contraction_minor + churn_minor
    return Retention(
        customers=len(opening),
        kept=kept,
        opening_minor=opening_minor,
        expansion_minor=expansion_minor,
        contraction_minor=contraction_minor,
        churn_minor=churn_minor,
        closing_minor=opening_minor + expansion_minor - lost_minor,
    )


def measure(flows: Iterable[Flow], windows: Sequence[Window]) -> list[Measured]:
    """Every window's figures, in the order of ``windows``.

    ``flows`` are one currency's live movements in order of their days; they are read
    once, however many windows there are.
    """
    boundaries = sorted({day for w in windows for day in (w.start, w.end)})
    at = dict(zip(boundaries, _states(flows, boundaries), strict=True))
    return [
        Measured(
            window,
            _waterfall(at[window.start], at[window.end]),
            retention(at[window.start].balances, at[window.end].balances),
        )
        for window in windows
    ]


class _State(NamedTuple):
    """What stood at the very beginning of a day."""

    balances: Balances
    moved: Mapping[Kind, int]  # the sums of all movements until then


def _states(flows: Iterable[Flow], days: Sequence[date]) -> Iterator[_State]:
    balances: dict[int, int] = {}
    moved = dict.fromkeys(Kind, 0)
    ahead = iter(flows)
    flow = next(ahead, None)
    for day in days:
        while flow is not None and flow.day < day:
            moved[flow.kind] += flow.amount_minor
            left_minor = balances.pop(flow.customer, 0) + flow.amount_minor
            if left_minor:
                balances[flow.customer] = left_minor
            following = next(ahead, None)
            assert following is None or following.day >= flow.day, "flows out of order"
            flow = following
        yield _State(dict(balances), dict(moved))


def _waterfall(opening: _State, closing: _State) -> Waterfall:
    def moved_minor(kind: Kind) -> int:
        return abs(closing.moved[kind] - opening.moved[kind])

    return Waterfall(
        opening_minor=sum(opening.moved.values()),
        new_minor=moved_minor(Kind.NEW),
        reactivation_minor=moved_minor(Kind.REACTIVATION),
        expansion_minor=moved_minor(Kind.EXPANSION),
        contraction_minor=moved_minor(Kind.CONTRACTION),
        churn_minor=moved_minor(Kind.CHURN),
        fx_minor=0,
        closing_minor=sum(closing.moved.values()),
    )


def windows(kind: WindowKind, first: date, last: date) -> list[Window]:
    """The windows of a kind for the months ``first`` to ``last``, both included.

    A quarter or year is there if any of its months is; a trailing-12 window belongs to
    the month it ends with.
    """
    end = add_months(last, 1)
    if kind is WindowKind.TRAILING_12:
        return [
            Window(kind, add_months(month, -11), add_months(month, 1))
            for month in months(first, end)
        ]
    begin, length = _CALENDAR[kind]
    starts = dict.fromkeys(begin(month) for month in months(first, end))
    return [Window(kind, start, add_months(start, length)) for start in starts]


# How each calendar window finds its first day, and how many months it lasts.
_CALENDAR: Mapping[WindowKind, tuple[Callable[[date], date], int]] = {
    WindowKind.MONTH: (month_start, 1),
    WindowKind.QUARTER: (quarter_start, 3),
    WindowKind.YEAR: (year_start, 12),
}
