"""One customer's cells that differ → the parts that add up to each difference.

First the preset's switches, one after the other; then whatever single alternative leaves
the fewest cells, as long as one leaves fewer; what is left is for ``leftovers``.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from connector.core.language import _
from connector.core.model import CustomerName
from connector.core.policy import PolicySwitch
from connector.mrr.history import History
from connector.reconcile.alternatives import Alternative, CustomerUnderRules, State
from connector.reconcile.cells import Amounts, Cell, differing, gaps
from connector.reconcile.leftovers import is_by_evidence, is_by_ratio
from connector.reconcile.model import CellPart, DifferingCell, GapCause, Leftover
from connector.reconcile.sources import TheirCells

MOST_STEPS = 3  # beside the preset's: more would fit anything


class Case(NamedTuple):
    """A customer whose cells differ: both sides, and what is known of it.

    ``past`` are its cells as the ledger had them before each time they were restated.
    """

    customer: CustomerName
    ours: Amounts
    theirs: TheirCells
    is_here: bool
    is_there: bool
    is_refused: bool
    rate: Fraction | None
    past: Sequence[Amounts] = ()


Parts = dict[Cell, list[CellPart]]


class Examined(NamedTuple):
    """``parts`` are those of cells so far, ``left`` what they do not explain."""

    case: Case
    parts: Parts
    left: Leftover


class WholeFile(NamedTuple):
    """What the whole file does otherwise: a preset's switches, and its days' zone."""

    switches: Sequence[PolicySwitch]
    zone: str


def examined(
    case: Case, under: CustomerUnderRules, base: State, whole: WholeFile
) -> Examined:
    """What its history under other rules explains, and what is left."""
    theirs = case.theirs.amounts
    for past in case.past:
        if past == theirs:
            parts: Parts = {}
            _note(parts, case.ours, past, CellPart(GapCause.RESTATED_HERE, 0))
            return _rest(case, parts, past, past)
    parts = {}
    derived: Amounts = under.cells(base)
    _note(parts, case.ours, derived, CellPart(GapCause.NOT_DERIVED, 0))
    plain = _rest(case, parts, derived, derived, under.history)
    if is_by_evidence(plain.left):
        return plain
    on_way = {cell: [*own] for cell, own in parts.items()}
    state, now = _followed(under, base, whole, derived, theirs, on_way)
    rest = _rest(case, on_way, now, now, under.history)
    if is_by_evidence(rest.left):
        return rest
    by_ratio = is_by_ratio(rest.left)
    if not by_ratio and is_by_ratio(plain.left):
        return plain
    for _step in range(MOST_STEPS):
        best = _best(under, state, now, case)
        # Who is absent there is so for one reason, or for none that we have.
        needs_all = by_ratio or not case.is_there
        if best is None or (needs_all and best[1] != theirs):
            break
        step, after = best
        part = CellPart(step.cause, 0, step.detail, step.note)
        _note(on_way, now, after, part)
        state, now = step.state, after
    around = under.around(state) if now != theirs else now
    return _rest(case, on_way, now, around, under.history)


def _followed(
    under: CustomerUnderRules,
    base: State,
    whole: WholeFile,
    now: Amounts,
    theirs: Amounts,
    parts: Parts,
) -> tuple[State, Amounts]:
    """All of it, or nothing where that would leave more cells than before."""
    states, told = [base], []
    for switch in whole.switches:
        states.append(states[-1].with_switch(switch))
        told.append(CellPart(GapCause.POLICY, 0, switch.in_words))
    if whole.zone != base.zone:
        states.append(states[-1]._replace(zone=whole.zone))
        told.append(
            CellPart(GapCause.ZONE, 0, _("days in {zone}").format(zone=whole.zone))
        )
    stages = [now, *(under.cells(state) for state in states[1:])]
    if len(differing(stages[-1], theirs)) > len(differing(now, theirs)):
        return base, now
    for part, before, after in zip(told, stages, stages[1:], strict=False):
        _note(parts, before, after, part)
    return states[-1], stages[-1]


def _best(
    under: CustomerUnderRules, state: State, now: Amounts, case: Case
) -> tuple[Alternative, Amounts] | None:
    """The first of those that leave the fewest cells, if it is fewer than now."""
    theirs, is_there = case.theirs.amounts, case.is_there
    least, found = len(differing(now, theirs)), None
    for each in under.alternatives(state, is_there=is_there) if least else ():
        after = under.cells(each.state)
        count = len(differing(after, theirs))
        if count < least:
            least, found = count, (each, after)
        if not least:
            break
    return found


def _note(parts: Parts, before: Amounts, after: Amounts, of: CellPart) -> None:
    """What a step changed in each cell is its cause's part of it."""
    for cell, minor in gaps(before, after).items():
        parts.setdefault(cell, []).append(of._replace(amount_minor=minor))


def _rest(
    case: Case,
    parts: Parts,
    now: Amounts,
    around: Amounts,
    history: History | None = None,
) -> Examined:
    theirs = case.theirs
    differ = set(differing(case.ours, theirs.amounts))
    left = {c: n for c, n in gaps(now, theirs.amounts).items() if c in differ}
    rates = tax_rates(history) if history is not None and left else ()
    return Examined(
        case,
        {cell: own for cell, own in parts.items() if cell in differ},
        Leftover(
            ours=now,
            theirs=theirs.amounts,
            gaps=left,
            repeated=theirs.repeated,
            older=theirs.older,
            around=around,
            is_there=case.is_there,
            is_here=case.is_here,
            is_refused=case.is_refused,
            rate=case.rate,
            tax_rates=rates,
        ),
    )


def tax_rates(history: History) -> Sequence[Fraction]:
    """Those that its invoices' lines show, each once."""
    found = {
        Fraction(tax.amount, tax.taxable_amount).limit_denominator(200)
        for invoice in history.invoices
        for line in invoice.lines.data
        for tax in line.taxes or ()
        if tax.taxable_amount
    }
    return sorted(found - {Fraction(0)})


def cells_of(done: Examined, found: Mapping[Cell, CellPart]) -> list[DifferingCell]:
    """Every cell that differs, with parts that add up to it; ``found`` are of the rest."""
    case, cells = done.case, []
    for cell in differing(case.ours, case.theirs.amounts):
        last = [found[cell]] if cell in found else []
        parts = tuple(p for p in (*done.parts.get(cell, ()), *last) if p.amount_minor)
        ours, theirs = case.ours.get(cell, 0), case.theirs.amounts.get(cell, 0)
        assert sum(part.amount_minor for part in parts) == theirs - ours, (cell, parts)
        currency, day = cell
        on = date.fromordinal(day)
        cells.append(DifferingCell(case.customer, currency, on, ours, theirs, parts))
    return cells
