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
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Title,
    customer_cell,
    figure,
    table_of,
)

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
    def gap(cell: DifferingCell) -> Cell:
        return Money(cell.unexplained_minor, cell.currency, signed=True)

    yield table_of(
        cells[:SHOWN],
        Column(_("Unexplained"), _customer),
        *_sides(done),
        figure(_("Unexplained"), gap),
        Column(_("What ours says"), lambda x: done.statements.get(x.customer.id)),
    )
    more = len(cells) - SHOWN
    rest = _("  and {more} more\n").format(more=format_count(more, "cell"))
    first = cells[0].customer.id
    fix = _("  fix: see `stripe-nrr explain {first}`").format(first=first)
    yield rest + fix if more > 0 else fix


def _customer(cell: DifferingCell) -> str:
    return customer_cell(cell.customer.id, {cell.customer.id: cell.customer.label})


def _sides(done: Reconciliation) -> list[Column[DifferingCell]]:
    return [
        Column("", lambda cell: day_of(done, cell)),
        figure(_("Ours"), lambda cell: Money(cell.ours_minor, cell.currency)),
        figure(_("Theirs"), lambda cell: Money(cell.theirs_minor, cell.currency)),
    ]


def _explained(
    done: Reconciliation, cells: Sequence[DifferingCell], locale: str
) -> Iterator[Part]:
    def why(cell: DifferingCell) -> str:
        return "; ".join(
            f"{format_minor(p.amount_minor, cell.currency, locale, signed=True)} "
            f"{part_words(p)}"
            for p in cell.parts
        )

    yield table_of(
        cells[:SHOWN],
        Column(_("Explained, the largest"), _customer),
        *_sides(done),
        Column(_("Why"), why),
    )
    more = len(cells) - SHOWN
    if more > 0:
        yield _("  and {more} more: --format csv has them").format(
            more=format_count(more, "cell")
        )
