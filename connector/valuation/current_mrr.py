"""One subscription as Stripe shows it → its MRR under a policy, at one instant.

The other valuation: it holds the derivation to account (``reconciliation``), so it reads
status, quantities, discounts and taxes by itself, from the live objects, and nothing of
``evidence`` and ``timeline``. The past is asked only for what a policy makes depend on it
(last usage, overdue invoices, once coupons), and for amounts, taxes and coupons that only
invoice lines show; ``billed_periods`` reads those.

Shared with the derivation is the arithmetic of ``pricing``: what a price costs (tiers,
packages, currency options) and a coupon takes off, how many units several lines bill,
which period is a whole one, the months factor; and with it the rounding, once per item.
Not shared is how discounts are found, ordered and taken off, and which tax is inside a
price.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.model import Tariff
from connector.core.money import round_minor
from connector.core.policy import Policy
from connector.mrr.history import History
from connector.mrr.pricing import (
    interval_minor,
    is_metered,
    is_whole_period,
    months_factor,
    tariff,
    tariff_as_billed,
)
from connector.stripe_api.decoding import ref
from connector.stripe_api.invoices import units_of
from connector.stripe_api.objects import Discount, Price, Subscription, SubscriptionItem
from connector.valuation.billed_periods import BilledPeriod
from connector.valuation.counting import TRIALING, as_paid, counts
from connector.valuation.current_discounts import (
    CurrentItem,
    after_discounts,
    current_discounts,
)
from connector.valuation.current_taxes import AT_ONCE_S, current_taxes, tax_inside


class ValuationInputs(NamedTuple):
    """What valuing a customer's subscriptions at ``at_s`` takes besides themselves.

    ``billed`` are the periods by subscription, ``discounts`` the customers' own.
    """

    history: History
    billed: Mapping[str, Sequence[BilledPeriod]]
    discounts: Mapping[str, Discount]
    at_s: int


class CurrentMrr(NamedTuple):
    """``refused`` is what could not be valued, and is missing from ``mrr_minor``."""

    currency: str
    mrr_minor: int
    refused: tuple[Unvalued, ...] = ()


class _Counted(NamedTuple):
    """An item that counts: its price, how that reads, and its cost for one interval."""

    price: Price
    rate: Tariff
    gross_minor: Fraction


def current_mrr(
    now: Subscription, inputs: ValuationInputs, policy: Policy
) -> CurrentMrr:
    """Value a subscription's items as they are, each rounded once."""
    first = next((i.price for i in now.items.data if i.price is not None), None)
    currency = now.currency or (first.currency if first is not None else "")
    invoices = [i for i in inputs.history.invoices if i.subscription == now.id]
    billed = inputs.billed.get(now.id, ())
    if not now.is_of_known_status:
        return CurrentMrr(currency, 0, (Unvalued(now.id, "status", now.status),))
    if not counts(now, invoices, policy, inputs.at_s):
        return CurrentMrr(currency, 0)
    if now.status == TRIALING:
        now = as_paid(now, billed, inputs.history.catalogue.prices)
    counted, refused = _counted(now, currency, billed, inputs, policy)
    discounts, unknown = current_discounts(
        now,
        inputs.discounts.get(ref(now.customer)),
        inputs.history,
        billed,
        policy,
        inputs.at_s,
    )
    items = {key: _before_discounts(own) for key, own in counted.items()}
    try:
        net = after_discounts(discounts, items, currency)
    except Unvalued as error:
        net = {key: own.gross_minor for key, own in counted.items()}
        unknown = [*unknown, error]
    taxes = current_taxes(now, billed, inputs.history.catalogue.prices, inputs.at_s)
    mrr_minor = 0
    for key, (price, rate, _) in counted.items():
        factor = months_factor(rate.interval, rate.interval_count)
        tax = tax_inside(taxes, key, price, currency)
        untaxed_minor = net[key] / (1 + tax)
        mrr_minor += round_minor(untaxed_minor * factor)
    return CurrentMrr(currency, mrr_minor, (*refused, *unknown))


def _before_discounts(own: _Counted) -> CurrentItem:
    factor = months_factor(own.rate.interval, own.rate.interval_count)
    return CurrentItem(own.gross_minor, factor, ref(own.price.product))


def _counted(
    now: Subscription,
    currency: str,
    billed: Sequence[BilledPeriod],
    inputs: ValuationInputs,
    policy: Policy,
) -> tuple[dict[str, _Counted], list[Unvalued]]:
    """The items that count, by id; and those whose price has no value."""
    listed = inputs.history.catalogue.prices  # with tiers and currency options
    counted: dict[str, _Counted] = {}
    refused: list[Unvalued] = []
    for item in now.items.data:
        if item.price is None:
            continue
        price = listed.get(item.price.id, item.price)
        own = [each for each in billed if each.is_regular and each.item == item.id]
        if is_metered(price) and not _last_usage(price, own, inputs.at_s):
            own = _made_way(item, now, billed, listed)
            price = listed.get(own[-1].price, price) if own else price
        quantity = _quantity(item, price, own, policy, inputs.at_s)
        if quantity is None:
            continue
        unit_minor = _billed_unit_amount(price, currency, own)
        try:
            rate = _tariff(price, currency, unit_minor, quantity, billed)
        except Unvalued as error:
            refused.append(error)
        else:
            gross_minor = interval_minor(rate, quantity)
            counted[item.id] = _Counted(price, rate, gross_minor)
    return counted, refused


def _tariff(
    price: Price,
    currency: str,
    unit_minor: Decimal | None,
    quantity: Decimal,
    billed: Iterable[BilledPeriod],
) -> Tariff:
    """As the price says; as last billed where its tiers are not shown in the currency."""
    if price.lacks_tiers_in(currency):
        for period in reversed([*billed]):
            is_same = period.is_regular and period.price == price.id
            is_whole = is_whole_period(price, period.start_s, period.end_s)
            units = sum(map(units_of, period.lines), Decimal(0))
            if is_same and is_whole and units == quantity and period.amount_minor:
                return tariff_as_billed(price, currency, period.amount_minor)
    return tariff(price, currency, unit_amount_minor=unit_minor)


def _quantity(
    item: SubscriptionItem,
    price: Price,
    billed: Sequence[BilledPeriod],
    policy: Policy,
    at_s: int,
) -> Decimal | None:
    """How many units count; None for an item that does not (on trial, metered)."""
    trial = item.current_trial
    if trial is not None and trial.start_date <= at_s < trial.end_date:
        periods = [each for each in billed if each.start_s < trial.start_date]
        is_paid = any(
            each.invoice.status == "paid" and each.end_s >= trial.start_date
            for each in periods
        )
        if not (policy.trial_after_paying_counts and is_paid):
            return None
    if is_metered(price):
        return _last_usage(price, billed, at_s) if policy.metered_invoiced else None
    return units_of(item)


def _last_usage(
    price: Price, billed: Iterable[BilledPeriod], at_s: int
) -> Decimal | None:
    """The units of the last whole period that is over."""
    whole = [
        period
        for period in billed
        if period.end_s <= at_s and is_whole_period(price, period.start_s, period.end_s)
    ]
    return max(whole, key=lambda each: each.end_s).units(price) if whole else None


def _made_way(
    item: SubscriptionItem,
    now: Subscription,
    billed: Sequence[BilledPeriod],
    prices: Mapping[str, Price],
) -> list[BilledPeriod]:
    """What was billed for the metered item in whose place this one came; none for none.

    Until it is billed itself, that one's usage is the last there is.
    """
    listed = {each.id for each in now.items.data}
    for other in dict.fromkeys(each.item for each in billed if each.item not in listed):
        own = [each for each in billed if each.is_regular and each.item == other]
        price = prices.get(own[-1].price) if own else None
        if price is None or not is_metered(price):
            continue
        last = max(own, key=lambda each: each.end_s)
        is_whole = is_whole_period(price, last.start_s, last.end_s)
        length_s = last.end_s - last.start_s if is_whole else AT_ONCE_S
        if -AT_ONCE_S <= item.created - last.end_s < length_s:
            return own
    return []


def _billed_unit_amount(
    price: Price, currency: str, billed: Iterable[BilledPeriod]
) -> Decimal | None:
    """The unit amount last billed, where the price's own may be another by now.

    A currency option can be edited, and a new amount is due with the next invoice; what a
    customer chose to pay is on the invoice only. None: as the price says.
    """
    is_fixed = price.currency == currency and price.unit_amount_decimal is not None
    if is_fixed or price.billing_scheme != "per_unit":
        return None
    own = [each for each in billed if each.price == price.id and each.amount_minor]
    return own[-1].unit_amount_minor if own else None
