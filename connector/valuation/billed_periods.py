"""A customer's invoices → what they billed for each item, and the tax inside it now.

A short reading of its own for ``current_mrr``, which checks what ``evidence.line_items``
reads: it imports nothing of that. Regular lines of drafts are left out, as they can still
be edited, unless Stripe finalizes them within the hour. Manual items are not recurring.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
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


# The tax inside each item's price, by the law of docs/definitions.md (Tax inside a price):
# what the last bills in full say, read from their amounts in whole minor units.

AT_ONCE_S = 60  # objects of one request carry neighbouring seconds


class TaxedAmount(NamedTuple):
    """So much was charged with so much tax in it, in ``parts``; each is rounded."""

    net_minor: int
    tax_minor: int
    parts: int

    def misses_by(self, percent: Fraction) -> Fraction:
        """How far its tax is from what the percentage makes it, in minor units."""
        owed_minor = self.net_minor - self.net_minor / (1 + percent / 100)
        return abs(owed_minor - self.tax_minor)

    def agrees(self, percent: Fraction) -> bool:
        return self.misses_by(percent) < self.parts

    @property
    def percent(self) -> Fraction:
        """The plainest percentage that makes it: 19 before 18.99."""
        charged = Fraction(self.net_minor, self.net_minor - self.tax_minor)
        exact = 100 * (charged - 1)
        plainer = (round(exact, decimals) for decimals in range(5))
        half = Fraction(self.parts, 2)
        return next((each for each in plainer if self.misses_by(each) <= half), exact)


class CurrentTax(NamedTuple):
    """The percentage inside an item's ``price``, since when, and the most that shows it.

    Nothing charged shows what only tax rates say.
    """

    since_s: int
    percent: Fraction
    price: str
    most: TaxedAmount = TaxedAmount(0, 0, 0)


def current_taxes(
    now: Subscription,
    billed: Sequence[BilledPeriod],
    prices: Mapping[str, Price],
    at_s: int,
) -> dict[str, CurrentTax]:
    """What was last billed for each item, else what the tax rates on it say.

    The tax rates are exact, and win where the bills say the same; where these are newer,
    or from Stripe's own tax, they differ.
    """
    stated = {item: found for item, found in _stated(now) if found.percent}
    silent = stated.keys() - {each.item for each in billed if each.names_taxes}
    told = [each for each in billed if each.start_s <= at_s and each.item not in silent]
    taxes = _last_billed(told, prices)
    for item, exact in stated.items():
        found = taxes.setdefault(item, exact)
        if found.most.agrees(exact.percent):
            taxes[item] = found._replace(percent=exact.percent)
    return taxes


def _stated(now: Subscription) -> Iterable[tuple[str, CurrentTax]]:
    for item in now.items.data:
        rates = item.tax_rates or now.default_tax_rates or ()
        percent = sum((each.percentage for each in rates if each.inclusive), Decimal(0))
        yield item.id, CurrentTax(now.started_at, Fraction(percent), "")


def _last_billed(
    periods: Iterable[BilledPeriod], prices: Mapping[str, Price]
) -> dict[str, CurrentTax]:
    """By item: what bills in full tell; before any, what was charged on the way there.

    A proration that waited for its invoice has the tax of that day, not of its own.
    """
    taxes: dict[str, CurrentTax] = {}
    billed: set[tuple[str, str]] = set()  # items, and the prices that they had
    for period, amount in _amounts(periods):
        known, at_price = taxes.get(period.item), (period.item, period.price)
        price = prices.get(period.price)
        behavior = price.tax_behavior_in(period.currency) if price else None
        if behavior == "exclusive" and not amount.tax_minor:
            continue
        waited = period.invoice.created - period.start_s > AT_ONCE_S
        if not period.is_regular and (at_price in billed or (known and waited)):
            continue
        billed.add(at_price)
        taxes[period.item] = _after(
            known or _like(taxes, period, amount), period, amount
        )
    return taxes


def _like(
    taxes: Mapping[str, CurrentTax], period: BilledPeriod, amount: TaxedAmount
) -> CurrentTax | None:
    """What the others have, where a first bill may be too small to tell it by itself."""
    newest = max(taxes.values(), key=_age, default=None)
    if newest is None or not amount.agrees(newest.percent):
        return None
    return CurrentTax(period.start_s, newest.percent, period.price, amount)


def _age(tax: CurrentTax) -> tuple[int, Fraction]:
    return tax.since_s, tax.percent


def _amounts(
    periods: Iterable[BilledPeriod],
) -> Iterator[tuple[BilledPeriod, TaxedAmount]]:
    """What each bill charged, and its tax."""
    for each in periods:
        if each.is_credit or (each.invoice.status == "draft" and not each.is_regular):
            continue
        taxes = each.inclusive_taxes_minor
        if each.net_minor > 0:
            yield each, TaxedAmount(each.net_minor, sum(taxes), max(len(taxes), 1))


def _after(
    known: CurrentTax | None, period: BilledPeriod, amount: TaxedAmount
) -> CurrentTax:
    """What is known once this was billed: the same, said more exactly, or another."""
    fresh = CurrentTax(period.start_s, amount.percent, period.price, amount)
    if known is None:
        return fresh
    most = max(known.most, amount, key=lambda each: each.net_minor)
    if amount.agrees(known.percent):
        if known.price == period.price:
            return known._replace(most=most)
        return known._replace(since_s=period.start_s, price=period.price)
    if known.price == period.price and known.most.agrees(fresh.percent):
        return fresh._replace(since_s=known.since_s, most=most)
    return fresh


def tax_inside(
    taxes: Mapping[str, CurrentTax], item: str, price: Price, currency: str
) -> Fraction:
    """The item's own; where its price says inclusive and nothing shows it, the others'."""
    own, behavior = taxes.get(item), price.tax_behavior_in(currency)
    if behavior == "exclusive":
        own = own if own is not None and own.price == price.id else None
    elif behavior == "inclusive" and own is None:
        own = max(taxes.values(), key=_age, default=None)
    return own.percent / 100 if own is not None else Fraction(0)
