"""A reconciliation as a terminal shows it: what is unexplained first, then the bridge."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from connector.core.money import format_count, format_minor
from connector.metrics.what_if import preset_switches
from connector.reconcile.headers import FileKind
from connector.reconcile.model import (
    DifferingCell,
    GapCause,
    MonthBridge,
    Reconciliation,
)
from connector.render.bridge.causes import part_words, words
from connector.render.table import Cell, Money, Table, text_table

SHOWN = 20  # cells of each kind
MOST_CAUSES = 4  # columns of the bridge; what is smaller is one more

Named = tuple[GapCause, str]


def to_text(found: Sequence[Reconciliation], locale: str) -> str:
    return "\n".join("\n".join(_parts(each, locale)) for each in found)


def _parts(done: Reconciliation, locale: str) -> Iterator[str]:
    yield _title(done)
    yield _verdict(done)
    open_cells = [cell for cell in done.cells if cell.is_unexplained]
    if open_cells:
        yield _unexplained(done, open_cells, locale)
    for currency in dict.fromkeys(each.currency for each in done.months):
        yield _bridge(done, currency, locale)
    known = [cell for cell in done.cells if not cell.is_unexplained]
    if known:
        yield _explained(done, known, locale)
    yield "".join(f"{note}\n" for note in _notes(done))


def _title(done: Reconciliation) -> str:
    names = ", ".join(each.name for each in done.files)
    last = done.end - timedelta(days=1)
    return (
        f"{done.kind} · {names}\n"
        f"{done.start} to {last}, days in {done.timezone}; gaps are theirs minus ours\n"
    )


def _verdict(done: Reconciliation) -> str:
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
    return "".join(f"{line}\n" for line in lines)


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


def _day(done: Reconciliation, cell: DifferingCell) -> str:
    return f"{cell.day:%Y-%m}" if done.kind == FileKind.MONTHS else str(cell.day)


def _unexplained(
    done: Reconciliation, cells: Sequence[DifferingCell], locale: str
) -> str:
    rows: list[Sequence[Cell]] = [
        (
            cell.customer.shown,
            _day(done, cell),
            Money(cell.ours_minor, cell.currency),
            Money(cell.theirs_minor, cell.currency),
            Money(cell.unexplained_minor, cell.currency, signed=True),
            done.statements.get(cell.customer.id),
        )
        for cell in cells[:SHOWN]
    ]
    heads = ("Unexplained", "", "Ours", "Theirs", "Unexplained", "What ours says")
    table = text_table(Table(heads, rows, frozenset((2, 3, 4))), locale)
    more = len(cells) - len(rows)
    rest = f"  and {format_count(more, 'cell')} more\n" if more else ""
    first = cells[0].customer.id
    return f"{table}{rest}  fix: see `stripe-nrr explain {first}`\n"


def _bridge(done: Reconciliation, currency: str, locale: str) -> str:
    months = [each for each in done.months if each.currency == currency]
    causes = _largest(months)
    is_small = any(each.parts.keys() - set(causes) for each in months)
    heads = ["Ours → theirs", "Ours", *(words(*each) for each in causes)]
    heads += ["all else"] if is_small else []
    rows = [_bridge_row(each, causes, is_small=is_small) for each in months]
    right = frozenset(range(1, len(heads) + 1))
    what = "MRR" if done.kind == FileKind.MONTHS else "net change of MRR"
    title = f"{currency.upper()}, {what} by month\n"
    return title + text_table(Table([*heads, "Theirs"], rows, right), locale)


def _largest(months: Sequence[MonthBridge]) -> list[Named]:
    """The causes that move most, unexplained first."""
    weight: dict[Named, int] = {}
    for each in months:
        for named, minor in each.parts.items():
            weight[named] = weight.get(named, 0) + abs(minor)
    ranked = sorted(weight, key=lambda n: (n[0] != GapCause.UNEXPLAINED, -weight[n], n))
    return ranked[:MOST_CAUSES]


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


def _explained(
    done: Reconciliation, cells: Sequence[DifferingCell], locale: str
) -> str:
    rows: list[Sequence[Cell]] = []
    for cell in cells[:SHOWN]:
        said = "; ".join(
            f"{format_minor(p.amount_minor, cell.currency, locale, signed=True)} "
            f"{part_words(p)}"
            for p in cell.parts
        )
        rows.append(
            (
                cell.customer.shown,
                _day(done, cell),
                Money(cell.ours_minor, cell.currency),
                Money(cell.theirs_minor, cell.currency),
                said,
            )
        )
    heads = ("Explained, the largest", "", "Ours", "Theirs", "Why")
    more = len(cells) - len(rows)
    rest = f"  and {format_count(more, 'cell')} more: --format csv has them\n"
    table = text_table(Table(heads, rows, frozenset((2, 3))), locale)
    return table + (rest if more else "")


def _notes(done: Reconciliation) -> Iterator[str]:
    for each in done.files:
        unit = "minor units (cents)" if each.is_minor else "whole units"
        yield f"{each.name}: {each.lines:,} lines, amounts in {unit}, {each.because}."
        if each.ignored:
            yield f"  Columns left alone: {', '.join(each.ignored)}."
    yield from done.notes
    if done.left_out:
        yield f"{done.left_out:,} smaller cells that differ are in the sums alone."
