"""What one subscription is worth a month as it stands, at one instant.

Comes in: a subscription as Stripe shows it. Goes out: its MRR under a policy, from its
items, prices and the discounts on it. The past is asked only for what a policy makes
depend on it (last usage, overdue bills, once coupons) and for taxes that only lines show.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from connector.core.errors import Unvalued
from connector.core.model import ItemDiscount, ItemPricing, Tariff
from connector.core.policy import Policy
from connector.mrr.evidence.discount_scopes import as_billed, coupon_of
from connector.mrr.evidence.discounts import AppliedDiscount, item_discounts
from connector.mrr.evidence.inclusive_tax import inclusive_taxes, tax_at
from connector.mrr.evidence.intervals import Interval
from connector.mrr.evidence.item_states import is_metered, item_state_of
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import History, SubscriptionVersion
from connector.mrr.pricing import interval_minor, is_whole_period, monthly_minor, tariff
from connector.stripe_api.objects import (
    Coupon,
    Discount,
    Invoice,
    Price,
    Subscription,
    SubscriptionItem,
    ref,
)

COUNTED = ("active", "past_due")  # under Stripe's definition, and under every policy
DAY_S = 86_400


class ValuationInputs(NamedTuple):
    """What a subscription stands on: its customer's history, and the instant.

    ``line_items`` are the line_items by subscription, ``discounts`` the customers' own.
    """

    history: History
    line_items: Mapping[str, Sequence[LineItem]]
    discounts: Mapping[str, Discount]
    at_s: int

    def known(self, subscription: str) -> list[LineItem]:
        return [c for c in self.line_items.get(subscription, ()) if c.item]


class CurrentMrr(NamedTuple):
    """``refused`` is what could not be valued, and is missing from ``mrr_minor``."""

    currency: str
    mrr_minor: int
    refused: tuple[Unvalued, ...] = ()


def current_mrr(
    now: Subscription, inputs: ValuationInputs, policy: Policy
) -> CurrentMrr:
    """Value a subscription's items as they are, each rounded once."""
    prices = _prices(now, inputs)
    first = next((i.price for i in now.items.data if i.price is not None), None)
    currency = now.currency or (first.currency if first is not None else "")
    if not _counts(now, inputs, policy):
        return CurrentMrr(currency, 0)
    line_items = inputs.known(now.id)
    refused: list[Unvalued] = []
    rates: dict[str, tuple[Tariff, Decimal]] = {}
    for item in now.items.data:
        quantity = _quantity(item, line_items, prices, inputs.at_s, policy)
        if quantity is None or item.price is None:
            continue
        price = prices[item.price.id]
        billed_minor = _billed_minor(item, price, currency, line_items)
        try:
            rate = tariff(price, currency, unit_amount_minor=billed_minor)
        except Unvalued as error:
            refused.append(error)
        else:
            rates[item.id] = (rate, quantity)
    reductions, unknown = _reductions(now, inputs, policy, currency, rates)
    taxes = inclusive_taxes([SubscriptionVersion(inputs.at_s, now)], line_items)
    mrr_minor = 0
    for item_id, (rate, quantity) in rates.items():
        behavior = prices[rate.price].tax_behavior
        terms = ItemPricing(
            tariff=rate,
            quantity=quantity,
            discounts=reductions.get(item_id, ()),
            inclusive_tax=tax_at(taxes, item_id, behavior, inputs.at_s),
        )
        mrr_minor += monthly_minor(terms)
    return CurrentMrr(currency, mrr_minor, (*refused, *unknown))


def _prices(now: Subscription, inputs: ValuationInputs) -> dict[str, Price]:
    """A listed price wins: it carries tiers and currency options, which items never do."""
    own = {i.price.id: i.price for i in now.items.data if i.price is not None}
    listed = inputs.history.catalogue.prices
    return {key: listed.get(key, price) for key, price in own.items()}


def _billed_minor(
    item: SubscriptionItem, price: Price, currency: str, line_items: Iterable[LineItem]
) -> Decimal | None:
    """The unit amount last billed, where the price's own may be another by now.

    A currency option can be edited, and a new amount is due with the next bill; what a
    customer chose to pay is on the bill only. None: as the price says.
    """
    is_fixed = price.currency == currency and price.unit_amount_decimal is not None
    if is_fixed or price.billing_scheme != "per_unit":
        return None
    billed = [
        c.unit_amount_minor
        for c in line_items
        if (c.item, c.price) == (item.id, price.id) and c.is_regular and c.amount_minor
    ]
    return billed[-1] if billed else None


def _counts(now: Subscription, inputs: ValuationInputs, policy: Policy) -> bool:
    if now.status not in COUNTED:
        return False
    if policy.churn_when_requested and now.canceled_at is not None:
        return False
    if not policy.pause_collection_counts and now.pause_collection is not None:
        return False
    if policy.past_due_days is None or now.status != "past_due":
        return True
    grace_s = policy.past_due_days * DAY_S
    return not _is_overdue(_bills(inputs.history, now.id), inputs.at_s - grace_s)


def _bills(history: History, subscription: str) -> Iterator[Invoice]:
    for invoice in history.invoices:
        details = invoice.parent.subscription_details if invoice.parent else None
        if details is not None and ref(details.subscription) == subscription:
            yield invoice


def _is_overdue(bills: Iterable[Invoice], since_s: int) -> bool:
    """Whether a bill that was due by then is still open; a later one paid settles it."""
    settled_s, open_bills = 0, []
    for bill in bills:
        moments = bill.status_transitions
        if bill.status == "open" and moments is not None:
            open_bills.append((bill.created, bill.due_date or moments.finalized_at))
        elif moments is not None and moments.paid_at is not None:
            settled_s = max(settled_s, bill.created)
    return any(
        due_s is not None and due_s <= since_s and created >= settled_s
        for created, due_s in open_bills
    )


def _quantity(
    item: SubscriptionItem,
    line_items: Iterable[LineItem],
    prices: Mapping[str, Price],
    at_s: int,
    policy: Policy,
) -> Decimal | None:
    """How many units count; None for an item that does not (a trial, metered)."""
    trial, state = item.current_trial, item_state_of(item)
    if trial is not None and trial.start_date <= at_s < trial.end_date:
        return None
    if state is None or not is_metered(prices[state.price]):
        return None if state is None else state.quantity
    if not policy.metered_invoiced:
        return None
    used = [
        c
        for c in line_items
        if c.item == item.id
        and c.is_regular
        and c.end_s <= at_s
        and is_whole_period(prices[state.price], c.start_s, c.end_s)
    ]
    return max(used, key=lambda line: line.end_s).quantity if used else None


def _reductions(
    now: Subscription,
    inputs: ValuationInputs,
    policy: Policy,
    currency: str,
    rates: Mapping[str, tuple[Tariff, Decimal]],
) -> tuple[Mapping[str, tuple[ItemDiscount, ...]], list[Unvalued]]:
    """Each item's discounts in force, in order; and those that have no value."""
    prices = _prices(now, inputs)
    found, unknown = _in_force(now, inputs, policy)
    gross = {item: interval_minor(*rate) for item, rate in rates.items()}
    products = {item: ref(prices[r.price].product) for item, (r, _) in rates.items()}
    try:
        return item_discounts(found, inputs.at_s, gross, currency, products), unknown
    except Unvalued as error:
        return {}, [*unknown, error]


def _in_force(
    now: Subscription, inputs: ValuationInputs, policy: Policy
) -> tuple[list[AppliedDiscount], list[Unvalued]]:
    """The discounts in the order in which they apply, and those without value."""
    line_items = inputs.known(now.id)
    used = _used_until(line_items)
    found: list[AppliedDiscount] = []
    unknown: list[Unvalued] = []
    for each, item in _discounts(now, inputs, used):
        if not isinstance(each, Discount):
            unknown.append(Unvalued(now.id, "discounts", each))
            continue
        coupon: Coupon | None
        try:
            coupon = coupon_of(each, inputs.history.catalogue.coupons)
        except Unvalued as error:
            unknown.append(error)
            coupon = as_billed(each, line_items)
        if coupon is None or not _subtracts(coupon, policy):
            continue
        end_s = used.get(each.id) if coupon.duration == "once" else each.end
        span = Interval(each.start, end_s, (), ())
        found.append(AppliedDiscount(each.id, coupon, item or "", item is None, span))
    return found, unknown


def _subtracts(coupon: Coupon, policy: Policy) -> bool:
    if coupon.duration == "once":
        return policy.once_subtracted
    return coupon.duration != "repeating" or policy.repeating_subtracted


def _used_until(line_items: Iterable[LineItem]) -> dict[str, int]:
    """Until when the lines that a discount reduced are paid for: a once coupon's end."""
    until: dict[str, int] = {}
    for line in line_items:
        for key in line.discounts if line.is_regular else ():
            until[key] = max(line.end_s, until.get(key, 0))
    return until


def _discounts(
    now: Subscription, inputs: ValuationInputs, used: Mapping[str, int]
) -> Iterator[tuple[str | Discount, str | None]]:
    """Each with its item, "" for the whole subscription, None for the customer's.

    Those that its bills show come along: Stripe takes a once coupon off the object with
    the first bill, but it lasts as long as the period which that bill is for.
    """
    shown: list[tuple[str | Discount, str | None]] = [
        (each, item.id) for item in now.items.data for each in item.discounts or ()
    ]
    shown += [(each, "") for each in now.all_discounts]
    known = {ref(each) for each, _ in shown}
    for each in _once_billed(_bills(inputs.history, now.id), inputs):
        if each.id not in known and used.get(each.id, 0) > inputs.at_s:
            known.add(each.id)
            whole = "" if each.subscription else None
            shown.append((each, each.subscription_item or whole))
    own = inputs.discounts.get(ref(now.customer))
    if own is not None and own.id not in known and not own.subscription:
        shown.append((own, None))
    yield from sorted(shown, key=lambda each: not each[1])


def _once_billed(
    bills: Iterable[Invoice], inputs: ValuationInputs
) -> Iterator[Discount]:
    """The once coupons on bills, without what is given for a single bill."""
    for bill in bills:
        named = [*(bill.discounts or ())]
        named += [each for line in bill.lines.data for each in line.discounts or ()]
        for each in named:
            if isinstance(each, Discount) and _is_once(each, inputs):
                recurs = each.subscription or each.subscription_item
                if recurs or not (each.invoice or each.invoice_item):
                    yield each


def _is_once(discount: Discount, inputs: ValuationInputs) -> bool:
    try:
        coupon = coupon_of(discount, inputs.history.catalogue.coupons)
    except Unvalued:
        return False
    return coupon.duration == "once"
