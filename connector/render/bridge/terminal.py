"""A reconciliation as a terminal shows it: what is unexplained first, then the bridge."""

from collections.abc import Iterator, Sequence

from connector.core.language import _
from connector.core.money import format_count, format_minor
from connector.core.text import printable
from connector.reconcile.model import DifferingCell, Reconciliation
from connector.render.bridge.causes import part_words
from connector.render.bridge.words import (
    bridge_table,
    day_of,
    notes,
    span,
    verdict,
    what_of,
)
from connector.render.table import Cell, Money, Part, Table, Title

SHOWN = 20  # cells of each kind


def parts(found: Sequence[Reconciliation], locale: str) -> Iterator[Part]:
    for each in found:
        yield from _parts(each, locale)


def _parts(done: Reconciliation, locale: str) -> Iterator[Part]:
    yield _title(done)
    yield "\n".join(verdict(done))
    open_cells = [cell for cell in done.cells if cell.is_unexplained]
    if open_cells:
        yield from _unexplained(done, open_cells)
    for currency in dict.fromkeys(each.currency for each in done.months):
        yield Title(
            _("{currency}, {what} by month").format(
                currency=currency.upper(), what=what_of(done)
            )
        )
        yield bridge_table(done, currency)
    known = [cell for cell in done.cells if not cell.is_unexplained]
    if known:
        yield from _explained(done, known, locale)
    yield "\n".join(notes(done))


def _title(done: Reconciliation) -> Title:
    names = ", ".join(printable(each.name) for each in done.files)
    return Title(f"{_(done.kind.value)} · {names}\n{span(done)}")


def _unexplained(
    done: Reconciliation, cells: Sequence[DifferingCell]
) -> Iterator[Part]:
    rows: list[Sequence[Cell]] = [
        (
            cell.customer.shown,
            day_of(done, cell),
            Money(cell.ours_minor, cell.currency),
            Money(cell.theirs_minor, cell.currency),
            Money(cell.unexplained_minor, cell.currency, signed=True),
            done.statements.get(cell.customer.id),
        )
        for cell in cells[:SHOWN]
    ]
    heads = (
        _("Unexplained"),
        "",
        _("Ours"),
        _("Theirs"),
        _("Unexplained"),
        _("What ours says"),
    )
    yield Table(heads, rows, frozenset((2, 3, 4)))
    more = len(cells) - len(rows)
    rest = (
        _("  and {more} more\n").format(more=format_count(more, "cell")) if more else ""
    )
    first = cells[0].customer.id
    yield rest + _("  fix: see `stripe-nrr explain {first}`").format(first=first)


def _explained(
    done: Reconciliation, cells: Sequence[DifferingCell], locale: str
) -> Iterator[Part]:
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
                day_of(done, cell),
                Money(cell.ours_minor, cell.currency),
                Money(cell.theirs_minor, cell.currency),
                said,
            )
        )
    heads = (_("Explained, the largest"), "", _("Ours"), _("Theirs"), _("Why"))
    more = len(cells) - len(rows)
    yield Table(heads, rows, frozenset((2, 3)))
    if more:
        yield _("  and {more} more: --format csv has them").format(
            more=format_count(more, "cell")
        )
