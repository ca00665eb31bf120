"""A webhook's body → which objects at Stripe it says have changed, and nothing else.

An event is a hint. Its payload may be late, repeated, of another API version; so what it
names is fetched, and what it shows is thrown away.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from connector.stripe_api.events import CATALOGUE_EVENT_TYPES, EVENT_TYPES, NamedObject
from connector.stripe_api.objects import Base, Ref, ref

# What an endpoint has to send, and all that is kept of what it sends.
WANTED_TYPES = (*EVENT_TYPES, *CATALOGUE_EVENT_TYPES)
# How Stripe calls an object, and the listing it is found in.
_KINDS: Mapping[str, str] = {
    "customer": "customers",
    "subscription": "subscriptions",
    "invoice": "invoices",
    "invoiceitem": "invoice items",
    "product": "products",
    "price": "prices",
    "coupon": "coupons",
}
_THIN = "v2.core.event"


class EventPayload(NamedTuple):
    """An event, and what it names; no ``names`` where it is of no use here."""

    event: str
    type: str
    names: tuple[NamedObject, ...]


class _Shown(Base, frozen=True, kw_only=True):
    """The object in a payload, as far as finding it needs it."""

    object: str = ""
    id: str | None = None
    customer: str | Ref | None = None
    subscription: str | Ref | None = None


class _Data(Base, frozen=True, kw_only=True):
    object: _Shown = _Shown()


class _Related(Base, frozen=True, kw_only=True):
    id: str
    type: str


class _Envelope(Base, frozen=True, kw_only=True):
    id: str
    type: str
    object: str = ""
    data: _Data = _Data()
    related_object: _Related | None = None


def read_payload(body: bytes) -> EventPayload | None:
    """What an event names; None where the body is no event.

    A thin event carries no object, only the name of one.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not envelope.id or not envelope.type:
        return None
    if envelope.object == _THIN:
        names = _related(envelope.related_object)
    elif envelope.type in WANTED_TYPES:
        names = _named(envelope)
    else:
        names = ()
    return EventPayload(envelope.id, envelope.type, names)


def _related(related: _Related | None) -> tuple[NamedObject, ...]:
    if related is None or not related.id or related.type not in _KINDS:
        return ()
    return (NamedObject(_KINDS[related.type], related.id),)


def _named(envelope: _Envelope) -> tuple[NamedObject, ...]:
    """The object that changed, and the event itself where it is evidence of a moment."""
    shown = envelope.data.object
    if shown.object == "discount":  # lives inside these two, and cannot be fetched
        owners = (
            NamedObject("customers", ref(shown.customer)),
            NamedObject("subscriptions", ref(shown.subscription)),
        )
        changed = tuple(owner for owner in owners if owner.id)
    elif shown.object in _KINDS and shown.id:
        changed = (NamedObject(_KINDS[shown.object], shown.id),)
    else:
        changed = ()
    if not changed or envelope.type in CATALOGUE_EVENT_TYPES:
        return changed
    return (*changed, NamedObject("events", envelope.id))
