"""Report, movements and explanations as rich renderables, for a terminal or a pipe.

Nothing is worked out here: every figure comes from the values it is given.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from connector.model import (
    Component,
    Kind,
    Movement,
    Retention,
    Waterfall,
    WindowKind,
)
from connector.money import format_minor, format_ratio
from connector.periods import iso
from connector.report import (
    AS_REPORTED,
    CurrencyReport,
    Line,
    Report,
    cells,
    footnotes,
    headings,
    name_of,
    shown,
)

BAR = 34  # characters of the waterfall's widest bar
PIPE_WIDTH = 140
COLOURS = {
    Kind.NEW: "blue",
    Kind.REACTIVATION: "cyan",
    Kind.EXPANSION: "green",
    Kind.CONTRACTION: "yellow",
    Kind.CHURN: "red",
}


def console(*, width: int | None = None) -> Console:
    """A console on stdout: as wide as the terminal, or wide enough for a pipe."""
    out = Console(width=width, highlight=False, soft_wrap=False)
    if not out.is_terminal and width is None:
        return Console(width=PIPE_WIDTH, highlight=False, no_color=True)
    return out


def report_view(report: Report, locale: str, width: int) -> RenderableType:
    """The headline (where a trailing window is asked for) and the table, a currency."""
    parts: list[RenderableType] = []
    for part in report.parts:
        headlines, lines = _split(part)
        parts.append(Text(f"\nRecurring revenue · {part.title}", style="bold"))
        for line in headlines:
            parts += [_cards(line, part.currency, locale), Text()]
            if line.reported is not None:
                parts.append(_reported(line.reported.retention))
            parts.append(_waterfall(line, part.currency, locale))
        if lines:
            parts.append(_table(lines, part, locale, width))
    parts += [Text(note, style="dim") for note in footnotes(report)]
    parts.append(Text(_source(report), style="dim"))
    return Group(*parts)


def _split(part: CurrencyReport) -> tuple[Sequence[Line], Sequence[Line]]:
    """One trailing window beside others is the headline; all alike are a table."""
    trailing = [
        x for x in part.lines if x.measured.window.kind is WindowKind.TRAILING_12
    ]
    others = [x for x in part.lines if x not in trailing]
    return (trailing, others) if len(trailing) == 1 else ([], part.lines)


def _source(report: Report) -> str:
    read = f"ledger as of {report.as_of:%d %b %Y %H:%M} UTC" if report.as_of else ""
    synced = report.synced_at
    known = f"synced {synced:%d %b %Y %H:%M} UTC" if synced else "never synced"
    return " · ".join(t for t in (read, known, f"days in {report.timezone}") if t)


def _cards(line: Line, currency: str, locale: str) -> RenderableType:
    kept, flow = line.measured.retention, line.measured.waterfall
    span = name_of(line.measured.window) + ("" if line.complete else " *")
    opening = format_minor(kept.opening_minor, currency, locale, whole=True)
    figures = [
        ("NRR", format_ratio(kept.nrr), f"of {opening}, {span}"),
        ("GRR", format_ratio(kept.grr), "the same without growth"),
        ("CRR", format_ratio(kept.crr), f"{kept.kept} of {kept.customers} customers"),
        (
            "MRR at close",
            format_minor(flow.closing_minor, currency, locale, whole=True),
            f"ARR {format_minor(flow.closing_minor * 12, currency, locale, whole=True)}",
        ),
    ]
    grid = Table.grid(padding=(0, 1))
    panels = [
        Panel(Group(Text(value, style="bold"), Text(note, style="dim")), title=name)
        for name, value, note in figures
    ]
    for panel in panels:
        panel.title_align = "left"
        grid.add_column()
    grid.add_row(*panels)
    return grid


def _reported(kept: Retention) -> Text:
    ratios = zip(("NRR", "GRR", "CRR"), (kept.nrr, kept.grr, kept.crr), strict=True)
    told = ", ".join(f"{name} {format_ratio(ratio)}" for name, ratio in ratios)
    return Text(f"  as reported: {told}\n", style="dim")


def _waterfall(line: Line, currency: str, locale: str) -> RenderableType:
    """What moved MRR, as bars that start where the one before ended."""
    flow = line.measured.waterfall
    steps = _steps(flow)
    peak = max([flow.opening_minor, flow.closing_minor, *_reached(steps)], default=0)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()

    def at(amount_minor: int) -> int:
        return round(BAR * amount_minor / peak) if peak else 0

    def add(name: str, text: str, low: int, high: int, style: str) -> None:
        bar = Text(" " * at(low) + "█" * max(at(high) - at(low), 1), style=style)
        table.add_row(name, text, bar)

    opening = format_minor(flow.opening_minor, currency, locale)
    add("Opening MRR", opening, 0, flow.opening_minor, "bright_black")
    reached = flow.opening_minor
    for kind, moved in steps:
        low, high = sorted((reached, reached + moved))
        reached += moved
        text = format_minor(moved, currency, locale, signed=True) if moved else "–"
        add(kind.capitalize(), text, low, high, COLOURS[kind]) if moved else (
            table.add_row(kind.capitalize(), text, "")
        )
    if flow.fx_minor:
        text = format_minor(flow.fx_minor, currency, locale, signed=True)
        low, high = sorted((reached, reached + flow.fx_minor))
        add("Exchange rates", text, low, high, "magenta")
    closing = format_minor(flow.closing_minor, currency, locale)
    add("Closing MRR", closing, 0, flow.closing_minor, "bright_black")
    return Padding(table, (0, 0, 1, 2))


def _steps(flow: Waterfall) -> list[tuple[Kind, int]]:
    return [
        (Kind.NEW, flow.new_minor),
        (Kind.REACTIVATION, flow.reactivation_minor),
        (Kind.EXPANSION, flow.expansion_minor),
        (Kind.CONTRACTION, -flow.contraction_minor),
        (Kind.CHURN, -flow.churn_minor),
    ]


def _reached(steps: Iterable[tuple[Kind, int]]) -> list[int]:
    return [sum(moved for _, moved in steps if moved > 0)]


def _table(
    lines: Sequence[Line], part: CurrencyReport, locale: str, width: int
) -> RenderableType:
    """A row a window; on a narrow terminal without the columns one can do without."""
    named = shown(lines)
    rows = [[name, *cells(line, part, locale, whole=True)] for name, line in named]
    texts = [["", *headings(part)], *rows]
    kept = list(range(len(texts[0])))
    for spare in ("CRR", "Opening"):  # counts customers; stands in the row above
        if _width(texts, kept) > width:
            kept.remove(texts[0].index(spare))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in kept:
        table.add_column(texts[0][column], justify="right" if column else "left")
    for (name, line), row in zip(named, rows, strict=True):
        style = "" if line.complete and name != AS_REPORTED else "dim"
        table.add_row(*(row[column] for column in kept), style=style)
    return table


def _width(texts: Sequence[Sequence[str]], kept: Iterable[int]) -> int:
    """What the columns take, each with its space, and the frame."""
    return sum(2 + max(len(row[column]) for row in texts) for column in kept)


def movements_view(
    movements: Iterable[Movement], labels: Mapping[str, str], locale: str
) -> RenderableType:
    """A row a movement, with the causes that explain it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("Day", "Customer", "Movement"):
        table.add_column(heading, no_wrap=heading == "Day")
    for heading in ("Before", "After", "Change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Because of")
    for each in movements:
        money = [
            format_minor(amount, each.currency, locale)
            for amount in (each.before_minor, each.after_minor)
        ]
        change = format_minor(each.amount_minor, each.currency, locale, signed=True)
        causes = dict.fromkeys(part.cause.replace("_", "-") for part in each.components)
        table.add_row(
            str(each.day),
            _name(each.customer, labels),
            Text(each.kind, style=COLOURS[each.kind]),
            *money,
            change,
            ", ".join(causes),
        )
    return table


def _name(customer: str, labels: Mapping[str, str]) -> str:
    name = labels.get(customer, customer)
    return customer if name == customer else f"{name} ({customer})"


def explanation(
    customer: str,
    labels: Mapping[str, str],
    prices: Mapping[str, str],
    movements: Sequence[Movement],
    on: date,
    locale: str,
) -> RenderableType:
    """A customer's movements up to a day, each with its components and evidence."""
    now: dict[str, int] = {}
    for each in movements:
        now[each.currency] = each.after_minor
    amounts = [format_minor(minor, currency, locale) for currency, minor in now.items()]
    title = Text(_name(customer, labels), style="bold")
    title.append(f"\nMRR on {on:%d %b %Y}: {' and '.join(amounts) or '–'}", style="")
    parts: list[RenderableType] = [title]
    for each in movements:
        parts += [Text(), movement_view(each, prices, locale)]
    return Group(*parts)


def movement_view(
    movement: Movement, prices: Mapping[str, str], locale: str
) -> RenderableType:
    """One movement, then for each component the sum before and after, and its proof."""
    currency = movement.currency
    before, after = (
        format_minor(minor, currency, locale)
        for minor in (movement.before_minor, movement.after_minor)
    )
    change = format_minor(movement.amount_minor, currency, locale, signed=True)
    head = Text(f"{movement.day}  ")
    head.append(f"{movement.kind} {change}", style=f"bold {COLOURS[movement.kind]}")
    head.append(f"   {before} → {after}")
    lines = [head]
    for part in movement.components:
        lines += _component_lines(part, prices, currency, locale)
    return Group(*lines)


def _component_lines(
    part: Component, prices: Mapping[str, str], currency: str, locale: str
) -> list[Text]:
    change = format_minor(part.amount_minor, currency, locale, signed=True)
    cause = part.cause.replace("_", "-")
    lines = [Text(f"  {cause} {change}   {_name(part.price, prices)}")]
    lines[0].append(f"   {part.subscription}", style="dim")
    if part.before:
        lines.append(Text(f"    was  {part.before}"))
    if part.after:
        lines.append(Text(f"    is   {part.after}"))
    for proof in part.evidence:
        said = f"  {proof.said}" if proof.said else ""
        text = f"    by   {proof.kind} {proof.id} at {iso(proof.at_s)}{said}"
        lines.append(Text(text, style="dim"))
    return lines
