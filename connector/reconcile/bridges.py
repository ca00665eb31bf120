"""Cells, one after the other → sums by month, and the cells that are worth a line."""

import heapq
from collections.abc import Mapping
from datetime import date

from connector.core.dates import month_start
from connector.reconcile.model import DifferingCell, GapCause, MonthBridge
from connector.reconcile.sides import Beside

MOST_KEPT = 50_000  # cells, whatever a wrong file makes differ

_Rank = tuple[bool, int, int]  # unexplained first, then the largest


class Tally:
    """Adds up both sides and the causes; keeps the cells that weigh most."""

    def __init__(self) -> None:
        self.compared = self.customers = self.differing = self.unexplained = 0
        self._ours: dict[tuple[str, date], int] = {}
        self._theirs: dict[tuple[str, date], int] = {}
        self._parts: dict[tuple[str, date], dict[tuple[GapCause, str], int]] = {}
        self._kept: list[tuple[_Rank, DifferingCell]] = []

    def see(self, beside: Beside) -> None:
        """A customer's cells, whether they differ or not."""
        self.customers += 1
        self.compared += len(beside.ours.keys() | beside.theirs.amounts.keys())
        for sums, cells in (
            (self._ours, beside.ours),
            (self._theirs, beside.theirs[0]),
        ):
            for (currency, day), minor in cells.items():
                month = currency, month_start(date.fromordinal(day))
                sums[month] = sums.get(month, 0) + minor

    def add(self, cell: DifferingCell) -> None:
        self.differing += 1
        self.unexplained += cell.is_unexplained
        own = self._parts.setdefault((cell.currency, month_start(cell.day)), {})
        for part in cell.parts:
            named = part.cause, part.detail
            own[named] = own.get(named, 0) + part.amount_minor
        # Of equals the first stays: what comes later ranks lower.
        rank = cell.is_unexplained, abs(cell.gap_minor), -self.differing
        if len(self._kept) < MOST_KEPT:
            heapq.heappush(self._kept, (rank, cell))
        else:
            heapq.heappushpop(self._kept, (rank, cell))

    @property
    def left_out(self) -> int:
        return self.differing - len(self._kept)

    def cells(self) -> list[DifferingCell]:
        """By how much is unexplained, then by size, customer and day."""
        return sorted(
            (cell for _, cell in self._kept),
            key=lambda c: (
                *(not c.is_unexplained, -abs(c.unexplained_minor), -abs(c.gap_minor)),
                *(c.customer.id, c.currency, c.day),
            ),
        )

    def months(self) -> list[MonthBridge]:
        """By currency, the one with most of ours first, then by month."""
        weight: dict[str, int] = {}
        for sums in (self._ours, self._theirs):
            for (currency, _), minor in sums.items():
                weight[currency] = weight.get(currency, 0) + abs(minor)
        places = sorted(
            self._ours.keys() | self._theirs.keys(),
            key=lambda place: (-weight[place[0]], place),
        )
        return [self._bridge(currency, month) for currency, month in places]

    def _bridge(self, currency: str, month: date) -> MonthBridge:
        place = currency, month
        parts: Mapping[tuple[GapCause, str], int] = self._parts.get(place, {})
        return MonthBridge(
            currency,
            month,
            self._ours.get(place, 0),
            self._theirs.get(place, 0),
            {named: parts[named] for named in sorted(parts) if parts[named]},
        )
