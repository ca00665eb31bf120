"""The movements of one currency, and who is in them; ``currency_total`` is all in one."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple

from connector.core.model import Flow, MovementKind, SegmentValue
from connector.core.windows import Window
from connector.metrics.currency_total import Conversion
from connector.reports.figures.segments import cut_in
from connector.reports.figures.windows import members_at_opening, paid_at
from connector.reports.ledger import Ledger
from connector.store.ledger import columns, queries

if TYPE_CHECKING:
    from connector.metrics.wide.columns import Columns
    from connector.metrics.wide.fold import Segmentation

BooksPart = tuple["Iterable[Columns]", "Segmentation"]


class ConvertedFlows(NamedTuple):
    """Movements by customer, then day, in units of the conversion.

    Read as they are asked for.
    """

    flows: Iterator[Flow]
    conversion: Conversion


class CurrencyBooks:
    """Movements are in units of a conversion: of one currency its minor units."""

    is_total = False

    def __init__(
        self, ledger: Ledger, currency: str, as_of: datetime | None = None
    ) -> None:
        self.ledger, self.currency, self.as_of = ledger, currency, as_of
        self.today = ledger.state(as_of).today
        self.codes = [currency]

    def conversion(self, _window: Window) -> Conversion:
        return Conversion({self.currency: 1}, 1)

    def flows(self, window: Window) -> ConvertedFlows:
        """All movements, at the rates that convert this window's ends."""
        found = queries.flows(self.ledger.connection, self.currency, self.as_of)
        return ConvertedFlows(found, self.conversion(window))

    def columns(
        self, _window: Window, _found: Conversion | None = None
    ) -> "Iterator[Columns]":
        """The same of some thousand customers at a time."""
        from connector.metrics.wide.columns import columns_of

        connection = self.ledger.connection
        return map(columns_of, columns.blocks(connection, self.currency, self.as_of))

    def cut(
        self,
        span: Window,
        found: Conversion,
        by: str | None,
        only: Sequence[SegmentValue],
    ) -> list[BooksPart]:
        """The columns with their segments by ``by``, of those who have all of ``only``."""
        of = cut_in(self.ledger, self.currency, by, only)
        return [(self.columns(span, found), of)]

    # Of either

    def first_day(self) -> date | None:
        """On which anybody paid."""
        connection, as_of = self.ledger.connection, self.as_of
        days = (queries.first_day(connection, code, as_of) for code in self.codes)
        return min((day for day in days if day is not None), default=None)

    def standing(self, window: Window, found: Conversion) -> list[dict[int, int]]:
        """What each customer paid at either end of a window, in units."""
        return paid_at(self.columns(window, found), [window.start, window.end])

    def members(self, span: Window, only: Sequence[SegmentValue]) -> frozenset[int]:
        """Who paid at a span's opening or came in it, and had all of these segments."""
        from connector.metrics.wide.fold import members

        parts = self.cut(span, self.conversion(span), None, only)
        return frozenset(key for own, of in parts for key in members(own, span, of))

    def members_at_opening(
        self, window: Window, only: Sequence[SegmentValue]
    ) -> set[int]:
        """Who paid at a window's opening and had all of these segments then."""
        found: set[int] = set()
        for own, of in self.cut(window, self.conversion(window), None, only):
            [opening] = paid_at(own, [window.start])
            found |= members_at_opening(opening, window.start, of).keys()
        return found

    def moved_by_segment(
        self,
        span: Window,
        by: str,
        customer: int | None,
        only: Sequence[SegmentValue] = (),
    ) -> dict[str, dict[MovementKind, tuple[int, int]]]:
        """The movements of a span by segment and kind: how many, and their signed sum."""
        from connector.metrics.wide.fold import moved_by_segment

        found = self.conversion(span)
        sums: dict[str, dict[MovementKind, tuple[int, int]]] = {}
        for own, of in self.cut(span, found, by, only):
            for name, by_kind in moved_by_segment(own, span, of, customer).items():
                so_far = sums.get(name, dict.fromkeys(by_kind, (0, 0)))
                sums[name] = {
                    kind: (so_far[kind][0] + count, so_far[kind][1] + units)
                    for kind, (count, units) in by_kind.items()
                }
        return {
            name: {k: (count, found.minor(u)) for k, (count, u) in sums[name].items()}
            for name in sorted(sums)
        }
