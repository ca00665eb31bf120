"""Line items and tax rates → the tax inside each item's price, which is never MRR."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion
from connector.stripe_api.objects import Price

# Each item's rates, and since when; oldest first.
ItemTaxRates = Mapping[str, Sequence[tuple[int, Fraction]]]

# Taxes on lines are rounded: a rate that moved by less has not changed.
_SAME_RATE = Fraction(1, 200)
NO_TAX = Fraction(0)


def inclusive_taxes(
    versions: Sequence[SubscriptionVersion], line_items: Sequence[LineItem]
) -> dict[str, list[tuple[int, Fraction]]]:
    """Each item's tax inside its price, and since when: as lines show, or its rates say."""
    found: dict[str, list[tuple[int, Fraction]]] = {n.item: [] for n in line_items}
    for line in line_items:
        rate = line.inclusive_tax
        if not rate:
            continue
        known = found[line.item]
        if not known or abs(known[-1][1] - rate) > _SAME_RATE:
            known.append((line.start_s, rate))
    for seen_s, subscription in versions:
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


def tax_at(taxes: ItemTaxRates, item: str, price: Price, at_s: int) -> Fraction:
    """The rate inside an item's price at an instant; 0 where its price is exclusive.

    A price that says it is inclusive, of an item that no line shows yet, takes the rate
    of the others.
    """
    if price.tax_behavior == "exclusive" or not taxes:
        return NO_TAX
    known = taxes.get(item, ())
    if not known and price.tax_behavior == "inclusive":
        known = [each for rates in taxes.values() for each in rates]
    begun = [rate for since_s, rate in known if since_s <= at_s]
    first = [rate for _, rate in known[:1]]
    return (begun or first or [NO_TAX])[-1]
