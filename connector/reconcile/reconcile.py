"""Files of another tool's MRR beside a ledger: every cell that differs, and why.

All lines go into a database of their own, by customer. Both sides are then walked three
times: to find how amounts are written, whom to try presets on, and what differs.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path

from connector.core.dates import add_months
from connector.core.language import _, marked, table_day
from connector.core.model import Movement
from connector.core.presets import PRESETS, preset_name
from connector.metrics.what_if import preset_switches
from connector.mrr.history import History
from connector.mrr.stored_words import arithmetic_said
from connector.reconcile.alternatives import CustomerUnderRules, state_of
from connector.reconcile.bridges import Tally
from connector.reconcile.cells import Amounts, in_grain
from connector.reconcile.customers import Case, Examined, WholeFile, cells_of, examined
from connector.reconcile.files.headers import FileKind
from connector.reconcile.fits import FileFit, Sample, fit
from connector.reconcile.leftovers import explained, moved
from connector.reconcile.model import (
    CellPart,
    DifferingCell,
    GapCause,
    Reconciliation,
    SourceFile,
)
from connector.reconcile.sides import Beside, ReconcileRequest, Sides, sides_of
from connector.reconcile.sources import ReadFile, opened_together, read_files
from connector.reports.ledger import Ledger
from connector.store.external_figures import external_figures
from connector.store.ledger import mrr_changes, queries, unvalued
from connector.store.ledger.queries import Wanted
from connector.store.mirror.catalogue import read_catalogue
from connector.store.mirror.histories import histories, in_batches

Progress = Callable[[str, int, int | None], None]

TOGETHER = 50  # customers whose histories are read at a time
MOST_HELD = 50_000  # cells kept back to be matched with another customer's
STATED = 50  # customers with unexplained cells of whom it is told what ours says

EVERYTHING = ReconcileRequest()


def _silent(_what: str, _done: int, _all: int | None) -> None:
    pass


def reconcile_files(
    ledger: Ledger,
    paths: Iterable[Path],
    asked: ReconcileRequest = EVERYTHING,
    progress: Progress = _silent,
) -> list[Reconciliation]:
    """One value for all files that are parts of one; nothing is written.

    Raises ``UsageFault`` for a file that is not understood, or none of whose customers
    is in the ledger.
    """
    found = []
    for files in opened_together(paths):
        with external_figures() as figures:
            read = read_files(
                files, figures, ledger.companies.of, ledger.config.locale, progress
            )
            sides, notes = sides_of(ledger, read, figures, asked)
            found.append(_Reconciling(sides, asked, progress).done(notes))
    return found


class _Reconciling:
    """What all steps of one reconciliation share."""

    def __init__(
        self, sides: Sides, asked: ReconcileRequest, progress: Progress
    ) -> None:
        self.sides, self.asked, self.progress = sides, asked, progress
        self.ledger, self.grain = sides.ledger, sides.grain
        self.in_force = self.ledger.state().rules
        self.rules = self.ledger.rules
        self.now_s = int(self.ledger.moment.timestamp())
        self.catalogue = read_catalogue(self.ledger.connection)
        self.refused = {r.customer for r in unvalued.known(self.ledger.connection)}
        self.restated = mrr_changes.restated(self.ledger.connection)
        self.tally = Tally()

    def done(self, notes: Sequence[str]) -> Reconciliation:
        tried, zone = self._fitted()
        preset = self.asked.preset or (tried[0].name if tried else None)
        switches = preset_switches(self.in_force, preset) if preset else ()
        self._explain(WholeFile(switches, zone))
        cells = self.tally.cells()
        booked = self._booked(cells)
        return Reconciliation(
            kind=self.grain.kind,
            files=[
                _source(each, scale.is_minor, scale.because)
                for each, scale in zip(
                    self.sides.files, self.sides.reading.scales, strict=True
                )
            ],
            start=self.grain.start,
            end=self.grain.end,
            timezone=self.in_force["timezone"],
            their_timezone=zone,
            rules=self.in_force,
            preset=preset,
            is_asked=self.asked.preset is not None,
            tried=[] if self.asked.preset else tried,
            customers=self.tally.customers,
            compared=self.tally.compared,
            differing=self.tally.differing,
            unexplained=self.tally.unexplained,
            months=self.tally.months(),
            cells=cells,
            left_out=self.tally.left_out,
            notes=notes,
            statements={
                customer: _statement(
                    movements, self._last_day(cell), self.ledger.config.locale
                )
                for customer, (cell, movements) in booked.items()
            },
            explained={customer: own for customer, (_, own) in booked.items()},
        )

    def _fitted(self) -> FileFit:
        """The presets, or the one asked for, and the zone; none where all is the same."""
        sample = Sample()
        for beside in self.sides.everybody():
            sample.see(beside)
        chosen = sample.chosen()
        preset = self.asked.preset
        names = [preset_name(preset)] if preset else [*PRESETS]
        both = [each.beside for each in chosen.values()]
        if all(each.ours == each.theirs.amounts for each in both):
            return FileFit([], self.in_force["timezone"])
        known = self._histories(sorted(chosen))
        return fit(known, chosen, self.rules, names, self.grain, self.now_s)

    def _histories(self, customers: Iterable[str]) -> Iterator[History]:
        wanted = {each: (self.ledger.companies.ids(each),) for each in customers}
        for rows in in_batches(self.ledger.connection, wanted):
            yield from histories(rows, self.catalogue)

    def _explain(self, whole: WholeFile) -> None:
        held: list[Examined] = []
        size = 0
        for seen, some in enumerate(_together(self._differing(), TOGETHER)):
            for case in self._examined(some, whole):
                held.append(case)
                size += len(case.left.gaps)
            if size > MOST_HELD:
                self._settle(held)
                held, size = [], 0
            self.progress(marked("explaining"), seen * TOGETHER, None)
        self._settle(held)

    def _differing(self) -> Iterator[Beside]:
        for beside in self.sides.everybody():
            self.tally.see(beside)
            if beside.ours != beside.theirs.amounts:
                yield beside

    def _examined(self, some: Sequence[Beside], whole: WholeFile) -> Iterator[Examined]:
        known = self._histories(each.customer.id for each in some)
        base = state_of(self.in_force)
        for beside, history in zip(some, known, strict=True):
            under = CustomerUnderRules(history, self.now_s, self.grain)
            yield examined(self._case(beside), under, base, whole)

    def _case(self, beside: Beside) -> Case:
        customer = beside.customer
        return Case(
            customer=customer,
            ours=beside.ours,
            theirs=beside.theirs,
            is_here=beside.is_here,
            is_there=beside.is_there,
            is_refused=customer.id in self.refused,
            rate=beside.rate,
            past=[
                self._as_of(customer.id, moment)
                for moment in self.restated.get(customer.id, ())
            ],
        )

    def _as_of(self, customer: str, moment: datetime) -> Amounts:
        changes = mrr_changes.as_of(self.ledger.connection, customer, moment)
        return in_grain(changes, self.grain)

    def _settle(self, held: Sequence[Examined]) -> None:
        """Match customers with one another, then let the cells themselves speak."""
        open_gaps = {
            each.case.customer.id: each.left.gaps for each in held if each.left.gaps
        }
        absent = {
            each.case.customer.id
            for each in held
            if not (each.left.is_here and each.left.is_there)
        }
        whose = moved(open_gaps, absent)
        for each in held:
            other = whose.get(each.case.customer.id)
            if other is None:
                found = explained(each.left, self.grain)
            else:
                words = _("another customer id")
                found = {
                    cell: CellPart(GapCause.MOVED, minor, words, other)
                    for cell, minor in each.left.gaps.items()
                }
            for cell in cells_of(each, found):
                self.tally.add(cell)

    def _last_day(self, cell: DifferingCell) -> date:
        is_of_months = self.grain.kind == FileKind.MONTHS
        return (add_months(cell.day, 1) if is_of_months else cell.day) - timedelta(
            days=int(is_of_months)
        )

    def _booked(
        self, cells: Iterable[DifferingCell]
    ) -> dict[str, tuple[DifferingCell, Sequence[Movement]]]:
        """By the first customers with unexplained cells: the largest, and all of ours."""
        found: dict[str, tuple[DifferingCell, Sequence[Movement]]] = {}
        for cell in cells:
            customer = cell.customer.id
            if not cell.is_unexplained or len(found) >= STATED:
                break
            if customer not in found:
                wanted = Wanted(customer=customer)
                booked = queries.movements(self.ledger.connection, wanted)
                found[customer] = (
                    cell,
                    [m for m in booked if m.currency == cell.currency],
                )
        return found


def _statement(booked: Sequence[Movement], day: date, locale: str) -> str:
    """The last movement until the end of the day; else the first."""
    if not booked:
        return _("no MRR here, ever")
    last = ([each for each in booked if each.day <= day] or booked[:1])[-1]
    sums = "; ".join(
        arithmetic_said(part.after, last.currency, locale)
        for part in last.components
        if part.after
    )
    said = _("{kind} on {day}").format(kind=_(last.kind), day=table_day(last.day))
    return f"{said}: {sums}" if sums else said


def _source(read: ReadFile, is_minor: bool, because: str) -> SourceFile:  # noqa: FBT001
    opened = read.opened
    name, ignored = opened.path.name, opened.layout.ignored
    return SourceFile(name, read.lines, is_minor, because, ignored)


def _together(things: Iterable[Beside], count: int) -> Iterator[list[Beside]]:
    left = iter(things)
    while some := list(islice(left, count)):
        yield some
