"""Customers by segment → the same figures for each of them, adding up to the total.

A customer belongs to the segment that it had at a window's opening; who did not pay then,
to the one with which it came in the window. So moving between two plans is expansion or
contraction of the one it had, never churn, and segments add up to the total.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from connector.model import Flow, Kind, Term, Window
from connector.retention import Balances, Measured, measure, moved, within

NONE = "(none)"

# Whose segment, at the end of which day, at what MRR then.
SegmentOf = Callable[[int, date, int], str]


class Book(NamedTuple):
    """One currency's ledger from some day on: what stood before, and what moved since.

    ``flows`` are in order of days. ``terms_in`` gives at least the last term of each
    subscription in a window, by day; None where terms are not known.
    """

    opening: Balances
    flows: Sequence[Flow]
    terms_in: Callable[[Window], Sequence[Term]] | None = None


def by_segment(
    book: Book, windows: Sequence[Window], segment_of: SegmentOf
) -> list[dict[str, Measured]]:
    """Each window's figures by segment, in order of the segments' names."""
    days = sorted({window.start for window in windows})
    balances = dict(zip(days, _balances(book, days), strict=True))
    found = []
    for window in windows:
        groups = _groups(book, window, balances[window.start], segment_of)
        measured = {
            name: measure(group.flows, [window], group.opening, group.terms)[0]
            for name, group in sorted(groups.items())
        }
        found.append(measured)
    return found


class _Group(NamedTuple):
    opening: dict[int, int]
    flows: list[Flow]
    terms: list[Term] | None


def _groups(
    book: Book, window: Window, opening: Balances, segment_of: SegmentOf
) -> dict[str, _Group]:
    flows = within(book.flows, window)
    segments = whose(opening, flows, window.start, segment_of)
    groups = {
        name: _Group({}, [], None if book.terms_in is None else [])
        for name in set(segments.values())
    }
    for customer, mrr_minor in opening.items():
        groups[segments[customer]].opening[customer] = mrr_minor
    for flow in flows:
        groups[segments[flow.customer]].flows.append(flow)
    for term in book.terms_in(window) if book.terms_in is not None else ():
        group = groups.get(segments.get(term.customer, ""))
        if group is not None and group.terms is not None:
            group.terms.append(term)
    return groups


def whose(
    opening: Balances, flows: Iterable[Flow], start: date, segment_of: SegmentOf
) -> dict[int, str]:
    """Each customer's segment: what it had at the opening, or with its first movement.

    ``opening`` is what stood at the very beginning of ``start``, ``flows`` came since.
    """
    eve = start - timedelta(days=1) if start > date.min else start
    segments = {c: segment_of(c, eve, mrr_minor) for c, mrr_minor in opening.items()}
    for flow in flows:
        if flow.customer not in segments:
            first = segment_of(flow.customer, flow.day, flow.amount_minor)
            segments[flow.customer] = first
    return segments


class Moved(NamedTuple):
    """A segment's movements added up; ``amounts_minor`` has every kind, signed."""

    currency: str
    segment: str
    movements: int
    amounts_minor: Mapping[Kind, int]


def moved_by_segment(
    currency: str, flows: Iterable[Flow], segments: Mapping[int, str]
) -> list[Moved]:
    """The sums of movements by segment, in order of the segments' names."""
    sums: dict[str, dict[Kind, int]] = {}
    counts: dict[str, int] = {}
    for flow in flows:
        name = segments[flow.customer]
        amounts = sums.setdefault(name, dict.fromkeys(Kind, 0))
        amounts[flow.kind] += flow.amount_minor
        counts[name] = counts.get(name, 0) + 1
    return [Moved(currency, name, counts[name], sums[name]) for name in sorted(sums)]


def _balances(book: Book, days: Sequence[date]) -> list[Balances]:
    """What each customer pays at the very beginning of each of the days."""
    standing = dict(book.opening)
    found: list[Balances] = []
    ahead = iter(book.flows)
    flow = next(ahead, None)
    for day in days:
        while flow is not None and flow.day < day:
            moved(standing, flow)
            flow = next(ahead, None)
        found.append(dict(standing))
    return found


# What a customer is, from certain days on; the last one of these counts.
Traits = Mapping[int, Sequence[tuple[date, str]]]


def by_trait(traits: Traits) -> SegmentOf:
    """The value a customer had at the end of a day; ``(none)`` before the first."""

    def segment(customer: int, day: date, _mrr_minor: int) -> str:
        value = NONE
        for since, each in traits.get(customer, ()):
            if since > day:
                break
            value = each
        return value or NONE

    return segment


def by_band(edges: Sequence[int], to_minor: int) -> SegmentOf:
    """The band of its contract value a year, ``edges`` being in whole units.

    ``to_minor`` is how many minor units make one: 100 cents, 1 yen. A contract of
    exactly an edge belongs to the band above it.
    """
    names = band_names(edges)
    limits = [edge * to_minor for edge in edges]

    def segment(_customer: int, _day: date, mrr_minor: int) -> str:
        return names[bisect_right(limits, mrr_minor * 12)]

    return segment


def band_names(edges: Sequence[int]) -> list[str]:
    """``1: under 10,000``, ``2: 10,000 to 100,000``, ``3: 100,000 and more``."""
    texts = [f"{edge:,}" for edge in edges]
    middle = [f"{low} to {high}" for low, high in pairwise(texts)]
    names = [f"under {texts[0]}", *middle, f"{texts[-1]} and more"]
    return [f"{place}: {name}" for place, name in enumerate(names, start=1)]
