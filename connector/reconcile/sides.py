"""Both sides of a comparison, customer by customer: the files' cells and the ledger's."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from connector.core.dates import month_start, months
from connector.core.errors import UsageFault
from connector.core.language import _, table_day
from connector.core.model import CustomerName
from connector.reconcile.cells import Amounts, Grain, grain_of, in_grain
from connector.reconcile.files.headers import FileKind
from connector.reconcile.named import called_by_id, nobody_known, unknown_note
from connector.reconcile.sources import (
    AmountUnit,
    CellReading,
    ReadFile,
    Sums,
    TheirCells,
    joined,
    own_currency,
    scale_of,
    span_of,
)
from connector.reports.ledger import Ledger
from connector.reports.movements import find_counted
from connector.store.external_figures import ExternalFigures
from connector.store.ledger import mrr_changes

MOST_NAMES = 20  # of customers whom nobody knows here that are looked at


class ReconcileRequest(NamedTuple):
    """``start`` and ``end`` (out) are first days of months; None is all.

    ``preset`` is a name of ``core.presets``; None looks for the one that fits best.
    """

    start: date | None = None
    end: date | None = None
    customer: str | None = None
    preset: str | None = None


class Beside(NamedTuple):
    """A customer on both sides; ``own`` is the currency of most of its movements.

    ``rate`` is at what theirs are converted, where the files name no currency.
    """

    customer: CustomerName
    ours: Amounts
    theirs: TheirCells
    is_here: bool
    is_there: bool
    own: str | None
    rate: Fraction | None


class Sides(NamedTuple):
    """Files of one kind, read, and the ledger that they are held to."""

    ledger: Ledger
    files: Sequence[ReadFile]
    figures: ExternalFigures
    grain: Grain
    reading: CellReading
    customer: str | None
    rates: Mapping[str, Fraction]  # by the currency that a customer pays in

    def everybody(self) -> Iterator[Beside]:
        """Whoever has a figure on either side, in order of the ids."""
        theirs = self.figures.by_customer()
        ours = mrr_changes.by_customer(self.ledger.connection)
        for customer, said, changes in joined(theirs, ours):
            if self.customer not in (None, customer.id):
                continue
            own = own_currency(changes)
            here = in_grain(changes or {}, self.grain)
            there = self.reading.cells(said, own, self.grain)
            if here or there.amounts:
                is_here = changes is not None
                is_there = any(each.amount for each in said)
                is_unnamed = any(not each.currency for each in said)
                rate = self.rates.get(own or "") if is_unnamed else None
                yield Beside(customer, here, there, is_here, is_there, own, rate)


def sides_of(
    ledger: Ledger,
    files: Sequence[ReadFile],
    figures: ExternalFigures,
    asked: ReconcileRequest,
) -> tuple[Sides, list[str]]:
    """The sides, their amounts in minor units; and what a reader should know of them."""
    kind = files[0].opened.kind
    grain, notes = _grain(ledger, kind, files, asked)
    main = (ledger.currencies() or ["usd"])[0]
    raw = CellReading(kind, [], _ages(files), main)
    unscaled = Sides(ledger, files, figures, grain, raw, None, {})
    notes += [note for each in files for note in each.notes]
    if any(each.is_named for each in files):
        notes += called_by_id(ledger, figures)
    figures.put_in_order(as_parts=kind == FileKind.CHANGES)
    unscaled = unscaled._replace(customer=_customer(ledger, figures, asked.customer))
    sums, unknown = _sums(unscaled)
    notes = [unknown, *notes] if unknown else notes
    scales = _units(files, sums, as_parts=kind == FileKind.CHANGES)
    rates: dict[str, Fraction] = {}
    for own, scale in zip(sums, scales, strict=True):
        rates |= own.rates(scale)
    reading = raw._replace(scales=scales)
    return unscaled._replace(reading=reading, rates=rates), notes


def _customer(
    ledger: Ledger, figures: ExternalFigures, asked: str | None
) -> str | None:
    """Whom the files have or the ledger counts; ``NothingFound`` where neither does."""
    if asked is None or figures.has(asked):
        return asked
    return find_counted(ledger.connection, asked).id


def _grain(
    ledger: Ledger, kind: FileKind, files: Sequence[ReadFile], asked: ReconcileRequest
) -> tuple[Grain, list[str]]:
    """What the files cover, as far as it is asked for and over in the ledger."""
    start, end = span_of(files, kind)
    start, end = max(start, asked.start or start), min(end, asked.end or end)
    today = ledger.state().today
    over = month_start(today) if kind == FileKind.MONTHS else today
    notes = []
    if end > over:
        notes.append(
            _("What is from {day} on is left out: it was not over at the sync.").format(
                day=table_day(over)
            )
        )
        end = over
    if start >= end:
        raise UsageFault(
            f"no month of {files[0].opened.path} is left to compare",
            fix="give months that are over, and that the ledger knows",
        )
    told = {day for each in files for day in each.days}
    if kind == FileKind.CHANGES:
        told = {month_start(day) for day in told}
    elif holes := [month for month in months(start, end) if month not in told]:
        named = ", ".join(f"{month:%Y-%m}" for month in holes)
        notes.append(
            _("Left out, as nothing there is of them: {named}.").format(named=named)
        )
    return grain_of(kind, start, end, told), notes


def _ages(files: Sequence[ReadFile]) -> list[int]:
    """By file: the larger the newer, by its last day."""
    newest = sorted(
        range(len(files)), key=lambda n: (max(files[n].days, default=date.min), n)
    )
    return [newest.index(n) for n in range(len(files))]


def _sums(sides: Sides) -> tuple[list[Sums], str | None]:
    """By file, and what is to be said of customers whom nobody knows here."""
    sums = [Sums() for _ in sides.files]
    there, unknown = 0, 0
    names: list[str] = []
    theirs = sides.figures.by_customer()
    ours = mrr_changes.by_customer(sides.ledger.connection)
    for customer, said, changes in joined(theirs, ours):
        there += bool(said)
        if said and changes is None:
            unknown += 1
            names += [customer.id][: MOST_NAMES - len(names)]
        if said and changes:
            own = own_currency(changes) or sides.reading.main
            here = in_grain(changes, sides.grain)
            for each in said:
                cell = each.currency or own, each.day.toordinal()
                sums[each.file].add(cell[0], each.amount, here.get(cell, 0))
    if unknown == there:
        raise nobody_known([each.opened.path for each in sides.files], names)
    return sums, unknown_note(there, unknown, names)


def _units(
    files: Sequence[ReadFile], sums: Sequence[Sums], *, as_parts: bool
) -> list[AmountUnit]:
    """How each file writes its amounts; parts of one another write alike."""
    if as_parts:
        whole = all(each.whole for each in files)
        return [scale_of(files[0]._replace(whole=whole), sums[0])] * len(sums)
    return [scale_of(each, own) for each, own in zip(files, sums, strict=True)]
