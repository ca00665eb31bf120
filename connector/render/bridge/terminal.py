"""A reconciliation as a terminal shows it: what is unexplained first, then the bridge."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from connector.core.language import _, grouped, month_text, table_day
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
from connector.render.footnotes import listed
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
    return _(
        "{kind} · {names}\n{start} to {last}, days in {timezone}; gaps are "
        "theirs minus ours\n"
    ).format(
        kind=_(done.kind.value),
        names=names,
        start=table_day(done.start),
        last=table_day(last),
        timezone=done.timezone,
    )


def _verdict(done: Reconciliation) -> str:
    cells = _("cells") if done.kind == FileKind.MONTHS else _("days of changes")
    who = format_count(done.customers, "customer")
    gap = _("{differing} differ, {unexplained} of them unexplained.").format(
        differing=grouped(done.differing), unexplained=grouped(done.unexplained)
    )
    lines = [
        _("{compared} {cells} of {who}: {gap}").format(
            compared=grouped(done.compared), cells=cells, who=who, gap=gap
        )
    ]
    if done.preset is None:
        lines.append(_("Theirs counts as this ledger does."))
    else:
        lines += _preset(done, done.preset)
    if done.their_timezone != done.timezone:
        lines.append(
            _("Their days are those of {their_timezone}.").format(
                their_timezone=done.their_timezone
            )
        )
    return "".join(f"{line}\n" for line in lines)


def _preset(done: Reconciliation, preset: str) -> Iterator[str]:
    others = preset_switches(done.rules, preset)
    said = listed([each.in_words for each in others]) or _("as this ledger")
    if done.is_asked:
        yield _("Held to {preset}, as asked for: {said}.").format(
            preset=preset, said=said
        )
        return
    yield _("Theirs counts most like {preset}: {said}.").format(
        preset=preset, said=said
    )
    best, *rest = done.tried
    if rest:
        yield (
            _(
                "Of {tried} presets it leaves fewest cells to other causes: about "
                "{differing}; {name} {differing_2}."
            ).format(
                tried=len(done.tried),
                differing=grouped(best.differing),
                name=rest[0].name,
                differing_2=grouped(rest[0].differing),
            )
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
    months = [each for each in done.months if each.currency == currency]
    causes = _largest(months)
    is_small = any(each.parts.keys() - set(causes) for each in months)
    heads = [_("Ours → theirs"), _("Ours"), *(words(*each) for each in causes)]
    heads += [_("all else")] if is_small else []
    rows = [_bridge_row(each, causes, is_small=is_small) for each in months]
    right = frozenset(range(1, len(heads) + 1))
    what = "MRR" if done.kind == FileKind.MONTHS else _("net change of MRR")
    title = _("{currency}, {what} by month\n").format(
        currency=currency.upper(), what=what
    )
    return title + text_table(Table([*heads, _("Theirs")], rows, right), locale)


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
        month_text(month.month),
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
    heads = (_("Explained, the largest"), "", _("Ours"), _("Theirs"), _("Why"))
    more = len(cells) - len(rows)
    rest = _("  and {more} more: --format csv has them\n").format(
        more=format_count(more, "cell")
    )
    table = text_table(Table(heads, rows, frozenset((2, 3))), locale)
    return table + (rest if more else "")


def _notes(done: Reconciliation) -> Iterator[str]:
    for each in done.files:
        unit = _("minor units (cents)") if each.is_minor else _("whole units")
        yield _("{name}: {lines} lines, amounts in {unit}, {because}.").format(
            name=each.name, lines=grouped(each.lines), unit=unit, because=each.because
        )
        if each.ignored:
            yield _("  Columns left alone: {what}.").format(
                what=", ".join(each.ignored)
            )
    yield from done.notes
    if done.left_out:
        yield _("{left_out} smaller cells that differ are in the sums alone.").format(
            left_out=grouped(done.left_out)
        )
