"""The first sheet: what is missing, the headline, twelve months by month, charts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from connector.core.figures import RATIOS
from connector.core.language import _, day_text, marked, table_day
from connector.render.report.footnotes import asides, footnotes, note_line
from connector.render.report.missing import banner
from connector.render.report.tables import cells, headings, kind_of
from connector.render.table import Percent
from connector.render.workbook.cells import QUIET, ExactMoney, Live, SheetCell
from connector.render.workbook.sheet import SheetWriter
from connector.render.workbook.window import RATIOS_AT, SUMS_AT, sums_of, window_name
from connector.reports.model import CurrencyReport, Report, WindowRow, label, split
from connector.reports.page import WindowBook, WorkbookContents

CHART_ROWS = 17  # that a chart covers
CHART_SIZE = {"width": 600, "height": 320}
RATIO_COLOURS = ("#1F5FA8", "#3D8B6E", "#8A8F98")
MOVED_COLOURS = ("#1F5FA8", "#7FB2E5", "#3D8B6E", "#E0A458", "#B5473C", "#8A8F98")
LINE = ("line",)
WARNING = {"bold": True, "font_color": "#9C2B20"}
HEADLINE_HEADS = (
    *("", "NRR", "GRR", "CRR", marked("Opening MRR"), marked("They pay at closing")),
    *(marked("Opening customers"), marked("Still paying")),
)


def write_summary(
    writer: SheetWriter, book: Any, found: WorkbookContents, sheets: Sequence[str]
) -> None:
    """``sheets`` are those of the windows, in their order."""
    report = found.report
    whose = "" if report.account is None else f" · {report.account.shown}"
    writer.title(_("Net revenue retention") + whose)
    for line in banner(report.facts, report.outside, found.locale):
        writer.line(line, **WARNING)
    known = _("{kind}, known to {day} ({zone})").format(
        kind=kind_of(report), day=day_text(report.today), zone=report.timezone
    )
    if report.as_of is not None:
        moment = f"{table_day(report.as_of)} {report.as_of:%H:%M %Z}"
        known += _(", as of {moment}").format(moment=moment)
    writer.line(known, font_color=QUIET)
    _headline(writer, found, sheets)
    breaks = []
    for part in report.parts:
        breaks.append(writer.row + 1)
        _part(writer, book, part, report)
    writer.sheet.set_h_pagebreaks(breaks[1:])  # no chart over two pages
    if not report.parts and report.begins_at is None:
        writer.line(_("There is no recurring revenue in this ledger."))
    if report.notes:
        writer.row += 1
        writer.title(_("Notes"))
    for each in report.notes:
        writer.line(note_line(each))
    writer.row += 1
    for note in footnotes(report):
        writer.line(note, font_color=QUIET)


def _headline(
    writer: SheetWriter, found: WorkbookContents, sheets: Sequence[str]
) -> None:
    """The window that the workbook has by customer, as formulas of its sheet.

    Below it the last twelve months that are over, where that is another one.
    """
    rows: list[Sequence[SheetCell]] = []
    for each, sheet in zip(found.windows, sheets, strict=True):
        rows.append(_live(each, sheet))
        headline = each.part.headline
        if headline is not None and headline != each.row:
            rows.append(_fixed(each.part, headline))
    writer.table([head and _(head) for head in HEADLINE_HEADS], rows)
    for each in found.windows:
        for line in (
            *asides(each.part, found.report),
            *(judged.sentence for judged in each.part.assessments),
        ):
            writer.line(line)


def _named(part: CurrencyReport, row: WindowRow) -> str:
    return f"{part.title}, {window_name(row)}"


def _live(book: WindowBook, sheet: str) -> Sequence[SheetCell]:
    kept, sums = book.row.measured.retention, sums_of(book)
    code = book.part.currency
    now: Mapping[str, SheetCell] = {
        "opening": ExactMoney(sums.opening, code),
        "closing": ExactMoney(sums.closing, code),
        "customers": kept.customers,
        "kept": kept.kept,
    }
    ratios = (
        Live(f"='{sheet}'!{RATIOS_AT[name]}", _ratio(ratio))
        for name, ratio in kept.ratios.items()
    )
    told = (Live(f"='{sheet}'!{SUMS_AT[name]}", cell) for name, cell in now.items())
    return (_named(book.part, book.row), *ratios, *told)


def _ratio(ratio: Fraction | None) -> SheetCell:
    return "–" if ratio is None else Percent(ratio, 1)


def _fixed(part: CurrencyReport, row: WindowRow) -> Sequence[SheetCell]:
    kept = row.measured.retention
    amounts = (kept.opening_minor, kept.closing_minor)
    return (
        _named(part, row),
        *map(Percent, kept.ratios.values()),
        *(ExactMoney(Fraction(minor), part.currency) for minor in amounts),
        *(kept.customers, kept.kept),
    )


def _part(writer: SheetWriter, book: Any, part: CurrencyReport, report: Report) -> None:
    """Charts, then the tables that they draw."""
    trailing, periods = split(part.rows)
    writer.row += 1
    writer.title(part.title)
    charts_at = writer.row
    writer.row += CHART_ROWS
    shown = _windows(writer, _("Trailing twelve months"), trailing, part)
    _chart(
        writer,
        book,
        at=(charts_at, 0),
        shape=LINE,
        title=_("Twelve months to each month, {whose}").format(whose=part.title),
        count=len(RATIOS),
        first=3 + len(headings(part)) - len(RATIOS),
        rows=shown,
        lowest=_lowest(trailing),
    )
    shown = _windows(writer, _("By window"), periods, part)
    _chart(
        writer,
        book,
        at=(charts_at, 5),
        shape=("column", "stacked"),
        title=(_("What moved ARR") if report.is_annual else _("What moved MRR"))
        + f", {part.title}",
        count=len(headings(part)) - len(RATIOS) - 2,
        first=4,
        rows=shown,
    )


def _windows(
    writer: SheetWriter, title: str, rows: Sequence[WindowRow], part: CurrencyReport
) -> range:
    """A row a window; returns where those are that are over, which a chart may show.

    Where one was closed with other ratios, these stand beside it.
    """
    was = any(row.reported for row in rows)
    reported = (
        [_("{ratio} as reported").format(ratio=name.upper()) for name in RATIOS]
        if was
        else []
    )
    table: list[Sequence[SheetCell]] = [
        (
            label(row),
            row.measured.window.start,
            row.measured.window.end - timedelta(days=1),
            *cells(row.measured, part),
            *(
                map(Percent, row.reported.retention.ratios.values())
                if row.reported
                else ()
            ),
        )
        for row in rows
    ]
    found = writer.table([title, _("From"), _("To"), *headings(part), *reported], table)
    writer.row += 1
    over = sum(row.is_over for row in rows)
    return range(found.start, found.start + over)


def _lowest(rows: Sequence[WindowRow]) -> float:
    """Where an axis of ratios begins: a tenth or more below all of them."""
    told = (row.measured.retention.ratios.values() for row in rows if row.is_over)
    least = min((x for ratios in told for x in ratios if x is not None), default=0)
    return max(int(least * 10) - 1, 0) / 10


def _chart(
    writer: SheetWriter,
    book: Any,
    *,
    at: tuple[int, int],
    shape: tuple[str, ...],
    title: str,
    count: int,
    first: int,
    rows: range,
    lowest: float | None = None,
) -> None:
    """One of Excel's own, of columns side by side; none where nothing is over."""
    if not rows:
        return
    chart = book.add_chart(dict(zip(("type", "subtype"), shape, strict=False)))
    is_line = shape == LINE
    colours = RATIO_COLOURS if is_line else MOVED_COLOURS
    for column, colour in zip(range(first, first + count), colours, strict=False):
        drawn: dict[str, Any] = {
            "name": [writer.name, rows.start - 1, column],
            "categories": [writer.name, rows.start, 2, rows.stop - 1, 2],
            "values": [writer.name, rows.start, column, rows.stop - 1, column],
        }
        if is_line:
            drawn |= {"line": {"color": colour, "width": 2.25}}
        else:
            drawn |= {"fill": {"color": colour}, "gap": 60}
        chart.add_series(drawn)
    form: dict[str, Any] = {"num_format": "0%" if is_line else "#,##0"}
    form |= {} if lowest is None else {"min": lowest}
    chart.set_title({"name": title, "name_font": {"size": 12}, "overlay": False})
    chart.set_x_axis(
        {"num_format": "mmm yy", "text_axis": True, "label_position": "low"}
    )
    chart.set_y_axis({**form, "major_gridlines": {"visible": True, "line": FAINT}})
    chart.set_legend({"position": "bottom"})
    chart.set_size(CHART_SIZE)
    chart.show_blanks_as("gap")
    writer.sheet.insert_chart(*at, chart, {"description": title, "object_position": 1})


FAINT = {"color": "#DDDDDD", "width": 0.5}
