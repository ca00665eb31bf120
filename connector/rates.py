"""Exchange rates from a file the user names → what one currency is worth in another.

Reads the European Central Bank's historical file (``Date,USD,JPY,…``: units of each
currency for one euro) and a plain ``date,currency,rate`` (units of the reporting
currency for one unit of the currency). A day without a rate takes the last one before
it, as weekends do.
"""

import csv
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from msgspec import Struct

from connector.errors import ConfigError, ConnectorError
from connector.money import exponent

# The longest stretch without a rate that is still a holiday and not a hole in the file.
LONGEST_GAP_DAYS = 10

Quotes = Sequence[tuple[date, Decimal]]  # oldest first


class MissingRate(ConnectorError):
    """The file has no rate for a currency on a day."""


class Rates(Struct, frozen=True, kw_only=True):
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


def parse_rates(lines: Iterable[str], reporting: str, source: str) -> Rates:
    """Read either format; ``ConfigError`` names the first line that is neither."""
    rows = csv.reader(lines)
    head = [name.strip().lower() for name in next(rows, [])]
    found: dict[str, list[tuple[date, Decimal]]] = {}
    per_euro = head[:1] == ["date"] and head[1:3] != ["currency", "rate"]
    if head[:1] != ["date"] or len(head) < 2:
        fault = (
            f"{source} begins with {','.join(head)!r}: give the ECB's historical file "
        )
        fault += "(Date,USD,JPY,…) or lines of date,currency,rate"
        raise ConfigError([fault], source=source)
    for number, row in enumerate(rows, start=2):
        try:
            cells = _ecb_cells(head, row) if per_euro else _plain_cells(row)
            for day, currency, rate in cells:
                found.setdefault(currency, []).append((day, rate))
        except (ValueError, InvalidOperation, IndexError):
            fault = (
                f"{source} line {number} is {','.join(row)!r}: not a day and its rates"
            )
            raise ConfigError([fault], source=source) from None
    quotes = {currency: sorted(each) for currency, each in found.items()}
    return Rates(reporting=reporting, quotes=quotes, per_euro=per_euro, source=source)


def _ecb_cells(
    head: Sequence[str], row: Sequence[str]
) -> list[tuple[date, str, Decimal]]:
    """A day's rates; N/A and empty cells are days without one."""
    if not row:
        return []
    day = date.fromisoformat(row[0].strip())
    named = zip(head[1:], row[1:], strict=False)
    return [
        (day, currency, _positive(cell))
        for currency, cell in named
        if currency and cell.strip() not in ("", "N/A")
    ]


def _plain_cells(row: Sequence[str]) -> list[tuple[date, str, Decimal]]:
    if not row:
        return []
    day, currency, rate = (cell.strip() for cell in row[:3])
    return [(date.fromisoformat(day), currency.lower(), _positive(rate))]


def _positive(text: str) -> Decimal:
    rate = Decimal(text)
    if not rate.is_finite() or rate <= 0:
        raise ValueError(text)
    return rate
