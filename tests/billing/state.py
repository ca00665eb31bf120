"""The engine's own nouns, which the renderers turn into Stripe's objects.

    Customer        who pays; a credit balance; whether the card works
      Subscription  a status, an anchor, discounts
        Item        price × quantity, its current period
          Change    what the item's MRR truly became, and when
          Sighting  an instant at which Stripe's objects show the item's state
      Invoice
        Line        a pending invoice item until an invoice takes it

Instants are unix seconds; amounts are minor units.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from tests.billing.catalogue import Coupon, Price
from tests.billing.taxes import LineTax, TaxShown, TaxStatus

Json = dict[str, Any]
COUNTS = frozenset({"active", "past_due"})
# Invoices whose lines are proof of what a subscription was. A void one proves no debt,
# but it says what would have been owed; a draft may still be edited.
PROOF = frozenset({"open", "paid", "uncollectible", "void"})


@dataclass(slots=True, kw_only=True)
class Customer:
    id: str
    created: int
    name: str
    email: str
    prefix: str
    country: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    currency: str | None = None
    balance: int = 0  # negative: credit
    pays: bool = True
    delinquent: bool = False
    invoices_numbered: int = 0
    tax: TaxStatus = field(default_factory=TaxStatus)


@dataclass(slots=True, kw_only=True)
class Discount:
    id: str
    coupon: Coupon
    start: int
    end: int | None
    customer: str
    subscription: str
    subscription_item: str | None = None

    def runs(self, at: int) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class Change:
    at: int
    mrr_minor: int


@dataclass(frozen=True, slots=True)
class Sighting:
    at: int
    source: str  # "subscription", "item", or an in_, ii_ or di_ id


@dataclass(slots=True, kw_only=True, eq=False)
class Item:
    id: str
    subscription: "Subscription"
    price: Price
    quantity: int
    created: int
    period_start: int
    period_end: int
    discounts: list[Discount] = field(default_factory=list)
    removed: bool = False
    usage: int = 0
    used: "Fraction | None" = None  # what the usage of its last full period cost
    used_since: int | None = None  # the first bill of such usage
    # When it became metered, and when it no longer was (None: it is yet).
    metered: "list[tuple[int, int | None]]" = field(default_factory=list)
    billed_net: int = 0  # what the whole current period costs as last billed
    billed_taken: "list[tuple[Discount, Fraction]]" = field(default_factory=list)
    # The discounts that reduced the paid period, and until when it lasts.
    reduced: "list[tuple[Discount, int]]" = field(default_factory=list)
    # What its changes and ``reduced`` are if the prorations that wait are dropped.
    if_dropped: "tuple[list[Change], list[tuple[Discount, int]]] | None" = None
    last_line: "Line | None" = None
    changes: list[Change] = field(default_factory=list)
    # The same where repeating and once coupons are subtracted or not, if asked for.
    changes_under: dict[tuple[bool, bool], list[Change]] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)
    tax: TaxShown = field(default_factory=TaxShown)


@dataclass(slots=True, kw_only=True, eq=False)
class Subscription:
    id: str
    customer: Customer
    created: int
    currency: str
    anchor: int
    mode: str  # classic | flexible
    # Flexible prorations: net and silent, net and naming discounts, or itemized.
    prorations: str = "net"  # net | included | itemized
    given: "list[Discount]" = field(default_factory=list)  # all ever, as they apply
    status: str = "active"
    items: list[Item] = field(default_factory=list)
    removed_items: list[Item] = field(default_factory=list)
    discounts: list[Discount] = field(default_factory=list)
    pending: "list[Line]" = field(default_factory=list)
    trial_start: int | None = None
    trial_end: int | None = None
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    canceled_at: int | None = None
    ended_at: int | None = None
    cancel_reason: str | None = None
    asked: list[tuple[int, int | None]] = field(default_factory=list)  # to cancel: till
    cancel_feedback: str | None = None
    pause: Json | None = None
    paused_at: int | None = None
    stops: set[int] = field(default_factory=set)  # paused or unpaid since then
    needs_card: bool = False  # its trial ends paused
    is_sent: bool = False  # an invoice waits to be paid by hand
    paid_trials: list[tuple[int, int]] = field(default_factory=list)
    latest_invoice: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def holders(self) -> "list[Subscription | Item]":
        """Whatever may hold a discount."""
        return [self, *self.items]

    @property
    def all_items(self) -> list[Item]:
        return self.items + self.removed_items


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """A line of an invoice; before that, a pending invoice item (``id`` is empty)."""

    id: str = ""
    invoice: str | None = None
    invoice_item: str | None = None
    date: int
    customer: Customer
    subscription: Subscription | None
    item: Item | None  # None: a one-off charge
    price: Price
    quantity: int
    amount: int
    start: int
    end: int
    description: str
    unit_amount: str | None
    proration: bool = False
    discountable: bool = True
    credits: "Line | None" = None
    discounted: list[tuple[Discount, int]] = field(default_factory=list)
    taxes: list[LineTax] = field(default_factory=list)
    named: list[Discount] = field(default_factory=list)  # a proration's

    @property
    def net(self) -> int:
        return self.amount - sum(amount for _, amount in self.discounted)


@dataclass(slots=True, kw_only=True, eq=False)
class Invoice:
    id: str
    customer: Customer
    subscription: Subscription
    created: int
    reason: str
    lines: list[Line]
    discounts: list[Discount]
    period_start: int
    period_end: int
    status: str = "draft"
    auto_advance: bool = True
    number: str | None = None
    finalized_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None
    uncollectible_at: int | None = None
    attempts: int = 0
    next_attempt: int | None = None
    starting_balance: int = 0
    ending_balance: int | None = None

    @property
    def subtotal(self) -> int:
        """Before discounts of the whole invoice, after those of single items."""
        return sum(
            line.amount
            - sum(n for d, n in line.discounted if d.subscription_item is not None)
            for line in self.lines
        )

    @property
    def total(self) -> int:
        return sum(line.net for line in self.lines)
