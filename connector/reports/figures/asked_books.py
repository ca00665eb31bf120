"""The movements that are asked for: of one currency, or of the total of all."""

import shlex
from collections.abc import Sequence
from datetime import datetime

from connector.core.errors import NothingFound
from connector.core.model import SegmentValue
from connector.core.windows import Window, WindowKind
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


def nobody_in(
    ledger: Ledger,
    only: Sequence[SegmentValue],
    asked: str | None,
    windows: Sequence[Window],
    as_of: datetime | None = None,
) -> NothingFound:
    """That nobody has these segments in any window, in the currency asked for, if any.

    Where somebody has them in another currency, that is the one to ask for.
    """
    named = ", ".join(map(str, only))
    others = ", ".join(_others_with(ledger, only, asked, windows, as_of))
    if asked is not None and others:
        code = asked.lower()
        return NothingFound(
            f"nobody of the segment {named} pays in {code}",
            fix=f"ask for what they pay in: {others}",
        )
    kind = shlex.quote(only[0].by)
    return NothingFound(
        f"nobody is in the segment {named}",
        fix=f"`stripe-nrr report --by {kind}` names the segments that there are",
    )


def _others_with(
    ledger: Ledger,
    only: Sequence[SegmentValue],
    asked: str | None,
    windows: Sequence[Window],
    as_of: datetime | None,
) -> list[str]:
    """The other currencies in which somebody has them, as options of a command."""
    if asked is None or is_total(asked):
        return []
    start, end = min(x.start for x in windows), max(x.end for x in windows)
    span = Window(WindowKind.YEAR, start, end)  # any days
    return [
        f"--currency {code}"
        for code in ledger.currencies(None, as_of)
        if code != asked.lower() and books_of(ledger, code, as_of).members(span, only)
    ]
