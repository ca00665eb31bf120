"""Movements and explanations as rich renderables, for a terminal or a pipe.

Nothing is worked out here: every figure comes from the values it is given.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from connector.model import Component, Kind, Movement
from connector.money import format_minor
from connector.periods import iso
from connector.segments import Moved

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


def sums_view(sums: Iterable[Moved], locale: str) -> RenderableType:
    """A row a segment, with the sum of each kind of movement."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Segment")
    for heading in ("Currency", "Movements", *(kind.capitalize() for kind in Kind)):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in sums:
        amounts = [
            format_minor(minor, each.currency, locale, signed=True) if minor else "–"
            for minor in (each.amounts_minor[kind] for kind in Kind)
        ]
        row = (each.segment, each.currency.upper(), f"{each.movements:,}", *amounts)
        table.add_row(*row)
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
