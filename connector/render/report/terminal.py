"""A report as a rich renderable, for a terminal or a pipe: cards, bars and tables.

Nothing is worked out here: every figure comes from the ``Report``.
"""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from connector.core.figures import Retention
from connector.core.language import _, grouped, listed, moment_text
from connector.core.model import MovementKind
from connector.core.money import format_count, format_minor, format_ratio
from connector.render.report.footnotes import (
    asides,
    footnotes,
    headline_ratio,
    note_line,
)
from connector.render.report.missing import banner
from connector.render.report.reasons import cause_tables
from connector.render.report.tables import (
    MORE_HEADINGS,
    cells,
    headings,
    kind_of,
    more_cells,
    named_rows,
    overview_table,
)
from connector.render.table import figures
from connector.render.terminal import COLOURS, FittedTable, Lines
from connector.reports.model import (
    CurrencyReport,
    Report,
    WindowRow,
    as_reported_label,
    is_trailing,
    label,
    opening_note,
    shown,
)

BAR = 34  # characters of the waterfall's widest bar


def report_view(report: Report, locale: str) -> RenderableType:
    """The headline (where a trailing window is asked for) and the table, a currency."""
    parts: list[RenderableType] = [
        Lines(line, "bold yellow")
        for line in banner(report.facts, report.outside, locale)
    ]
    if (every := overview_table(report)) is not None:
        parts.append(FittedTable(every, locale, spare=(_("Paying"), "CRR")))
    for part in report.parts:
        headlines, rows = _split(part)
        parts.append(Text(f"\n{kind_of(report)} · {part.title}", style="bold"))
        for row in headlines:
            parts += [_cards(row, part, locale, report), Text()]
            if row.reported is not None:
                name = as_reported_label(row).strip()
                parts.append(_reported(name, row.reported.retention))
            parts.append(_waterfall(row, part.currency, locale))
            parts += [Lines(f"{line}\n") for line in asides(part, report)]
        parts += _tables(report, part, (headlines, rows), locale)
        parts += _whys(report, part, locale)
        parts += [Lines(each.sentence, "italic") for each in part.assessments]
    parts += [Lines(note_line(each)) for each in report.notes]
    parts += [Lines(note, "dim") for note in footnotes(report)]
    parts.append(Lines(_source(report), "dim"))
    return Group(*parts)


def _split(part: CurrencyReport) -> tuple[Sequence[WindowRow], Sequence[WindowRow]]:
    """The headline, and what is beside it; windows that are all alike are a table."""
    others = [row for row in part.rows if not is_trailing(row)]
    trailing = [row for row in part.rows if is_trailing(row)]
    if part.headline is None or not (others or len(trailing) == 1):
        return [], part.rows
    return [part.headline], others


def _source(report: Report) -> str:
    whose = report.account.shown if report.account else ""
    if report.accounts.names:
        whose = _("accounts {names}").format(names=listed(report.accounts.names))
    read = (
        _("ledger as of {as_of}").format(as_of=moment_text(report.as_of))
        if report.as_of
        else ""
    )
    synced = report.synced_at
    known = (
        _("synced {synced}").format(synced=moment_text(synced))
        if synced
        else _("never synced")
    )
    return " · ".join(
        t
        for t in (
            whose,
            read,
            known,
            _("days in {timezone}").format(timezone=report.timezone),
        )
        if t
    )


def _cards(
    row: WindowRow, part: CurrencyReport, locale: str, report: Report
) -> RenderableType:
    kept, flow = row.measured.retention, row.measured.waterfall
    span = label(row)

    def money(amount_minor: int) -> str:
        return format_minor(amount_minor, part.currency, locale, whole=True)

    opening = money(kept.opening_minor) + opening_note(row.measured)
    closing = money(flow.closing_minor)
    annual = money(flow.closing_minor * 12)
    monthly = money(round(flow.closing_minor / 12))
    told = [
        (
            "NRR",
            headline_ratio(part, kept.nrr),
            _("of {opening}, {span}").format(opening=opening, span=span),
        ),
        ("GRR", headline_ratio(part, kept.grr), _("the same without growth")),
        (
            "CRR",
            headline_ratio(part, kept.crr),
            _("{kept} of {customers}").format(
                kept=grouped(kept.kept),
                customers=format_count(kept.customers, "customer"),
            ),
        ),
        (_("ARR at close"), closing, _("MRR {monthly}").format(monthly=monthly))
        if report.is_annual
        else (_("MRR at close"), closing, _("ARR {annual}").format(annual=annual)),
    ]
    grid = Table.grid(padding=(0, 1))
    grid.add_row(
        *(
            Panel(
                Group(Text(value, style="bold"), Text(note, style="dim")),
                title=name,
                title_align="left",
            )
            for name, value, note in told
        )
    )
    return grid


def _reported(name: str, kept: Retention) -> Lines:
    ratios = kept.ratios.items()
    told = ", ".join(f"{name.upper()} {format_ratio(ratio)}" for name, ratio in ratios)
    return Lines(f"  {name}: {told}\n", "dim")


def _waterfall(row: WindowRow, currency: str, locale: str) -> RenderableType:
    """What moved MRR, as bars that start where the one before ended."""
    flow = row.measured.waterfall
    moved = {kind: flow.signed[f"{kind}_minor"] for kind in MovementKind}
    steps = [(_(kind.capitalize()), n, COLOURS[kind]) for kind, n in moved.items()]
    if flow.fx_minor:
        steps.append(("FX", flow.fx_minor, "magenta"))
    gained_minor = sum(minor for minor in moved.values() if minor > 0)
    peak = max(flow.opening_minor, flow.closing_minor, gained_minor)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()

    def at(amount_minor: int) -> int:
        return round(BAR * amount_minor / peak) if peak else 0

    def bar(before: int, after: int, style: str) -> Text:
        low, high = sorted((at(before), at(after)))
        return Text(" " * low + "█" * max(high - low, 1), style=style)

    def end(name: str, amount_minor: int) -> None:
        text = format_minor(amount_minor, currency, locale)
        table.add_row(name, text, bar(0, amount_minor, "bright_black"))

    end(_("Opening MRR"), flow.opening_minor)
    reached = flow.opening_minor
    for name, minor, style in steps:
        text = format_minor(minor, currency, locale, signed=True)
        drawn = bar(reached, reached + minor, style)
        table.add_row(name, *((text, drawn) if minor else ("–", "")))
        reached += minor
    end(_("Closing MRR"), flow.closing_minor)
    return Padding(table, (0, 0, 1, 2))


def _tables(
    report: Report,
    part: CurrencyReport,
    split: tuple[Sequence[WindowRow], Sequence[WindowRow]],
    locale: str,
) -> Iterator[RenderableType]:
    """What moved, then the other metrics: of all windows, or by segment of each.

    What moved in a headline is drawn as bars.
    """
    drawn, tabled = map(shown, split)
    sets = [("", drawn, tabled)]
    if report.by is not None:
        sets = [(title, [], named) for title, named in named_rows(part, report)]
    for title, before, named in sets:
        if title:
            yield Text(f"\n{title}", style="bold")
        rows = [[name, *cells(m, part, whole=True)] for name, m in named]
        if rows:
            # An opening is the closing of the row above.
            moved = figures(["", *headings(part)], rows)
            yield FittedTable(moved, locale, spare=(_("Opening"),))
        everyone = [*before, *named]
        more = [[name, *more_cells(m, part, report)] for name, m in everyone]
        # What can be read off the table above.
        spare = (_("Gross churn"), _("Net churn"), _("Paying"))
        others = figures(["", *map(_, MORE_HEADINGS)], more)
        yield FittedTable(others, locale, spare=spare)


def _whys(
    report: Report, part: CurrencyReport, locale: str
) -> Iterator[RenderableType]:
    for row in part.rows:
        for title, causes in cause_tables(row, part, report):
            yield Text(f"\n{title}", style="bold")
            yield FittedTable(causes, locale)
