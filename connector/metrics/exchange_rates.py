"""Exchange rates from a file, and several currencies' figures of a window in one.

Reads the European Central Bank's historical file (``Date,USD,JPY,…``: units of each
currency for one euro) and a plain ``date,currency,rate`` (units of the reporting
currency for one unit of the currency). A day without a rate takes the last one before
it, as weekends do.

Comes in: each currency's figures with its rates at either end. Goes out: one window's
figures in minor units of the reporting currency, rounded so that they still add up.
"""

import csv
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NamedTuple

from msgspec import Struct

from connector.core.errors import ConfigError, ConnectorError
from connector.core.figures import (
    LOSSES,
    Renewals,
    Retention,
    Waterfall,
    WindowFigures,
    names_of,
)
from connector.core.money import exponent, round_minor
from connector.core.windows import Window

# The longest stretch without a rate that is still a holiday and not a hole in the file.
LONGEST_GAP_DAYS = 10

NO_RATE = ("", "N/A")

Quotes = Sequence[tuple[date, Decimal]]  # oldest first


class MissingRate(ConnectorError):
    """The file has no rate for a currency on a day."""


class ExchangeRates(Struct, frozen=True, kw_only=True):
    """``quotes`` of each currency. ``per_euro`` says how they read (see the module)."""

    reporting: str
    quotes: Mapping[str, Quotes]
    per_euro: bool
    source: str

    def factor(self, currency: str, day: date) -> Fraction:
        """Minor units of the reporting currency for one minor unit of ``currency``.

        Raises ``MissingRate`` where the file says nothing for that day.
        """
        if currency == self.reporting:
            return Fraction(1)
        worth = self._quote(currency, day)
        if self.per_euro:
            worth = self._quote(self.reporting, day) / worth
        shift = exponent(self.reporting) - exponent(currency)
        return worth * Fraction(10) ** shift

    def _quote(self, currency: str, day: date) -> Fraction:
        if self.per_euro and currency == "eur":
            return Fraction(1)
        quotes = self.quotes.get(currency, ())
        place = bisect_right(quotes, day, key=lambda quote: quote[0])
        quoted = quotes[place - 1] if place else None
        if quoted is None or (day - quoted[0]).days > LONGEST_GAP_DAYS:
            raise MissingRate(
                f"{self.source} has no rate for {currency.upper()} on {day}",
                fix="add the day, or name a newer file as `rates` under [reporting]",
            )
        return Fraction(quoted[1])


def parse_rates(lines: Iterable[str], reporting: str, source: str) -> ExchangeRates:
    """Read either format; ``ConfigError`` names the first line that is neither."""
    rows = csv.reader(lines)
    head = [name.strip().lower() for name in next(rows, [])]
    found: dict[str, list[tuple[date, Decimal]]] = {}
    per_euro = head[:1] == ["date"] and head[1:3] != ["currency", "rate"]
    if head[:1] != ["date"] or len(head) < 2:
        fault = (
            f"{source} begins with {','.join(head)!r}: give the ECB's historical file "
            "(Date,USD,JPY,…) or lines of date,currency,rate"
        )
        raise ConfigError([fault], source=source)
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        try:
            day = date.fromisoformat(row[0].strip())
            for currency, rate in _quoted(head, row, per_euro=per_euro):
                found.setdefault(currency, []).append((day, _positive(rate)))
        except (ValueError, InvalidOperation, IndexError):
            fault = (
                f"{source} line {number} is {','.join(row)!r}: not a day and its rates"
            )
            raise ConfigError([fault], source=source) from None
    quotes = {currency: sorted(each) for currency, each in found.items()}
    return ExchangeRates(
        reporting=reporting, quotes=quotes, per_euro=per_euro, source=source
    )


def _quoted(
    head: Sequence[str], row: Sequence[str], *, per_euro: bool
) -> list[tuple[str, str]]:
    """A line's rates by currency; N/A and empty cells are days without one."""
    if not per_euro:
        _, currency, rate = row[:3]
        return [(currency.strip().lower(), rate)]
    named = zip(head[1:], row[1:], strict=False)
    return [
        (name, cell) for name, cell in named if name and cell.strip() not in NO_RATE
    ]


def _positive(text: str) -> Decimal:
    rate = Decimal(text)
    if not rate.is_finite() or rate <= 0:
        raise ValueError(text)
    return rate


class ConvertedWindow(NamedTuple):
    """A currency's window, and its factors into the reporting currency at either end."""

    measured: WindowFigures
    opening_factor: Fraction
    closing_factor: Fraction


def in_one_currency(window: Window, parts: Sequence[ConvertedWindow]) -> WindowFigures:
    """Several currencies' figures of one window, added up in a reporting currency.

    The closing's factor converts both ends, so that a currency's swing is never
    expansion or churn. What the opening was worth at its own day's rate, and is not any
    more, is ``fx``.
    """
    opening = _total(parts, "waterfall", "opening_minor", at_opening=True)
    swing = _total(parts, "waterfall", "opening_minor") - opening
    moves = {name: _total(parts, "waterfall", name) for name in _MOVES}
    shown = _rounded(opening, {"fx_minor": swing, **moves})
    base = _total(parts, "retention", "opening_minor")
    kept = {name: _total(parts, "retention", name) for name in _BASE_MOVES}
    return WindowFigures(
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


def _total(
    parts: Sequence[ConvertedWindow],
    figures: str,
    name: str,
    *,
    at_opening: bool = False,
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
        sign = -1 if name in LOSSES else 1
        before_minor = round_minor(level)
        level += sign * amount
        shown[name] = sign * (round_minor(level) - before_minor)
    return {**shown, "closing_minor": round_minor(level)}
