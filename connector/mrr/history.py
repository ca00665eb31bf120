"""One customer's billing history, as the mirror hands it to the derivation.

A plain value: nothing in here reaches back into a store.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from connector.stripe_api.events import Event
from connector.stripe_api.objects import (
    Coupon,
    Customer,
    Discount,
    Invoice,
    InvoiceItem,
    Price,
    Product,
    Subscription,
)


class Catalogue(Struct, frozen=True, kw_only=True):
    """What all customers share, by id."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    products: Mapping[str, Product] = field(default_factory=dict)


class SubscriptionVersion(NamedTuple):
    """A subscription as it looked from ``seen_s`` on, until the next sighting.

    ``seen_s`` is when the answer was asked for: what it shows is at least as new. Of two
    looks in one second the later has the next second.
    """

    seen_s: int
    subscription: Subscription


# No answer is under way for longer, all tries counted.
ANSWERED_S = 600
# By no more is a look stamped late, as others in its second had shown something else.
MOVED_S = 5


def unexplained(
    sightings: Iterable[SubscriptionVersion], events: Iterable[Event]
) -> list[SubscriptionVersion]:
    """Without those that show what an event shows that came while they were under way.

    The event knows the second in which it became so; the sighting is stamped before it.
    """
    shown = [(e.created, e.subscription) for e in events if e.subscription is not None]
    return [
        each
        for each in sightings
        if not any(
            -MOVED_S <= at_s - each.seen_s <= ANSWERED_S
            and subscription.id == each.subscription.id
            and subscription.what_counts == each.subscription.what_counts
            for at_s, subscription in shown
        )
    ]


class History(Struct, frozen=True, kw_only=True):
    """Everything Stripe shows of one customer.

    ``sightings`` lists each subscription's versions, oldest first, the current one last.
    ``invoices`` and ``events`` are oldest first.
    """

    customer: str
    sightings: Mapping[str, tuple[SubscriptionVersion, ...]] = field(
        default_factory=dict
    )
    invoices: tuple[Invoice, ...] = ()
    pending: tuple[InvoiceItem, ...] = ()
    events: tuple[Event, ...] = ()
    profile: Customer | None = None  # the customer itself, if a list ever showed it
    catalogue: Catalogue = field(default_factory=Catalogue)

    @property
    def discount(self) -> Discount | None:
        """The customer's own."""
        return None if self.profile is None else self.profile.discount
