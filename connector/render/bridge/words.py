"""A reconciliation in sentences and in the rows of its bridge, for every form."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from connector.core.language import _, grouped, listed, month_text, table_day
from connector.core.money import format_count
from connector.core.text import printable
from connector.metrics.what_if import preset_switches
from connector.reconcile.files.headers import FileKind
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
    return _(
        "{start} to {last}, days in {timezone}; gaps are theirs minus ours"
    ).format(start=table_day(done.start), last=table_day(last), timezone=done.timezone)


def what_of(done: Reconciliation) -> str:
    return "MRR" if done.kind == FileKind.MONTHS else _("net change of MRR")


def day_of(done: Reconciliation, cell: DifferingCell) -> str:
    said = month_text if done.kind == FileKind.MONTHS else table_day
    return said(cell.day)


def verdict(done: Reconciliation) -> list[str]:
    """How many cells differ, and what theirs counts like."""
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
    if done.preset is not None:
        lines += _preset(done, done.preset)
    elif done.differing < done.compared:
        lines.append(_("Theirs counts as this ledger does."))
    if done.their_timezone != done.timezone:
        lines.append(
            _("Their days are those of {their_timezone}.").format(
                their_timezone=done.their_timezone
            )
        )
    return lines


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
    heads = [_("Ours → theirs"), _("Ours"), *(words(*each) for each in causes)]
    heads += [_("all else")] if is_small else []
    rows = [_bridge_row(each, causes, is_small=is_small) for each in months]
    right = frozenset(range(1, len(heads) + 1))
    return Table([*heads, _("Theirs")], rows, right)


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


def notes(done: Reconciliation) -> Iterator[str]:
    """What is said of the files, and of what was left out."""
    for each in done.files:
        unit = _("minor units (cents)") if each.is_minor else _("whole units")
        yield _("{name}: {lines} lines, amounts in {unit}, {because}.").format(
            name=printable(each.name),
            lines=grouped(each.lines),
            unit=unit,
            because=each.because,
        )
        if each.ignored:
            yield _("  Columns left alone: {what}.").format(
                what=", ".join(map(printable, each.ignored))
            )
    yield from done.notes
    if done.left_out:
        yield _("{left_out} smaller cells that differ are in the sums alone.").format(
            left_out=grouped(done.left_out)
        )
