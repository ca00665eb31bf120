"""Gaps of one ratio: amounts that were converted, or in which tax counts."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from connector.core.language import _, decimal_text, percent_sign
from connector.reconcile.cells import Amounts
from connector.reconcile.model import Found, GapCause, Leftover, all_of

WIDEST_RATES = Fraction(13, 10)  # between the highest and the lowest of one currency
LEAST_TAXED = 3  # cells that a rate must fit that nothing shows
_TAXES = [Fraction(halves, 200) for halves in range(6, 61)]  # 3 % to 30 %, by halves


def converted(left: Leftover, gaps: Amounts) -> Found:
    """Into another currency, at rates that hardly differ from day to day."""
    currencies = {currency for currency, _ in gaps}
    if len(currencies) == 2:
        return _in_another(left, gaps)
    if len(currencies) == 1 and left.rate is not None:
        ratios = _ratios(left, gaps)
        if ratios and _are_near([*ratios, left.rate]):
            return all_of(gaps, GapCause.CURRENCY, _("converted"), _rates(ratios))
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
    return all_of(gaps, GapCause.CURRENCY, words, _rates(ratios))


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
    least, most = (decimal_text(f"{rate:.4f}") for rate in (low, high))
    if low == high:
        return _("at {rate}").format(rate=least)
    return _("at {least} to {most}").format(least=least, most=most)


def taxed(left: Leftover, gaps: Amounts) -> Found:
    """All amounts are higher by one and the same rate of tax, which invoices show."""
    return _at_a_rate(left, gaps, left.tax_rates, _("tax counts"))


def as_if_taxed(left: Leftover, gaps: Amounts) -> Found:
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
            return all_of(gaps, GapCause.TAX, words, _share(rate))
    return {}


def _share(rate: Fraction) -> str:
    return decimal_text(f"{float(rate * 100):g}") + percent_sign()
