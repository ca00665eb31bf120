"""A reconciliation in sentences and in the rows of its bridge, for every form."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from connector.core.money import format_count
from connector.metrics.what_if import preset_switches
from connector.reconcile.headers import FileKind
from connector.reconcile.model import (
    DifferingCell,
    GapCause,
    MonthBridge,
    Reconciliation,
)
from connector.render.bridge.causes import words
from connector.render.table import Cell, Money, Table

MOST_CAUSES = 4  # columns of the bridge; what is smaller is one more

Named = tuple[GapCause, str]


def span(done: Reconciliation) -> str:
    last = done.end - timedelta(days=1)
    return (
        f"{done.start} to {last}, days in {done.timezone}; gaps are theirs minus ours"
    )


def what_of(done: Reconciliation) -> str:
    return "MRR" if done.kind == FileKind.MONTHS else "net change of MRR"


def day_of(done: Reconciliation, cell: DifferingCell) -> str:
    return f"{cell.day:%Y-%m}" if done.kind == FileKind.MONTHS else str(cell.day)


def verdict(done: Reconciliation) -> list[str]:
    """How many cells differ, and what theirs counts like."""
    cells = "cells" if done.kind == FileKind.MONTHS else "days of changes"
    who = format_count(done.customers, "customer")
    gap = f"{done.differing:,} differ, {done.unexplained:,} of them unexplained."
    lines = [f"{done.compared:,} {cells} of {who}: {gap}"]
    if done.preset is None:
        lines.append("Theirs counts as this ledger does.")
    else:
        lines += _preset(done, done.preset)
    if done.their_timezone != done.timezone:
        lines.append(f"Their days are those of {done.their_timezone}.")
    return lines


def _preset(done: Reconciliation, preset: str) -> Iterator[str]:
    others = preset_switches(done.rules, preset)
    said = " and ".join(each.in_words for each in others) or "as this ledger"
    if done.is_asked:
        yield f"Held to {preset}, as asked for: {said}."
        return
    yield f"Theirs counts most like {preset}: {said}."
    best, *rest = done.tried
    if rest:
        yield (
            f"Of {len(done.tried)} presets it leaves fewest cells to other causes: about "
            f"{best.differing:,}; {rest[0].name} {rest[0].differing:,}."
        )


def largest(months: Sequence[MonthBridge]) -> list[Named]:
    """The causes that move most, unexplained first."""
    weight: dict[Named, int] = {}
    for each in months:
        for named, minor in each.parts.items():
            weight[named] = weight.get(named, 0) + abs(minor)
    return sorted(weight, key=lambda n: (n[0] != GapCause.UNEXPLAINED, -weight[n], n))


def bridge_table(done: Reconciliation, currency: str) -> Table:
    """A row a month: ours, the causes, theirs."""
    months = [each for each in done.months if each.currency == currency]
    causes = largest(months)[:MOST_CAUSES]
    is_small = any(each.parts.keys() - set(causes) for each in months)
    heads = ["Ours → theirs", "Ours", *(words(*each) for each in causes)]
    heads += ["all else"] if is_small else []
    rows = [_bridge_row(each, causes, is_small=is_small) for each in months]
    right = frozenset(range(1, len(heads) + 1))
    return Table([*heads, "Theirs"], rows, right)


def _bridge_row(
    month: MonthBridge, causes: Sequence[Named], *, is_small: bool
) -> Sequence[Cell]:
    code = month.currency

    def gap(minor: int) -> Cell:
        return Money(minor, code, signed=True) if minor else "–"

    shown = [gap(month.parts.get(named, 0)) for named in causes]
    other = sum(n for named, n in month.parts.items() if named not in causes)
    rest = [gap(other)] if is_small else []
    return [
        f"{month.month:%b %Y}",
        Money(month.ours_minor, code),
        *shown,
        *rest,
        Money(month.theirs_minor, code),
    ]


def notes(done: Reconciliation) -> Iterator[str]:
    """What is said of the files, and of what was left out."""
    for each in done.files:
        unit = "minor units (cents)" if each.is_minor else "whole units"
        yield f"{each.name}: {each.lines:,} lines, amounts in {unit}, {each.because}."
        if each.ignored:
            yield f"  Columns left alone: {', '.join(each.ignored)}."
    yield from done.notes
    if done.left_out:
        yield f"{done.left_out:,} smaller cells that differ are in the sums alone."
