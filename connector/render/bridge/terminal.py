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
from connector.render.table import Cell, Money, Table, text_table

SHOWN = 20  # cells of each kind


def to_text(found: Sequence[Reconciliation], locale: str) -> str:
    return "\n".join("\n".join(_parts(each, locale)) for each in found)


def _parts(done: Reconciliation, locale: str) -> Iterator[str]:
    yield _title(done)
    yield "".join(f"{line}\n" for line in verdict(done))
    open_cells = [cell for cell in done.cells if cell.is_unexplained]
    if open_cells:
        yield _unexplained(done, open_cells, locale)
    for currency in dict.fromkeys(each.currency for each in done.months):
        yield _bridge(done, currency, locale)
    known = [cell for cell in done.cells if not cell.is_unexplained]
    if known:
        yield _explained(done, known, locale)
    yield "".join(f"{note}\n" for note in notes(done))


def _title(done: Reconciliation) -> str:
    names = ", ".join(printable(each.name) for each in done.files)
    return f"{_(done.kind.value)} · {names}\n{span(done)}\n"


def _unexplained(
    done: Reconciliation, cells: Sequence[DifferingCell], locale: str
) -> str:
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
    table = text_table(Table(heads, rows, frozenset((2, 3, 4))), locale)
    more = len(cells) - len(rows)
    rest = (
        _("  and {more} more\n").format(more=format_count(more, "cell")) if more else ""
    )
    first = cells[0].customer.id
    return (
        table
        + rest
        + _("  fix: see `stripe-nrr explain {first}`\n").format(first=first)
    )


def _bridge(done: Reconciliation, currency: str, locale: str) -> str:
    title = _("{currency}, {what} by month\n").format(
        currency=currency.upper(), what=what_of(done)
    )
    return title + text_table(bridge_table(done, currency), locale)


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
                day_of(done, cell),
                Money(cell.ours_minor, cell.currency),
                Money(cell.theirs_minor, cell.currency),
                said,
            )
        )
    heads = (_("Explained, the largest"), "", _("Ours"), _("Theirs"), _("Why"))
    more = len(cells) - len(rows)
    rest = _("  and {more} more: --format csv has them\n").format(
        more=format_count(more, "cell")
    )
    table = text_table(Table(heads, rows, frozenset((2, 3))), locale)
    return table + (rest if more else "")
