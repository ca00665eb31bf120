"""Stripe's events: their types, what is kept of them, and which objects they name."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from connector.core.errors import UnknownStripeShape
from connector.stripe_api.decoding import (
    Base,
    Instant,
    ListOf,
    ObjectHead,
    ObjectId,
    Ref,
    decode,
    id_in,
    read_as,
    ref,
)
from connector.stripe_api.objects import Discount, Subscription, SubscriptionItem

# Events


class EventData(Base, frozen=True, kw_only=True):
    object: msgspec.Raw = msgspec.Raw(b"{}")
    previous_attributes: msgspec.Raw = msgspec.Raw(b"{}")


class StripeEvent(Base, frozen=True, kw_only=True):
    """An event as it arrives; ``Event`` is what is kept of it."""

    id: ObjectId
    type: str
    created: Instant
    data: EventData = EventData()


class PreviousSubscription(Base, frozen=True, kw_only=True):
    """What a subscription was just before an event; None where it did not change."""

    items: ListOf[SubscriptionItem] | None = None
    status: str | None = None
    quantity: int | None = None
    discounts: list[str | Discount] | None = None


class EventObject(Base, frozen=True, kw_only=True):
    """The object an event is about, as far as finding whom it touches needs it."""

    id: str | None = None
    object: str | None = None
    customer: str | Ref | None = None
    customer_account: str | Ref | None = None
    subscription: str | Ref | None = None


class WebhookData(Base, frozen=True, kw_only=True):
    object: msgspec.Raw = msgspec.Raw(b"{}")


class RelatedObject(Base, frozen=True, kw_only=True):
    """The object that a thin event is about: its type, such as ``invoice``, and id."""

    id: str
    type: str


class WebhookBody(Base, frozen=True, kw_only=True):
    """An event as a webhook's body has it, in whatever version; none of it is kept.

    ``account`` is a connected one's, ``context`` whose a thin event, or one sent to an
    organization, is; None: one's own.
    """

    id: str
    type: str
    object: str = ""
    livemode: bool | None = None
    account: str | None = None
    context: str | None = None
    data: WebhookData = WebhookData()
    related_object: RelatedObject | None = None


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
    noun = _noun(event.type)
    if noun == "customer.subscription":
        subscription = decode(event.data.object, Subscription)
        previous = decode(event.data.previous_attributes, PreviousSubscription)
    elif noun == DISCOUNT:
        discount = decode(event.data.object, Discount)
    return msgspec.structs.replace(
        hint(event), subscription=subscription, previous=previous, discount=discount
    )


def hint(event: StripeEvent) -> Event:
    """Whom an event touches: what is kept of one whose state cannot be read."""
    touched = shown_in(event.data.object)
    is_customer = touched.object == "customer"
    owner = touched.customer or touched.customer_account
    return Event(
        id=event.id,
        type=event.type,
        created=event.created,
        customer=touched.id if is_customer else owner,
        touched=touched.id,
    )


def shown_in(raw: msgspec.Raw) -> EventObject:
    """The object that an event shows, with as much of it as fits: at least its id."""
    try:
        return decode(raw, EventObject)
    except UnknownStripeShape:
        head = decode(raw, ObjectHead)
        if not id_in(head.id):
            raise
        return EventObject(
            id=id_in(head.id) or None,
            object=read_as(str, head.object),
            customer=id_in(head.customer) or id_in(head.customer_account) or None,
            subscription=id_in(head.subscription) or None,
        )


class NamedObject(NamedTuple):
    """An object that something names: its kind in ``LISTINGS``, and its id."""

    kind: str
    id: str


class EventNoun(NamedTuple):
    """What events are about: the kind they leave out of date, and what is told of it."""

    kind: str
    verbs: tuple[str, ...]


_ALWAYS = ("created", "updated", "deleted")
DISCOUNT = "customer.discount"  # lives inside its owners, and cannot be fetched
DISCOUNT_DELETED = f"{DISCOUNT}.deleted"
_NOUNS: Mapping[str, EventNoun] = {
    "customer.subscription": EventNoun(
        "subscriptions", (*_ALWAYS, "paused", "resumed", "pending_update_applied")
    ),
    DISCOUNT: EventNoun("", _ALWAYS),
    "invoice": EventNoun(
        "invoices",
        (
            "created",  # a draft takes up pending items, and may stay one
            *("finalized", "paid", "voided", "marked_uncollectible", "updated"),
        ),
    ),
    "invoiceitem": EventNoun("invoice items", ("created", "deleted")),
    "customer": EventNoun("customers", _ALWAYS),
}
_CATALOGUE_NOUNS: Mapping[str, EventNoun] = {
    "product": EventNoun("products", _ALWAYS),
    "price": EventNoun("prices", _ALWAYS),
    "coupon": EventNoun("coupons", _ALWAYS),
}


def _types(nouns: Mapping[str, EventNoun]) -> tuple[str, ...]:
    return tuple(f"{noun}.{verb}" for noun, of in nouns.items() for verb in of.verbs)


# What a list's events say of the catalogue is apart: one request takes 20 types at most.
EVENT_TYPES, CATALOGUE_EVENT_TYPES = _types(_NOUNS), _types(_CATALOGUE_NOUNS)
_KINDS = {noun: of.kind for noun, of in {**_NOUNS, **_CATALOGUE_NOUNS}.items()}
# An object's own type is the last word of what its events are about.
_KINDS_BY_TYPE = {noun.rpartition(".")[2]: kind for noun, kind in _KINDS.items()}


def _noun(event_type: str) -> str:
    return event_type.rpartition(".")[0]


def named_by(event: Event) -> Iterator[NamedObject]:
    """The objects that an event leaves out of date; none for one that tells nothing."""
    subscription = event.discount.subscription if event.discount is not None else None
    shown = EventObject(
        id=event.touched, customer=event.customer, subscription=subscription
    )
    return named_in(event.type, shown)


def named_in(event_type: str, shown: EventObject) -> Iterator[NamedObject]:
    """The same, of the object that an event shows."""
    noun = _noun(event_type)
    if noun == DISCOUNT:
        owners = {"customers": shown.customer, "subscriptions": shown.subscription}
        yield from (
            NamedObject(kind, ref(it)) for kind, it in owners.items() if ref(it)
        )
    elif shown.id and (kind := _KINDS.get(noun)):
        yield NamedObject(kind, shown.id)


def named_as(related: RelatedObject) -> Iterator[NamedObject]:
    """The object that a thin event names."""
    if related.id and (kind := _KINDS_BY_TYPE.get(related.type)):
        yield NamedObject(kind, related.id)
