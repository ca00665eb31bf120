"""Stripe's objects at the pinned API version, with only the fields that MRR needs.

With ``invoices`` and ``events`` the only place that knows Stripe's field names:
the catalogue, customers and subscriptions.

Objects from before and after a change of shape both read: a discount carries its coupon
in ``source`` since clover, directly before; an event shows the shape of its own version.
"""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from connector.stripe_api.decoding import (
    Base,
    Charge,
    Instant,
    ListOf,
    ObjectId,
    Ref,
    Units,
    check_decimal,
)

STATUSES = frozenset(
    {*("active", "past_due", "trialing", "unpaid", "paused", "canceled")}
    | {"incomplete", "incomplete_expired"}
)
TaxBehavior = Literal["inclusive", "exclusive", "unspecified"]
_NOTHING = Decimal(0)
_ALL = Decimal(100)  # per cent

# Catalogue


class Recurring(Base, frozen=True, kw_only=True):
    interval: str
    interval_count: int = 1
    usage_type: str | None = "licensed"


class PriceTier(Base, frozen=True, kw_only=True):
    up_to: Units | None = None
    unit_amount: Charge | None = None
    unit_amount_decimal: Decimal | None = None
    flat_amount: Charge | None = None
    flat_amount_decimal: Decimal | None = None

    def __post_init__(self) -> None:
        check_decimal(self.unit_amount_decimal, "unit_amount_decimal", least=_NOTHING)
        check_decimal(self.flat_amount_decimal, "flat_amount_decimal", least=_NOTHING)


class TransformQuantity(Base, frozen=True, kw_only=True):
    divide_by: Annotated[int, Meta(ge=1)]
    round: Literal["up", "down"]


class CurrencyOption(Base, frozen=True, kw_only=True):
    unit_amount: Charge | None = None
    unit_amount_decimal: Decimal | None = None
    tiers: list[PriceTier] | None = None
    tax_behavior: TaxBehavior | None = None

    def __post_init__(self) -> None:
        check_decimal(self.unit_amount_decimal, "unit_amount_decimal", least=_NOTHING)


class Price(Base, frozen=True, kw_only=True):
    id: ObjectId
    created: Instant = 0
    currency: str = ""
    product: "str | Ref | None" = None
    billing_scheme: str | None = "per_unit"
    unit_amount: Charge | None = None
    unit_amount_decimal: Decimal | None = None
    recurring: Recurring | None = None
    tiers_mode: str | None = None
    tiers: list[PriceTier] | None = None
    transform_quantity: TransformQuantity | None = None
    tax_behavior: TaxBehavior | None = None
    currency_options: dict[str, CurrencyOption] | None = None

    def tax_behavior_in(self, currency: str) -> str | None:
        """Whether the amount in a currency holds its tax: each option says it for itself.

        ``inclusive``, ``exclusive``, or neither where nobody said.
        """
        if self.currency == currency:
            return self.tax_behavior
        option = (self.currency_options or {}).get(currency)
        return option.tax_behavior if option is not None else None

    def lacks_tiers_in(self, currency: str) -> bool:
        """Whether the price shows its own tiers, and another currency without them."""
        option = (self.currency_options or {}).get(currency)
        is_other = bool(self.tiers) and self.currency != currency
        return is_other and option is not None and not option.tiers

    def __post_init__(self) -> None:
        check_decimal(self.unit_amount_decimal, "unit_amount_decimal", least=_NOTHING)


class Product(Base, frozen=True, kw_only=True):
    id: ObjectId
    created: Instant = 0
    name: str | None = None
    unit_label: str | None = None


class CouponAmount(Base, frozen=True, kw_only=True):
    amount_off: Charge


class AppliesTo(Base, frozen=True, kw_only=True):
    products: list[str] = []  # noqa: RUF012 - msgspec makes each its own


class Coupon(Base, frozen=True, kw_only=True):
    id: ObjectId
    created: Instant = 0
    duration: Literal["forever", "once", "repeating"] | None = None
    percent_off: Decimal | None = None
    amount_off: Charge | None = None
    currency: str | None = None
    currency_options: dict[str, CouponAmount] | None = None
    applies_to: AppliesTo | None = None

    def __post_init__(self) -> None:
        check_decimal(self.percent_off, "percent_off", least=_NOTHING, most=_ALL)


class CouponSource(Base, frozen=True, kw_only=True):
    coupon: str | Coupon | None = None


class Discount(Base, frozen=True, kw_only=True):
    """``end`` None is open-ended. ``invoice`` is set on a discount of one invoice."""

    id: ObjectId
    start: Instant = 0
    end: Instant | None = None
    source: CouponSource | None = None
    coupon: str | Coupon | None = None
    customer: str | Ref | None = None
    subscription: str | None = None
    subscription_item: str | None = None
    invoice: str | None = None
    invoice_item: str | None = None

    @property
    def named_coupon(self) -> str | Coupon | None:
        return self.source.coupon if self.source is not None else self.coupon


# Customers and subscriptions


class CustomerAddress(Base, frozen=True, kw_only=True):
    country: str | None = None


class Customer(Base, frozen=True, kw_only=True):
    """``name`` and ``address`` are read to make ``label`` and ``country``, not kept."""

    id: ObjectId
    created: Instant = 0
    deleted: bool = False
    customer_account: str | Ref | None = None
    discount: Discount | None = None
    label: str | None = None
    country: str | None = None
    metadata: dict[str, str] | None = None
    name: str | None = None
    address: CustomerAddress | None = None


class TaxRate(Base, frozen=True, kw_only=True):
    inclusive: bool = False
    percentage: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_decimal(self.percentage, "percentage", least=_NOTHING)


class ItemTrial(Base, frozen=True, kw_only=True):
    start_date: Instant
    end_date: Instant


class SubscriptionItem(Base, frozen=True, kw_only=True):
    id: ObjectId
    current_trial: ItemTrial | None = None
    price: Price | None = None
    quantity: Units | None = None
    quantity_decimal: Decimal | None = None
    created: Instant = 0
    discounts: list[str | Discount] = []  # noqa: RUF012
    tax_rates: list[TaxRate] | None = None

    def __post_init__(self) -> None:
        check_decimal(self.quantity_decimal, "quantity_decimal", least=_NOTHING)


class PauseCollection(Base, frozen=True, kw_only=True):
    """``resumes_at`` None is open-ended."""

    behavior: str | None = None
    resumes_at: Instant | None = None


class PauseKind(Base, frozen=True, kw_only=True):
    type: str | None = None


class PausedDetails(Base, frozen=True, kw_only=True):
    """``subscription`` says what paused it, such as ``final_payment_failure``."""

    transitioned_at: Instant | None = None
    type: str | None = None
    subscription: PauseKind | None = None

    @property
    def is_failed_payment(self) -> bool:
        own = self.subscription.type if self.subscription is not None else None
        return any("payment_fail" in (kind or "") for kind in (self.type, own))


class StatusDetails(Base, frozen=True, kw_only=True):
    paused: PausedDetails | None = None


class CancellationDetails(Base, frozen=True, kw_only=True):
    """Why it was cancelled, in Stripe's words; the comment beside them is never read."""

    reason: str | None = None
    feedback: str | None = None


class PendingUpdate(Base, frozen=True, kw_only=True):
    """A change that waits for its payment until then."""

    expires_at: Instant = 0


class Subscription(Base, frozen=True, kw_only=True):
    """``status`` may be a word that nobody knows yet: then it never counts as paying."""

    id: ObjectId
    customer: str | Ref | None = None
    customer_account: str | Ref | None = None
    status: str
    created: Instant = 0
    currency: str = ""
    start_date: int | None = None
    billing_cycle_anchor: Instant | None = None
    ended_at: Instant | None = None
    canceled_at: Instant | None = None
    cancel_at: Instant | None = None
    cancel_at_period_end: bool | None = False
    trial_start: Instant | None = None
    trial_end: Instant | None = None
    items: ListOf[SubscriptionItem] = ListOf()
    discounts: list[str | Discount] = []  # noqa: RUF012
    discount: Discount | None = None
    pause_collection: PauseCollection | None = None
    pending_update: PendingUpdate | None = None
    status_details: StatusDetails | None = None
    # Not set in a copy that was stored before this was read.
    cancellation_details: CancellationDetails | UnsetType | None = UNSET
    default_tax_rates: list[TaxRate] | None = None

    @property
    def is_of_known_status(self) -> bool:
        return self.status in STATUSES

    @property
    def started_at(self) -> int:
        return self.created if self.start_date is None else self.start_date

    @property
    def paused_since(self) -> int | None:
        """Where Stripe says it: the instant at which it became paused."""
        details = self.status_details
        paused = details.paused if details is not None else None
        return paused.transitioned_at if paused is not None else None

    @property
    def all_discounts(self) -> list[str | Discount]:
        """The subscription's own discounts, in the order Stripe applies them."""
        if self.discounts:
            return self.discounts
        return [] if self.discount is None else [self.discount]

    @property
    def listed_discounts(self) -> list[tuple[str | Discount, str]]:
        """All in the order they apply, each with the item that it is on, or ""."""
        on_items = [(d, i.id) for i in self.items.data for d in i.discounts or ()]
        return on_items + [(each, "") for each in self.all_discounts]
