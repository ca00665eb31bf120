"""A customer's invoices and pending invoice items → line items, by subscription.

A line item is evidence of what a subscription item was at ``start_s``; its amount is
never turned into MRR. Regular lines of drafts are left out (they can still be edited), but
for those of a renewal in its first hour; their prorations stay, being the pending items of
a moment ago. Manual items are not
recurring. Lines of void and uncollectible invoices stay: nothing may have been owed, but
the subscription was what they say.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import NamedTuple

import msgspec

from connector.core.dates import utc_day
from connector.core.model import Evidence
from connector.core.money import format_minor
from connector.mrr.history import History
from connector.mrr.pricing import is_metered, is_whole_period, units_billed
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
from connector.stripe_api.objects import Discount, Price


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


def line_items(history: History) -> dict[str, list[LineItem]]:
    """Each subscription's line items, ordered by the start of their period."""
    by_subscription: defaultdict[str, list[LineItem]] = defaultdict(list)
    for line in _all_line_items(history):
        by_subscription[line.subscription].append(line)
    for found in by_subscription.values():
        found.sort(key=attrgetter("start_s", "known_s"))
    return dict(by_subscription)


def draft_lines(invoices: Iterable[Invoice]) -> Iterator[LineItem]:
    """The regular lines of drafts: proof that a renewal came, not of what it bills."""
    for invoice in invoices:
        if invoice.status == "draft":
            yield from (line for line in _lines_of(invoice) if line.is_regular)


def usage_lines(
    line_items: Iterable[LineItem], prices: Mapping[str, Price]
) -> dict[str, list[LineItem]]:
    """Each metered item's line items for full periods, by the end of their period."""
    used: dict[str, list[LineItem]] = {}
    for line in line_items:
        price = prices.get(line.price)
        if price is None or not is_metered(price) or not line.is_regular:
            continue
        if is_whole_period(price, line.start_s, line.end_s):  # not a stub's usage
            used.setdefault(line.item, []).append(line)
    for lines in used.values():
        lines.sort(key=attrgetter("end_s"))
    return used


def _all_line_items(history: History) -> Iterator[LineItem]:
    prices = history.catalogue.prices
    for invoice in map(partial(_as_finalized, history), history.invoices):
        lines = _lines_of(invoice)
        if invoice.status == "draft":
            lines = [line for line in lines if not line.is_regular]
        yield from _with_tiers_merged(lines, prices)
    waiting = [_from_pending_item(item) for item in history.pending]
    pending = [line for line in waiting if line is not None]
    current = {
        item.id
        for own in history.versions.values()
        for item in own[-1].subscription.items.data
    }
    told = _with_free_credits(pending, current, prices) if pending else ()
    yield from _with_tiers_merged([*told], prices)


def _as_finalized(history: History, invoice: Invoice) -> Invoice:
    """A draft that is finalized within the hour, as it will be then."""
    if invoice.status != "draft" or invoice.subscription not in history.versions:
        return invoice
    is_due = history.versions[invoice.subscription][-1].finalizes(invoice)
    return msgspec.structs.replace(invoice, status="open") if is_due else invoice


def _with_free_credits(
    pending: Sequence[LineItem], current: Container[str], prices: Mapping[str, Price]
) -> Iterator[LineItem]:
    """What was free is credited with 0, which no pending item says to be a credit.

    It is one where nothing else takes the item back, and it is billed from the same instant
    on, or is not ``current`` and nothing came later.
    """
    billed = {(n.item, n.start_s): n for n in pending if n.amount_minor > 0}
    taken = {(n.item, n.start_s) for n in pending if n.credit}
    last_s = {n.item: n.start_s for n in sorted(pending, key=attrgetter("start_s"))}
    for line in pending:
        debit = billed.get((line.item, line.start_s))
        if line.amount_minor or (line.item, line.start_s) in taken:
            is_credit = line.credit
        elif debit is None:
            is_credit = line.item not in current and line.start_s == last_s[line.item]
        else:
            is_credit = not _is_tier_beside(line, debit, prices)
        yield msgspec.structs.replace(line, credit=True) if is_credit else line


def _is_tier_beside(
    line: LineItem, debit: LineItem, prices: Mapping[str, Price]
) -> bool:
    """Whether it may be a free tier of what the debit bills."""
    price = prices.get(line.price)
    is_tiered = price is not None and price.billing_scheme == "tiered"
    return is_tiered and debit.price == line.price


def _with_tiers_merged(
    line_items: Sequence[LineItem], prices: Mapping[str, Price]
) -> Iterable[LineItem]:
    """One line item for an item's period, where each tier has a line of its own.

    Only together do the lines say how many units were billed.
    """
    regular = {line.item for line in line_items if line.is_regular}
    if len(regular) == len(line_items):
        return line_items  # one of each item, as in nearly every invoice
    return _merged_by_period(line_items, prices)


def _merged_by_period(
    line_items: Iterable[LineItem], prices: Mapping[str, Price]
) -> Iterator[LineItem]:
    by_period: dict[tuple[object, ...], list[LineItem]] = {}
    for line in line_items:
        price = prices.get(line.price)
        is_tiered = price is not None and price.billing_scheme == "tiered"
        if not line.is_regular and not is_tiered:
            yield line
            continue
        period = (line.start_s, line.end_s)
        nature = (line.proration, line.credit)
        key = (line.item, line.price, *period, *nature)
        by_period.setdefault(key, []).append(line)
    for lines in by_period.values():
        yield _merged(lines, prices.get(lines[0].price)) if lines[1:] else lines[0]


def _merged(lines: list[LineItem], price: Price | None) -> LineItem:
    amount_minor = sum(line.amount_minor for line in lines)
    return msgspec.structs.replace(
        lines[0],
        quantity=_billed_units(lines, amount_minor, price),
        unit_amount_minor=None,
        amount_minor=amount_minor,
        discounts=tuple(dict.fromkeys(d for line in lines for d in line.discounts)),
        discounted_minor=sum(line.discounted_minor for line in lines),
        inclusive_tax=_merged_tax(lines),
        discount_amounts=_added_up(lines),
    )


def _added_up(lines: Iterable[LineItem]) -> tuple[tuple[str, int], ...]:
    """What each discount took off all of them, in the order in which they applied."""
    taken_minor: dict[str, int] = {}
    for line in lines:
        for key, minor in line.discount_amounts:
            taken_minor[key] = taken_minor.get(key, 0) + minor
    return tuple(taken_minor.items())


def _merged_tax(lines: Sequence[LineItem]) -> InclusiveTax | None:
    taxes = [line.inclusive_tax for line in lines if line.inclusive_tax is not None]
    if not taxes:
        return None
    amount_minor = sum(tax.amount_minor for tax in taxes)
    return InclusiveTax(amount_minor, sum(tax.parts for tax in taxes))


def _billed_units(
    lines: Sequence[LineItem], amount_minor: int, price: Price | None
) -> Decimal:
    """As their amount shows; not in a shortened period, where it fits but by chance."""
    quantities = [line.quantity for line in lines]
    first = lines[0]
    is_whole = price is not None and is_whole_period(price, first.start_s, first.end_s)
    if price is None or not is_whole or not amount_minor or not first.is_regular:
        return sum(quantities, Decimal(0))
    return units_billed(price, first.currency, quantities, amount_minor)


def _lines_of(invoice: Invoice) -> list[LineItem]:
    return [
        _from_invoice_line(invoice, line, line.parent.subscription_item_details)
        for line in invoice.lines.data
        if line.parent is not None and line.parent.subscription_item_details is not None
    ]


def _from_invoice_line(
    invoice: Invoice, line: InvoiceLine, parent: ItemParent
) -> LineItem:
    proration, pricing = parent.proration, line.pricing
    credit = _is_credit(line.amount, parent.proration_details)
    amounts = _amounts(line.discount_amounts) if line.discount_amounts else ()
    return LineItem(
        "invoice_line",
        line.id,
        invoice.id,
        invoice.created,
        ref(parent.subscription) or invoice.subscription,
        ref(parent.subscription_item),
        _price_of(pricing),
        units_of(line),
        pricing.unit_amount_decimal if pricing is not None else None,
        line.amount,
        line.currency or invoice.currency,
        line.period.start,
        line.period.end,
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


def _from_pending_item(item: InvoiceItem) -> LineItem | None:
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
