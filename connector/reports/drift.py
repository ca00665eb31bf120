"""The same windows under every published formula."""

from datetime import date
from typing import NamedTuple

from connector.core.dates import add_months
from connector.core.figures import Retention
from connector.core.windows import Window, WindowKind
from connector.metrics.formulas import in_minor_of, window_inputs
from connector.metrics.published_formulas import FormulaResult, side_by_side
from connector.reports.ledger import Ledger
from connector.reports.model import CurrencyReport
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import queries


class WindowFormulas(NamedTuple):
    """One window of one currency under every formula."""

    currency: str
    window: Window
    kept: Retention
    is_over: bool
    results: list[FormulaResult]
    is_total: bool = False


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
    if report.total is not None:
        return _of_total(ledger, report.total)
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


def _of_total(ledger: Ledger, part: CurrencyReport) -> list[WindowFormulas]:
    """All currencies in one: the movements are each customer's in all of them."""
    from connector.reports.currency_total import CurrencyTotal

    total, found = CurrencyTotal(ledger), []
    for row in part.rows:
        window = row.measured.window
        flows, (_, scale) = total.flows(window)
        inputs = in_minor_of(window_inputs(part.currency, flows, window), window, scale)
        results = side_by_side(inputs)
        one = WindowFormulas(part.currency, window, inputs.kept, row.is_over, results)
        found.append(one._replace(is_total=True))
    return found
