"""A webhook's body → which objects at Stripe it says have changed, and nothing else.

An event is a hint. Its payload may be late, repeated, of another API version; so what it
names is fetched, and what it shows is thrown away.
"""

import msgspec

from connector.core.account import StripeIdentity
from connector.core.errors import UnknownStripeShape
from connector.store.inbox import ReceivedEvent
from connector.stripe_api.events import (
    CATALOGUE_EVENT_TYPES,
    EVENT_TYPES,
    EventObject,
    NamedObject,
    WebhookBody,
    named_as,
    named_in,
    shown_in,
)

# What an endpoint has to send, and all that is kept of what it sends.
WANTED_TYPES = (*EVENT_TYPES, *CATALOGUE_EVENT_TYPES)
_THIN = "v2.core.event"


def read_payload(body: bytes) -> ReceivedEvent | None:
    """What an event names; None where the body is no event."""
    try:
        told = msgspec.json.decode(body, type=WebhookBody)
        if told.id and told.type:
            return ReceivedEvent(told.id, told.type, _names(told), _origin(told))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None


def _origin(told: WebhookBody) -> StripeIdentity:
    within = (told.context or "").rpartition("/")[2]  # of an organization: a path
    whose = told.account or (within if within.startswith("acct_") else None)
    return StripeIdentity(id=whose, livemode=told.livemode)


def _names(told: WebhookBody) -> tuple[NamedObject, ...]:
    """The object that changed, and the event itself where it is evidence of a moment.

    A thin event carries no object, only the name of one.
    """
    if told.object == _THIN:
        related = told.related_object
        return tuple(named_as(related)) if related is not None else ()
    if told.type not in WANTED_TYPES:
        return ()
    changed = tuple(named_in(told.type, _shown(told)))
    if not changed or told.type in CATALOGUE_EVENT_TYPES:
        return changed
    return (*changed, NamedObject("events", told.id))


def _shown(told: WebhookBody) -> EventObject:
    try:
        return shown_in(told.data.object)
    except UnknownStripeShape:
        return EventObject()
