"""The tax inside each item's price now, by the law of docs/definitions.md.

What the last bills in full say, read from their amounts in whole minor units (Tax inside
a price); else what the tax rates on an item say.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.stripe_api.objects import Price, Subscription
from connector.valuation.billed_periods import BilledPeriod

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
