"""Tax on lines, and what they let anyone know of the tax inside a price.

Stripe taxes a line as the customer is taxed on the day of its invoice. What an item's MRR
is without the tax inside its price, the last line says that bills its price in full (law:
docs/definitions.md, Tax inside a price).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.billing.catalogue import Price, half_up

if TYPE_CHECKING:
    from tests.billing.state import Line


@dataclass(frozen=True, slots=True)
class TaxStatus:
    """How a customer is taxed: not at all yet, at these rates, or ``exempt`` from them."""

    percents: tuple[Decimal, ...] = ()
    exempt: bool = False

    @property
    def inside(self) -> Fraction:
        return Fraction(0 if self.exempt else sum(self.percents)) / 100


@dataclass(frozen=True, slots=True)
class LineTax:
    amount: int
    taxable: int
    behavior: str
    exempt: bool

    def shown(self) -> dict[str, Any]:
        return {
            "amount": self.amount,
            "tax_behavior": self.behavior,
            "taxability_reason": "reverse_charge" if self.exempt else "standard_rated",
            "taxable_amount": self.taxable,
            "type": "tax_rate_details",
        }


@dataclass(slots=True)
class TaxShown:
    """What an item's lines have shown: the tax inside, since when, and at which prices."""

    inside: Fraction | None = None
    since: int = 0
    prices: set[str] = field(default_factory=set)


def charged(net: int, price: Price, status: TaxStatus) -> list[LineTax]:
    """The taxes of a line; where the price is inclusive they are part of ``net``."""
    is_inside = price.tax_behavior == "inclusive"
    base = net / (1 + status.inside) if is_inside else Fraction(net)
    amounts = [
        0 if status.exempt else _signed(base * Fraction(percent) / 100)
        for percent in status.percents
    ]
    taxable = net - sum(amounts) if is_inside else net
    behavior = "inclusive" if is_inside else "exclusive"
    return [LineTax(each, taxable, behavior, status.exempt) for each in amounts]


def _signed(amount: Fraction) -> int:
    return half_up(amount) if amount >= 0 else -half_up(-amount)


def note(lines: Iterable["Line"], now: int) -> None:
    """What an invoice's lines show of the tax inside their items' prices."""
    bills: dict[tuple[int, bool, int], list[Line]] = {}
    for line in lines:
        if line.item is None or line.credits is not None or line.amount < 0:
            continue
        bills.setdefault((id(line.item), line.proration, line.start), []).append(line)
    for (_, is_proration, start), bill in sorted(bills.items(), key=lambda b: b[0][2]):
        _note(bill, start, is_late=is_proration and start < now)


def _note(bill: Sequence["Line"], start: int, *, is_late: bool) -> None:
    item, net = bill[0].item, sum(line.net for line in bill)
    assert item is not None
    shown, price = item.tax, bill[0].price
    if net <= 0 or price.tax_behavior == "exclusive":
        return
    if bill[0].proration and (
        price.id in shown.prices or (is_late and shown.inside is not None)
    ):
        return
    shown.prices.add(price.id)
    inside = bill[0].customer.tax.inside
    paid = sum(tax.amount for line in bill for tax in line.taxes)
    parts = max(sum(len(line.taxes) for line in bill), 1)
    known = shown.inside
    if known is not None and abs(paid - net * known / (1 + known)) < parts:
        return
    shown.inside, shown.since = inside, start


def inside(price: Price, own: TaxShown, others: Sequence[TaxShown]) -> Fraction:
    """The tax inside an item's price, as far as lines have shown it."""
    if price.tax_behavior == "exclusive":
        return Fraction(0)
    if own.inside is not None:
        return own.inside
    known = [(it.since, it.inside) for it in others if it.inside is not None]
    if price.tax_behavior == "inclusive" and known:
        return max(known)[1]
    return Fraction(0)
