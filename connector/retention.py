"""Opening and closing MRR by customer → NRR, GRR, CRR and the waterfall of a window.

The start-MRR formula, and the only place that works it out. For the customers who pay at
a window's opening, ``s`` is what each paid then and ``e`` what it pays at the closing:
NRR = Σe ÷ Σs, GRR = Σ min(s, e) ÷ Σs. Who came later does not count.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, Protocol, TypeVar

from connector.model import (
    Flow,
    Kind,
    Renewals,
    Retention,
    Term,
    Waterfall,
    Window,
    WindowKind,
)
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


NOBODY: Balances = {}


class Measured(NamedTuple):
    """A window's figures. ``paying`` customers pay at its closing, new ones included.

    ``renewals`` None: nobody asked, or as of a past moment, whose terms are not kept.
    """

    window: Window
    waterfall: Waterfall
    retention: Retention
    paying: int = 0
    renewals: Renewals | None = None


def retention(opening: Balances, closing: Balances) -> Retention:
    """Compare two moments for the customers who pay at the first.

    Each customer's net change counts once: one who leaves and returns in between is
    neither churn nor expansion, and one who grew before leaving costs what it paid at
    the opening.
    """
    expansion_minor = contraction_minor = churn_minor = kept = 0
    paid_at_the_closing = closing.get
    for customer, start_minor in opening.items():
        end_minor = paid_at_the_closing(customer, 0)
        if end_minor == start_minor:
            kept += 1
        elif end_minor == 0:
            churn_minor += start_minor
        elif end_minor > start_minor:
            kept += 1
            expansion_minor += end_minor - start_minor
        else:
            kept += 1
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


def measure(
    flows: Iterable[Flow],
    windows: Sequence[Window],
    opening: Balances = NOBODY,
    terms: Sequence[Term] | None = None,
) -> list[Measured]:
    """Every window's figures, in the order of ``windows``.

    ``flows`` are one currency's live movements in order of their days; they are read
    once, however many windows there are. ``opening`` is what stood before the first of
    them. ``terms`` are in order of their days, too; None leaves renewals out.
    """
    boundaries = sorted({day for w in windows for day in (w.start, w.end)})
    at = dict(zip(boundaries, _states(flows, boundaries, opening), strict=True))
    found = [
        Measured(
            window,
            _waterfall(at[window.start], at[window.end]),
            retention(at[window.start].balances, at[window.end].balances),
            len(at[window.end].balances),
        )
        for window in windows
    ]
    if terms is None:
        return found
    renewed = renewals(terms, windows)
    return [m._replace(renewals=r) for m, r in zip(found, renewed, strict=True)]


class _Dated(Protocol):
    @property
    def day(self) -> date: ...


D = TypeVar("D", bound=_Dated)


def within(dated: Sequence[D], window: Window) -> Sequence[D]:
    """The part in the window, of what is in order of days."""
    first = bisect_left(dated, window.start, key=_day)
    return dated[first : bisect_left(dated, window.end, key=_day)]


def _day(dated: _Dated) -> date:
    return dated.day


def renewals(terms: Sequence[Term], windows: Sequence[Window]) -> list[Renewals]:
    """Each window's renewals: a subscription counts once, by its last term in it.

    ``terms`` are in order of their days.
    """
    found = []
    for window in windows:
        inside = within(terms, window)
        last = {term.subscription: term for term in inside}.values()
        kept = [term.before_minor for term in last if term.after_minor]
        found.append(
            Renewals(
                ended=len(last),
                renewed=len(kept),
                ended_minor=sum(term.before_minor for term in last),
                renewed_minor=sum(kept),
            )
        )
    return found


def balances(flows: Iterable[Flow], days: Sequence[date]) -> list[Balances]:
    """What each customer paid at the very beginning of each of ``days``, in order."""
    return [state.balances for state in _states(flows, days, NOBODY)]


def is_same(one: Measured, other: Measured) -> bool:
    """Whether what moved and what was kept is the same; renewals are not compared."""
    return (one.waterfall, one.retention) == (other.waterfall, other.retention)


class _State(NamedTuple):
    """What stood at the very beginning of a day."""

    balances: Balances
    mrr_minor: int
    moved: Mapping[Kind, int]  # the sums of all movements until then


def _states(
    flows: Iterable[Flow], days: Sequence[date], opening: Balances
) -> Iterator[_State]:
    balances = dict(opening)
    opening_minor = sum(opening.values())
    sums = dict.fromkeys(Kind, 0)
    waiting = iter(days)
    day = next(waiting, None)
    reached = date.min
    for moved_on, flows_of_day in groupby(flows, key=attrgetter("day")):
        assert moved_on >= reached, "flows out of order"
        reached = moved_on
        while day is not None and day <= moved_on:
            yield _State(dict(balances), opening_minor + sum(sums.values()), dict(sums))
            day = next(waiting, None)
        if day is None:
            return
        for customer, _, kind, amount_minor in flows_of_day:
            sums[kind] += amount_minor
            left_minor = balances.pop(customer, 0) + amount_minor
            if left_minor:
                balances[customer] = left_minor
    while day is not None:
        yield _State(dict(balances), opening_minor + sum(sums.values()), dict(sums))
        day = next(waiting, None)


def moved(balances: dict[int, int], flow: Flow) -> None:
    """Change the customer's balance; who pays nothing any more is taken out."""
    left_minor = balances.pop(flow.customer, 0) + flow.amount_minor
    if left_minor:
        balances[flow.customer] = left_minor


def _waterfall(opening: _State, closing: _State) -> Waterfall:
    def moved_minor(kind: Kind) -> int:
        return abs(closing.moved[kind] - opening.moved[kind])

    return Waterfall(
        opening_minor=opening.mrr_minor,
        new_minor=moved_minor(Kind.NEW),
        reactivation_minor=moved_minor(Kind.REACTIVATION),
        expansion_minor=moved_minor(Kind.EXPANSION),
        contraction_minor=moved_minor(Kind.CONTRACTION),
        churn_minor=moved_minor(Kind.CHURN),
        fx_minor=0,
        closing_minor=closing.mrr_minor,
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
