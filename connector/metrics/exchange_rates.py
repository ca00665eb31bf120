"""Exchange rates from a file: what a minor unit of a currency is worth on a day.

Reads the European Central Bank's historical file (``Date,USD,JPY,…``: units of each
currency for one euro) and a plain ``date,currency,rate`` (units of the reporting
currency for one unit of the currency). A day without a rate takes the last one before
it, as weekends do.
"""

import csv
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import NamedTuple, Protocol

from msgspec import Struct

from connector.core.errors import ConfigError
from connector.core.language import message
from connector.core.money import exponent

# The longest stretch without a rate that is still a holiday and not a hole in the file.
LONGEST_GAP_DAYS = 10

NO_RATE = ("", "N/A")

Quotes = Sequence[tuple[date, Decimal]]  # oldest first


class MissingRate(ConfigError):
    """The configured file has no rate for a currency on a day."""


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
            lacked = [
                message(f"{self.source} has no rate for {currency.upper()} on {day}")
            ]
            if quoted:
                lacked.append(message(f"the last before it is of {quoted[0]}"))
            raise MissingRate(
                ["; ".join(lacked)],
                fix="add the day, or name a newer file as `rates` under [reporting]",
            )
        return Fraction(quoted[1])


class Rates(Protocol):
    """What a minor unit of a currency is worth in the ``reporting`` one on a day."""

    @property
    def reporting(self) -> str: ...

    def factor(self, currency: str, day: date, /) -> Fraction: ...


class KeptRates(NamedTuple):
    """Those that a month was closed with; ``others`` are asked for what came later."""

    reporting: str
    kept: Mapping[tuple[str, date], Fraction]
    others: Callable[[], Rates]

    def factor(self, currency: str, day: date, /) -> Fraction:
        kept = self.kept.get((currency, day))
        return self.others().factor(currency, day) if kept is None else kept


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
