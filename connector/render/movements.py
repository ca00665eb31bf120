"""Movements, their sums and explanations, as text, JSON and CSV."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from connector.core.dates import instant, iso
from connector.core.language import _, day_text, instant_text, listed, table_day
from connector.core.model import Cause, Component, Movement, MovementKind
from connector.core.money import format_minor
from connector.core.text import printable
from connector.mrr.stored_words import arithmetic_said, evidence_kind_said, proof_said
from connector.render.csv_table import CsvRows, csv_of
from connector.render.report.segment_names import segment_name
from connector.render.table import (
    Cell,
    Column,
    Money,
    amount,
    customer_cell,
    figure,
    table_of,
)
from connector.reports.movements import SegmentMovements

if TYPE_CHECKING:
    from rich.console import RenderableType

    from connector.render.terminal import Lines
    from connector.reports.explained.customer import CustomerExplanation


def as_json(movement: Movement) -> dict[str, Any]:
    """A movement as other programs read it."""
    return {
        **asdict(movement),
        "day": movement.day.isoformat(),
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


def movements_csv(found: Iterable[Movement], labels: Mapping[str, str]) -> CsvRows:
    """A row a movement; amounts in whole units of the currency, signed."""
    heads = (
        *("day", "customer", "label", "currency", "kind"),
        *("amount", "before", "after", "causes"),
    )
    rows = (
        (
            *(each.day, each.customer, labels.get(each.customer, "")),
            *(each.currency, each.kind),
            *(
                Money(minor, each.currency)
                for minor in (each.amount_minor, each.before_minor, each.after_minor)
            ),
            " ".join(dict.fromkeys(part.cause for part in each.components)),
        )
        for each in found
    )
    return CsvRows(heads, rows)


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
    amounts = [f"{kind}_minor" for kind in MovementKind]
    columns = ["currency", "segment", "movements", *amounts]
    return csv_of(columns, map(sum_json, sums)).text()


def movements_view(
    movements: Iterable[Movement], labels: Mapping[str, str], locale: str
) -> "RenderableType":
    """A row a movement, with the causes that explain it."""
    from connector.render.terminal import FittedTable

    def change(each: Movement) -> Cell:
        return Money(each.amount_minor, each.currency, signed=True)

    table = table_of(
        movements,
        Column(_("Day"), lambda each: each.day),
        Column(_("Customer"), lambda each: customer_cell(each.customer, labels)),
        Column(_("Movement"), lambda each: each.kind),
        figure(_("Before"), lambda each: Money(each.before_minor, each.currency)),
        figure(_("After"), lambda each: Money(each.after_minor, each.currency)),
        figure(_("Change"), change),
        Column(_("Because of"), causes_text),
    )
    spare = (_("Before"), _("Because of"))
    return FittedTable(table, locale, unwrapped=(0, 2), spare=spare)


def causes_text(movement: Movement) -> str:
    return ", ".join(dict.fromkeys(_hyphened(p.cause) for p in movement.components))


def _hyphened(cause: Cause) -> str:
    return _(cause.replace("_", "-"))


def sums_view(sums: Iterable[SegmentMovements], locale: str) -> "RenderableType":
    """A row a segment, with the sum of each kind of movement."""
    from connector.render.terminal import FittedTable

    def of(kind: MovementKind, each: SegmentMovements) -> Cell:
        return amount(each.amounts_minor[kind], each.currency, signed=True)

    table = table_of(
        sums,
        Column(_("Segment"), lambda each: segment_name(each.segment)),
        figure(_("Currency"), lambda each: each.currency.upper()),
        figure(_("Movements"), lambda each: each.movements),
        *(figure(_(kind.capitalize()), partial(of, kind)) for kind in MovementKind),
    )
    return FittedTable(table, locale)


def named(customer: str, labels: Mapping[str, str]) -> str:
    name, own = printable(labels.get(customer, customer)), printable(customer)
    return own if name == own else f"{name} ({own})"


def explanation(explained: "CustomerExplanation", locale: str) -> "RenderableType":
    """A customer's movements up to a day, each with its components and evidence."""
    from rich.console import Group

    from connector.render.terminal import Lines

    amounts = [
        format_minor(minor, currency, locale)
        for currency, minor in _mrr_now(explained.movements).items()
    ]
    on = day_text(explained.on)
    title = [
        Lines(named(explained.customer.id, explained.labels), "bold"),
        Lines(_("MRR on {on}: {what}").format(on=on, what=listed(amounts) or "–")),
    ]
    if explained.counted_as_one:
        names = {each.id: each.shown for each in explained.counted_as_one}
        told = listed([named(each, names) for each in names])
        title.append(Lines(_("Counted as one: {customers}").format(customers=told)))
    parts: list[RenderableType] = [*title]
    for each in explained.movements:
        parts += ["", movement_view(each, explained.prices, locale)]
    return Group(*parts)


def explanation_json(explained: "CustomerExplanation") -> dict[str, Any]:
    """The movements with the arithmetic and what their proofs say."""
    mrr = _mrr_now(explained.movements)
    return {
        "customer": explained.customer.id,
        "label": explained.customer.label,
        "on": explained.on.isoformat(),
        "mrr": [{"currency": c, "amount_minor": minor} for c, minor in mrr.items()],
        "movements": [_with_arithmetic(each) for each in explained.movements],
        "notes": list(explained.notes),
        "customers": [
            {"customer": each.id, "label": each.label}
            for each in explained.counted_as_one
        ],
    }


def _with_arithmetic(movement: Movement) -> dict[str, Any]:
    plain = as_json(movement)
    for shown, part in zip(plain["components"], movement.components, strict=True):
        shown |= {"before": part.before, "after": part.after}
        for proof, evidence in zip(shown["evidence"], part.evidence, strict=True):
            proof["said"] = evidence.summary
    return plain


def _mrr_now(movements: Iterable[Movement]) -> dict[str, int]:
    """By currency, after the last of them."""
    return {each.currency: each.after_minor for each in movements}


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
    head = Text(f"{table_day(movement.day)}  ")
    head.append(
        f"{_(movement.kind.value)} {change}", style=f"bold {COLOURS[movement.kind]}"
    )
    head.append(f"   {before} → {after}")
    lines: list[RenderableType] = [head]
    for part in movement.components:
        lines += _component_lines(part, prices, currency, locale)
    return Group(*lines)


def _component_lines(
    part: Component, prices: Mapping[str, str], currency: str, locale: str
) -> "list[Lines]":
    from connector.render.terminal import Lines

    change = format_minor(part.amount_minor, currency, locale, signed=True)
    cause = _hyphened(part.cause)
    sold, subscription = named(part.price, prices), printable(part.subscription)
    lines = [Lines(f"  {cause} {change}   {sold}   {subscription}")]
    was, now = (
        printable(arithmetic_said(text, currency, locale))
        for text in (part.before, part.after)
    )
    if was:
        lines.append(Lines(_("    was  {before}").format(before=was)))
    if now:
        lines.append(Lines(_("    is   {after}").format(after=now)))
    for proof in part.evidence:
        shown = proof_said(proof.summary, currency, locale)
        said = f"  {shown}" if shown else ""
        text = _("    by   {kind} {id} at {at_s}{said}").format(
            kind=evidence_kind_said(proof.kind),
            id=proof.id,
            at_s=instant_text(instant(proof.at_s)),
            said=said,
        )
        lines.append(Lines(printable(text), "dim"))
    return lines
