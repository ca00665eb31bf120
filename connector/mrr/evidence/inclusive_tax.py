"""The tax that hides in a tax-inclusive price, which is never MRR."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion

# Each item's rates, and since when; oldest first.
Taxes = Mapping[str, Sequence[tuple[int, Fraction]]]

# Taxes on lines are rounded: a rate that moved by less has not changed.
_SAME_RATE = Fraction(1, 200)
NO_TAX = Fraction(0)


def inclusive_taxes(
    sightings: Sequence[SubscriptionVersion], charged: Sequence[LineItem]
) -> dict[str, list[tuple[int, Fraction]]]:
    """Each item's tax inside its price, and since when: as lines show, or its rates say."""
    found: dict[str, list[tuple[int, Fraction]]] = {c.item: [] for c in charged}
    for charge in charged:
        rate = charge.inclusive_tax
        if not rate:
            continue
        known = found[charge.item]
        if not known or abs(known[-1][1] - rate) > _SAME_RATE:
            known.append((charge.start_s, rate))
    for seen_s, subscription in sightings:
        for item in subscription.items.data:
            rates = item.tax_rates or subscription.default_tax_rates or ()
            percent = sum((r.percentage for r in rates if r.inclusive), Decimal(0))
            if not percent:
                continue
            exact, known = Fraction(percent) / 100, found.setdefault(item.id, [])
            if not known:
                known.append((seen_s, exact))
            elif abs(known[-1][1] - exact) <= _SAME_RATE:
                known[-1] = (known[-1][0], exact)
    return {item: known for item, known in found.items() if known}


def tax_at(taxes: Taxes, item: str, behavior: str | None, at_s: int) -> Fraction:
    """The rate inside an item's price at an instant; 0 where its price is exclusive.

    A price that says it is inclusive, of an item that no line shows yet, takes the rate
    of the others.
    """
    if behavior == "exclusive" or not taxes:
        return NO_TAX
    known = taxes.get(item, ())
    if not known and behavior == "inclusive":
        known = [each for found in taxes.values() for each in found]
    began = [tax for since_s, tax in known if since_s <= at_s]
    first = [tax for _, tax in known[:1]]
    return (began or first or [NO_TAX])[-1]
