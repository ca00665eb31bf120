"""One customer's billing history, as the mirror hands it to the derivation.

A plain value: nothing in here reaches back into a store.
"""

from bisect import bisect_left, bisect_right
from collections import ChainMap, defaultdict
from collections.abc import Iterable, Mapping
from operator import attrgetter, itemgetter
from typing import NamedTuple, cast

from msgspec import Struct, field

from connector.stripe_api.decoding import ref
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice, InvoiceItem
from connector.stripe_api.objects import (
    Coupon,
    Customer,
    Discount,
    Price,
    Product,
    Subscription,
)

DRAFT_S = 3_600  # so long a renewal's invoice is a draft


class SubscriptionVersion(NamedTuple):
    """A subscription as Stripe showed it from ``seen_s`` on, until the next version.

    ``seen_s`` is when the answer was asked for: what it shows is at least as new. Of two
    answers in one second the later has the next second.
    """

    seen_s: int
    subscription: Subscription

    def finalizes(self, draft: Invoice) -> bool:
        """Whether Stripe finalizes the draft by itself, an hour after it made it."""
        now = self.subscription
        collects = now.status in ("active", "past_due") and not now.pause_collection
        return collects and draft.created >= self.seen_s - DRAFT_S


def what_counts(now: Subscription) -> tuple[object, ...]:
    """All that MRR depends on; while this is the same, nothing has happened."""
    items = now.items.data
    return (
        *(now.status, now.started_at, now.ended_at, now.canceled_at),
        *(now.trial_start, now.trial_end, now.pause_collection, now.paused_since),
        [(i.id, ref(i.price), i.quantity, i.quantity_decimal) for i in items],
        [i.current_trial for i in items],
        [(ref(discount), item) for discount, item in now.listed_discounts],
    )


class Catalogue(Struct, frozen=True, kw_only=True):
    """What all customers share, by id."""

    prices: Mapping[str, Price] = field(default_factory=dict)
    coupons: Mapping[str, Coupon] = field(default_factory=dict)
    products: Mapping[str, Product] = field(default_factory=dict)

    def with_prices_on(self, versions: Iterable[SubscriptionVersion]) -> "Catalogue":
        """Also with the prices that only these versions still show.

        A listed price wins: it carries tiers and currency options, which items never do.
        """
        shown = {
            item.price.id: item.price
            for version in versions
            for item in version.subscription.items.data
            if item.price is not None
        }
        missing = {key: each for key, each in shown.items() if key not in self.prices}
        if not missing:
            return self
        # Not copied, as it may be large; whoever reads it, writes nothing.
        prices = ChainMap(missing, cast("dict[str, Price]", self.prices))
        return Catalogue(prices=prices, coupons=self.coupons, products=self.products)


def versions_in(events: Iterable[Event]) -> list[SubscriptionVersion]:
    """The versions that events show."""
    return [
        SubscriptionVersion(event.created, event.subscription)
        for event in events
        if event.subscription is not None
    ]


_SEEN = attrgetter("seen_s")
# No request takes longer, all tries counted.
LONGEST_REQUEST_S = 600
# By no more is a version stamped late, as others in its second showed something else.
LARGEST_SHIFT_S = 5


def versions_without_event(
    versions: Iterable[SubscriptionVersion], events: Iterable[Event]
) -> list[SubscriptionVersion]:
    """Without those that an event explains that came while they were being fetched.

    The event knows the second in which it became so; the version is stamped before it.
    """
    by_event = sorted(versions_in(events), key=_SEEN)
    if not by_event:
        return list(versions)

    def is_explained(each: SubscriptionVersion) -> bool:
        first = bisect_left(by_event, each.seen_s - LARGEST_SHIFT_S, key=_SEEN)
        last = bisect_right(by_event, each.seen_s + LONGEST_REQUEST_S, key=_SEEN)
        return any(
            subscription.id == each.subscription.id
            and what_counts(subscription) == what_counts(each.subscription)
            for _, subscription in by_event[first:last]
        )

    return [each for each in versions if not is_explained(each)]


class History(Struct, frozen=True, kw_only=True):
    """Everything Stripe shows of one customer.

    ``versions`` are by subscription, oldest first, the current one last. ``invoices`` and
    ``events`` are oldest first.
    """

    customer: str
    company: str = ""  # under whom it is counted, where that is somebody else
    versions: Mapping[str, tuple[SubscriptionVersion, ...]] = field(
        default_factory=dict
    )
    invoices: tuple[Invoice, ...] = ()
    pending: tuple[InvoiceItem, ...] = ()
    events: tuple[Event, ...] = ()
    profile: Customer | None = None  # the customer itself, if a list ever showed it
    former: Mapping[str, Customer] = field(default_factory=dict)  # ids merged into it
    catalogue: Catalogue = field(default_factory=Catalogue)

    @property
    def counted_as(self) -> str:
        return self.company or self.customer

    def discount_of(self, customer: str) -> Discount | None:
        """The own one of the customer, or of the former id that is asked for."""
        asked = self.former.get(customer, self.profile) if self.former else self.profile
        return None if asked is None else asked.discount


def invoices_by_subscription(history: History) -> dict[str, list[Invoice]]:
    found: defaultdict[str, list[Invoice]] = defaultdict(list)
    for invoice in history.invoices:
        found[invoice.subscription].append(invoice)
    return found


def events_by_subscription(history: History) -> dict[str, list[Event]]:
    """Those about each subscription, or about a discount that may be on it."""
    apart: defaultdict[str, list[tuple[int, Event]]] = defaultdict(list)
    for place, event in enumerate(history.events):
        if event.subscription is not None:
            apart[event.subscription.id].append((place, event))
        elif event.discount is not None:
            apart[event.discount.subscription or ""].append((place, event))
    return {
        key: [
            event for _, event in sorted([*apart[key], *apart[""]], key=itemgetter(0))
        ]
        for key in history.versions
    }
