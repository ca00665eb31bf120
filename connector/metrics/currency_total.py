"""All currencies in one: a customer's are converted and added, and then it is measured.

One rate a window converts both of its ends, so a currency's swing is never expansion or
churn. The grain is the customer: who changes currency neither leaves nor comes, and who
pays in two is one customer. What is measured is counted in such parts of a minor unit
that every converted amount is whole, by the same functions as a single currency.

Comes in: each currency's flows or figures, with its rates. Goes out: figures in minor
units of the reporting currency, rounded so that they still add up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from heapq import merge
from itertools import groupby
from math import lcm
from operator import itemgetter
from typing import NamedTuple

from msgspec.structs import replace

from connector.core.figures import (
    LOSSES,
    Renewals,
    Retention,
    Waterfall,
    WindowFigures,
    names_of,
)
from connector.core.model import Flow, Movement, classify
from connector.core.money import round_minor
from connector.core.windows import Window

Factors = Mapping[str, Fraction]  # minor units of the total for one of each currency


class Conversion(NamedTuple):
    """``units`` of each currency's minor unit; ``scale`` of them are one of the total.

    So all that is converted is whole. A currency that is not there has no money left.
    """

    units: Mapping[str, int]
    scale: int

    def minor(self, units: int) -> int:
        """The whole minor units of the total nearest to so many units."""
        if self.scale == 1:
            return units
        return round_minor(Fraction(units, self.scale))


def conversion(factors: Factors) -> Conversion:
    scale = lcm(*(factor.denominator for factor in factors.values()))
    return Conversion({c: int(f * scale) for c, f in factors.items()}, scale)


_customer, _place = itemgetter(0), itemgetter(0, 1)


def flows_in_one(
    books: Mapping[str, Iterable[Flow]], units: Mapping[str, int]
) -> Iterator[Flow]:
    """The movements of the total: each customer's net change a day, in ``units``.

    ``books`` are each currency's flows by customer, then day, and all from the first on:
    who has paid in any of them never is new in another one.
    """
    converted = [_converted(own, units.get(code, 0)) for code, own in books.items()]
    for customer, moves in groupby(merge(*converted), _customer):
        paid_units, has_paid = 0, False
        for (_, day), of_day in groupby(moves, _place):
            net = sum(units for _, _, units in of_day)
            kind = classify(paid_units, paid_units + net, has_paid=has_paid)
            if kind is not None:
                yield Flow(customer, day, kind, net)
            paid_units, has_paid = paid_units + net, True


def _converted(flows: Iterable[Flow], unit: int) -> Iterator[tuple[int, date, int]]:
    for customer, day, _, amount_minor in flows:
        yield customer, day, amount_minor * unit


def with_balance(flows: Iterable[Flow]) -> Iterator[tuple[Flow, int]]:
    """Each flow with what its customer paid before; by customer, then day."""
    for _, own in groupby(flows, _customer):
        paid = 0
        for flow in own:
            yield flow, paid
            paid += flow.amount_minor


def movement_in_one(
    currency: str,
    flow: Flow,
    before: int,
    booked: Sequence[Movement],
    found: Conversion,
) -> Movement | None:
    """A movement of the total with the components of all that was booked that day.

    ``flow`` and ``before`` are in units. Rounded so that the components add up; None
    where less than half a minor unit is left.
    """
    parts = [(m.currency, part) for m in booked for part in m.components]
    units = [part.amount_minor * found.units.get(code, 0) for code, part in parts]
    amounts = list(levels_in_minor(before, units, found.scale))
    before_minor, after_minor = found.minor(before), found.minor(before + sum(units))
    if before_minor == after_minor:
        return None
    return Movement(
        customer=booked[0].customer,
        currency=currency,
        day=flow.day,
        kind=flow.kind,
        amount_minor=after_minor - before_minor,
        before_minor=before_minor,
        after_minor=after_minor,
        components=tuple(
            replace(part, amount_minor=amount_minor)
            for (_, part), amount_minor in zip(parts, amounts, strict=True)
            if amount_minor
        ),
    )


class ConvertedWindow(NamedTuple):
    """A currency's window, and its factors into the reporting currency at either end."""

    measured: WindowFigures
    opening_factor: Fraction
    closing_factor: Fraction


class Regrouping(NamedTuple):
    """Figures of customers who are among those of several currencies, as one each.

    ``apart`` are what they come to in each currency, with its factor of the closing;
    ``together`` is measured in units of ``scale``.
    """

    apart: Sequence[tuple[WindowFigures, Fraction]]
    together: WindowFigures
    scale: int


def in_one_currency(
    window: Window,
    parts: Sequence[ConvertedWindow],
    regrouping: Regrouping | None = None,
    opening: Fraction | None = None,
) -> WindowFigures:
    """Several currencies' figures of one window, added up in a reporting currency.

    The closing's factor converts both ends. What the opening was worth at its own day's
    rate (``opening``, where the factors do not say it), and is not any more, is ``fx``.
    Without ``regrouping`` nobody pays in two.
    """
    added = _Sum(
        [
            *((part.measured, part.closing_factor, 1) for part in parts),
            *_regrouped(regrouping),
        ]
    )
    if opening is None:
        opening = sum(
            (p.opening_factor * p.measured.waterfall.opening_minor for p in parts),
            Fraction(0),
        )
    swing = added.amount("waterfall", "opening_minor") - opening
    moves = {name: added.amount("waterfall", name) for name in _MOVES}
    base = added.amount("retention", "opening_minor")
    kept = {name: added.amount("retention", name) for name in _BASE_MOVES}
    return WindowFigures(
        window,
        Waterfall(**_rounded(opening, {"fx_minor": swing, **moves})),
        Retention(
            customers=added.number("retention", "customers"),
            kept=added.number("retention", "kept"),
            **_rounded(base, kept),
        ),
        sum(sign * measured.paying for measured, _, sign in added.terms),
        _renewals_in_one(parts),
    )


def _regrouped(
    regrouping: Regrouping | None,
) -> Iterator[tuple[WindowFigures, Fraction, int]]:
    if regrouping is not None:
        for measured, factor in regrouping.apart:
            yield measured, factor, -1
        yield regrouping.together, Fraction(1, regrouping.scale), 1


class _Sum(NamedTuple):
    """Figures, what one of their minor units is worth, and whether they are taken out."""

    terms: Sequence[tuple[WindowFigures, Fraction, int]]

    def amount(self, figures: str, name: str) -> Fraction:
        amounts = (
            sign * factor * getattr(getattr(measured, figures), name)
            for measured, factor, sign in self.terms
        )
        return sum(amounts, Fraction(0))

    def number(self, figures: str, name: str) -> int:
        return sum(
            sign * getattr(getattr(measured, figures), name)
            for measured, _, sign in self.terms
        )


def in_minor(measured: WindowFigures, scale: int) -> WindowFigures:
    """Figures of the total's own movements, at one rate: there is no fx in them."""
    factor = Fraction(1, scale)
    return in_one_currency(measured.window, [ConvertedWindow(measured, factor, factor)])


def retention_in_minor(kept: Retention, scale: int) -> Retention:
    """What was measured in units, in whole minor units that still add up."""
    exact = {name: Fraction(getattr(kept, name), scale) for name in _BASE_MOVES}
    opening = Fraction(kept.opening_minor, scale)
    return Retention(
        customers=kept.customers, kept=kept.kept, **_rounded(opening, exact)
    )


def levels_in_minor(opening: int, moves: Iterable[int], scale: int) -> Iterator[int]:
    """Moves in units as whole minor units that add up to the change of the level."""
    level, before_minor = opening, round_minor(Fraction(opening, scale))
    for units in moves:
        level += units
        after_minor = round_minor(Fraction(level, scale))
        yield after_minor - before_minor
        before_minor = after_minor


def _renewals_in_one(parts: Sequence[ConvertedWindow]) -> Renewals | None:
    found = [(p.measured.renewals, p.closing_factor) for p in parts]
    known = [(each, factor) for each, factor in found if each is not None]
    if len(known) < len(parts):
        return None

    def worth(name: str) -> int:
        amounts = (getattr(each, name) * factor for each, factor in known)
        return round_minor(sum(amounts, Fraction(0)))

    return Renewals(
        ended=sum(each.ended for each, _ in known),
        renewed=sum(each.renewed for each, _ in known),
        ended_minor=worth("ended_minor"),
        renewed_minor=worth("renewed_minor"),
    )


_MOVES = tuple(
    name
    for name in names_of(Waterfall)
    if name not in ("opening_minor", "fx_minor", "closing_minor")
)
# Losses first: so no rounding takes more than there is, nor GRR above NRR.
_BASE_MOVES = (*LOSSES, "expansion_minor")


def _rounded(opening: Fraction, moves: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole minor units that still add up from the opening to the closing.

    The level after each move is rounded, not the move: so opening and closing are the
    nearest, nothing is off by more than one, and a move of nothing stays nothing.
    """
    shown = {"opening_minor": round_minor(opening)}
    level = opening
    for name, amount in moves.items():
        sign = -1 if name in LOSSES else 1
        before_minor = round_minor(level)
        level += sign * amount
        shown[name] = sign * (round_minor(level) - before_minor)
    return {**shown, "closing_minor": round_minor(level)}
