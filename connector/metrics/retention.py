"""Opening and closing MRR by customer → NRR, GRR, CRR and the waterfall of a window.

The start-MRR formula for some customers, as a derivation asks for it; ``fold`` counts the
same over everybody, and properties hold both to one definition. The one division is
``core.figures.Retention.of_opening``. For the customers who pay at a window's opening,
``s`` is what each paid then and ``e`` what it pays at the closing: NRR = Σe ÷ Σs, GRR =
Σ min(s, e) ÷ Σs. Who came later does not count.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import repeat
from typing import NamedTuple

from connector.core.figures import (
    NO_RENEWALS,
    Renewals,
    Retention,
    Waterfall,
    WindowFigures,
)
from connector.core.model import ContractTerm, Flow, MovementKind
from connector.core.windows import Window, boundaries_of, cut, inside

# Customer → MRR in minor units; who pays nothing is absent.
Balances = Mapping[int, int]
NOBODY: Balances = {}


def retention(opening: Balances, closing: Balances) -> Retention:
    """Compare two moments for the customers who pay at the first."""
    pairs: Iterable[tuple[int, int]] = ()
    if opening is not closing:
        ends = map(closing.get, opening, repeat(0))
        pairs = zip(opening.values(), ends, strict=False)  # ``repeat`` has no end
    return compared(len(opening), sum(opening.values()), pairs)


def compared(
    customers: int, opening_minor: int, pairs: Iterable[tuple[int, int]]
) -> Retention:
    """The opening's customers and their MRR, and what became of those who moved.

    ``pairs`` are what an opening customer paid and what it pays; those who pay the same
    may be left out. Each customer's net change counts once: one who leaves and returns
    in between is neither churn nor expansion, and one who grew before leaving costs what
    it paid at the opening.
    """
    expansion_minor = contraction_minor = churn_minor = left = 0
    for start_minor, end_minor in pairs:
        if end_minor == start_minor:
            continue
        if end_minor == 0:
            left += 1
            churn_minor += start_minor
        elif end_minor > start_minor:
            expansion_minor += end_minor - start_minor
        else:
            contraction_minor += start_minor - end_minor
    moved_minor = expansion_minor, contraction_minor, churn_minor
    return retained(customers, left, opening_minor, *moved_minor)


def retained(
    customers: int,
    left: int,
    opening_minor: int,
    expansion_minor: int,
    contraction_minor: int,
    churn_minor: int,
) -> Retention:
    """Of the opening's customers, of whom some left, and what they changed."""
    lost_minor = contraction_minor + churn_minor
    return Retention(
        customers=customers,
        kept=customers - left,
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
    terms: Iterable[ContractTerm] | None = None,
) -> list[WindowFigures]:
    """Every window's figures, in the order of ``windows``.

    ``flows`` are one currency's live movements in any order; they are read once, however
    many windows there are. ``opening`` is what stood before all of them. ``terms`` are
    each subscription's by day; None leaves renewals out.
    """
    ending: dict[date, list[Window]] = {}
    for each in dict.fromkeys(windows):
        ending.setdefault(each.end, []).append(each)
    last = {w.start: w.end for w in sorted(windows, key=lambda each: each.end)}
    at: dict[date, _State] = {}  # only what a window will still ask for
    found: dict[Window, WindowFigures] = {}
    boundaries = boundaries_of(windows)
    states = _states(flows, boundaries, opening)
    for day, closing in zip(boundaries, states, strict=True):
        ended = ending.get(day, ())
        for window in ended:
            found[window] = _measured(window, at[window.start], closing)
        for window in ended:
            if last[window.start] == day:
                at.pop(window.start, None)
        if day in last:
            at[day] = closing
    if terms is None:
        return [found[window] for window in windows]
    renewed = zip(windows, renewals(terms, windows), strict=True)
    return [WindowFigures(*found[window][:-1], each) for window, each in renewed]


def _measured(window: Window, opening: "_State", closing: "_State") -> WindowFigures:
    return WindowFigures(
        window,
        _between(opening, closing),
        retention(opening.balances, closing.balances),
        len(closing.balances),
    )


def _move(balances: dict[int, int], customer: int, amount_minor: int) -> None:
    """Who pays nothing any more is taken out."""
    left_minor = balances.get(customer, 0) + amount_minor
    if left_minor:
        balances[customer] = left_minor
    else:
        balances.pop(customer, None)


def renewals(
    terms: Iterable[ContractTerm], windows: Sequence[Window]
) -> list[Renewals]:
    """Each window's renewals: a subscription counts once, by its last term in it.

    ``terms`` are each subscription's by day.
    """
    days = boundaries_of(windows)
    parts = cut(terms, days)
    found = []
    for window in windows:
        last = {term.subscription: term for term in inside(parts, days, window)}
        found.append(renewed([(t.before_minor, t.after_minor) for t in last.values()]))
    return found


def renewed(ended: Iterable[tuple[int, int]]) -> Renewals:
    """``ended`` is MRR before and after the last terms in a window: one a subscription."""
    found = list(ended)
    if not found:
        return NO_RENEWALS
    kept = [before_minor for before_minor, after_minor in found if after_minor]
    return Renewals(
        ended=len(found),
        renewed=len(kept),
        ended_minor=sum(before_minor for before_minor, _ in found),
        renewed_minor=sum(kept),
    )


def balances(
    flows: Iterable[Flow], days: Sequence[date], opening: Balances = NOBODY
) -> list[Balances]:
    """What each customer paid at the very beginning of each of ``days``, in order."""
    return [state.balances for state in _states(flows, days, opening)]


def standing(opening: Balances, flows: Iterable[Flow]) -> Balances:
    """What each customer pays after all of them."""
    return balances(flows, [date.max], opening)[0]


def is_same(one: WindowFigures, other: WindowFigures) -> bool:
    """Whether what moved and what was kept is the same; renewals are not compared."""
    return (one.waterfall, one.retention) == (other.waterfall, other.retention)


class _State(NamedTuple):
    """What stood at the very beginning of a day."""

    balances: Balances
    mrr_minor: int
    moved: Mapping[MovementKind, int]  # the sums of all movements until then


def _states(
    flows: Iterable[Flow], days: Sequence[date], opening: Balances
) -> Iterator[_State]:
    balances = dict(opening)
    mrr_minor = sum(opening.values())
    sums = dict.fromkeys(MovementKind, 0)
    state = _State(dict(balances), mrr_minor, dict(sums))
    *parts, _ = cut(flows, days)
    for part in parts:
        if part:
            for customer, _, kind, amount_minor in part:
                sums[kind] += amount_minor
                _move(balances, customer, amount_minor)
            state = _State(dict(balances), mrr_minor + sum(sums.values()), dict(sums))
        yield state


def _between(opening: _State, closing: _State) -> Waterfall:
    if opening is closing:  # nothing moved: most windows of one customer
        return waterfall(opening.mrr_minor, _STILL)
    now, then = closing.moved, opening.moved
    return waterfall(opening.mrr_minor, {kind: now[kind] - then[kind] for kind in now})


_STILL = dict.fromkeys(MovementKind, 0)


def waterfall(
    opening_minor: int, amounts_minor: Mapping[MovementKind, int]
) -> Waterfall:
    """``amounts_minor`` has every kind, signed."""
    return Waterfall(
        opening_minor=opening_minor,
        new_minor=abs(amounts_minor[MovementKind.NEW]),
        reactivation_minor=abs(amounts_minor[MovementKind.REACTIVATION]),
        expansion_minor=abs(amounts_minor[MovementKind.EXPANSION]),
        contraction_minor=abs(amounts_minor[MovementKind.CONTRACTION]),
        churn_minor=abs(amounts_minor[MovementKind.CHURN]),
        fx_minor=0,
        closing_minor=opening_minor + sum(amounts_minor.values()),
    )
