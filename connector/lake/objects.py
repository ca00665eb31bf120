"""One object's JSON → the typed object, or by which field it does not fit.

What comes from the mirror fitted when it was stored. A whole object of Stripe's is looked
at here as a sync looks at it: its types, then what they cannot say.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from connector.core.errors import UnknownStripeShape
from connector.stripe_api.decoding import Base, decode
from connector.stripe_api.events import Event, StripeEvent, hint, trimmed
from connector.stripe_api.faults import by_customer, out_of_time, unfit, unfit_for
from connector.stripe_api.invoices import Invoice, InvoiceItem
from connector.stripe_api.objects import Coupon, Customer, Price, Product, Subscription
from connector.stripe_api.unfit import WHOLE, UnfitObject, one_of

SHAPES: Mapping[str, type[Base]] = {
    "products": Product,
    "prices": Price,
    "coupons": Coupon,
    "customers": Customer,
    "subscriptions": Subscription,
    "versions": Subscription,
    "invoices": Invoice,
    "invoice_items": InvoiceItem,
    "events": Event,
}
# A kind and a body; what does not fit is told, not raised. None: of no history.
ObjectReader = Callable[[str, bytes], Base | UnfitObject | None]


class LakeRow(NamedTuple):
    """``at_s`` is when a version of a subscription was first seen so.

    ``customer`` may be a former id. ``member`` is the customer that it is now, where that
    is counted under another one, the ``owner``; else it is empty.
    """

    owner: str
    account: str
    kind: str
    id: str
    customer: str
    at_s: int
    body: bytes
    member: str = ""


class AsideBody(msgspec.Struct, frozen=True):
    """An object that the mirror could not take; ``kind`` is the table it belongs to."""

    kind: str
    field: str
    value: str


def mirrored(kind: str, body: bytes) -> Base:
    return decode(body, SHAPES[kind])


def whole(kind: str, body: bytes) -> Base | UnfitObject | None:
    """An object as Stripe shows it; an event is kept as far as it can be read.

    An invoice item that is on an invoice is told by the invoice's line.
    """
    shape = StripeEvent if kind == "events" else SHAPES[kind]
    try:
        found: Base | UnfitObject = one_of(body, shape)
    except msgspec.DecodeError:
        return UnfitObject(id="", field=WHOLE, value="no JSON")
    if isinstance(found, StripeEvent):
        return _event(found)
    if isinstance(found, UnfitObject):
        return found
    owned = by_customer(found)
    if isinstance(owned, InvoiceItem) and owned.invoice:
        return None
    return _cut_off(owned) or unfit(owned) or owned


def _cut_off(thing: Base) -> UnfitObject | None:
    """Of a long list inside an object Stripe shows the first ten; a sync asks for all."""
    if isinstance(thing, Invoice) and thing.lines.has_more:
        return unfit_for(thing, "lines.has_more", value=True)
    if isinstance(thing, Subscription) and thing.items.has_more:
        return unfit_for(thing, "items.has_more", value=True)
    return None


def _event(shown: StripeEvent) -> Event:
    try:
        kept = trimmed(shown)
    except (UnknownStripeShape, msgspec.DecodeError):
        return hint(shown)
    state = kept.subscription
    return kept if state is None or out_of_time(state) is None else hint(shown)


# By the shape of a source; what is flat has been put together before.
READERS: Mapping[str, ObjectReader] = {
    "mirror": mirrored,
    "objects": whole,
    "flat": whole,
}
