"""Stripe's events: their types, what is kept of them, and which objects they name."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from connector.stripe_api.objects import (
    Base,
    Discount,
    ListOf,
    Ref,
    Subscription,
    SubscriptionItem,
    decode,
    ref,
)

# Events


class EventData(Base, frozen=True, kw_only=True):
    object: msgspec.Raw = msgspec.Raw(b"{}")
    previous_attributes: msgspec.Raw = msgspec.Raw(b"{}")


class StripeEvent(Base, frozen=True, kw_only=True):
    """An event as it arrives; ``Event`` is what is kept of it."""

    id: str
    type: str
    created: int
    data: EventData = EventData()


class PreviousSubscription(Base, frozen=True, kw_only=True):
    """What a subscription was just before an event; None where it did not change."""

    items: ListOf[SubscriptionItem] | None = None
    status: str | None = None
    quantity: int | None = None
    discounts: list[str | Discount] | None = None


class EventObject(Base, frozen=True, kw_only=True):
    """The object an event is about, as far as finding its customer needs it."""

    id: str | None = None
    object: str | None = None
    customer: str | Ref | None = None


class Event(Base, frozen=True, kw_only=True):
    """Evidence of a moment: the subscription or discount as the event shows it."""

    id: str
    type: str
    created: int
    customer: str | Ref | None = None
    touched: str | None = None
    subscription: Subscription | None = None
    previous: PreviousSubscription = PreviousSubscription()
    discount: Discount | None = None


def trimmed(event: StripeEvent) -> Event:
    """What is kept of an event: the state it shows, or at least whom it touches."""
    subscription = discount = None
    previous = PreviousSubscription()
    if event.type.startswith("customer.subscription."):
        subscription = decode(event.data.object, Subscription)
        previous = decode(event.data.previous_attributes, PreviousSubscription)
    elif event.type.startswith("customer.discount."):
        discount = decode(event.data.object, Discount)
    return msgspec.structs.replace(
        hint(event), subscription=subscription, previous=previous, discount=discount
    )


def hint(event: StripeEvent) -> Event:
    """Whom an event touches: what is kept of one whose state cannot be read."""
    touched = decode(event.data.object, EventObject)
    is_customer = touched.object == "customer"
    return Event(
        id=event.id,
        type=event.type,
        created=event.created,
        customer=touched.id if is_customer else touched.customer,
        touched=touched.id,
    )


class NamedObject(NamedTuple):
    """An object that something names: its kind in ``LISTINGS``, and its id."""

    kind: str
    id: str


# What a list's events say of the catalogue; apart, as one request takes 20 types at most.
CATALOGUE_EVENT_TYPES = tuple(
    f"{noun}.{verb}"
    for noun in ("product", "price", "coupon")
    for verb in ("created", "updated", "deleted")
)
EVENT_TYPES = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.discount.created",
    "customer.discount.updated",
    "customer.discount.deleted",
    "invoice.created",  # a draft takes up pending items, and may stay one
    "invoice.finalized",
    "invoice.paid",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.updated",
    "invoiceitem.created",
    "invoiceitem.deleted",
    "customer.created",
    "customer.updated",
    "customer.deleted",
)


# Which object an event of a type leaves out of date; the first that fits.
_KINDS = {
    "customer.subscription.": "subscriptions",
    "customer.": "customers",
    "invoice.": "invoices",
    "invoiceitem.": "invoice items",
    "price.": "prices",
    "product.": "products",
    "coupon.": "coupons",
}


def named_by(event: Event) -> Iterator[NamedObject]:
    """The objects that an event leaves out of date; none for one that tells nothing."""
    if event.type.startswith("customer.discount."):
        if event.customer is not None:
            yield NamedObject("customers", ref(event.customer))
        if event.discount is not None and event.discount.subscription:
            yield NamedObject("subscriptions", event.discount.subscription)
        return
    kind = next(
        (k for prefix, k in _KINDS.items() if event.type.startswith(prefix)), ""
    )
    if kind and event.touched:
        yield NamedObject(kind, event.touched)
