"""The same windows under every published formula."""

from datetime import date
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.figures import Retention
from connector.core.windows import Window, WindowKind
from connector.metrics.formulas import window_inputs
from connector.metrics.published_formulas import FormulaResult, side_by_side
from connector.reports.ledger import Ledger
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import queries


class WindowFormulas(NamedTuple):
    """One window of one currency under every formula."""

    currency: str
    window: Window
    kept: Retention
    is_over: bool
    results: list[FormulaResult]


def formula_drift(
    ledger: Ledger,
    kind: WindowKind = WindowKind.TRAILING_12,
    first: date | None = None,
    last: date | None = None,
    currency: str | None = None,
) -> list[WindowFormulas]:
    """Of the windows of some months; without them, to the last whole month.

    Raises ``UsageFault`` for months that the ledger cannot know.
    """
    end = last or add_months(ledger.state().today, -1)
    start = first or (end if kind is WindowKind.TRAILING_12 else None)
    report = make_report(ledger, ReportRequest(kind, start, end, currency))
    found = []
    for part in report.currencies:
        flows = list(queries.flows(ledger.connection, part.currency))
        for row in part.rows:
            window = row.measured.window
            inputs = window_inputs(part.currency, flows, window)
            results = side_by_side(inputs)
            found.append(
                WindowFormulas(part.currency, window, inputs.kept, row.is_over, results)
            )
    return found
