"""A customer's invoices → what they billed for each item.

A short reading of its own for ``current_mrr``, which checks what ``evidence.line_items``
reads: it imports nothing of that. Regular lines of drafts are left out, as they can still
be edited, unless Stripe finalizes them within the hour. Manual items are not recurring.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from connector.mrr.pricing import units_billed
from connector.mrr.tiers import TierLine
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice, InvoiceLine, ItemParent, units_of
from connector.stripe_api.objects import Price, Subscription

FRESH_S = 3_600  # so long a draft waits to be finalized


class BilledPeriod(NamedTuple):
    """What one invoice billed for an item, at one price, for one period of time.

    ``is_regular``: in advance and for the whole period. A proration or credit is not.
    There is a line for each tier of its price.
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
    def net_minor(self) -> int:
        """What was charged, tax inside it included."""
        return self.amount_minor - sum(self.discount_amounts_minor.values())

    @property
    def inclusive_taxes_minor(self) -> list[int]:
        """The taxes inside the amount, each rounded by itself, of all of its lines."""
        return [
            tax.amount
            for line in self.lines
            for tax in line.taxes or ()
            if tax.tax_behavior == "inclusive"
        ]

    @property
    def names_taxes(self) -> bool:
        return any(line.taxes for line in self.lines)

    def units(self, price: Price) -> Decimal:
        first, *more = self.lines
        if not more:
            return units_of(first)
        billed = [TierLine(units_of(line), line.amount) for line in self.lines]
        return units_billed(price, self.currency, billed)

    @property
    def currency(self) -> str:
        return self.lines[0].currency or self.invoice.currency


def billed_periods(
    invoices: Iterable[Invoice], subscriptions: Iterable[Subscription], at_s: int
) -> dict[str, list[BilledPeriod]]:
    """Each subscription's periods, ordered by their start, then by their invoice's date.

    ``subscriptions`` are as they are at ``at_s``.
    """
    going_on = {
        each.id
        for each in subscriptions
        if each.status in ("active", "past_due") and each.pause_collection is None
    }
    by_subscription: dict[str, list[BilledPeriod]] = {}
    for invoice in invoices:
        is_fresh = at_s - invoice.created <= FRESH_S
        is_due = is_fresh and invoice.subscription in going_on
        for period in _periods(_finalized(invoice) if is_due else invoice):
            by_subscription.setdefault(period.subscription, []).append(period)
    for periods in by_subscription.values():
        periods.sort(key=lambda period: (period.start_s, period.invoice.created))
    return by_subscription


def _finalized(invoice: Invoice) -> Invoice:
    is_draft = invoice.status == "draft"
    return replace(invoice, status="open") if is_draft else invoice


def _periods(invoice: Invoice) -> Iterator[BilledPeriod]:
    found: dict[tuple[object, ...], BilledPeriod] = {}
    for line in invoice.lines.data:
        period = _period(invoice, line)
        if period is None or (period.is_regular and invoice.status == "draft"):
            continue
        key = (*period[:-2], period.is_credit)  # all but the invoice and its lines
        known = found.get(key, period._replace(lines=()))
        found[key] = known._replace(lines=(*known.lines, line))
    yield from found.values()


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
