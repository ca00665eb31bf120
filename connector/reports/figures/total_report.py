"""All currencies' rows in the reporting one."""

from collections.abc import Sequence

from connector.core.model import SegmentValue
from connector.metrics.benchmarks import Benchmarks
from connector.metrics.retention import measure
from connector.reports.benchmarks import assessed
from connector.reports.figures.currency_total import CurrencyTotal
from connector.reports.model import CurrencyReport, WindowRow, restated
from connector.store.months import closings


def total_report(
    total: CurrencyTotal,
    parts: Sequence[CurrencyReport],
    by: str | None,
    published: Benchmarks,
    only: Sequence[SegmentValue] = (),
) -> CurrencyReport:
    """All currencies' rows in the reporting currency."""
    if only:
        rows = _rows_of(total, parts[0].rows, by, only)
        return _report_of(total, rows, published)
    each = {part.currency: [row.measured for row in part.rows] for part in parts}
    closed = closings.reported(
        total.ledger.connection, total.currency, total.as_of, is_total=True
    )
    rows = tuple(
        WindowRow(
            measured=measured,
            is_over=row.is_over,
            complete=row.complete,
            reported=restated(measured, closed.get(measured.window)),
            closed_despite=row.closed_despite,
            segments=total.segments(measured.window, by) if by is not None else (),
        )
        for measured, row in zip(total.measured(each), parts[0].rows, strict=True)
    )
    return _report_of(total, rows, published)


def _report_of(
    total: CurrencyTotal, rows: tuple[WindowRow, ...], published: Benchmarks
) -> CurrencyReport:
    return CurrencyReport(
        currency=total.currency,
        rows=rows,
        is_total=True,
        assessments=assessed(rows, published, total.currency),
    )


def _rows_of(
    total: CurrencyTotal,
    rows: Sequence[WindowRow],
    by: str | None,
    only: Sequence[SegmentValue],
) -> tuple[WindowRow, ...]:
    """Of some customers alone; ``rows`` are a currency's for the same windows."""
    found = []
    for row in rows:
        window = row.measured.window
        own = total.segments(window, None, only)
        found.append(
            WindowRow(
                measured=own[0].measured if own else measure((), [window])[0],
                is_over=row.is_over,
                complete=row.complete,
                segments=() if by is None else total.segments(window, by, only),
            )
        )
    return tuple(found)
