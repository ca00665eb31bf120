"""Invoice lines and pending invoice items → line items, one form for both.

A line item is evidence of what a subscription item was at ``start_s``; its amount is
never turned into MRR. Manual items are not recurring, and are none. Which of them a
customer's history holds, ``subscription_lines`` says.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from connector.core.dates import utc_day
from connector.core.model import Evidence
from connector.core.money import format_minor
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import (
    DiscountAmount,
    Invoice,
    InvoiceItem,
    InvoiceLine,
    ItemParent,
    Pricing,
    ProrationDetails,
    units_of,
)
from connector.stripe_api.objects import Discount


class InclusiveTax(NamedTuple):
    """The tax inside a line's amount, of so many ``parts``, each rounded by itself."""

    amount_minor: int
    parts: int


class LineItem(msgspec.Struct, frozen=True, gc=False):
    """One amount for one subscription item and period.

    ``credit`` takes back what was billed before; it shows the item as it was just before
    ``start_s``. ``is_regular``: a line for a whole period in advance, neither a proration
    nor a credit. ``known_s`` is when Stripe wrote it down. ``discounts`` are the ids that
    reduced it. ``unit_amount_minor`` is None on prorations, ``inclusive_tax`` where no
    tax is named.

    There is one for every line, hence a struct: it is read twice as fast as a tuple with
    names, costs the garbage collector nothing, and is made ten times as fast where its
    fields are given in their order.
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
    is_regular: bool
    discounts: tuple[str, ...] = ()
    discounted_minor: int = 0
    inclusive_tax: InclusiveTax | None = None
    status: str = ""  # its invoice's
    discount_amounts: tuple[tuple[str, int], ...] = ()  # by discount

    @property
    def is_in_arrears(self) -> bool:
        """For a period that is over: usage, days before a backdated start."""
        return self.end_s <= self.known_s and self.is_regular

    @property
    def discounted_s(self) -> int:
        """When the discounts were in force that it was billed with."""
        return self.known_s if self.is_in_arrears else self.start_s

    def evidence(self) -> tuple[Evidence, ...]:
        """The line and its invoice, or the pending item."""
        own = Evidence(self.kind, self.id, self.start_s, self._summary())
        if not self.invoice:
            return (own,)
        return (own, Evidence("invoice", self.invoice, self.known_s))

    def _summary(self) -> str:
        start, end = utc_day(self.start_s), utc_day(self.end_s)
        amount = format_minor(self.amount_minor, self.currency)
        nature = "proration" if self.proration else "period"
        nature = "credit" if self.credit else nature
        quantity = f"{self.quantity.normalize():f}"
        return f"{nature} {start} to {end}: {quantity} × {self.price}, {amount}"


def draft_lines(invoices: Iterable[Invoice]) -> Iterator[LineItem]:
    """The regular lines of drafts: proof that a renewal came, not of what it bills."""
    for invoice in invoices:
        if invoice.status == "draft":
            yield from (line for line in lines_of(invoice) if line.is_regular)


def lines_of(invoice: Invoice) -> list[LineItem]:
    return [
        _from_invoice_line(invoice, line, details)
        for line in invoice.lines.data
        if (parent := line.parent) is not None
        and (details := parent.subscription_item_details) is not None
    ]


def _from_invoice_line(
    invoice: Invoice, line: InvoiceLine, parent: ItemParent
) -> LineItem:
    proration, pricing, period = parent.proration, line.pricing, line.period
    credit = _is_credit(line.amount, parent.proration_details)
    item = parent.subscription_item
    amounts = _amounts(line.discount_amounts) if line.discount_amounts else ()
    return LineItem(
        "invoice_line",
        line.id,
        invoice.id,
        invoice.created,
        ref(parent.subscription) or invoice.subscription,
        item if isinstance(item, str) else ref(item),
        _price_of(pricing),
        units_of(line),
        pricing.unit_amount_decimal if pricing is not None else None,
        line.amount,
        line.currency or invoice.currency,
        period.start,
        period.end,
        proration,
        credit,
        not proration and not credit,
        _discount_ids(line.discounts, amounts) if amounts or line.discounts else (),
        sum(minor for _, minor in amounts) if amounts else 0,
        _inclusive_tax(line) if line.taxes else None,
        invoice.status or "",
        amounts,
    )


def _amounts(taken: Iterable[DiscountAmount] | None) -> tuple[tuple[str, int], ...]:
    return tuple((ref(each.discount), each.amount) for each in taken or ())


def _discount_ids(
    listed: Iterable[str | Discount] | None, amounts: tuple[tuple[str, int], ...]
) -> tuple[str, ...]:
    """The discounts that a line names, each once."""
    named = [discount for discount, minor in amounts if minor]
    named += [ref(each) for each in listed or ()]
    return tuple(dict.fromkeys(named))


def from_pending_item(item: InvoiceItem) -> LineItem | None:
    parent = item.parent.subscription_details if item.parent else None
    is_recurring = parent is not None and parent.subscription_item and item.proration
    if parent is None or not is_recurring or item.invoice is not None:
        return None
    details = item.proration_details
    taken = details.discount_amounts if details is not None else None
    amounts = _amounts(taken)
    return LineItem(
        kind="invoice_item",
        id=item.id,
        invoice="",
        known_s=item.date,
        subscription=ref(parent.subscription),
        item=ref(parent.subscription_item),
        price=_price_of(item.pricing),
        quantity=units_of(item),
        unit_amount_minor=None,
        amount_minor=item.amount,
        currency=item.currency,
        start_s=item.period.start,
        end_s=item.period.end,
        proration=True,
        credit=is_credit_item(item),
        is_regular=False,
        discounts=_discount_ids(item.discounts, amounts),
        discounted_minor=sum(minor for _, minor in amounts),
        discount_amounts=amounts,
    )


def _price_of(pricing: Pricing | None) -> str:
    details = pricing.price_details if pricing is not None else None
    return ref(details.price) if details is not None else ""


def is_credit_line(line: InvoiceLine) -> bool:
    """Whether it takes back what was billed for a subscription item before."""
    parent = line.parent.subscription_item_details if line.parent else None
    return parent is not None and _is_credit(line.amount, parent.proration_details)


def is_credit_item(item: InvoiceItem) -> bool:
    return _is_credit(item.amount, item.proration_details)


def _is_credit(amount_minor: int, details: ProrationDetails | None) -> bool:
    names_credited = details is not None and details.credited_items is not None
    return amount_minor < 0 or names_credited


def _inclusive_tax(line: InvoiceLine) -> InclusiveTax:
    """The tax hidden in the line's amount, as Stripe computed it; 0 for none."""
    inside = [tax for tax in line.taxes or () if tax.tax_behavior == "inclusive"]
    amount_minor = sum(tax.amount for tax in inside)
    return InclusiveTax(amount_minor, max(len(inside), 1))
