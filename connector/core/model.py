"""The nouns of the field. Read this file first.

    MrrStep          from an instant on, one subscription item's MRR is this much
      ItemPricing    what the item costs: a tariff, a quantity, the discounts on it
        Tariff       how a quantity becomes an amount for one billing interval
        ItemDiscount one discount as it applies to one item
      Evidence       the Stripe object that shows it
    Movement         one change of one customer's MRR on one local day, in one currency
      Component      the part of it that one item and one cause explain
    CustomerName     a customer's id and display label
    Flow             a movement as the figures need it
    MainPrice        what a customer mainly pays for, from a day on
    ContractTerm     a period that a subscription was billed for in advance has ended
    Refusal          an object that could not be valued, by name

All are frozen: a stage returns new values and never edits those it was given. Money is
``*_minor``: whole minor units (cents, yen), or ``Fraction`` and ``Decimal`` of them where
the name stands for a price or an intermediate result. ``*_s`` is an instant in unix
seconds, ``day`` a date in the reporting zone.
"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct

from connector.core.language import message

# The version of all JSON that is written: a change of meaning raises it, a new key does
# not. ``docs/schema`` has it key by key.
JSON_SCHEMA = 1


class MovementKind(StrEnum):
    """How a customer's MRR changed over a day (docs/definitions.md)."""

    NEW = "new"
    REACTIVATION = "reactivation"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"


class Cause(StrEnum):
    """Why one item's part of it changed."""

    __hash__ = str.__hash__  # that of an enum is written in Python

    PLAN = "plan"  # another price
    QUANTITY = "quantity"  # of the same price: seats, licences
    ADD_ON = "add_on"  # an item or subscription added beside a paying one
    REMOVAL = "removal"
    PRICE = "price"  # the same price object, a new amount
    DISCOUNT = "discount"
    USAGE = "usage"
    START = "start"
    END = "end"
    PAUSE = "pause"
    RESUME = "resume"


# What customers are told apart by, beside METADATA and a key of their metadata.
SEGMENTS = ("plan", "product", "interval", "currency", "country", "band", "cohort")
METADATA = "metadata:"
ACCOUNT = "account"  # of several that are added up


class Tier(Struct, frozen=True, kw_only=True):
    """``up_to`` None is the last tier; amounts are in fractions of minor units."""

    up_to: int | None
    unit_amount_minor: Decimal
    flat_amount_minor: Decimal


class Tariff(Struct, frozen=True, kw_only=True):
    """How a quantity becomes an amount for one billing interval.

    Exactly one of ``unit_amount_minor`` and ``tiers`` is given. ``divide_by`` packages
    the quantity first, rounding as ``rounds_up`` says.
    """

    price: str
    currency: str
    interval: str  # day, week, month or year
    interval_count: int
    unit_amount_minor: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    tiers_are_volume: bool = False
    divide_by: int = 1
    rounds_up: bool = False
    metered: bool = False
    unit_label: str = ""


class ItemDiscount(Struct, frozen=True, kw_only=True):
    """One discount on one item: a percentage, or the item's share of an amount.

    ``amount_minor`` is for one billing interval of the item.
    """

    discount: str
    percent: Decimal | None = None
    amount_minor: Fraction = Fraction(0)


class ItemPricing(Struct, frozen=True, kw_only=True):
    """What one item costs. Discounts apply in order; the amount never falls below 0.

    ``inclusive_tax`` is the rate hidden in a tax-inclusive price (19 % is 0.19).
    """

    tariff: Tariff
    quantity: Decimal
    discounts: tuple[ItemDiscount, ...] = ()
    inclusive_tax: Fraction = Fraction(0)


class Evidence(NamedTuple):
    """A Stripe object that shows a change, and the instant it shows it for.

    ``kind`` is invoice_line, invoice, invoice_item, subscription, discount, event, or
    ``observed``: only a later version of the subscription shows it. ``summary`` is what
    the object says, in a few words without anybody's name.
    """

    kind: str
    id: str
    at_s: int
    summary: str = ""


class MrrStep(Struct, frozen=True, kw_only=True):
    """From ``at_s`` on, an item's MRR is ``mrr_minor``, until its next step.

    ``pricing`` is None where the item is not there or does not count (trial, unpaid,
    ended); ``is_paused``: as its subscription, or the collection for it, is paused.
    """

    at_s: int
    subscription: str
    item: str
    currency: str
    pricing: ItemPricing | None
    mrr_minor: int
    evidence: tuple[Evidence, ...]
    is_paused: bool = False


class Component(Struct, frozen=True, kw_only=True):
    """The part of a movement that one item and one cause explain. Never zero.

    ``before`` and ``after`` are the arithmetic of the item's MRR on either side, empty
    where it had none.
    """

    cause: Cause
    amount_minor: int
    subscription: str
    item: str
    price: str
    before: str
    after: str
    evidence: tuple[Evidence, ...]


class Movement(Struct, frozen=True, kw_only=True):
    """One change of one customer's MRR on one day. Never zero.

    ``amount_minor`` is signed: churn and contraction are negative.
    """

    customer: str
    currency: str
    day: date
    kind: MovementKind
    amount_minor: int
    before_minor: int
    after_minor: int
    components: tuple[Component, ...]

    def __post_init__(self) -> None:
        loses = self.kind in (MovementKind.CHURN, MovementKind.CONTRACTION)
        assert self.amount_minor < 0 if loses else self.amount_minor > 0, self
        assert self.before_minor + self.amount_minor == self.after_minor, self
        assert sum(c.amount_minor for c in self.components) == self.amount_minor, self


class CustomerName(NamedTuple):
    """A customer as the ledger knows it; None where the label is switched off."""

    id: str
    label: str | None

    @property
    def shown(self) -> str:
        return self.label or self.id

    @property
    def with_id(self) -> str:
        return f"{self.label} ({self.id})" if self.label else self.id


class Flow(NamedTuple):
    """A live movement as the figures need it; ``customer`` is the ledger's key."""

    customer: int
    day: date
    kind: MovementKind
    amount_minor: int


class MainPrice(NamedTuple):
    """From ``day`` on, most of a customer's MRR in ``currency`` is for ``price``.

    ``price`` "" pays nothing. ``interval`` is ``month``, ``year``, ``3 months``.
    """

    day: date
    currency: str
    price: str
    interval: str


class ContractTerm(NamedTuple):
    """On ``day`` a subscription's paid period ended, or was cut short by its end.

    ``customer`` is the ledger's key. ``before_minor`` is its MRR just before, above 0;
    ``after_minor`` at the day's end, 0 where it was not renewed.
    """

    day: date
    currency: str
    customer: int
    subscription: str
    before_minor: int
    after_minor: int


class SegmentValue(NamedTuple):
    """What customers are told apart by, and what those wanted have: ``plan=Team``."""

    by: str
    value: str

    def __str__(self) -> str:
        return f"{self.by}={self.value}"


def segment_value(text: str, kinds: Iterable[str]) -> SegmentValue:
    """``plan=Team`` read; raises ``ValueError`` where it begins with none of the kinds."""
    for by in sorted(kinds, key=len, reverse=True):
        if text.startswith(f"{by}=") and len(text) > len(by) + 1:
            return SegmentValue(by, text[len(by) + 1 :])
    raise ValueError(text)


NONE = "(none)"  # the segment of those of whom it is not known
EVERYBODY = "all"  # that of everybody, where nothing tells them apart


class Refusal(Struct, frozen=True, kw_only=True, order=True):
    """``object_id``'s ``field`` is ``value``, which cannot be valued.

    ``customer`` is "" where nobody knows whose object it is, or everybody uses it.
    """

    customer: str
    object_id: str
    field: str
    value: str

    @property
    def sentence(self) -> str:
        if not self.customer:
            return message(f"{self.object_id}: {self.field} is {self.value}")
        return message(
            f"{self.object_id} of {self.customer}: {self.field} is {self.value}"
        )


def classify(
    before_minor: int, after_minor: int, *, has_paid: bool
) -> MovementKind | None:
    """Name the change over a day, or None where there is none."""
    assert before_minor >= 0
    assert after_minor >= 0
    if after_minor == before_minor:
        return None
    if before_minor == 0:
        return MovementKind.REACTIVATION if has_paid else MovementKind.NEW
    if after_minor == 0:
        return MovementKind.CHURN
    is_more = after_minor > before_minor
    return MovementKind.EXPANSION if is_more else MovementKind.CONTRACTION
