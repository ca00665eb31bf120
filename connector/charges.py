"""Invoice lines and pending invoice items, read as charges on subscription items.

A charge is evidence of what an item was at ``start_s``; its amount is never turned into
MRR. Regular lines of drafts are left out (they can still be edited); their prorations
stay, being the pending items of a moment ago. Manual items are not recurring. Lines of
void and uncollectible invoices stay: nothing may have been owed, but the subscription was
what they say.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.errors import Unvalued
from connector.history import History
from connector.model import Evidence
from connector.money import format_minor
from connector.mrr import interval_minor, is_whole_period, tariff
from connector.periods import instant
from connector.stripe_objects import (
    Invoice,
    InvoiceItem,
    ItemParent,
    Line,
    Price,
    Pricing,
    ProrationDetails,
    ref,
)


class Charge(NamedTuple):
    """One amount for one subscription item and period.

    ``credit`` takes back what was billed before; it shows the item as it was just before
    ``start_s``. ``known_s`` is when Stripe wrote it down. ``discounts`` are the ids that
    reduced it. ``unit_amount_minor`` is None on prorations.
    """

    kind: str
    id: str
    invoice: str
    known_s: int
    subscription: str
    item: str
    price: str
    quantity: Decimal
    unit_amount_minor: Decimal | None
    amount_minor: int
    currency: str
    start_s: int
    end_s: int
    proration: bool
    credit: bool
    discounts: tuple[str, ...]
    discounted_minor: int
    inclusive_tax: Fraction
    status: str = ""  # its invoice's
    reductions: tuple[tuple[str, int], ...] = ()  # each discount's own part

    @property
    def is_regular(self) -> bool:
        """A line for a whole period in advance, not a correction of one."""
        return not self.proration and not self.credit

    def evidence(self) -> tuple[Evidence, ...]:
        """The line and its invoice, or the pending item."""
        own = Evidence(self.kind, self.id, self.start_s, self._said())
        if not self.invoice:
            return (own,)
        return (own, Evidence("invoice", self.invoice, self.known_s))

    def _said(self) -> str:
        start, end = (f"{instant(s):%Y-%m-%d}" for s in (self.start_s, self.end_s))
        amount = format_minor(self.amount_minor, self.currency)
        nature = (
            "credit" if self.credit else "proration" if self.proration else "period"
        )
        quantity = f"{self.quantity.normalize():f}"
        return f"{nature} {start} to {end}: {quantity} × {self.price}, {amount}"


def charges(history: History) -> dict[str, list[Charge]]:
    """Each subscription's charges, ordered by the start of their period."""
    by_subscription: dict[str, list[Charge]] = {}
    for charge in _all(history):
        by_subscription.setdefault(charge.subscription, []).append(charge)
    for found in by_subscription.values():
        found.sort(key=lambda charge: (charge.start_s, charge.known_s))
    return by_subscription


def _all(history: History) -> Iterator[Charge]:
    for invoice in history.invoices:
        lines = [_of_line(invoice, line) for line in invoice.lines.data]
        found = [charge for charge in lines if charge is not None]
        if invoice.status == "draft":
            found = [charge for charge in found if not charge.is_regular]
        yield from _tiers_joined(found, history.catalogue.prices)
    waiting = [_of_pending(item) for item in history.pending]
    pending = [charge for charge in waiting if charge is not None]
    yield from _tiers_joined(pending, history.catalogue.prices)


def _tiers_joined(
    charges: Iterable[Charge], prices: Mapping[str, Price]
) -> Iterator[Charge]:
    """One charge for an item's period, where each tier has a line of its own.

    Only together do the lines say how many units were billed.
    """
    whole: dict[tuple[object, ...], list[Charge]] = {}
    for charge in charges:
        price = prices.get(charge.price)
        is_tiered = price is not None and price.billing_scheme == "tiered"
        if not charge.is_regular and not is_tiered:
            yield charge
            continue
        nature = (charge.proration, charge.credit)
        key = (charge.item, charge.price, charge.start_s, charge.end_s, nature)
        whole.setdefault(key, []).append(charge)
    for lines in whole.values():
        yield _joined(lines, prices.get(lines[0].price)) if lines[1:] else lines[0]


def _joined(lines: list[Charge], price: Price | None) -> Charge:
    amount_minor = sum(line.amount_minor for line in lines)
    return lines[0]._replace(
        quantity=_units(lines, amount_minor, price),
        unit_amount_minor=None,
        amount_minor=amount_minor,
        discounts=tuple(dict.fromkeys(d for line in lines for d in line.discounts)),
        discounted_minor=sum(line.discounted_minor for line in lines),
    )


def _units(lines: list[Charge], amount_minor: int, price: Price | None) -> Decimal:
    """How many units the lines bill, without those of a flat fee's line.

    That is the sum of quantities that costs what the lines do; all of them, where none
    does, and in a shortened period, whose amounts fit nothing but by chance.
    """
    total = sum((line.quantity for line in lines), Decimal(0))
    first = lines[0]
    if price is None or not amount_minor or not first.is_regular:
        return total
    if not is_whole_period(price, first.start_s, first.end_s):
        return total
    try:
        rate = tariff(price, first.currency)
    except Unvalued:
        return total
    sums = {Decimal(0)}
    for line in lines:
        sums |= {reached + line.quantity for reached in sums}
    fitting = [
        q for q in sums if abs(interval_minor(rate, q) - amount_minor) <= len(lines)
    ]
    return total if total in fitting else max(fitting, default=total)


def _of_line(invoice: Invoice, line: Line) -> Charge | None:
    parent = line.parent.subscription_item_details if line.parent else None
    if parent is None:
        return None
    discounts = line.discount_amounts or ()
    reduced = sum(each.amount for each in discounts)
    named = [ref(each.discount) for each in discounts if each.amount]
    named += [ref(each) for each in line.discounts or ()]
    return Charge(
        kind="invoice_line",
        id=line.id,
        invoice=invoice.id,
        known_s=invoice.created,
        subscription=ref(parent.subscription) or _subscription_of(invoice),
        item=ref(parent.subscription_item),
        price=_price_of(line.pricing),
        quantity=_quantity(line),
        unit_amount_minor=_unit_amount(line.pricing),
        amount_minor=line.amount,
        currency=line.currency or invoice.currency,
        start_s=line.period.start,
        end_s=line.period.end,
        proration=parent.proration,
        credit=_takes_back(line.amount, parent.proration_details),
        discounts=tuple(dict.fromkeys(named)),
        discounted_minor=reduced,
        inclusive_tax=_inclusive_tax(line),
        status=invoice.status or "",
        reductions=tuple((ref(each.discount), each.amount) for each in discounts),
    )


def _of_pending(item: InvoiceItem) -> Charge | None:
    parent = item.parent.subscription_details if item.parent else None
    is_recurring = parent is not None and parent.subscription_item and item.proration
    if parent is None or not is_recurring or item.invoice is not None:
        return None
    return Charge(
        kind="invoice_item",
        id=item.id,
        invoice="",
        known_s=item.date,
        subscription=ref(parent.subscription),
        item=ref(parent.subscription_item),
        price=_price_of(item.pricing),
        quantity=_quantity(item),
        unit_amount_minor=None,
        amount_minor=item.amount,
        currency=item.currency,
        start_s=item.period.start,
        end_s=item.period.end,
        proration=True,
        credit=_takes_back(item.amount, item.proration_details),
        discounts=(),
        discounted_minor=0,
        inclusive_tax=Fraction(0),
    )


def _subscription_of(invoice: Invoice) -> str:
    details: ItemParent | None = None
    if invoice.parent is not None:
        details = invoice.parent.subscription_details
    return ref(details.subscription) if details is not None else ""


def _price_of(pricing: Pricing | None) -> str:
    details = pricing.price_details if pricing is not None else None
    return ref(details.price) if details is not None else ""


def _unit_amount(pricing: Pricing | None) -> Decimal | None:
    return pricing.unit_amount_decimal if pricing is not None else None


def _quantity(thing: Line | InvoiceItem) -> Decimal:
    if thing.quantity_decimal is not None:
        return thing.quantity_decimal
    return Decimal(1 if thing.quantity is None else thing.quantity)


def _takes_back(amount_minor: int, details: ProrationDetails | None) -> bool:
    names_credited = details is not None and details.credited_items is not None
    return amount_minor < 0 or names_credited


def _inclusive_tax(line: Line) -> Fraction:
    """The tax rate hidden in the line's amount, from the taxes Stripe computed."""
    rate = Fraction(0)
    for tax in line.taxes or ():
        if tax.tax_behavior == "inclusive" and tax.taxable_amount:
            rate += Fraction(tax.amount, tax.taxable_amount)
    return rate
