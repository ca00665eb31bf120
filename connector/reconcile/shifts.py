"""Gaps of one amount on two days, or in months in a row: counted earlier or later."""

from collections.abc import Sequence
from datetime import date

from connector.core.dates import add_months
from connector.core.language import _, ngettext
from connector.reconcile.cells import Amounts, Cell, Grain
from connector.reconcile.files.headers import FileKind
from connector.reconcile.model import CellPart, Found, GapCause, Leftover, all_of

LONGEST_SHIFT = 12  # months that a change can be counted earlier or later: a renewal
MOST_SHIFT_DAYS = 370


def dated(left: Leftover, gaps: Amounts, grain: Grain) -> Found:
    if grain.kind == FileKind.CHANGES:
        return _on_another_day(left, gaps, grain)
    return _in_another_month(left, gaps, grain)


def _on_another_day(left: Leftover, gaps: Amounts, grain: Grain) -> Found:
    """What is missing on one day and too much on another, the nearest first.

    The other day may lie outside of what is compared.
    """
    first, end = grain.start.toordinal(), grain.end.toordinal()
    outside = {c: -n for c, n in left.around.items() if not first <= c[1] < end}
    there = {**outside, **gaps}
    pairs = sorted(
        (abs(one[1] - other[1]), one, other)
        for one in gaps
        for other in there
        if one[0] == other[0] and gaps[one] == -there[other] and one != other
    )
    found: Found = {}
    used: set[Cell] = set()
    for apart, one, other in pairs:
        if apart <= MOST_SHIFT_DAYS and not used & {one, other}:
            used |= {one, other}
            note = ngettext("a day apart", "{number} days apart", apart).format(
                number=apart
            )
            for cell in {one, other} & gaps.keys():
                words = _("counted on another day")
                found[cell] = CellPart(GapCause.DATE, gaps[cell], words, note)
    return found


def _in_another_month(left: Leftover, gaps: Amounts, grain: Grain) -> Found:
    """Months in a row that show what ours was before a change, or is after the next."""
    found: Found = {}
    for run in _runs(gaps, grain):
        currency = run[0][0]
        before = left.around.get((currency, _month(run[0][1], -1)), 0)
        after = left.around.get((currency, _month(run[-1][1], 1)), 0)
        values = {left.theirs.get(cell, 0) for cell in run}
        if len(run) > LONGEST_SHIFT:
            continue
        if values == {before} or _is_shifted(left, run, -1):
            found |= all_of(
                {c: gaps[c] for c in run}, GapCause.DATE, _("counted later there")
            )
        elif values == {after} or _is_shifted(left, run, 1):
            found |= all_of(
                {c: gaps[c] for c in run}, GapCause.DATE, _("counted earlier there")
            )
    return found


def _is_shifted(left: Leftover, run: Sequence[Cell], sign: int) -> bool:
    """Whether theirs are ours of some months on, all of them of as many."""
    return any(
        all(
            left.theirs.get((code, first), 0)
            == left.around.get((code, _month(first, sign * count)), 0)
            for code, first in run
        )
        for count in range(1, len(run) + 1)
    )


def _runs(gaps: Amounts, grain: Grain) -> list[list[Cell]]:
    """The cells of months that follow one another, by currency."""
    place = {first: n for n, (first, _) in enumerate(grain.months)}
    runs: list[list[Cell]] = []
    for cell in sorted(gaps):
        last = runs[-1][-1] if runs else None
        follows = last is not None and last[0] == cell[0]
        if last is not None and follows and place[cell[1]] == place[last[1]] + 1:
            runs[-1].append(cell)
        else:
            runs.append([cell])
    return runs


def _month(first: int, count: int) -> int:
    return add_months(date.fromordinal(first), count).toordinal()
