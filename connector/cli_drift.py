"""`stripe-nrr drift`: what other published formulas make of the same windows."""

from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import click

from connector import ledger
from connector.cli import Shell
from connector.cli_figures import Asked, known_ledger, make_report
from connector.cli_output import (
    FORMATS,
    MonthParam,
    RatioParam,
    currency_option,
    formats_option,
    json_text,
    out_option,
    write,
)
from connector.columns import Table, to_csv, to_markdown, to_text
from connector.drift import VARIANTS, Told, near, side_by_side
from connector.model import Retention, Window, WindowKind
from connector.money import format_minor, format_points, format_ratio
from connector.periods import add_months
from connector.report import name_of
from connector.report_json import ratio_number, span_json
from connector.variants import ground


class Drifted(NamedTuple):
    """One window of one currency under every formula."""

    currency: str
    window: Window
    kept: Retention
    told: list[Told]


@click.command()
@click.option(
    "--window",
    type=click.Choice([kind.value for kind in WindowKind]),
    default=WindowKind.TRAILING_12.value,
    show_default=True,
    help="Windows of this kind.",
)
@click.option("--from", "first", type=MonthParam(), help="The first month.")
@click.option(
    "--to",
    "last",
    type=MonthParam(),
    help="The last month, included. Default: the last whole month.",
)
@currency_option
@click.option(
    "--against",
    type=RatioParam(),
    help="What somebody else says, 1.07 or 107%: names the formulas within 0.2 points.",
)
@formats_option(*FORMATS)
@out_option
@click.pass_obj
def drift(
    shell: Shell,
    window: str,
    first: date | None,
    last: date | None,
    currency: str | None,
    against: Fraction | None,
    form: str,
    output: Path | None,
) -> None:
    """Show what other published formulas would make of the same movements.

    The first line of each ratio is the start-MRR formula, as `stripe-nrr report` gives
    it; below it, the formulas that stand in articles, documentation and other tools, each
    with its difference in percentage points. Without --from and --to: the twelve months
    that end with the last whole month.

    \b
    Examples:
      stripe-nrr drift
      stripe-nrr drift --to 2026-03 --against 107%
      stripe-nrr drift --window quarter --from 2026-01 --to 2026-06 --format csv
    """  # noqa: D301
    with shell.reading() as connection:
        today = known_ledger(connection, shell.config, shell.now()).today
        end = last or add_months(today, -1)
        kind = WindowKind(window)
        start = first or (end if kind is WindowKind.TRAILING_12 else None)
        asked = Asked(kind, start, end, currency)
        figures = make_report(connection, shell.config, shell.now(), asked)
        found = []
        for part in figures.currencies:
            flows = list(ledger.flows(connection, part.currency))
            for line in part.lines:
                on = ground(part.currency, flows, line.measured.window)
                found.append(
                    Drifted(
                        part.currency, line.measured.window, on.kept, side_by_side(on)
                    )
                )
    locale = shell.config.locale
    if form == "json":
        write(json_text(_as_json(found, against)), output)
    elif form == "csv":
        write(_as_csv(found), output)
    else:
        write(_as_text(found, against, locale, is_markdown=form == "markdown"), output)


def _as_text(
    found: list[Drifted], against: Fraction | None, locale: str, *, is_markdown: bool
) -> str:
    drawn = to_markdown if is_markdown else to_text
    parts = []
    for each in found:
        opening = format_minor(each.kept.opening_minor, each.currency, locale)
        title = (
            f"{name_of(each.window)} · {each.currency.upper()}, opening MRR {opening}"
        )
        parts.append(f"## {title}\n" if is_markdown else f"{title}\n")
        parts.append(drawn(_table(each.told)))
        if against is not None:
            parts += [f"{line}\n" for line in _verdict(each, against)]
    if not found:
        return "There is no recurring revenue in this ledger."
    parts.append(_legend(is_markdown=is_markdown))
    return "\n".join(parts)


def _legend(*, is_markdown: bool) -> str:
    others = [variant for variant in VARIANTS if variant.why]
    if is_markdown:
        rows = [(variant.name, variant.why, variant.printed) for variant in others]
        return to_markdown(
            Table(("Formula", "What it does otherwise", "Printed by"), rows)
        )
    return "".join(
        f"{variant.name} {variant.why}.\n    Printed by {variant.printed}.\n"
        for variant in others
    )


def _table(told: list[Told]) -> Table:
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


def _verdict(each: Drifted, against: Fraction) -> list[str]:
    """Who may have said it, in sentences."""
    given = format_ratio(against, 2)
    found = near(each.told, against)
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


def _as_json(found: list[Drifted], against: Fraction | None) -> dict[str, Any]:
    windows = []
    for each in found:
        close = near(each.told, against) if against is not None else []
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
            for told in each.told
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


def _as_csv(found: list[Drifted]) -> str:
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
        for told in each.told
    ]
    heads = ("currency", "window", "from", "to", "metric", "formula", "ratio", "points")
    return to_csv(heads, rows)
