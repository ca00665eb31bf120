"""The standard windows' figures as sums, kept as what changes from window to window.

A window's figures are sums over customers, so those of some customers can be taken out
and put back when their movements change. Kept are only differences between neighbouring
windows of a kind: after the last movement nothing changes, so every later window is known
too, and a ledger needs some rows a month, however many customers it has.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import accumulate
from operator import add, sub
from typing import NamedTuple

from connector.core.dates import add_months, month_start
from connector.core.figures import (
    FIGURES,
    SUMMED,
    TERMS,
    RollupDelta,
    WindowFigures,
    reading,
    window_figures,
)
from connector.core.model import ContractTerm, Flow
from connector.core.windows import Window, WindowKind, windows
from connector.metrics.retention import measure

Sums = tuple[int, ...]  # in the order of ``SUMMED``
NOTHING: Sums = (0,) * len(SUMMED)

# The longest time after a movement in which a window still changes because of it.
REACH_MONTHS = 13


class CustomerBooks(NamedTuple):
    """All movements and terms of a customer, or of several, in whatever currency."""

    flows: tuple[tuple[str, Flow], ...] = ()  # each with its currency
    terms: tuple[ContractTerm, ...] = ()


def differences(
    before: Iterable[CustomerBooks], after: Iterable[CustomerBooks]
) -> dict[str, list[RollupDelta]]:
    """By currency, what customers change in the kept sums who were this and are that.

    Only windows in which something changes; before the first day on which the two differ
    there are none.
    """
    was, now = _by_currency(before), _by_currency(after)
    found = {}
    for currency in sorted(was.keys() | now.keys()):
        sides = _unlike(was.get(currency, NO_BOOKS), now.get(currency, NO_BOOKS))
        span = _span(*sides)
        if span is None:
            continue
        sums: dict[Window, Sums] = {}
        for books, step in zip(sides, (sub, add), strict=True):
            for window, change in _changes(books, *span):
                so_far = sums.get(window, NOTHING)
                sums[window] = tuple(map(step, so_far, change))
        found[currency] = [RollupDelta(*each) for each in sums.items() if any(each[1])]
    return found


class _Books(NamedTuple):
    """What is booked in one currency, each in order of days."""

    flows: Sequence[Flow] = ()
    terms: Sequence[ContractTerm] = ()

    @property
    def days(self) -> list[date]:
        return sorted([*(f.day for f in self.flows), *(t.day for t in self.terms)])


def _by_currency(accounts: Iterable[CustomerBooks]) -> dict[str, _Books]:
    flows: dict[str, list[Flow]] = {}
    terms: dict[str, list[ContractTerm]] = {}
    for account in accounts:
        for currency, flow in account.flows:
            flows.setdefault(currency, []).append(flow)
        for term in account.terms:
            terms.setdefault(term.currency, []).append(term)
    for own in flows.values():
        own.sort(key=lambda flow: flow.day)
    return {
        currency: _Books(flows.get(currency, []), sorted(terms.get(currency, [])))
        for currency in flows.keys() | terms.keys()
    }


NO_BOOKS = _Books()


def _unlike(was: _Books, now: _Books) -> tuple[_Books, _Books]:
    """Without flows, or terms, that are the same on both sides: they cancel out."""
    if was.flows == now.flows:
        was, now = was._replace(flows=()), now._replace(flows=())
    if was.terms == now.terms:
        was, now = was._replace(terms=()), now._replace(terms=())
    return was, now


def _span(was: _Books, now: _Books) -> tuple[date, date] | None:
    """The first month in which the two differ, and the last for which that matters.

    None where they do not differ.
    """
    unlike = [flow.day for flow in set(was.flows) ^ set(now.flows)]
    unlike += [term.day for term in set(was.terms) ^ set(now.terms)]
    if not unlike:
        return None
    last = max(books.days[-1] for books in (was, now) if books.days)
    return month_start(min(unlike)), add_months(last, REACH_MONTHS)


def _changes(books: _Books, first: date, last: date) -> Iterator[RollupDelta]:
    """Every standard window from ``first`` to ``last`` at which the figures change.

    The first window of a kind is told against nothing.
    """
    days = set(books.days)
    wanted = [w for kind in WindowKind for w in _moved_by(days, kind, first, last)]
    yield from changes(measure(books.flows, wanted, terms=books.terms))


def changes(figures: Iterable[WindowFigures]) -> Iterator[RollupDelta]:
    """Each window that differs from the one of its kind before it, and by how much."""
    before = dict.fromkeys(WindowKind, NOTHING)
    for measured in figures:
        kind, now = measured.window.kind, _sums_of(measured)
        if now != before[kind]:
            yield RollupDelta(measured.window, tuple(map(sub, now, before[kind])))
        before[kind] = now


def windows_touched(first: date, last: date) -> list[Window]:
    """All in which movements from one day to another matter, by kind, then start."""
    end = add_months(last, REACH_MONTHS)
    return [w for kind in WindowKind for w in windows(kind, first, end)]


def _moved_by(
    days: Iterable[date], kind: WindowKind, first: date, last: date
) -> list[Window]:
    """The first, and each whose figures can differ from those of the one before.

    That is where a day comes in at the window's end, or has gone at its start.
    """
    found, starts, ends = _windows(kind, first, last)
    places = {0}
    for day in days:
        places |= {bisect_right(starts, day), bisect_right(ends, day)}
    places.discard(len(found))
    return [found[place] for place in sorted(places)]


@lru_cache(maxsize=256)  # a ledger has few months, and every customer asks for some
def _windows(
    kind: WindowKind, first: date, last: date
) -> tuple[list[Window], list[date], list[date]]:
    """All of a kind in order, then where they start, and where they end."""
    found = windows(kind, first, last)
    return found, [w.start for w in found], [w.end for w in found]


def figures_of(
    changes: Iterable[RollupDelta], wanted: Sequence[Window]
) -> list[WindowFigures]:
    """The figures of the windows wanted, from all changes up to them, by start."""
    reached: dict[WindowKind, list[RollupDelta]] = {}
    for change in changes:
        reached.setdefault(change.window.kind, []).append(change)
    sums = {kind: _summed(own) for kind, own in reached.items()}
    return [
        summed_figures(window, _at(sums.get(window.kind, []), window))
        for window in wanted
    ]


def _summed(changes: Iterable[RollupDelta]) -> list[RollupDelta]:
    def reach(before: RollupDelta, change: RollupDelta) -> RollupDelta:
        return RollupDelta(change.window, tuple(map(add, before.sums, change.sums)))

    return list(accumulate(changes, reach))


def _at(sums: Sequence[RollupDelta], window: Window) -> Sums:
    place = bisect_right(sums, window.start, key=lambda each: each.window.start)
    return sums[place - 1].sums if place else NOTHING


_sums_of = reading(SUMMED)  # of figures that were measured with the terms


def summed_figures(
    window: Window, sums: Sequence[int], *, has_terms: bool = True
) -> WindowFigures:
    """A window's figures, of what is ``SUMMED``; without terms no renewals are known."""
    told = dict(zip(SUMMED, sums, strict=True))
    opening_minor, grown_minor = told["opening_minor"], told["base_expansion_minor"]
    lost_minor = told["base_contraction_minor"] + told["base_churn_minor"]
    told["fx_minor"] = 0
    told["base_opening_minor"] = opening_minor
    told["base_closing_minor"] = opening_minor + grown_minor - lost_minor
    found = window_figures(window, told)
    return found if has_terms else found._replace(renewals=None)


def exchanged(
    all_of: WindowFigures, without: WindowFigures, with_it: WindowFigures
) -> WindowFigures:
    """A window's figures with some customers' exchanged for others; no renewals."""
    sums = (
        each - taken + put
        for each, taken, put in zip(
            *map(_sums_of_movements, (all_of, without, with_it)), strict=True
        )
    )
    return window_figures(all_of.window, dict(zip(MOVED, sums, strict=True)))


MOVED = tuple(name for name in FIGURES if not name.startswith(TERMS))
_sums_of_movements = reading(MOVED)
