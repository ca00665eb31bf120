"""The tiers of a price: what so many units cost, and how many units lines bill.

Stripe bills tiers as several lines: one for the units within each tier that is reached,
and one for each flat fee, whose quantity is 0 or 1 and no units. A proration is a part of
each, so what such lines cost beside each other tells what they are.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from connector.core.model import Tariff


class TierPart(NamedTuple):
    """What one line bills for a whole interval; ``units`` is None for a flat fee."""

    units: Fraction | None
    amount_minor: Fraction


class TierLine(NamedTuple):
    """A line as it is billed; its quantity may be that of a flat fee."""

    quantity: Decimal
    amount_minor: int


def tier_parts(rate: Tariff, units: Fraction) -> Iterator[TierPart]:
    """Graduated: each tier's units at its own rate; a flat fee once its tier is reached.

    The first tier's flat fee is due at quantity 0 too, as Stripe bills it. In volume tiers
    all units are at the rate of the tier that the total falls into.
    """
    floor = Fraction(0)
    for position, tier in enumerate(rate.tiers):
        ceiling = units if tier.up_to is None else min(units, Fraction(tier.up_to))
        if rate.tiers_are_volume:
            is_reached, within = ceiling == units, units
        else:
            is_reached, within = ceiling > floor or not position, ceiling - floor
        if is_reached:
            yield TierPart(within, within * Fraction(tier.unit_amount_minor))
            if tier.flat_amount_minor:
                yield TierPart(None, Fraction(tier.flat_amount_minor))
        if ceiling == units:
            break
        floor = ceiling


def tiers_minor(rate: Tariff, units: Fraction) -> Fraction:
    """What so many units cost for one interval."""
    return sum((part.amount_minor for part in tier_parts(rate, units)), Fraction(0))


def units_of_tiers(rate: Tariff, lines: Sequence[TierLine]) -> Decimal | None:
    """How many units the lines of one item and period bill; None where they do not say.

    Those whose parts, each reduced alike, are the lines: of several the one that leaves
    fewest parts and lines over, then the most units.
    """
    found = [
        (left, -units)
        for units in {u for line in lines for u in _possible(rate, line)}
        if (left := _left_over([*tier_parts(rate, Fraction(units))], lines)) is not None
    ]
    return -min(found)[1] if found else None


def _possible(rate: Tariff, line: TierLine) -> Iterator[Decimal]:
    """The units in all, where the line bills those of the last tier that is reached."""
    floor = Decimal(0)
    for tier in rate.tiers:
        if rate.tiers_are_volume:
            floor = Decimal(0)
        units = floor + line.quantity
        if tier.up_to is None or units <= tier.up_to:
            yield units
        floor = Decimal(tier.up_to or 0)


def _left_over(parts: Sequence[TierPart], lines: Sequence[TierLine]) -> int | None:
    """How many of both have no counterpart; None where one of them costs anything.

    What is free need not have a line.
    """
    whole_minor = sum(part.amount_minor for part in parts)
    billed_minor = sum(line.amount_minor for line in lines)
    share = Fraction(billed_minor) / whole_minor if whole_minor else Fraction(0)
    nearly = Fraction(len(lines) + 1, 2)  # each is rounded, and so is their sum
    left, missed = list(lines), 0
    for part in parts:
        due_minor = part.amount_minor * share
        for line in left:
            is_fee = part.units is None and line.quantity in (0, 1)
            is_near = abs(line.amount_minor - due_minor) <= nearly
            if (is_fee or part.units == line.quantity) and is_near:
                left.remove(line)
                break
        else:
            if due_minor:
                return None
            missed += 1
    return None if any(line.amount_minor for line in left) else missed + len(left)
