"""A customer's invoices → what they billed for each subscription item, period by period.

A short reading of its own for ``current_mrr``, which checks what ``evidence.line_items``
reads: it imports nothing of that. Regular lines of drafts are left out, as they can still
be edited. Manual items are not recurring.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.mrr.pricing import units_billed
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice, InvoiceLine, ItemParent, units_of
from connector.stripe_api.objects import Price


class BilledPeriod(NamedTuple):
    """What one invoice billed for an item, at one price, for one period of time.

    ``is_regular``: in advance and for the whole period. A proration or credit is not, and
    stands alone; a regular period has a line for each tier of its price.
    """

    subscription: str
    item: str
    price: str
    start_s: int
    end_s: int
    is_regular: bool
    invoice: Invoice
    lines: tuple[InvoiceLine, ...]

    @property
    def amount_minor(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def is_credit(self) -> bool:
        """Whether it takes back what was billed before: it shows the state before it."""
        parent = self.lines[0].parent
        details = parent.subscription_item_details if parent is not None else None
        of = details.proration_details if details is not None else None
        names_credited = of is not None and of.credited_items is not None
        return self.amount_minor < 0 or names_credited

    @property
    def unit_amount_minor(self) -> Decimal | None:
        """The amount a unit; None where it takes several lines to say what was billed."""
        pricing = self.lines[0].pricing
        if pricing is None or len(self.lines) > 1:
            return None
        return pricing.unit_amount_decimal

    @property
    def discount_amounts_minor(self) -> dict[str, int]:
        """What each discount took off, in the order in which they applied."""
        taken: dict[str, int] = {}
        for line in self.lines:
            for each in line.discount_amounts or ():
                key = ref(each.discount)
                taken[key] = taken.get(key, 0) + each.amount
        return taken

    @property
    def inclusive_tax(self) -> Fraction:
        """The rate hidden in the amount, from the taxes that Stripe computed."""
        rates = [
            Fraction(tax.amount, tax.taxable_amount)
            for tax in self.lines[0].taxes or ()
            if tax.tax_behavior == "inclusive" and tax.taxable_amount
        ]
        return sum(rates, Fraction(0))

    def units(self, price: Price) -> Decimal:
        quantities = [units_of(line) for line in self.lines]
        if len(quantities) == 1:
            return quantities[0]
        currency = self.lines[0].currency or self.invoice.currency
        return units_billed(price, currency, quantities, self.amount_minor)


def billed_periods(invoices: Iterable[Invoice]) -> dict[str, list[BilledPeriod]]:
    """Each subscription's periods, ordered by their start, then by their invoice's date."""
    by_subscription: dict[str, list[BilledPeriod]] = {}
    for invoice in invoices:
        for period in _periods(invoice):
            by_subscription.setdefault(period.subscription, []).append(period)
    for periods in by_subscription.values():
        periods.sort(key=lambda period: (period.start_s, period.invoice.created))
    return by_subscription


def _periods(invoice: Invoice) -> Iterator[BilledPeriod]:
    regular: dict[tuple[object, ...], BilledPeriod] = {}
    for line in invoice.lines.data:
        period = _period(invoice, line)
        if period is None:
            continue
        if not period.is_regular:
            yield period
        elif invoice.status != "draft":
            key = period[:-2]  # all but the invoice and its lines
            known = regular.get(key, period._replace(lines=()))
            regular[key] = known._replace(lines=(*known.lines, line))
    yield from regular.values()


def _period(invoice: Invoice, line: InvoiceLine) -> BilledPeriod | None:
    details = line.parent.subscription_item_details if line.parent else None
    if details is None or details.subscription_item is None:
        return None
    priced = line.pricing.price_details if line.pricing else None
    return BilledPeriod(
        subscription=ref(details.subscription) or invoice.subscription,
        item=ref(details.subscription_item),
        price=ref(priced.price) if priced is not None else "",
        start_s=line.period.start,
        end_s=line.period.end,
        is_regular=line.amount >= 0 and not _corrects(details),
        invoice=invoice,
        lines=(line,),
    )


def _corrects(details: ItemParent) -> bool:
    """Whether the line changes what was billed before: a proration, or a credit."""
    of = details.proration_details
    return details.proration or (of is not None and of.credited_items is not None)
