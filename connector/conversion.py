"""Several currencies' figures of one window, added up in a reporting currency.

Comes in: each currency's figures with its rates at either end. Goes out: one window's
figures in minor units of the reporting currency, rounded so that they still add up.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from connector.model import Renewals, Retention, Waterfall, Window
from connector.money import round_minor
from connector.retention import Measured


class Converted(NamedTuple):
    """A currency's window, and its factors into the reporting currency at either end."""

    measured: Measured
    opening_factor: Fraction
    closing_factor: Fraction


def in_one_currency(window: Window, parts: Sequence[Converted]) -> Measured:
    """Several currencies' figures of one window, added up in a reporting currency.

    The closing's factor converts both ends, so that a currency's swing is never
    expansion or churn. What the opening was worth at its own day's rate, and is not any
    more, is ``fx``.
    """
    opening = _total(parts, "waterfall", "opening_minor", at_opening=True)
    swing = _total(parts, "waterfall", "opening_minor") - opening
    moves = {name: _total(parts, "waterfall", name) for name in _SIGNS}
    shown = _rounded(opening, {"fx_minor": swing, **moves})
    base = _total(parts, "retention", "opening_minor")
    kept = {name: _total(parts, "retention", name) for name in _BASE_MOVES}
    return Measured(
        window,
        Waterfall(**shown),
        Retention(
            customers=sum(p.measured.retention.customers for p in parts),
            kept=sum(p.measured.retention.kept for p in parts),
            **_rounded(base, kept),
        ),
        sum(p.measured.paying for p in parts),
        _renewals_in_one(parts),
    )


def _renewals_in_one(parts: Sequence[Converted]) -> Renewals | None:
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


_SIGNS = {
    "new_minor": 1,
    "reactivation_minor": 1,
    "expansion_minor": 1,
    "contraction_minor": -1,
    "churn_minor": -1,
}
# Losses first: so no rounding takes more than there is, nor GRR above NRR.
_BASE_MOVES = ("contraction_minor", "churn_minor", "expansion_minor")


def _total(
    parts: Sequence[Converted], figures: str, name: str, *, at_opening: bool = False
) -> Fraction:
    return sum(
        (
            (part.opening_factor if at_opening else part.closing_factor)
            * getattr(getattr(part.measured, figures), name)
            for part in parts
        ),
        Fraction(0),
    )


def _rounded(opening: Fraction, moves: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole minor units that still add up from the opening to the closing.

    The level after each move is rounded, not the move: so opening and closing are the
    nearest, nothing is off by more than one, and a move of nothing stays nothing.
    """
    shown = {"opening_minor": round_minor(opening)}
    level = opening
    for name, amount in moves.items():
        sign = _SIGNS.get(name, 1)
        before_minor = round_minor(level)
        level += sign * amount
        shown[name] = sign * (round_minor(level) - before_minor)
    return {**shown, "closing_minor": round_minor(level)}
