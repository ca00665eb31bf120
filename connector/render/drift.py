"""Other published formulas beside ours, as text, Markdown, JSON and CSV."""

from fractions import Fraction
from typing import Any

from connector.core.money import format_minor, format_points, format_ratio
from connector.core.windows import name_of
from connector.metrics.formulas import FORMULAS, FormulaResult, near
from connector.render.report_json import ratio_number, span_json
from connector.render.table import Table, csv_text, markdown_of, text_table
from connector.reports.drift import WindowFormulas


def to_text(
    found: list[WindowFormulas],
    against: Fraction | None,
    locale: str,
    *,
    is_markdown: bool,
) -> str:
    drawn = markdown_of if is_markdown else text_table
    parts = []
    for each in found:
        opening = format_minor(each.kept.opening_minor, each.currency, locale)
        title = (
            f"{name_of(each.window)} · {each.currency.upper()}, opening MRR {opening}"
        )
        parts.append(f"## {title}\n" if is_markdown else f"{title}\n")
        parts.append(drawn(_table(each.results)))
        if against is not None:
            parts += [f"{line}\n" for line in _verdict(each, against)]
    if not found:
        return "There is no recurring revenue in this ledger."
    parts.append(_legend(is_markdown=is_markdown))
    return "\n".join(parts)


def _legend(*, is_markdown: bool) -> str:
    others = [variant for variant in FORMULAS if variant.why]
    if is_markdown:
        rows = [(variant.name, variant.why, variant.printed) for variant in others]
        return markdown_of(
            Table(("Formula", "What it does otherwise", "Printed by"), rows)
        )
    return "".join(
        f"{variant.name} {variant.why}.\n    Printed by {variant.printed}.\n"
        for variant in others
    )


def _table(told: list[FormulaResult]) -> Table:
    rows = [
        (
            each.variant.metric,
            f"{each.variant.name}, as reported" if each.is_ours else each.variant.name,
            format_ratio(each.ratio),
            "" if each.is_ours else format_points(each.points),
        )
        for each in told
    ]
    return Table(("", "Formula", "Says", "Points"), rows, frozenset([2, 3]))


def _verdict(each: WindowFormulas, against: Fraction) -> list[str]:
    """Who may have said it, in sentences."""
    given = format_ratio(against, 2)
    found = near(each.results, against)
    if not found:
        said = (
            f"{given}: none of these formulas comes within 0.2 points. The gap is in "
        )
        return [said + "the MRR itself: see `stripe-nrr compare`."]
    lines = []
    for told in found:
        said = f"{given}: {told.variant.metric} by {told.variant.name} is "
        said += f"{format_ratio(told.ratio, 2)}."
        if told.is_ours:
            said += " That is this program's formula."
        else:
            said += f" Your other tool probably {told.variant.why}."
        lines.append(said)
    return lines


def to_json(found: list[WindowFormulas], against: Fraction | None) -> dict[str, Any]:
    windows = []
    for each in found:
        close = near(each.results, against) if against is not None else []
        formulas = [
            {
                "metric": told.variant.metric.value,
                "formula": told.variant.name,
                "ratio": ratio_number(told.ratio),
                "points": ratio_number(told.points),
                "reported": told.is_ours,
                "near": told in close,
                "why": told.variant.why,
                "printed": told.variant.printed,
            }
            for told in each.results
        ]
        windows.append(
            {
                "currency": each.currency,
                **span_json(each.window),
                "opening_minor": each.kept.opening_minor,
                "formulas": formulas,
            }
        )
    return {"against": ratio_number(against), "windows": windows}


def to_csv(found: list[WindowFormulas]) -> str:
    rows = [
        (
            each.currency,
            each.window.kind,
            each.window.start,
            each.window.end,
            told.variant.metric,
            told.variant.name,
            *(
                "" if (number := ratio_number(x)) is None else f"{number:.6f}"
                for x in (told.ratio, told.points)
            ),
        )
        for each in found
        for told in each.results
    ]
    heads = ("currency", "window", "from", "to", "metric", "formula", "ratio", "points")
    return csv_text(heads, rows)
