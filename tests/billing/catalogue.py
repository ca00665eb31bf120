"""What can be bought: products, prices, coupons, and what a quantity costs.

Money is exact (``Fraction`` of minor units) until a line or an MRR is rounded.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

MONTHS_FACTOR = {
    "month": Fraction(1),
    "year": Fraction(1, 12),
    "week": Fraction(52, 12),
    "day": Fraction(365, 12),
}


def half_up(amount: Fraction) -> int:
    """Round to a whole minor unit, halves away from zero, as invoices do."""
    sign = -1 if amount < 0 else 1
    return sign * ((2 * abs(amount) + 1) // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    id: str
    name: str
    created: int
    unit_label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    up_to: int | None = None  # None: without end
    unit_amount: Decimal = Decimal(0)
    flat_amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One invoice line's worth of a price."""

    quantity: int
    amount: Fraction
    unit_amount: Decimal | None  # None: a flat fee
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What a price costs in another currency, with or without tax inside it."""

    currency: str
    unit_amount: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    tax_behavior: str = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """``sold_as`` is the price itself, where this is one of its options."""

    id: str
    product: Product
    currency: str
    created: int
    interval: str | None  # None: a one-time price
    interval_count: int = 1
    unit_amount: Decimal | None = None  # None: tiered
    metered: bool = False
    tiers: tuple[Tier, ...] = ()
    tiers_mode: str | None = None
    divide_by: int | None = None  # transform_quantity
    divide_round: str = "up"
    nickname: str | None = None
    tax_behavior: str = "unspecified"
    options: tuple[Option, ...] = ()
    sold_as: "Price | None" = None

    def offered(self, currency: str) -> "Price":
        """The price as who pays in this currency buys it."""
        if currency == self.currency:
            return self
        [option] = [each for each in self.options if each.currency == currency]
        return replace(
            self,
            currency=currency,
            unit_amount=option.unit_amount,
            tiers=option.tiers,
            tax_behavior=option.tax_behavior,
            sold_as=self,
        )

    @property
    def cycle(self) -> tuple[str, int]:
        assert self.interval is not None, f"{self.id} is a one-time price"
        return self.interval, self.interval_count

    def pieces(self, quantity: int) -> list[Piece]:
        """The lines that bill ``quantity`` for one whole period."""
        if self.tiers_mode == "volume":
            return self._volume(quantity)
        if self.tiers_mode == "graduated":
            return self._graduated(quantity)
        assert self.unit_amount is not None
        units = quantity
        if self.divide_by is not None:
            up = self.divide_by - 1 if self.divide_round == "up" else 0
            units = (quantity + up) // self.divide_by
        amount = Fraction(self.unit_amount) * units
        return [Piece(quantity=quantity, amount=amount, unit_amount=self.unit_amount)]

    def amount(self, quantity: int) -> Fraction:
        return sum((p.amount for p in self.pieces(quantity)), Fraction(0))

    def monthly(self, amount: Fraction) -> Fraction:
        """One period's amount, made monthly."""
        interval, count = self.cycle
        return amount * MONTHS_FACTOR[interval] / count

    def _volume(self, quantity: int) -> list[Piece]:
        for tier in self.tiers:
            if tier.up_to is None or quantity <= tier.up_to:
                return _tier_pieces(tier, quantity, "")
        raise AssertionError(f"{self.id} has no tier for {quantity}")

    def _graduated(self, quantity: int) -> list[Piece]:
        found: list[Piece] = []
        below = 0
        for n, tier in enumerate(self.tiers, 1):
            top = quantity if tier.up_to is None else min(quantity, tier.up_to)
            if top > below or n == 1:
                found += _tier_pieces(tier, top - below, f" (Tier {n})")
            below = max(below, top)
        return found


def _tier_pieces(tier: Tier, quantity: int, note: str) -> list[Piece]:
    unit = tier.unit_amount
    amount = Fraction(unit) * quantity
    found = [Piece(quantity=quantity, amount=amount, unit_amount=unit, note=note)]
    if tier.flat_amount:
        flat = Fraction(tier.flat_amount)
        note += ", flat fee"
        found.append(Piece(quantity=0, amount=flat, unit_amount=None, note=note))
    return found


@dataclass(slots=True, kw_only=True)
class Coupon:
    id: str
    created: int
    percent_off: Decimal | None = None
    amount_off: int | None = None
    currency: str | None = None
    duration: str = "forever"  # once | repeating | forever
    duration_in_months: int | None = None
    name: str | None = None
    times_redeemed: int = field(default=0)
