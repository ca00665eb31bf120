"""The start-MRR formula over everybody: every window's figures by segment, in columns.

The same figures as ``retention.measure``, which is for a few customers; here they are
counted over arrays, some thousand customers at a time, so that what is held does not
grow with the ledger. Comes in: columns, the windows, how to tell a
customer's segment. Goes out: figures by window and segment.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np

from connector.core.figures import SUMMED, WindowFigures
from connector.core.kept.columns import KINDS
from connector.core.model import EVERYBODY, MovementKind
from connector.core.windows import Window, boundaries_of
from connector.metrics.rollups import summed_figures
from connector.metrics.wide.columns import (
    Columns,
    Ints,
    Moves,
    Terms,
    Truths,
    added,
    levels,
)

# Customers, the last day that counts for each, and what each pays then, all of one shape
# or fit to be broadcast → the number of each one's segment.
CodesOf = Callable[[Ints, Ints, Ints], Ints]


class Segmentation(NamedTuple):
    """What customers are told apart by: the names, and which number each has."""

    names: Sequence[str]
    codes_of: CodesOf

    def named(
        self, who: Sequence[int], days: Sequence[date], minor: Sequence[int]
    ) -> list[str]:
        """Each of these customers' segment at the end of a day."""
        ends = [day.toordinal() for day in days]
        places = (np.asarray(each, np.int64) for each in (who, ends, minor))
        return [self.names[code] for code in self.codes_of(*places)]


class Calendar:
    """Windows, the days at which they begin and end, and which windows a day is in."""

    def __init__(self, windows: Sequence[Window]) -> None:
        days = np.array([day.toordinal() for day in boundaries_of(windows)])
        self.starts, self.ends = (
            np.array([day.toordinal() for day in each], np.int64)
            for each in ([w.start for w in windows], [w.end for w in windows])
        )
        self.days = days.astype(np.int32)
        self.opens, self.closes = (
            np.searchsorted(days, each) for each in (self.starts, self.ends)
        )
        # By place: how many boundaries a day has reached.
        inside = [
            np.flatnonzero((self.opens < place) & (place <= self.closes))
            for place in range(len(days) + 1)
        ]
        self._counts = np.array([len(each) for each in inside])
        self._firsts = np.cumsum(self._counts) - self._counts
        self._inside = np.concatenate(inside)

    def places(self, day: Ints) -> Ints:
        return np.searchsorted(self.days, day, side="right")

    def spread(self, places: Ints) -> tuple[Ints, Ints]:
        """Each row once for every window that it is in: its number, and the window's."""
        near = np.flatnonzero(self._counts[places])
        counts, firsts = self._counts[places[near]], self._firsts[places[near]]
        behind = np.cumsum(counts) - counts
        steps = np.arange(counts.sum()) + np.repeat(firsts - behind, counts)
        return np.repeat(near, counts), self._inside[steps]


def everyone(who: Ints, days: Ints, _minor: Ints) -> Ints:
    return np.zeros(np.broadcast_shapes(who.shape, days.shape), np.int64)


WHOLE = Segmentation((EVERYBODY,), everyone)
OUTSIDE = ""  # no segment is called so


def measured(
    parts: Iterable[Columns], windows: Sequence[Window], *, has_terms: bool = True
) -> list[WindowFigures]:
    """Every window's figures, of everybody in all parts."""
    found = by_segment(parts, windows, WHOLE, has_terms=has_terms, is_cut=False)
    return [named[EVERYBODY] for named in found]


def by_segment(
    parts: Iterable[Columns],
    windows: Sequence[Window],
    segments: Segmentation,
    *,
    has_terms: bool = True,
    is_cut: bool = True,
) -> list[dict[str, WindowFigures]]:
    """Each window's figures by segment, in order of the segments' names.

    A customer belongs to the segment that it had at a window's opening; who did not pay
    then, to the one with which it came in the window. Of those who are ``OUTSIDE`` nothing
    is told. Terms count with the customers who
    paid or moved in the window; where nothing ``is_cut``, all of them do.
    """
    calendar = Calendar(windows)
    sums = np.zeros((len(windows), len(segments.names), len(SUMMED) + 1), np.object_)
    for moves, terms, _ in parts:
        ended = terms if has_terms else None
        sums += _counted(moves, ended, calendar, segments, is_cut=is_cut)
    order = sorted(range(len(segments.names)), key=segments.names.__getitem__)
    told = sums.tolist()
    return [
        {
            segments.names[n]: summed_figures(window, own[n][:-1], has_terms=has_terms)
            for n in order
            if (own[n][-1] or not is_cut) and segments.names[n] != OUTSIDE
        }
        for window, own in zip(windows, told, strict=True)
    ]


class _Placed(NamedTuple):
    """Where a block's customers and movements count.

    Of each customer and window: what it pays at either end, and its ``cell`` (window and
    segment). Of each movement and window that it is in: its row, its customer's place,
    the window.
    """

    opening: Ints
    closing: Ints
    cell: Ints
    row: Ints
    customer: Ints
    window: Ints


def _placed(
    moves: Moves, calendar: Calendar, segments: Segmentation, *, is_cut: bool = True
) -> _Placed:
    places = calendar.places(moves.day)
    opening, closing = _balances(moves, places, calendar)
    row, window = calendar.spread(places)
    customer = moves.own[row]
    until, pays = np.broadcast_to(calendar.starts - 1, opening.shape), opening
    if is_cut:
        came = np.flatnonzero(opening[customer, window] == 0)[::-1]
        place = customer[came], window[came]  # what is written last stays: the first
        until, pays = until.copy(), opening.copy()
        until[place], pays[place] = moves.day[row[came]], moves.amount_minor[row[came]]
    code = segments.codes_of(moves.who[:, None], until, pays)
    cell = code + np.arange(len(calendar.starts)) * len(segments.names)
    return _Placed(opening, closing, cell, row, customer, window)


def _moved(moves: Moves, at: _Placed, cells: int) -> Ints:
    """The signed sums of movements by cell and kind."""
    row, kinds = at.row, len(KINDS)
    places = at.cell[at.customer, at.window] * kinds + moves.kind[row]
    return added(places, moves.amount_minor[row], cells * kinds).reshape(-1, kinds)


def _counted(
    moves: Moves,
    terms: Terms | None,
    calendar: Calendar,
    segments: Segmentation,
    *,
    is_cut: bool,
) -> Ints:
    """A block's figures by window, segment and place in ``SUMMED``; last, how many."""
    windows, names = len(calendar.starts), len(segments.names)
    cells = windows * names
    at = _placed(moves, calendar, segments, is_cut=is_cut)
    opening, closing, cell = at.opening, at.closing, at.cell

    def count(mask: Truths) -> Ints:
        return np.bincount(cell[mask], minlength=cells)

    def total(mask: Truths, minor: Ints) -> Ints:
        return added(cell[mask], minor[mask], cells)

    is_in, change = opening > 0, closing - opening
    stays = is_in & (closing > 0)
    is_seen = is_in.copy()
    is_seen[at.customer, at.window] = True
    opened, moved = total(is_in, opening), _moved(moves, at, cells)
    told = {
        "opening_minor": opened,
        **{
            f"{kind}_minor": np.abs(own)
            for kind, own in zip(KINDS, moved.T, strict=True)
        },
        "closing_minor": opened + moved.sum(axis=1),
        "paying": count(closing > 0),
        "base_customers": count(is_in),
        "base_kept": count(stays),
        "base_expansion_minor": total(is_in & (change > 0), change),
        "base_contraction_minor": total(stays & (change < 0), -change),
        "base_churn_minor": total(is_in & (closing == 0), opening),
        **_renewed(terms, moves, calendar, cell, is_seen if is_cut else None, cells),
    }
    columns = [*(told[name] for name in SUMMED), count(is_seen)]
    return np.stack(columns, axis=1).reshape(windows, names, len(columns))


def members(
    parts: Iterable[Columns], window: Window, segments: Segmentation
) -> Iterator[int]:
    """Who paid at the window's opening or came in it, and is not ``OUTSIDE``."""
    calendar = Calendar([window])
    is_inside = np.array([name != OUTSIDE for name in segments.names])
    for columns in parts:
        moves = columns.moves
        at = _placed(moves, calendar, segments)
        is_seen = at.opening[:, 0] > 0
        is_seen[at.customer] = True
        yield from moves.who[is_seen & is_inside[at.cell[:, 0]]].tolist()


def moved_by_segment(
    parts: Iterable[Columns],
    span: Window,
    segments: Segmentation,
    customer: int | None = None,
) -> dict[str, dict[MovementKind, tuple[int, int]]]:
    """The movements of a span by segment and kind: how many, and their signed sum.

    A customer's segment is what it had at the span's opening, or came with. Of those who
    are ``OUTSIDE`` nothing counts; with ``customer`` that one's movements alone do.
    """
    calendar, cells = Calendar([span]), len(segments.names)
    counts, sums = np.zeros((2, cells, len(KINDS)), np.object_)
    for moves, *_ in parts:
        at = _placed(moves, calendar, segments)
        if customer is not None:
            own = moves.who[at.customer] == customer
            at = at._replace(
                row=at.row[own], customer=at.customer[own], window=at.window[own]
            )
        sums += _moved(moves, at, cells)
        ones = moves._replace(amount_minor=np.ones(len(moves.day), np.int64))
        counts += _moved(ones, at, cells)
    return {
        name: dict(zip(KINDS, zip(own, minor, strict=True), strict=True))
        for name, own, minor in sorted(
            zip(segments.names, counts.tolist(), sums.tolist(), strict=True)
        )
        if any(own) and name != OUTSIDE
    }


def _balances(moves: Moves, places: Ints, calendar: Calendar) -> tuple[Ints, Ints]:
    """What each customer pays at each window's opening and at its closing."""
    paid = levels(moves, places, len(calendar.days))
    return paid[:, calendar.opens], paid[:, calendar.closes]


def _renewed(
    terms: Terms | None,
    moves: Moves,
    calendar: Calendar,
    cell: Ints,
    is_seen: Truths | None,
    cells: int,
) -> dict[str, Ints]:
    """The last term in each window of each subscription: how many, and how much."""
    none = np.zeros(cells, np.int64)
    if terms is None or not len(terms.day):
        return dict.fromkeys((n for n in SUMMED if n.startswith("terms_")), none)
    term, window = calendar.spread(calendar.places(terms.day))
    is_last = terms.next_day[term] >= calendar.ends[window]
    term, window = term[is_last], window[is_last]
    place = window * (cells // len(calendar.starts))
    if is_seen is not None:
        owner = np.searchsorted(moves.who, terms.customer[term])
        owner = np.minimum(owner, max(len(moves.who) - 1, 0))
        counts = np.zeros(len(term), np.bool_)
        if len(moves.who):
            counts = is_seen[owner, window] & (moves.who[owner] == terms.customer[term])
            place = cell[owner, window]
        place, term = place[counts], term[counts]
    goes_on = terms.after_minor[term] > 0
    before_minor = terms.before_minor[term]
    return {
        "terms_ended": np.bincount(place, minlength=cells),
        "terms_renewed": np.bincount(place[goes_on], minlength=cells),
        "terms_ended_minor": added(place, before_minor, cells),
        "terms_renewed_minor": added(place[goes_on], before_minor[goes_on], cells),
    }
