"""What no alternative explains of a customer's cells → what the cells themselves show.

Rules that look at figures alone: a repeated line, a constant ratio, a value that is
counted earlier or later. What none of them fits stays unexplained.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from fractions import Fraction
from functools import partial
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.language import _, ngettext, percent_sign, point
from connector.reconcile.cells import Amounts, Cell, Grain
from connector.reconcile.headers import FileKind
from connector.reconcile.model import CellPart, GapCause

LONGEST_SHIFT = 12  # months that a change can be counted earlier or later: a renewal
MOST_SHIFT_DAYS = 370
WIDEST_RATES = Fraction(13, 10)  # between the highest and the lowest of one currency
LEAST_TAXED = 3  # cells that a rate must fit that nothing shows
_TAXES = [Fraction(halves, 200) for halves in range(6, 61)]  # 3 % to 30 %, by halves


class Leftover(NamedTuple):
    """A customer's cells after every alternative that helped.

    ``ours`` are what these made of ours; ``gaps`` are theirs minus that, and none is 0.
    ``repeated`` and ``older`` are what lines add that are there twice, and what an older
    file of theirs says. ``around`` is ``ours`` with the months before and after.
    ``tax_rates`` are those on the customer's invoices.
    """

    ours: Amounts
    theirs: Amounts
    gaps: Amounts
    repeated: Amounts
    older: Amounts
    around: Amounts
    is_there: bool
    is_here: bool
    is_refused: bool
    rate: Fraction | None  # about theirs to ours, where the files name no currency
    tax_rates: Sequence[Fraction] = ()


Found = dict[Cell, CellPart]


def explained(left: Leftover, grain: Grain) -> Found:
    """A part for each gap; the rules in order, each for what those before it left."""
    rules: Sequence[Callable[[Leftover, Amounts], Found]] = (
        _absent,
        _repeated,
        _restated_there,
        _taxed,
        _converted,
        _refused,
        partial(_dated, grain=grain),
        _as_if_taxed,
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
    rules = (_converted, _taxed, _as_if_taxed)
    return bool(left.gaps) and any(rule(left, left.gaps) for rule in rules)


def _absent(left: Leftover, gaps: Amounts) -> Found:
    if not left.is_there:
        return _all(gaps, GapCause.MISSING_THERE, _("a customer is not there"))
    if not left.is_here and left.is_refused:
        return _all(gaps, GapCause.SET_ASIDE)
    if not left.is_here:
        return _all(gaps, GapCause.MISSING_HERE, _("a customer is not here"))
    return {}


def _all(gaps: Amounts, cause: GapCause, detail: str = "", note: str = "") -> Found:
    return {cell: CellPart(cause, n, detail, note) for cell, n in gaps.items()}


def _repeated(left: Leftover, gaps: Amounts) -> Found:
    twice = {c: n for c, n in gaps.items() if left.repeated.get(c, 0) == n}
    return _all(twice, GapCause.REPEATED)


def _restated_there(left: Leftover, gaps: Amounts) -> Found:
    older = {c: n for c, n in gaps.items() if left.older.get(c) == left.ours.get(c, 0)}
    return _all(
        {c: n for c, n in older.items() if c in left.older}, GapCause.RESTATED_THERE
    )


def _converted(left: Leftover, gaps: Amounts) -> Found:
    """Into another currency, at rates that hardly differ from day to day."""
    currencies = {currency for currency, _ in gaps}
    if len(currencies) == 2:
        return _in_another(left, gaps)
    if len(currencies) == 1 and left.rate is not None:
        ratios = _ratios(left, gaps)
        if ratios and _are_near([*ratios, left.rate]):
            return _all(gaps, GapCause.CURRENCY, _("converted"), _rates(ratios))
    return {}


def _in_another(left: Leftover, gaps: Amounts) -> Found:
    """Theirs are in one currency, ours in another one, on the same days."""
    days: dict[str, dict[int, int]] = {}
    for (currency, day), n in gaps.items():
        days.setdefault(currency, {})[day] = n
    (one, first), (other, second) = days.items()
    if first.keys() != second.keys():
        return {}
    ours, theirs = (one, other) if _is_ours_alone(left, one) else (other, one)
    if not _is_ours_alone(left, ours) or any((theirs, d) in left.ours for d in first):
        return {}
    ratios = [Fraction(left.theirs[theirs, day], left.ours[ours, day]) for day in first]
    if not _are_near(ratios):
        return {}
    words = _("{ours} converted to {theirs}").format(
        ours=ours.upper(), theirs=theirs.upper()
    )
    return _all(gaps, GapCause.CURRENCY, words, _rates(ratios))


def _are_near(rates: Sequence[Fraction]) -> bool:
    return min(rates) > 0 and max(rates) <= WIDEST_RATES * min(rates)


def _is_ours_alone(left: Leftover, currency: str) -> bool:
    return not any(c == currency for c, _ in left.theirs)


def _ratios(left: Leftover, gaps: Amounts) -> list[Fraction]:
    """Theirs to ours in every cell of the currency; none where one side has nothing."""
    [currency] = {currency for currency, _ in gaps}
    cells = [c for c in left.ours.keys() | left.theirs.keys() if c[0] == currency]
    if not all(left.ours.get(c) and left.theirs.get(c) for c in cells):
        return []
    ratios = [Fraction(left.theirs[c], left.ours[c]) for c in cells]
    return ratios if min(ratios) > 0 else []


def _rates(ratios: Sequence[Fraction]) -> str:
    low, high = float(min(ratios)), float(max(ratios))
    least, most = (f"{rate:.4f}".replace(".", point()) for rate in (low, high))
    if low == high:
        return _("at {rate}").format(rate=least)
    return _("at {least} to {most}").format(least=least, most=most)


def _taxed(left: Leftover, gaps: Amounts) -> Found:
    """All amounts are higher by one and the same rate of tax, which invoices show."""
    return _at_a_rate(left, gaps, left.tax_rates, _("tax counts"))


def _as_if_taxed(left: Leftover, gaps: Amounts) -> Found:
    """The same of a rate that nothing shows, where it fits many cells."""
    if len(gaps) < LEAST_TAXED:
        return {}
    return _at_a_rate(left, gaps, _TAXES, _("as if tax counted"))


def _at_a_rate(
    left: Leftover, gaps: Amounts, rates: Iterable[Fraction], words: str
) -> Found:
    if len({currency for currency, _ in gaps}) != 1 or not _ratios(left, gaps):
        return {}
    for rate in rates:
        if all(abs(n - left.ours[c] * rate) <= 1 for c, n in gaps.items()):
            return _all(gaps, GapCause.TAX, words, _share(rate))
    return {}


def _share(rate: Fraction) -> str:
    return f"{float(rate * 100):g}".replace(".", point()) + percent_sign()


def _refused(left: Leftover, gaps: Amounts) -> Found:
    more = {c: n for c, n in gaps.items() if left.is_refused and n > 0}
    return _all(more, GapCause.SET_ASIDE)


def _dated(left: Leftover, gaps: Amounts, grain: Grain) -> Found:
    if grain.kind == FileKind.CHANGES:
        return _on_another_day(left, gaps, grain)
    return _in_another_month(left, gaps, grain)


def _on_another_day(left: Leftover, gaps: Amounts, grain: Grain) -> Found:
    """What is missing on one day and too much on another, the nearest first.

    The other day may lie outside of what is compared.
    """
    first, end = grain.start.toordinal(), grain.end.toordinal()
    outside = {c: -n for c, n in left.around.items() if not first <= c[1] < end}
    there = {**outside, **gaps}
    pairs = sorted(
        (abs(one[1] - other[1]), one, other)
        for one in gaps
        for other in there
        if one[0] == other[0] and gaps[one] == -there[other] and one != other
    )
    found: Found = {}
    used: set[Cell] = set()
    for apart, one, other in pairs:
        if apart <= MOST_SHIFT_DAYS and not used & {one, other}:
            used |= {one, other}
            note = ngettext("a day apart", "{number} days apart", apart).format(
                number=apart
            )
            for cell in {one, other} & gaps.keys():
                words = _("counted on another day")
                found[cell] = CellPart(GapCause.DATE, gaps[cell], words, note)
    return found


def _in_another_month(left: Leftover, gaps: Amounts, grain: Grain) -> Found:
    """Months in a row that show what ours was before a change, or is after the next."""
    found: Found = {}
    for run in _runs(gaps, grain):
        currency = run[0][0]
        before = left.around.get((currency, _month(run[0][1], -1)), 0)
        after = left.around.get((currency, _month(run[-1][1], 1)), 0)
        values = {left.theirs.get(cell, 0) for cell in run}
        if len(run) > LONGEST_SHIFT:
            continue
        if values == {before} or _is_shifted(left, run, -1):
            found |= _all(
                {c: gaps[c] for c in run}, GapCause.DATE, _("counted later there")
            )
        elif values == {after} or _is_shifted(left, run, 1):
            found |= _all(
                {c: gaps[c] for c in run}, GapCause.DATE, _("counted earlier there")
            )
    return found


def _is_shifted(left: Leftover, run: Sequence[Cell], sign: int) -> bool:
    """Whether theirs are ours of some months on, all of them of as many."""
    return any(
        all(
            left.theirs.get((code, first), 0)
            == left.around.get((code, _month(first, sign * count)), 0)
            for code, first in run
        )
        for count in range(1, len(run) + 1)
    )


def _runs(gaps: Amounts, grain: Grain) -> list[list[Cell]]:
    """The cells of months that follow one another, by currency."""
    place = {first: n for n, (first, _) in enumerate(grain.months)}
    runs: list[list[Cell]] = []
    for cell in sorted(gaps):
        last = runs[-1][-1] if runs else None
        follows = last is not None and last[0] == cell[0]
        if last is not None and follows and place[cell[1]] == place[last[1]] + 1:
            runs[-1].append(cell)
        else:
            runs.append([cell])
    return runs


def _month(first: int, count: int) -> int:
    return add_months(date.fromordinal(first), count).toordinal()


def _rounded(_left: Leftover, gaps: Amounts) -> Found:
    return _all({c: n for c, n in gaps.items() if abs(n) == 1}, GapCause.ROUNDING)


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
