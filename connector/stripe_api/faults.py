"""Decoded objects that say too little to be counted, or what nobody knows.

Comes in: an object as it was decoded. Goes out: the object by its customer, or an
``UnfitObject`` that names the field. What a type can say is said by the types themselves.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from connector.core.money import is_known_currency
from connector.stripe_api.decoding import LAST_S, Base, ref
from connector.stripe_api.invoices import Invoice, InvoiceItem, InvoiceLine
from connector.stripe_api.objects import (
    Coupon,
    Customer,
    Price,
    Subscription,
    SubscriptionItem,
)
from connector.stripe_api.shown_values import is_word, shown
from connector.stripe_api.unfit import UnfitObject, unfit_by

T = TypeVar("T", bound=Base)

# Accounts as customers


def by_customer(thing: T) -> T:
    """The object with an Account that is its customer in the customer's place.

    Where both are given the customer's id goes on to be its name, and both are kept: they
    say whose are the objects that name the Account alone.
    """
    account = getattr(thing, "customer_account", None)
    if (
        account is None
        or isinstance(thing, Customer)
        or ref(getattr(thing, "customer", None))
    ):
        return thing
    return msgspec.structs.replace(thing, customer=account, customer_account=None)


# A decoded object that says too little, or what nobody knows


def unfit(thing: Base) -> UnfitObject | None:
    """Why an object that decodes does not fit all the same; None where it does."""
    faults = _FAULTS.get(type(thing))
    found = None if faults is None else next(faults(thing), None)
    return None if found is None else unfit_for(thing, *found)


def unfit_for(thing: Base, field: str, value: object) -> UnfitObject:
    """An object that decodes, and has a field that does not fit."""
    part = UnfitObject(id="", field=field, value=shown(value, field))
    return unfit_by(thing, part)


def _faults_of_owned(
    thing: Subscription | Invoice | InvoiceItem,
) -> Iterator[tuple[str, object]]:
    if not ref(thing.customer):
        yield "customer", None
    if not is_known_currency(thing.currency):
        yield "currency", thing.currency or None


def _faults_of_invoice(invoice: Invoice) -> Iterator[tuple[str, object]]:
    yield from _faults_of_owned(invoice)
    if invoice.status is None:
        yield "status", None
    for number, line in enumerate(invoice.lines.data):
        if (fault := _fault_of_line(line)) is not None:
            yield f"lines.data[{number}].{fault[0]}", fault[1]


def _faults_of_item(item: InvoiceItem) -> Iterator[tuple[str, object]]:
    yield from _faults_of_owned(item)
    if item.proration and (fault := _fault_of_line(item)) is not None:
        yield fault


def _fault_of_line(line: InvoiceLine | InvoiceItem) -> tuple[str, object] | None:
    """What bills an item has its price, and a period that does not run backwards."""
    if line.period.end < line.period.start:
        return "period.end", line.period.end
    parent = line.parent
    is_manual = parent is None or parent.subscription_item_details is None
    details = None if line.pricing is None else line.pricing.price_details
    has_price = details is not None and bool(ref(details.price))
    if not has_price and (isinstance(line, InvoiceItem) or not is_manual):
        return "pricing", None
    return None


def out_of_time(subscription: Subscription) -> str | None:
    """Why no calendar has its start, in words; None where one has."""
    start_s = subscription.started_at
    return None if 0 <= start_s <= LAST_S else f"start_date is {start_s}"


def _faults_of_subscription(
    subscription: Subscription,
) -> Iterator[tuple[str, object]]:
    yield from _faults_of_owned(subscription)
    if not subscription.is_of_known_status and not is_word(subscription.status):
        yield "status", subscription.status
    if out_of_time(subscription) is not None:
        yield "start_date", subscription.start_date
    if not subscription.items.data and subscription.ended_at is None:
        yield "items.data", []
    for number, item in enumerate(subscription.items.data):
        at = f"items.data[{number}]"
        if item.price is None:
            yield f"{at}.price", None
        elif _is_licensed(item.price) and not _says_how_many(item):
            yield f"{at}.quantity", None


def _is_licensed(price: Price) -> bool:
    return price.recurring is not None and price.recurring.usage_type == "licensed"


def _says_how_many(item: SubscriptionItem) -> bool:
    return item.quantity is not None or item.quantity_decimal is not None


def _faults_of_coupon(coupon: Coupon) -> Iterator[tuple[str, object]]:
    if coupon.percent_off is None and coupon.amount_off is None:
        yield "percent_off", None


_FAULTS: Mapping[type[Base], Callable[[Any], Iterator[tuple[str, object]]]] = {
    Subscription: _faults_of_subscription,
    Invoice: _faults_of_invoice,
    InvoiceItem: _faults_of_item,
    Coupon: _faults_of_coupon,
}
