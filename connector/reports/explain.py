"""A window taken apart: who moved its ratio, largest first."""

from typing import NamedTuple

from connector.core.figures import Retention
from connector.core.windows import Window
from connector.metrics.contributions import Contribution, Ratio
from connector.store.ledger.customers import CustomerName


class WindowExplanation(NamedTuple):
    """One currency's ratio and who moved it, largest first."""

    currency: str
    window: Window
    ratio: Ratio
    kept: Retention
    moved: list[tuple[CustomerName, Contribution]]

    @property
    def numerator_minor(self) -> int:
        return self.kept.opening_minor + sum(
            each.amount_minor for _, each in self.moved
        )
