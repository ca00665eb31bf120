"""The movements that are asked for: of one currency, or of the total of all."""

from datetime import datetime

from connector.reports.figures.currency_books import CurrencyBooks
from connector.reports.ledger import TOTAL, Ledger, is_total


def books_of(
    ledger: Ledger, currency: str, as_of: datetime | None = None
) -> CurrencyBooks:
    """Of one currency, or of the total of all."""
    if is_total(currency):
        from connector.reports.figures.currency_total import CurrencyTotal

        return CurrencyTotal(ledger, as_of)
    return CurrencyBooks(ledger, currency, as_of)


def books_asked(
    ledger: Ledger, asked: str | None, as_of: datetime | None = None
) -> list[CurrencyBooks]:
    """Of each currency, or of the one asked for; ``NothingFound`` where it is not there."""
    codes = [TOTAL] if is_total(asked) else ledger.currencies(asked, as_of)
    return [books_of(ledger, code, as_of) for code in codes]
