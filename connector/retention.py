"""Opening and closing MRR by customer → NRR, GRR, CRR and the waterfall of a window.

The start-MRR formula, and the only place that works it out. For the customers who pay at
a window's opening, ``s`` is what each paid then and ``e`` what it pays at the closing:
NRR = Σe ÷ Σs, GRR = Σ min(s, e) ÷ Σs. Who came later does not count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from connector.model import Flow, Kind, Retention, Waterfall, Window, WindowKind
from connector.money import round_minor
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


def balances(flows: Iterable[Flow], days: Sequence[date]) -> list[Balances]:
    """What each customer paid at the very beginning of each of ``days``, in order."""
    return [state.balances for state in _states(flows, days)]


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


class Converted(NamedTuple):
    """A currency's window, and its factors into the reporting currency at either end."""

    measured: Measured
    opening_factor: Fraction
    closing_factor: Fraction


def in_one_currency(window: Window, parts: Sequence[Converted]) -> Measured:
    """Several currencies' figures of one window, added up in a reporting currency.

    The closing's factor converts both ends, so that a currency's swing is never
    expansion or churn. What the opening was worth at its own day's rate, and is not any
    more, is ``fx``.
    """
    opening = _total(parts, "waterfall", "opening_minor", at_opening=True)
    swing = _total(parts, "waterfall", "opening_minor") - opening
    moves = {name: _total(parts, "waterfall", name) for name in _SIGNS}
    shown = _rounded(opening, {"fx_minor": swing, **moves})
    base = _total(parts, "retention", "opening_minor")
    kept = {name: _total(parts, "retention", name) for name in _BASE_MOVES}
    return Measured(
        window,
        Waterfall(**shown),
        Retention(
            customers=sum(p.measured.retention.customers for p in parts),
            kept=sum(p.measured.retention.kept for p in parts),
            **_rounded(base, kept),
        ),
    )


_SIGNS = {
    "new_minor": 1,
    "reactivation_minor": 1,
    "expansion_minor": 1,
    "contraction_minor": -1,
    "churn_minor": -1,
}
# Losses first: so no rounding takes more than there is, nor GRR above NRR.
_BASE_MOVES = ("contraction_minor", "churn_minor", "expansion_minor")


def _total(
    parts: Sequence[Converted], figures: str, name: str, *, at_opening: bool = False
) -> Fraction:
    return sum(
        (
            (part.opening_factor if at_opening else part.closing_factor)
            * getattr(getattr(part.measured, figures), name)
            for part in parts
        ),
        Fraction(0),
    )


def _rounded(opening: Fraction, moves: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole minor units that still add up from the opening to the closing.

    The level after each move is rounded, not the move: so opening and closing are the
    nearest, nothing is off by more than one, and a move of nothing stays nothing.
    """
    shown = {"opening_minor": round_minor(opening)}
    level = opening
    for name, amount in moves.items():
        sign = _SIGNS.get(name, 1)
        before_minor = round_minor(level)
        level += sign * amount
        shown[name] = sign * (round_minor(level) - before_minor)
    return {**shown, "closing_minor": round_minor(level)}
