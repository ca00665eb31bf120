"""Stripe's objects at the pinned API version, with only the fields that MRR needs.

The one room that knows Stripe's field names. ``decode`` reads Stripe's JSON, ``body``
writes the same struct back as the trimmed copy that the mirror keeps: whatever is not a
field here (email, address, card, free text) is never stored.

Objects from before and after a change of shape both read: a discount carries its coupon
in ``source`` since clover, directly before; an event shows the shape of its own version.
"""

import threading
from decimal import Decimal
from typing import Any, Generic, TypeVar, get_args

import msgspec

from connector.core.errors import UnknownStripeShape

T = TypeVar("T")


class Base(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Immutable; unknown fields are ignored; empty ones are not written back."""


class ListOf(Base, Generic[T], frozen=True, kw_only=True):
    data: list[T] = []
    has_more: bool = False


# Answers


class ListAnswer(Base, Generic[T], frozen=True, kw_only=True):
    """A list as an answer. Without ``data`` it is none, and never an empty page."""

    data: list[T]
    has_more: bool = False


class ErrorDetail(Base, frozen=True, kw_only=True):
    message: str = ""
    code: str | None = None


class ErrorAnswer(Base, frozen=True, kw_only=True):
    error: ErrorDetail = ErrorDetail()


# Catalogue


class Recurring(Base, frozen=True, kw_only=True):
    interval: str
    interval_count: int = 1
    usage_type: str | None = "licensed"


class PriceTier(Base, frozen=True, kw_only=True):
    up_to: int | None = None
    unit_amount: int | None = None
    unit_amount_decimal: Decimal | None = None
    flat_amount: int | None = None
    flat_amount_decimal: Decimal | None = None


class TransformQuantity(Base, frozen=True, kw_only=True):
    divide_by: int
    round: str


class CurrencyOption(Base, frozen=True, kw_only=True):
    unit_amount: int | None = None
    unit_amount_decimal: Decimal | None = None
    tiers: list[PriceTier] | None = None
    tax_behavior: str | None = None


class Price(Base, frozen=True, kw_only=True):
    id: str
    created: int = 0
    currency: str = ""
    product: "str | Ref | None" = None
    billing_scheme: str | None = "per_unit"
    unit_amount: int | None = None
    unit_amount_decimal: Decimal | None = None
    recurring: Recurring | None = None
    tiers_mode: str | None = None
    tiers: list[PriceTier] | None = None
    transform_quantity: TransformQuantity | None = None
    tax_behavior: str | None = None
    currency_options: dict[str, CurrencyOption] | None = None


class Product(Base, frozen=True, kw_only=True):
    id: str
    created: int = 0
    name: str | None = None
    unit_label: str | None = None


class CouponAmount(Base, frozen=True, kw_only=True):
    amount_off: int


class AppliesTo(Base, frozen=True, kw_only=True):
    products: list[str] = []


class Coupon(Base, frozen=True, kw_only=True):
    id: str
    created: int = 0
    duration: str | None = None
    percent_off: Decimal | None = None
    amount_off: int | None = None
    currency: str | None = None
    currency_options: dict[str, CouponAmount] | None = None
    applies_to: AppliesTo | None = None


class Ref(Base, frozen=True, kw_only=True):
    """An expanded object of which only the id matters."""

    id: str


class CouponSource(Base, frozen=True, kw_only=True):
    coupon: str | Coupon | None = None


class Discount(Base, frozen=True, kw_only=True):
    """``end`` None is open-ended. ``invoice`` is set on a discount of one invoice."""

    id: str
    start: int = 0
    end: int | None = None
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

    id: str
    created: int = 0
    deleted: bool = False
    discount: Discount | None = None
    label: str | None = None
    country: str | None = None
    metadata: dict[str, str] | None = None
    name: str | None = None
    address: CustomerAddress | None = None


class TaxRate(Base, frozen=True, kw_only=True):
    inclusive: bool = False
    percentage: Decimal = Decimal(0)


class ItemTrial(Base, frozen=True, kw_only=True):
    start_date: int
    end_date: int


class SubscriptionItem(Base, frozen=True, kw_only=True):
    id: str
    current_trial: ItemTrial | None = None
    price: Price | None = None
    quantity: int | None = None
    quantity_decimal: Decimal | None = None
    created: int = 0
    discounts: list[str | Discount] | None = None
    tax_rates: list[TaxRate] | None = None


class PauseCollection(Base, frozen=True, kw_only=True):
    """``resumes_at`` None is open-ended."""

    behavior: str | None = None
    resumes_at: int | None = None


class PausedDetails(Base, frozen=True, kw_only=True):
    transitioned_at: int | None = None


class StatusDetails(Base, frozen=True, kw_only=True):
    paused: PausedDetails | None = None


class PendingUpdate(Base, frozen=True, kw_only=True):
    """A change that waits for its payment until then."""

    expires_at: int = 0


class Subscription(Base, frozen=True, kw_only=True):
    id: str
    customer: str | Ref
    status: str
    created: int = 0
    currency: str = ""
    start_date: int | None = None
    ended_at: int | None = None
    canceled_at: int | None = None
    cancel_at: int | None = None
    cancel_at_period_end: bool | None = False
    trial_start: int | None = None
    trial_end: int | None = None
    items: ListOf[SubscriptionItem] = ListOf()
    discounts: list[str | Discount] | None = None
    discount: Discount | None = None
    pause_collection: PauseCollection | None = None
    pending_update: PendingUpdate | None = None
    status_details: StatusDetails | None = None
    default_tax_rates: list[TaxRate] | None = None

    @property
    def started_at(self) -> int:
        return self.created if self.start_date is None else self.start_date

    @property
    def all_discounts(self) -> list[str | Discount]:
        """The subscription's own discounts, in the order Stripe applies them."""
        if self.discounts:
            return self.discounts
        return [] if self.discount is None else [self.discount]

    @property
    def what_counts(self) -> tuple[object, ...]:
        """All that MRR depends on; while this is the same, nothing has happened."""
        return (
            self.status,
            self.started_at,
            self.ended_at,
            self.canceled_at,
            self.trial_start,
            self.trial_end,
            self.pause_collection,
            self.status_details,
            [
                (i.id, ref(i.price), i.quantity, i.quantity_decimal)
                for i in self.items.data
            ],
            [i.current_trial for i in self.items.data],
            [ref(d) for d in self.all_discounts],
            [[ref(d) for d in i.discounts or ()] for i in self.items.data],
        )


# Invoices


class Period(Base, frozen=True, kw_only=True):
    start: int
    end: int


class CreditedItems(Base, frozen=True, kw_only=True):
    invoice: str | None = None


class ProrationDetails(Base, frozen=True, kw_only=True):
    """``credited_items`` names what a credit takes back; None on a debit."""

    credited_items: CreditedItems | None = None


class ItemParent(Base, frozen=True, kw_only=True):
    """``subscription_item_details`` or ``invoice_item_details`` of a line."""

    subscription: str | Ref | None = None
    subscription_item: str | Ref | None = None
    invoice_item: str | Ref | None = None
    proration: bool = False
    proration_details: ProrationDetails | None = None


class LineParent(Base, frozen=True, kw_only=True):
    subscription_item_details: ItemParent | None = None
    invoice_item_details: ItemParent | None = None
    subscription_details: ItemParent | None = None


class PriceDetails(Base, frozen=True, kw_only=True):
    price: str | Price | None = None
    product: str | Ref | None = None


class Pricing(Base, frozen=True, kw_only=True):
    price_details: PriceDetails | None = None
    unit_amount_decimal: Decimal | None = None


class DiscountAmount(Base, frozen=True, kw_only=True):
    amount: int
    discount: str | Discount | None = None


class Tax(Base, frozen=True, kw_only=True):
    amount: int
    tax_behavior: str | None = None
    taxable_amount: int | None = None


class InvoiceLine(Base, frozen=True, kw_only=True):
    id: str
    amount: int
    period: Period
    currency: str = ""
    quantity: int | None = None
    quantity_decimal: Decimal | None = None
    parent: LineParent | None = None
    pricing: Pricing | None = None
    discounts: list[str | Discount] | None = None
    discount_amounts: list[DiscountAmount] | None = None
    taxes: list[Tax] | None = None


class StatusTransitions(Base, frozen=True, kw_only=True):
    finalized_at: int | None = None
    paid_at: int | None = None
    marked_uncollectible_at: int | None = None


class InvoiceParent(Base, frozen=True, kw_only=True):
    subscription_details: ItemParent | None = None


class Invoice(Base, frozen=True, kw_only=True):
    id: str
    customer: str | Ref | None = None
    created: int = 0
    currency: str = ""
    status: str | None = None
    due_date: int | None = None
    parent: InvoiceParent | None = None
    status_transitions: StatusTransitions | None = None
    discounts: list[str | Discount] | None = None
    lines: ListOf[InvoiceLine] = ListOf()


class InvoiceItem(Base, frozen=True, kw_only=True):
    """``invoice`` None is pending: it waits for the next invoice."""

    id: str
    amount: int
    date: int
    period: Period
    customer: str | Ref | None = None
    currency: str = ""
    proration: bool = False
    quantity: int | None = None
    quantity_decimal: Decimal | None = None
    parent: LineParent | None = None
    pricing: Pricing | None = None
    proration_details: ProrationDetails | None = None
    invoice: str | None = None


# The account


class Dashboard(Base, frozen=True, kw_only=True):
    timezone: str | None = None


class AccountSettings(Base, frozen=True, kw_only=True):
    dashboard: Dashboard | None = None


class StripeAccount(Base, frozen=True, kw_only=True):
    settings: AccountSettings | None = None

    @property
    def timezone(self) -> str | None:
        """The zone of the account's days, and of Stripe's own reports."""
        dashboard = self.settings.dashboard if self.settings else None
        return dashboard.timezone if dashboard else None


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}
_one_at_a_time = threading.Lock()


def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    """Made by one thread at a time: msgspec 0.22 shares a type that it has half read."""
    found = _decoders.get(shape)
    if found is None:
        with _one_at_a_time:
            found = _decoders.setdefault(shape, msgspec.json.Decoder(shape))
    return found


def decode(raw: bytes | msgspec.Raw, shape: type[T]) -> T:
    """Read JSON as ``shape``; ``UnknownStripeShape`` names the field that does not fit."""
    try:
        return _decoder(shape).decode(raw)
    except msgspec.ValidationError as error:
        inner = get_args(shape)
        name = f"list of {inner[0].__name__}" if inner else shape.__name__
        raise UnknownStripeShape(
            f"Stripe's answer does not look like a {name}: {error}",
            fix="upgrade stripe-nrr, or report this with the field's name; nothing of "
            "this answer was stored",
        ) from error


def body(thing: Base) -> bytes:
    """The trimmed copy the mirror keeps: ``thing``'s own fields as JSON."""
    return msgspec.json.encode(thing)


def ref(thing: object) -> str:
    """The id of something that is an id, or an expanded object; "" for None."""
    if isinstance(thing, str):
        return thing
    return "" if thing is None else str(getattr(thing, "id"))  # noqa: B009


def created_at(thing: object) -> int:
    """When an object was created, unix seconds; 0 where its kind does not say.

    An invoice item says ``date``. It is what the filter ``created`` goes by.
    """
    return int(getattr(thing, "created", 0) or getattr(thing, "date", 0))


def labelled(
    customer: Customer, label: str, metadata_keys: tuple[str, ...]
) -> Customer:
    """The customer as it is stored: a display label, a country, chosen metadata.

    ``label`` is ``name``, ``metadata:KEY`` or ``id`` (no label at all).
    """
    metadata = customer.metadata or {}
    source, _, key = label.partition(":")
    text = metadata.get(key) if source == "metadata" else None
    if source == "name":
        text = customer.name
    kept = {key: metadata[key] for key in metadata_keys if key in metadata}
    return Customer(
        id=customer.id,
        created=customer.created,
        deleted=customer.deleted,
        discount=customer.discount,
        label=text,
        country=customer.address.country if customer.address else None,
        metadata=kept or None,
    )
