"""How each kind of Stripe's objects is listed: where, filtered how, and what expanded.

Lists are newest first. A ``Span`` narrows one by creation, a ``Place`` is how far it has
been read, a ``Page`` what was read there. An expand goes four levels deep at the most,
``data`` counted; what cannot be expanded in a list (a price's tiers, a discount's coupon)
comes from the catalogue.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from connector.stripe_objects import (
    Base,
    Coupon,
    Customer,
    Invoice,
    InvoiceItem,
    Price,
    Product,
    StripeEvent,
    Subscription,
)


class Listing(Base, frozen=True, kw_only=True):
    """How one kind of object is paged: path, filters, what to expand, its type."""

    path: str
    params: tuple[tuple[str, str], ...] = ()
    type: type[Base]
    needs: str = ""  # the permission a restricted key must have


class Named(NamedTuple):
    """An object that something names: its kind in ``LISTINGS``, and its id."""

    kind: str
    id: str


class Span(NamedTuple):
    """Objects created in [from_s, to_s); None: however new."""

    from_s: int = 0
    to_s: int | None = None

    @property
    def params(self) -> list[tuple[str, str]]:
        low = [("created[gte]", str(self.from_s))] if self.from_s else []
        high = [] if self.to_s is None else [("created[lt]", str(self.to_s))]
        return low + high


class Place(NamedTuple):
    """Where reading a list goes on: after the object ``after``; None at its top.

    ``met`` are the ids shown last and ``oldest_s`` is the oldest creation met so far: a
    page must lead beyond them.
    """

    after: str | None = None
    met: frozenset[str] = frozenset()
    oldest_s: int | None = None

    def by_time(self, span: Span) -> "tuple[Span, Place]":
        """The same place without its object: from the oldest second met, once more."""
        if self.oldest_s is None:
            return span, Place()
        return Span(span.from_s, self.oldest_s + 1), Place(oldest_s=self.oldest_s)


class Page(NamedTuple):
    """``asked_us`` is when its request began: what it shows is at least as new.

    ``place`` is where the next one begins.
    """

    data: list[Any]
    has_more: bool
    asked_us: int
    place: Place = Place()


EVERYTHING = Span()
TOP = Place()


def going_on(after: str | None, oldest_s: int | None = None) -> Place:
    """The place of somebody who remembers only the last object."""
    return Place(after, frozenset(() if after is None else (after,)), oldest_s)


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


def _prices(*, active: bool) -> Listing:
    return Listing(
        path="/v1/prices",
        params=(
            ("active", "true" if active else "false"),
            ("expand[]", "data.tiers"),
            ("expand[]", "data.currency_options"),
        ),
        type=Price,
        needs="Prices: read",
    )


# In the order of the walk: what others refer to comes first.
LISTINGS: Mapping[str, Listing] = {
    "products": Listing(path="/v1/products", type=Product, needs="Products: read"),
    "prices": _prices(active=True),
    "archived prices": _prices(active=False),
    "coupons": Listing(
        path="/v1/coupons",
        params=(
            ("expand[]", "data.applies_to"),
            ("expand[]", "data.currency_options"),
        ),
        type=Coupon,
        needs="Coupons: read",
    ),
    "customers": Listing(path="/v1/customers", type=Customer, needs="Customers: read"),
    "subscriptions": Listing(
        path="/v1/subscriptions",
        params=(
            ("status", "all"),  # the default hides every customer who left
            ("expand[]", "data.discounts.source.coupon"),
            ("expand[]", "data.items.data.discounts"),
        ),
        type=Subscription,
        needs="Subscriptions: read",
    ),
    "invoices": Listing(
        path="/v1/invoices",
        params=(
            ("expand[]", "data.discounts.source.coupon"),
            ("expand[]", "data.lines.data.discounts"),
        ),
        type=Invoice,
        needs="Invoices: read",
    ),
    "invoice items": Listing(
        path="/v1/invoiceitems",
        params=(("pending", "true"),),
        type=InvoiceItem,
        needs="Invoice Items: read",
    ),
    "events": Listing(
        path="/v1/events",
        params=tuple(("types[]", name) for name in EVENT_TYPES),
        type=StripeEvent,
        needs="Events: read",
    ),
    "catalogue events": Listing(
        path="/v1/events",
        params=tuple(("types[]", name) for name in CATALOGUE_EVENT_TYPES),
        type=StripeEvent,
        needs="Events: read",
    ),
}
