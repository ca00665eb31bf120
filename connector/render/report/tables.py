"""A report as rows of texts: CSV, Markdown, and the cells that a terminal shows.

Nothing is worked out here: every figure comes from the ``Report``.
"""

from collections.abc import Sequence
from fractions import Fraction

from connector.core.figures import RATIOS, Waterfall, WindowFigures, names_of
from connector.core.language import _, grouped, marked, point
from connector.core.money import round_minor
from connector.core.text import markdown, printable
from connector.render.report.footnotes import asides, footnotes, note_line
from connector.render.report.missing import banner
from connector.render.report.reasons import cause_tables
from connector.render.report.segment_names import only_words, segment_name
from connector.render.table import (
    Cell,
    Column,
    Money,
    Percent,
    Table,
    figure,
    figures,
    markdown_table,
    ratio_figures,
    table_of,
)
from connector.reports.model import (
    CurrencyReport,
    Report,
    WindowRow,
    as_reported_label,
    label,
    metrics_of,
    shown,
)

MORE_HEADINGS = (
    *(
        marked("Logo churn"),
        marked("Gross churn"),
        marked("Net churn"),
        marked("Renewed"),
        marked("Renewed MRR"),
    ),
    *(marked("Quick ratio"), marked("Paying"), "ARPA", "LTV"),
)


def headings(part: CurrencyReport) -> list[str]:
    """The columns of ``cells``: a single currency has no exchange rates."""
    names = (name.removesuffix("_minor") for name in names_of(Waterfall))
    moved = ["FX" if name == "fx" else _(name.capitalize()) for name in names]
    ratios = [name.upper() for name in RATIOS]
    return [name for name in (*moved, *ratios) if part.is_total or name != "FX"]


def cells(
    measured: WindowFigures, part: CurrencyReport, *, whole: bool = False
) -> list[Cell]:
    """One window's figures, in the order of ``headings``.

    What takes away is written with a minus. ``whole`` leaves out the cents.
    """
    moved = [
        Money(amount_minor, part.currency, whole=whole) if amount_minor else "–"
        for name, amount_minor in measured.waterfall.signed.items()
        if part.is_total or name != "fx_minor"
    ]
    return [*moved, *map(Percent, measured.retention.ratios.values())]


def more_cells(
    measured: WindowFigures, part: CurrencyReport, report: Report
) -> list[Cell]:
    """The other metrics of a window, in the order of ``MORE_HEADINGS``."""
    found = metrics_of(measured, report)
    churned = (found.logo_churn, found.gross_churn, found.net_churn)
    renewed = (found.renewal_rate, found.renewal_rate_mrr)
    amounts = (
        "–" if amount is None else Money(round_minor(amount), part.currency)
        for amount in (found.arpa_minor, found.ltv_minor)
    )
    return [
        *map(Percent, (*churned, *renewed)),
        format_times(found.quick_ratio),
        measured.paying,
        *amounts,
    ]


def format_times(ratio: Fraction | None) -> str:
    """``4.2×``; ``–`` where it has no value."""
    if ratio is None:
        return "–"
    whole, rest = divmod(round(ratio * 10), 10)
    return f"{grouped(whole)}{point()}{rest}×"


def overview_table(report: Report) -> Table | None:
    """A row a currency, the total first: its headline, else the last window that is over.

    None where there is one currency alone.
    """
    if len(report.parts) < 2:
        return None
    closing = _("ARR at close") if report.is_annual else _("MRR at close")

    def at_close(part: CurrencyReport) -> Cell:
        flow = _last(part).measured.waterfall
        return Money(flow.closing_minor, part.currency)

    return table_of(
        [part for part in report.parts if part.rows],
        Column(_("Currency"), lambda part: part.title),
        Column(_("Window"), lambda part: label(_last(part)).strip()),
        figure(closing, at_close),
        *ratio_figures(lambda part: _last(part).measured.retention),
        figure(_("Paying"), lambda part: _last(part).measured.paying),
    )


def _last(part: CurrencyReport) -> WindowRow:
    """What a currency is known by in one line."""
    over = [row for row in part.rows if row.is_over]
    return part.headline or (over or part.rows)[-1]


# Why


# Markdown


def to_markdown(report: Report, locale: str) -> str:
    """A currency's tables (or, by segment, a window's), and the footnotes."""

    def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
        return markdown_table(figures(heads, rows), locale)

    parts = [f"**{line}**\n" for line in banner(report.facts, report.outside, locale)]
    if (every := overview_table(report)) is not None:
        parts.append(markdown_table(every, locale))
    for part in report.parts:
        parts.append(f"## {markdown(f'{kind_of(report)}, {part.title}')}\n")
        for title, rows in named_rows(part, report):
            parts += [f"### {markdown(title)}\n"] if title else []
            moved = [[name, *cells(each, part)] for name, each in rows]
            more = [[name, *more_cells(each, part, report)] for name, each in rows]
            parts.append(table(["", *headings(part)], moved))
            parts.append(table(["", *map(_, MORE_HEADINGS)], more))
        parts += [f"{line}\n" for line in asides(part, report)]
        for row in part.rows:
            for title, causes in cause_tables(row, part, report):
                parts += [f"### {markdown(title)}\n", table(causes.heads, causes.rows)]
        parts += [f"- {each.sentence}\n" for each in part.assessments]
    if not report.parts and report.begins_at is None:
        parts.append(_("There is no recurring revenue in this ledger.") + "\n")
    parts += [f"- {markdown(note_line(each))}\n" for each in report.notes]
    parts += [f"{note}  " for note in footnotes(report)]
    if report.account is not None:
        whose = report.account.shown.replace("`", "'")  # nothing is markup in code
        parts.append(_("Ledger of `{whose}`.  ").format(whose=whose))
    return "\n".join(parts) + "\n"


def kind_of(report: Report) -> str:
    kind = _("Annual recurring revenue") if report.is_annual else _("Recurring revenue")
    return f"{kind}, {only_words(report.only)}" if report.only else kind


def named_rows(
    part: CurrencyReport, report: Report
) -> list[tuple[str, list[tuple[str, WindowFigures]]]]:
    """Tables of named rows: all windows in one, or each window by its segments."""
    if report.by is None:
        return [("", shown(part.rows))]
    return [
        (
            _("{row}, by {by}").format(row=label(row), by=printable(_(report.by))),
            by_segment(row),
        )
        for row in part.rows
    ]


def by_segment(row: WindowRow) -> list[tuple[str, WindowFigures]]:
    """A row's segments, then all of them together, and as reported if that differs."""
    named = [(segment_name(each.name), each.measured) for each in row.segments]
    before = [] if row.reported is None else [(as_reported_label(row), row.reported)]
    return [*named, (_("total"), row.measured), *before]


# CSV
