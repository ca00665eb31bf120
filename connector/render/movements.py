"""Movements, their sums and explanations, as text, JSON and CSV."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text


from connector.core.dates import iso
from connector.core.model import Component, Movement, MovementKind
from connector.core.money import format_minor, major
from connector.metrics.segments import SegmentMovements


def as_json(movement: Movement) -> dict[str, Any]:
    """A movement as other programs read it."""
    return {
        "customer": movement.customer,
        "currency": movement.currency,
        "day": movement.day.isoformat(),
        "kind": movement.kind.value,
        "amount_minor": movement.amount_minor,
        "before_minor": movement.before_minor,
        "after_minor": movement.after_minor,
        "components": [
            {
                "cause": part.cause.value,
                "amount_minor": part.amount_minor,
                "subscription": part.subscription,
                "item": part.item,
                "price": part.price,
                "evidence": [
                    {"kind": proof.kind, "id": proof.id, "at": iso(proof.at_s)}
                    for proof in part.evidence
                ],
            }
            for part in movement.components
        ],
    }


def movements_csv(found: Iterable[Movement]) -> str:
    """A row a movement; amounts in whole units of the currency, signed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ["day", "customer", "currency", "kind", "amount", "before", "after", "causes"]
    )
    for each in found:
        sums = (each.amount_minor, each.before_minor, each.after_minor)
        amounts = [major(minor, each.currency) for minor in sums]
        causes = " ".join(dict.fromkeys(part.cause for part in each.components))
        row = [each.day, each.customer, each.currency, each.kind, *amounts, causes]
        writer.writerow(row)
    return out.getvalue()


def sum_json(moved: SegmentMovements) -> dict[str, Any]:
    """A segment's movements added up; contraction and churn are negative."""
    return {
        "currency": moved.currency,
        "segment": moved.segment,
        "movements": moved.movements,
        **{f"{kind}_minor": moved.amounts_minor[kind] for kind in MovementKind},
    }


def sums_csv(sums: Iterable[SegmentMovements]) -> str:
    """A row a segment; amounts in whole units of the currency, signed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["currency", "segment", "movements", *MovementKind])
    for each in sums:
        amounts = [
            major(each.amounts_minor[kind], each.currency) for kind in MovementKind
        ]
        writer.writerow([each.currency, each.segment, each.movements, *amounts])
    return out.getvalue()


def movements_view(
    movements: Iterable[Movement], labels: Mapping[str, str], locale: str
) -> "RenderableType":
    """A row a movement, with the causes that explain it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from connector.render.terminal import COLOURS

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


def sums_view(sums: Iterable[SegmentMovements], locale: str) -> "RenderableType":
    """A row a segment, with the sum of each kind of movement."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Segment")
    for heading in (
        "Currency",
        "Movements",
        *(kind.capitalize() for kind in MovementKind),
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in sums:
        amounts = [
            format_minor(minor, each.currency, locale, signed=True) if minor else "–"
            for minor in (each.amounts_minor[kind] for kind in MovementKind)
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
) -> "RenderableType":
    """A customer's movements up to a day, each with its components and evidence."""
    from rich.console import Group
    from rich.text import Text

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
) -> "RenderableType":
    """One movement, then for each component the sum before and after, and its proof."""
    from rich.console import Group
    from rich.text import Text

    from connector.render.terminal import COLOURS

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
) -> "list[Text]":
    from rich.text import Text

    change = format_minor(part.amount_minor, currency, locale, signed=True)
    cause = part.cause.replace("_", "-")
    lines = [Text(f"  {cause} {change}   {_name(part.price, prices)}")]
    lines[0].append(f"   {part.subscription}", style="dim")
    if part.before:
        lines.append(Text(f"    was  {part.before}"))
    if part.after:
        lines.append(Text(f"    is   {part.after}"))
    for proof in part.evidence:
        said = f"  {proof.summary}" if proof.summary else ""
        text = f"    by   {proof.kind} {proof.id} at {iso(proof.at_s)}{said}"
        lines.append(Text(text, style="dim"))
    return lines
