"""Whose figures in a window those of some segments are."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from connector.core.model import SegmentValue
from connector.core.windows import Window
from connector.reports.figures.segments import cut_in
from connector.reports.ledger import Ledger, is_total
from connector.store.ledger import columns

if TYPE_CHECKING:
    pass


def members(
    ledger: Ledger,
    currency: str,
    window: Window,
    only: Sequence[SegmentValue],
    as_of: datetime | None = None,
) -> frozenset[int]:
    """Who paid at a window's opening or came in it, and had all of these segments then.

    In a currency, or the total of all.
    """
    if is_total(currency):
        from connector.reports.figures.currency_total import CurrencyTotal

        return frozenset(CurrencyTotal(ledger, as_of).members(window, only))
    from connector.metrics.wide.columns import columns_of
    from connector.metrics.wide.fold import members as among

    blocks = columns.blocks(ledger.connection, currency, as_of)
    of = cut_in(ledger, currency, None, only)
    return frozenset(among(map(columns_of, blocks), window, of))
