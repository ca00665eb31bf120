"""A report as CSV: a row a window, or a window and segment."""

from collections.abc import Iterator

from connector.core.figures import BASE, RATIOS, Waterfall, WindowFigures, names_of
from connector.core.invoiced import alarming
from connector.render.csv_table import as_cell, csv_text
from connector.render.report.json_form import (
    BASE_FIGURES,
    MORE_AMOUNTS,
    MORE_RATIOS,
    figures_json,
    row_json,
)
from connector.render.table import Money
from connector.reports.model import CurrencyReport, Report, WindowRow, code_of


def to_csv(report: Report) -> str:
    """A row a window; by segment, a row a window and segment, and one without segment.

    A window that was closed with other figures has a row of these, whose currency says
    ``as reported``, and why where its month was closed although something lacked.
    Of recurring money that is in no figure, one row a currency, ``recurring, not counted``,
    has the amount a month as its closing.
    Amounts in whole units of the currency, ratios as numbers, empty where there is none.
    Columns of the waterfall are everybody's, ``base_*`` those of the opening customers.
    Of some customers alone, the segments they have in common stand in ``segment``.
    """
    return csv_text(csv_heads(report), _csv_rows(report))


def csv_heads(report: Report) -> list[str]:
    """The columns; amounts a year are called so, ``opening_arr``."""
    a_year = "_arr" if report.is_annual else ""
    amounts = [
        column.removesuffix("_minor") + (a_year if is_amount(column) else "")
        for column, _, _ in _COLUMNS
    ]
    return ["currency", "window", "from", "to", "complete", *amounts, "segment"]


def is_amount(column: str) -> bool:
    """Whether it is money a month, or a year; an LTV is a sum in either case."""
    return column.endswith("_minor") and column != "ltv_minor"


def _csv_rows(report: Report) -> Iterator[list[object]]:
    for part in report.parts:
        for row in part.rows:
            for segment in row.segments:
                yield _csv_row(part, row, report, segment.measured, segment.name)
            yield _csv_row(part, row, report, row.measured, "")
            if row.reported is not None:
                currency, *others = _csv_row(part, row, report, row.reported, "")
                why = row.closed_despite
                despite = "" if why is None else f" despite: {why.despite}"
                yield [f"{currency} as reported{despite}", *others]
    closing, months = ("closing_arr", 12) if report.is_annual else ("closing", 1)
    for currency, amount_minor in alarming(report.outside).items():
        told = {closing: Money(amount_minor * months, currency)}
        said = {"currency": f"{currency} recurring, not counted", **told}
        yield [said.get(name, "") for name in csv_heads(report)]


# A window's columns, and where ``figures_json`` has them.
_COLUMNS = (
    *((name, "waterfall", name) for name in names_of(Waterfall)),
    *((BASE + name, "retention", name) for name in BASE_FIGURES),
    *((name, "retention", name) for name in RATIOS),
    *((name, "metrics", name) for name in MORE_RATIOS),
    *((name, "metrics", name) for name in ("paying_customers", *MORE_AMOUNTS)),
)


def _csv_row(
    part: CurrencyReport,
    row: WindowRow,
    report: Report,
    measured: WindowFigures,
    segment: str,
) -> list[object]:
    figures = figures_json(measured, report)
    return [
        code_of(part.currency, is_total=part.is_total),
        *(str(value).lower() for value in row_json(row).values()),
        *(
            as_cell(name, figures[group][name], part.currency)
            for _, group, name in _COLUMNS
        ),
        " and ".join(filter(None, (*map(str, report.only), segment))),
    ]
