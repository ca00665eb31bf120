"""One customer's cells that differ → the parts that add up to each difference.

First the preset's switches, one after the other; then whatever single alternative leaves
the fewest cells, as long as one leaves fewer; what is left is for ``leftovers``.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from connector.core.model import CustomerName
from connector.core.policy import PolicySwitch
from connector.mrr.history import History
from connector.reconcile.alternatives import Alternative, CustomerUnderRules, State
from connector.reconcile.cells import Amounts, Cell, differing, gaps
from connector.reconcile.leftovers import Leftover
from connector.reconcile.model import CellPart, DifferingCell, GapCause
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
    is_foreign: bool
    past: Sequence[Amounts] = ()


Parts = dict[Cell, list[CellPart]]


class Examined(NamedTuple):
    """``parts`` are those of cells so far, ``left`` what they do not explain."""

    case: Case
    parts: Parts
    left: Leftover


def examined(
    case: Case,
    under: CustomerUnderRules,
    base: State,
    preset: Sequence[PolicySwitch],
) -> Examined:
    """What its history under other rules explains, and what is left."""
    parts: Parts = {}
    theirs = case.theirs.amounts
    for past in case.past:
        if past == theirs:
            _note(parts, case.ours, past, CellPart(GapCause.RESTATED_HERE, 0))
            return _rest(case, parts, past, past)
    now: Amounts = under.cells(base)
    _note(parts, case.ours, now, CellPart(GapCause.NOT_DERIVED, 0))
    state, now = _preset(under, base, preset, now, theirs, parts)
    for _ in range(MOST_STEPS if case.is_there else 0):
        best = _best(under, state, now, theirs)
        if best is None:
            break
        step, after = best
        part = CellPart(step.cause, 0, step.detail, step.note)
        _note(parts, now, after, part)
        state, now = step.state, after
    around = under.around(state) if now != theirs else now
    return _rest(case, parts, now, around, under.history)


def _preset(
    under: CustomerUnderRules,
    base: State,
    preset: Sequence[PolicySwitch],
    now: Amounts,
    theirs: Amounts,
    parts: Parts,
) -> tuple[State, Amounts]:
    """All its switches, or none where that would leave more cells than before."""
    state, stages = base, [now]
    for switch in preset:
        state = state.with_switch(switch)
        stages.append(under.cells(state))
    if len(differing(stages[-1], theirs)) > len(differing(now, theirs)):
        return base, now
    for switch, before, after in zip(preset, stages, stages[1:], strict=False):
        _note(parts, before, after, CellPart(GapCause.POLICY, 0, switch.in_words))
    return state, stages[-1]


def _best(
    under: CustomerUnderRules, state: State, now: Amounts, theirs: Amounts
) -> tuple[Alternative, Amounts] | None:
    """The first of those that leave the fewest cells, if it is fewer than now."""
    least, found = len(differing(now, theirs)), None
    for each in under.alternatives(state) if least else ():
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
            is_foreign=case.is_foreign,
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
