"""One window under every published formula."""

from typing import NamedTuple

from connector.core.figures import Retention
from connector.core.windows import Window
from connector.metrics.formulas import FormulaResult


class WindowFormulas(NamedTuple):
    """One window of one currency under every formula."""

    currency: str
    window: Window
    kept: Retention
    told: list[FormulaResult]
