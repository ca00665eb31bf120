"""A customer's invoices → the lines that are of no subscription item, and what they are.

A manual line, a line of a pricing plan, a contract, or of a parent that nobody knows: it
is of no v1 subscription item, so nothing of it is MRR by itself. Lines of invoices that
are not due (drafts, void ones) are left out; what takes back is told apart.
"""

from collections.abc import Iterable, Iterator

import msgspec

from connector.core.invoiced import NotCountedReason
from connector.core.model import Evidence
from connector.core.money import format_minor
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import Invoice, InvoiceLine

# What a parent's or a pricing's type says, by a word in it; the first that fits.
_REASONS = {
    "license_fee": NotCountedReason.LICENCE_FEE,
    "rate_card": NotCountedReason.RATE_CARD,
    "pricing_plan": NotCountedReason.PRICING_PLAN,
    "contract": NotCountedReason.CONTRACT,
    "schedule": NotCountedReason.SCHEDULE,
    "cadence": NotCountedReason.BILLING_CADENCE,
}


class OutsideLine(msgspec.Struct, frozen=True, gc=False):
    """``net_minor`` is above 0, also of a credit. ``text``: its description's hash.

    ``billed_s`` is when its invoice was finalized.
    """

    id: str
    invoice: str
    billed_s: int
    currency: str
    net_minor: int
    start_s: int
    end_s: int
    reason: NotCountedReason
    product: str
    text: str

    def evidence(self, at_s: int) -> tuple[Evidence, ...]:
        """The line and its invoice."""
        amount = format_minor(self.net_minor, self.currency)
        words = self.reason.replace("_", " ")
        said = f"{words} {self.product}".strip() + f", {amount}"
        line = Evidence("invoice_line", self.id, at_s, said)
        return (line, Evidence("invoice", self.invoice, self.billed_s))


def outside_lines(invoices: Iterable[Invoice]) -> Iterator[OutsideLine]:
    """Those of the invoices that were due, in their order."""
    for invoice in invoices:
        if not invoice.is_due:
            continue
        for line in invoice.lines.data:
            if _is_outside(line):
                found = outside_line(invoice, line)
                if found is not None:
                    yield found


def outside_credits(invoices: Iterable[Invoice]) -> Iterator[OutsideLine]:
    """What takes back such lines, but for what is written by hand."""
    for invoice in invoices:
        if not invoice.is_due:
            continue
        for line in invoice.lines.data:
            if line.amount >= 0 or not _is_outside(line):
                continue
            found = _read(invoice, line, -line.net_minor)
            if found.reason is not NotCountedReason.MANUAL:
                yield found


def outside_line(invoice: Invoice, line: InvoiceLine) -> OutsideLine | None:
    """None for a proration, and for what takes back or bills nothing."""
    net_minor = line.net_minor
    manual = line.parent.invoice_item_details if line.parent is not None else None
    if net_minor <= 0 or (manual is not None and manual.proration):
        return None
    return _read(invoice, line, net_minor)


def _is_outside(line: InvoiceLine) -> bool:
    return line.parent is None or line.parent.subscription_item_details is None


def _read(invoice: Invoice, line: InvoiceLine, net_minor: int) -> OutsideLine:
    details = line.pricing.price_details if line.pricing is not None else None
    return OutsideLine(
        line.id,
        invoice.id,
        invoice.billed_s,
        line.currency or invoice.currency,
        net_minor,
        line.period.start,
        line.period.end,
        _reason(invoice, line),
        ref(details.product) if details is not None else "",
        line.text_hash or "",
    )


def _reason(invoice: Invoice, line: InvoiceLine) -> NotCountedReason:
    """By the line's parent, its pricing, its invoice's parent: what says something."""
    parent, pricing = line.parent, line.pricing
    is_manual = parent is not None and parent.invoice_item_details is not None
    types = (
        parent.type if parent is not None else None,
        pricing.type if pricing is not None else None,
        invoice.parent.type if invoice.parent is not None else None,
    )
    for said in types:
        for word, reason in _REASONS.items():
            if word in (said or ""):
                return reason
    if not is_manual:
        return NotCountedReason.UNKNOWN_PARENT
    if pricing is not None and pricing.type != "price_details":
        return NotCountedReason.UNKNOWN_PRICING
    return NotCountedReason.MANUAL
