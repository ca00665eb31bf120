"""Price × quantity × interval − discount → one item's amount a month.

Comes in: a Stripe price. Goes out: a ``Tariff``, the MRR of an ``ItemPricing`` in whole
minor units, and the arithmetic a person can follow. Exact until the end, then rounded
once per item, half to even: a yearly 100.00 is 8.33 a month, and twelve of those are not
a year.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from msgspec.structs import replace

from connector.core.errors import Unvalued
from connector.core.model import ItemDiscount, ItemPricing, Tariff, Tier
from connector.core.money import format_minor, format_ratio, round_minor, round_ratio
from connector.mrr.tiers import TierLine, tiers_minor, units_of_tiers
from connector.stripe_api.objects import Coupon, CurrencyOption, Price, PriceTier

# Months of revenue in one interval's amount: a year's is spread over 12 months, a week's
# comes 52 times a year, a day's 365 times. Source: docs/definitions.md, MRR.
MONTHS_FACTOR = {
    "month": Fraction(1),
    "year": Fraction(1, 12),
    "week": Fraction(52, 12),
    "day": Fraction(365, 12),
}

MOST_INTERVALS = 1_200  # Stripe's own limit is three years


# What the operator can do about it: a price cannot be changed, so it is sold anew.
TIERS_NOT_SHOWN = (
    "not shown by Stripe, which was asked for them: sync once more, or sell it at a price "
    "of that currency's own"
)


def tariff(
    price: Price,
    currency: str,
    *,
    unit_amount_minor: Decimal | None = None,
    unit_label: str = "",
) -> Tariff:
    """Read a recurring price in ``currency``; raise ``Unvalued`` for what has no value.

    ``unit_amount_minor`` is the amount an invoice line shows; it wins over the price,
    whose currency options may have changed since.
    """
    recurring = price.recurring
    if recurring is None:
        raise Unvalued(price.id, "recurring", None)
    is_count = 1 <= recurring.interval_count <= MOST_INTERVALS
    if recurring.interval not in MONTHS_FACTOR or not is_count:
        interval = f"{recurring.interval_count} {recurring.interval}"
        raise Unvalued(price.id, "recurring.interval", interval)
    if recurring.usage_type not in ("licensed", "metered", None):
        raise Unvalued(price.id, "recurring.usage_type", recurring.usage_type)
    metered = recurring.usage_type == "metered"
    tiers: tuple[Tier, ...] = ()
    if price.billing_scheme == "tiered":
        unit_amount_minor = None
        tiers = _tiers(price, currency)
    elif price.billing_scheme not in ("per_unit", None):
        raise Unvalued(price.id, "billing_scheme", price.billing_scheme)
    elif unit_amount_minor is None:
        unit_amount_minor = _unit_amount(price, currency)
    transform = price.transform_quantity
    return Tariff(
        price=price.id,
        currency=currency,
        interval=recurring.interval,
        interval_count=recurring.interval_count,
        unit_amount_minor=unit_amount_minor,
        tiers=tiers,
        tiers_are_volume=price.tiers_mode == "volume",
        divide_by=transform.divide_by if transform else 1,
        rounds_up=transform is not None and transform.round == "up",
        metered=metered,
        unit_label=unit_label,
    )


def no_value(price: Price) -> Unvalued | None:
    """Why a price has no value in its own currency; None where it has one."""
    try:
        tariff(price, price.currency)
    except Unvalued as error:
        return error
    return None


# The days of the shortest full period: February's, for a month.
_SHORTEST_DAYS = {"day": 1, "week": 7, "month": 28, "year": 365}


def is_whole_period(price: Price, start_s: int, end_s: int) -> bool:
    """Whether a line's period is a full one of the price, and no stub of it."""
    if price.recurring is None:
        return False
    days = _SHORTEST_DAYS.get(price.recurring.interval, 0)
    return end_s - start_s >= days * price.recurring.interval_count * 86_400


def is_metered(price: Price | None) -> bool:
    recurring = price.recurring if price is not None else None
    return recurring is not None and recurring.usage_type == "metered"


def _in_currency(price: Price, currency: str) -> Price | CurrencyOption:
    if price.currency == currency:
        return price
    option = (price.currency_options or {}).get(currency)
    if option is None:
        raise Unvalued(price.id, "currency_options", currency)
    return option


def _unit_amount(price: Price, currency: str) -> Decimal:
    offer = _in_currency(price, currency)
    if offer.unit_amount_decimal is not None:
        return offer.unit_amount_decimal
    if offer.unit_amount is None:
        raise Unvalued(price.id, "unit_amount", None)
    return Decimal(offer.unit_amount)


def tariff_as_billed(price: Price, currency: str, amount_minor: int) -> Tariff:
    """The tariff of a price that lacks this currency's tiers, for one quantity alone.

    A whole period's line says what the quantity costs; what any other does, it does not.
    """
    whole = PriceTier(flat_amount=amount_minor)
    option = CurrencyOption(tiers=[whole])
    known = replace(price, currency_options={currency: option})
    return tariff(known, currency)


def _tiers(price: Price, currency: str) -> tuple[Tier, ...]:
    if price.lacks_tiers_in(currency):
        raise Unvalued(price.id, f"currency_options.{currency}.tiers", TIERS_NOT_SHOWN)
    offered = _in_currency(price, currency).tiers
    if not offered or price.tiers_mode not in ("graduated", "volume"):
        raise Unvalued(price.id, "tiers", price.tiers_mode)
    if all(tier.up_to is not None for tier in offered):  # what is more has no price
        raise Unvalued(price.id, "tiers.up_to", str(max(t.up_to or 0 for t in offered)))
    return tuple(
        Tier(
            up_to=tier.up_to,
            unit_amount_minor=_decimal(tier.unit_amount_decimal, tier.unit_amount),
            flat_amount_minor=_decimal(tier.flat_amount_decimal, tier.flat_amount),
        )
        for tier in sorted(offered, key=lambda t: (t.up_to is None, t.up_to or 0))
    )


def _decimal(exact: Decimal | None, whole: int | None) -> Decimal:
    return Decimal(whole or 0) if exact is None else exact


def interval_minor(rate: Tariff, quantity: Decimal) -> Fraction:
    """What ``quantity`` costs for one billing interval, before discounts."""
    whole_minor = _whole_minor(rate, quantity)
    if whole_minor is not None:
        return Fraction(whole_minor)
    units = Fraction(quantity)
    if rate.divide_by > 1:
        packages, rest = divmod(units, rate.divide_by)
        units = Fraction(packages + 1 if rest and rate.rounds_up else packages)
    if not rate.tiers:
        assert rate.unit_amount_minor is not None
        return Fraction(rate.unit_amount_minor) * units
    return tiers_minor(rate, units)


def units_billed(price: Price, currency: str, lines: Sequence[TierLine]) -> Decimal:
    """How many units the lines of one item and period bill, without those of a flat fee.

    All of them, where the price has no tiers or these do not say.
    """
    units: Decimal | None = None
    with suppress(Unvalued):
        units = units_of_tiers(tariff(price, currency), lines)
    return sum((n.quantity for n in lines), Decimal(0)) if units is None else units


def _whole_minor(rate: Tariff, quantity: Decimal) -> int | None:
    """The same in integers, where there is nothing but whole units of a whole amount.

    That is nearly always, and costs a tenth of what fractions do.
    """
    unit_minor = rate.unit_amount_minor
    if unit_minor is None or rate.divide_by > 1:
        return None
    product, units = int(unit_minor), int(quantity)
    return product * units if product == unit_minor and units == quantity else None


def discounted(amount_minor: Fraction, discounts: Iterable[ItemDiscount]) -> Fraction:
    """The amount after its discounts, in order, never below 0."""
    for discount in discounts:
        if discount.percent is not None:
            amount_minor *= 1 - Fraction(discount.percent) / 100
        else:
            amount_minor -= discount.amount_minor
        amount_minor = max(amount_minor, Fraction(0))
    return amount_minor


def amount_off_minor(coupon: Coupon, currency: str) -> int:
    """What a coupon without a percentage takes off; ``Unvalued`` in other currencies."""
    if (coupon.currency or currency) == currency:
        if coupon.amount_off is None:
            raise Unvalued(coupon.id, "amount_off", None)
        return coupon.amount_off
    option = (coupon.currency_options or {}).get(currency)
    if option is None:
        raise Unvalued(coupon.id, "currency_options", currency)
    return option.amount_off


@lru_cache(maxsize=256)  # there are four intervals and few counts of them
def months_factor(interval: str, count: int) -> Fraction:
    return MONTHS_FACTOR[interval] / count


def monthly_minor(pricing: ItemPricing) -> int:
    """The item's MRR in whole minor units: exact, then rounded once."""
    rate = pricing.tariff
    factor = months_factor(rate.interval, rate.interval_count)
    if not pricing.discounts and not pricing.inclusive_tax:
        whole_minor = _whole_minor(rate, pricing.quantity)
        if whole_minor is not None:  # most items
            return round_ratio(whole_minor * factor.numerator, factor.denominator)
    amount_minor = discounted(interval_minor(rate, pricing.quantity), pricing.discounts)
    return round_minor(amount_minor / (1 + pricing.inclusive_tax) * factor)


def arithmetic(pricing: ItemPricing, mrr_minor: int) -> str:
    """The sum in a person's words: ``12 seats × $15.00 × 1/1 month − 50% = $90.00``.

    The factor reads "so many intervals make a month": 1/12 year, 52/12 week.
    """
    rate = pricing.tariff
    factor = _factor_text(rate.interval, rate.interval_count)
    parts = [_amount_text(rate, pricing.quantity), factor]
    text = " × ".join(part for part in parts if part)
    for discount in pricing.discounts:
        if discount.percent is not None:
            text += f" − {discount.percent.normalize():f}%"
        else:
            share = format_minor(round_minor(discount.amount_minor), rate.currency)
            text += f" − {share} per {interval_text(rate)}"
    if pricing.inclusive_tax:
        text += f" − tax of {format_ratio(pricing.inclusive_tax, 2)}"
    return f"{text} = {format_minor(mrr_minor, rate.currency)}"


def _amount_text(rate: Tariff, quantity: Decimal) -> str:
    label = rate.unit_label or "unit"
    number = f"{quantity.normalize():f}"
    count = f"{number} {label}" if quantity == 1 else f"{number} {label}s"
    if rate.tiers:
        scheme = "volume" if rate.tiers_are_volume else "graduated"
        total = format_minor(interval_minor(rate, quantity), rate.currency)
        return f"{count} in {scheme} tiers, {total}"
    assert rate.unit_amount_minor is not None
    price = format_minor(rate.unit_amount_minor, rate.currency)
    if rate.divide_by > 1:
        direction = "up" if rate.rounds_up else "down"
        return f"{count} in packages of {rate.divide_by}, rounded {direction} × {price}"
    return f"{count} × {price}"


def interval_text(rate: Tariff) -> str:
    """``month``, ``3 months``."""
    count = rate.interval_count
    return rate.interval if count == 1 else f"{count} {rate.interval}s"


@lru_cache(maxsize=256)
def _factor_text(interval: str, count: int) -> str:
    if interval in ("week", "day"):
        return f"{MONTHS_FACTOR[interval] * 12}/{12 * count} {interval}"
    factor = months_factor(interval, count)
    return f"{factor.numerator}/{factor.denominator} {interval}"
