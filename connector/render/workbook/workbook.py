"""A workbook: its sheets in order, what counts, and the bytes of the file."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from connector.core.errors import MissingExtra
from connector.core.language import _
from connector.core.policy import POLICY_RULES
from connector.render.report.footnotes import FORMULA
from connector.render.report.missing import what_is_missing
from connector.render.report.segment_names import only_words
from connector.render.report.tables import by_segment, cells, headings
from connector.render.table import Cell
from connector.render.workbook.cells import SheetCell
from connector.render.workbook.lists import (
    write_at_risk,
    write_cohorts,
    write_coverage,
    write_movements,
)
from connector.render.workbook.sheet import SheetWriter
from connector.render.workbook.summary import write_summary
from connector.render.workbook.window import write_window
from connector.reports.model import Report, label
from connector.reports.page import WorkbookContents


def to_xlsx(found: WorkbookContents, command: str, folder: str) -> bytes:
    """The file; ``command`` gives the same. Raises ``MissingExtra`` without XlsxWriter.

    Rows of long sheets are kept in ``folder`` meanwhile.
    """
    made_at = found.report.generated_at.astimezone(UTC).replace(tzinfo=None)
    title = _("Net revenue retention")
    with new_book(title, {"tmpdir": folder}, created=made_at) as (book, file):
        book.set_calc_mode("auto")
        _write(book, found, command)
    return file.getvalue()


@contextmanager
def new_book(
    title: str, options: Mapping[str, Any], **properties: Any
) -> Iterator[tuple[Any, BytesIO]]:
    """An empty one, and the file that it fills in the end. Raises ``MissingExtra``."""
    try:
        import xlsxwriter  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra(
            "a workbook needs XlsxWriter, which is not installed",
            fix="pip install 'stripe-nrr[xlsx]', or use --format csv or html",
        ) from error
    file = BytesIO()
    book = xlsxwriter.Workbook(file, {**options})
    book.set_properties({"title": title, **properties})
    try:
        yield book, file
        book.close()
    finally:  # XlsxWriter closes the rows it keeps in files only where all is well
        for sheet in book.worksheets():
            if sheet.row_data_fh is not None:
                sheet.row_data_fh.close()


def _write(book: Any, found: WorkbookContents, command: str) -> None:
    formats: dict[Any, Any] = {}
    writers: list[SheetWriter] = []

    def sheet(name: str, *, is_long: bool = False) -> SheetWriter:
        one = SheetWriter(book, name, found.locale, formats, is_long=is_long)
        writers.append(one)
        return one

    summary, names = sheet(_("Summary")), window_sheets(found)
    for each, name in zip(found.windows, names, strict=True):
        write_window(sheet(name, is_long=True), each, each.part.title)
    if not names:
        sheet(_("Window")).line(_("There is no recurring revenue in this ledger."))
    write_summary(summary, book, found, names)
    if found.report.by is not None:
        _write_segments(sheet(_("Segments")), found.report)
    moved = sheet(_("Movements"), is_long=True)
    if found.windows:
        window = found.windows[0].row.measured.window
        write_movements(moved, found, window)
    is_of_all = not found.report.only
    if is_of_all:
        write_cohorts(sheet(_("Cohorts")), found.cohorts)
    write_at_risk(sheet(_("At risk")), found.at_risk)
    if is_of_all:
        write_coverage(sheet(_("Coverage")), found.coverage)
    _write_what_counts(sheet(_("What counts")), found, command)
    for writer in writers:
        writer.close()


def window_sheets(found: WorkbookContents) -> list[str]:
    """``Window`` is the first part's, and ``Window EUR`` that of another."""
    names = [_("Window")]
    for each in found.windows[1:]:
        total = _("total") + " " if each.part.is_total else ""
        names.append(f"{_('Window')} {total}{each.part.currency.upper()}")
    return names[: len(found.windows)]


def _write_segments(writer: SheetWriter, report: Report) -> None:
    """Each window of each currency by segment; they add up to the total."""
    for part in report.parts:
        writer.title(part.title)
        rows: list[Sequence[Cell]] = [
            (label(row), name, *cells(measured, part))
            for row in part.rows
            for name, measured in by_segment(row)
        ]
        heads = [_("Window"), _(str(report.by)).capitalize(), *headings(part)]
        writer.table(heads, rows)
        writer.row += 1
    writer.sheet.freeze_panes(0, 2)


def _write_what_counts(
    writer: SheetWriter, found: WorkbookContents, command: str
) -> None:
    """Whose figures, until when, under which rules, and how to get them again."""
    report = found.report
    writer.title(_("What counts"))
    writer.filtered(
        (_("What"), "", _("In words")), [*_facts(report, found.version, command)]
    )
    writer.row += 1
    writer.table(
        (_("Rule"), _("Setting"), _("In words")),
        [
            (rule.key, rule.of(report.policy), rule.sentence(rule.of(report.policy)))
            for rule in POLICY_RULES.values()
        ],
    )
    writer.row += 1
    writer.line(_(FORMULA))


def _facts(
    report: Report, version: str, command: str
) -> list[tuple[str, SheetCell, str]]:
    known = _("the last day that the ledger knows, in {zone}")
    whole = what_is_missing(report.missing)
    synced: SheetCell = _utc(report.synced_at) if report.synced_at else _("never")
    whose = _("not known") if report.account is None else report.account.shown
    same = f"{command} --as-of {report.moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    has_moment = report.as_of is None
    return [
        (_("Account"), whose, ""),
        *([(_("Customers"), only_words(report.only), "")] if report.only else []),
        (_("Known until"), report.today, known.format(zone=report.timezone)),
        (_("Last sync (UTC)"), synced, ""),
        (_("Made at (UTC)"), _utc(report.generated_at), ""),
        *([(_("As of (UTC)"), _utc(report.as_of), "")] if report.as_of else []),
        (_("Complete"), _("no") if whole else _("yes"), " ".join(whole)),
        (
            _("Amounts"),
            _("a year (ARR)") if report.is_annual else _("a month (MRR)"),
            "",
        ),
        (_("Command"), command, _("gives the same workbook")),
        *(
            [(_("Later"), same, _("gives these figures whatever comes"))]
            if has_moment
            else []
        ),
        (_("Version"), f"stripe-nrr {version}", ""),
    ]


def _utc(moment: datetime) -> datetime:
    """As a sheet has it, which knows no zones."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)
