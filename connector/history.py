"""One customer's billing history, as the mirror hands it to the derivation.

A plain value: nothing in here reaches back into a store.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from connector.stripe_objects import (
    Coupon,
    Discount,
    Event,
    Invoice,
    InvoiceItem,
    Price,
    Product,
    Subscription,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What all customers share, by id."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    products: Mapping[str, Product] = field(default_factory=dict)


class Sighting(NamedTuple):
    """A subscription as it looked from ``seen_s`` on, until the next sighting."""

    seen_s: int
    subscription: Subscription


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything Stripe shows of one customer.

    ``sightings`` lists each subscription's versions, oldest first, the current one last.
    ``invoices`` and ``events`` are oldest first.
    """

    customer: str
    sightings: Mapping[str, tuple[Sighting, ...]] = field(default_factory=dict)
    invoices: tuple[Invoice, ...] = ()
    pending: tuple[InvoiceItem, ...] = ()
    events: tuple[Event, ...] = ()
    discount: Discount | None = None  # the customer's own
    catalogue: Catalogue = field(default_factory=Catalogue)
