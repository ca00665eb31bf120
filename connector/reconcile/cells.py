"""MRR steps and day's changes → the cells that files have: months, or days of changes."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date, tzinfo
from typing import NamedTuple

from connector.core.dates import add_months, local_day, months
from connector.core.model import MrrStep
from connector.reconcile.files.headers import FileKind

Cell = tuple[str, int]  # a currency, and the ordinal of a day or of a month's first
Amounts = Mapping[Cell, int]  # in minor units; what is 0 is absent


class Grain(NamedTuple):
    """Which cells there are: from ``start`` to ``end`` (out), as such files have them.

    ``months`` are the ordinals of each month's first day and of the day after its last.
    """

    kind: FileKind
    start: date
    end: date
    months: Sequence[tuple[int, int]]


def grain_of(kind: FileKind, start: date, end: date, told: Container[date]) -> Grain:
    """``told`` are the months that the files have; a hole between them is no 0."""
    spans = [
        (month.toordinal(), add_months(month, 1).toordinal())
        for month in months(start, end)
        if month in told
    ]
    return Grain(kind, start, end, spans)


def day_changes(
    steps: Iterable[MrrStep], zone: tzinfo, without: str = ""
) -> dict[Cell, int]:
    """What changed on each local day; without a subscription, if one is named."""
    last: dict[tuple[str, str, str], int] = {}
    found: dict[Cell, int] = {}
    for step in steps:
        if step.subscription == without:
            continue
        item = step.currency, step.subscription, step.item
        day = local_day(step.at_s, zone).toordinal()
        cell = step.currency, day
        found[cell] = found.get(cell, 0) + step.mrr_minor - last.get(item, 0)
        last[item] = step.mrr_minor
    return {cell: minor for cell, minor in found.items() if minor}


def in_grain(changes: Amounts, grain: Grain) -> dict[Cell, int]:
    """The cells that these days' changes make."""
    if grain.kind == FileKind.CHANGES:
        first, end = grain.start.toordinal(), grain.end.toordinal()
        return {cell: n for cell, n in changes.items() if first <= cell[1] < end}
    found: dict[Cell, int] = {}
    for currency in {currency for currency, _ in changes}:
        left = sorted((d, n) for (c, d), n in changes.items() if c == currency)
        place, minor = 0, 0
        for first, end in grain.months:
            while place < len(left) and left[place][0] < end:
                minor += left[place][1]
                place += 1
            if minor:
                found[currency, first] = minor
    return found


def differing(ours: Amounts, theirs: Amounts) -> list[Cell]:
    """Where they are not the same, in order of currency and day."""
    if ours == theirs:
        return []
    cells = ours.keys() | theirs.keys()
    return sorted(c for c in cells if ours.get(c, 0) != theirs.get(c, 0))


def gaps(ours: Amounts, theirs: Amounts) -> dict[Cell, int]:
    """Theirs minus ours, where that is not 0."""
    return {c: theirs.get(c, 0) - ours.get(c, 0) for c in differing(ours, theirs)}
