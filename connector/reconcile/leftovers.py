"""What no alternative explains of a customer's cells → what the cells themselves show.

Rules that look at figures alone: a repeated line, a constant ratio, a value that is
counted earlier or later. What none of them fits stays unexplained.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from connector.core.language import _
from connector.reconcile.cells import Amounts, Cell, Grain
from connector.reconcile.model import CellPart, Found, GapCause, Leftover, all_of
from connector.reconcile.ratios import as_if_taxed, converted, taxed
from connector.reconcile.shifts import dated


def explained(left: Leftover, grain: Grain) -> Found:
    """A part for each gap; the rules in order, each for what those before it left."""
    rules: Sequence[Callable[[Leftover, Amounts], Found]] = (
        _absent,
        _repeated,
        _restated_there,
        taxed,
        converted,
        _refused,
        partial(dated, grain=grain),
        as_if_taxed,
        _rounded,
    )
    found: Found = {}
    for rule in rules:
        open_gaps = {c: n for c, n in left.gaps.items() if c not in found}
        if not open_gaps:
            break
        found |= rule(left, open_gaps)
    rest = {c: n for c, n in left.gaps.items() if c not in found}
    return found | {c: CellPart(GapCause.UNEXPLAINED, n) for c, n in rest.items()}


def is_by_evidence(left: Leftover) -> bool:
    """Whether the files themselves show why: lines that are twice, an older figure."""
    found = _repeated(left, left.gaps) | _restated_there(left, left.gaps)
    return found.keys() == left.gaps.keys()


def is_by_ratio(left: Leftover) -> bool:
    """Whether all gaps are of one ratio: a conversion, or tax."""
    rules = (converted, taxed, as_if_taxed)
    return bool(left.gaps) and any(rule(left, left.gaps) for rule in rules)


def _absent(left: Leftover, gaps: Amounts) -> Found:
    if not left.is_there:
        return all_of(gaps, GapCause.MISSING_THERE, _("a customer is not there"))
    if not left.is_here and left.is_refused:
        return all_of(gaps, GapCause.SET_ASIDE)
    if not left.is_here:
        return all_of(gaps, GapCause.MISSING_HERE, _("a customer is not here"))
    return {}


def _repeated(left: Leftover, gaps: Amounts) -> Found:
    twice = {c: n for c, n in gaps.items() if left.repeated.get(c, 0) == n}
    return all_of(twice, GapCause.REPEATED)


def _restated_there(left: Leftover, gaps: Amounts) -> Found:
    older = {c: n for c, n in gaps.items() if left.older.get(c) == left.ours.get(c, 0)}
    return all_of(
        {c: n for c, n in older.items() if c in left.older}, GapCause.RESTATED_THERE
    )


def _refused(left: Leftover, gaps: Amounts) -> Found:
    more = {c: n for c, n in gaps.items() if left.is_refused and n > 0}
    return all_of(more, GapCause.SET_ASIDE)


def _rounded(_left: Leftover, gaps: Amounts) -> Found:
    return all_of({c: n for c, n in gaps.items() if abs(n) == 1}, GapCause.ROUNDING)


Signature = frozenset[tuple[Cell, int]]


def moved(leftovers: Mapping[str, Amounts], absent: AbstractSet[str]) -> dict[str, str]:
    """Customers whose gaps are another one's with the sign turned: whose, by id.

    What one id has too little of is what another has too much of: the ids were merged,
    or a customer was moved to a new one. One of the two is ``absent`` on a side.
    """
    by_gaps: dict[Signature, list[str]] = {}
    for customer, gaps in leftovers.items():
        by_gaps.setdefault(frozenset(gaps.items()), []).append(customer)
    found: dict[str, str] = {}
    for customer, gaps in leftovers.items():
        turned = frozenset((cell, -n) for cell, n in gaps.items())
        others = [o for o in by_gaps.get(turned, ()) if o not in found]
        if customer not in found and others and {customer, others[0]} & absent:
            found |= {customer: others[0], others[0]: customer}
    return found
