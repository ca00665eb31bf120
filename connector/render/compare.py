"""Which policy explains a gap, and other formulas beside ours, in every form."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from connector.core.language import _, day_text, listed, marked
from connector.core.money import format_minor, format_ratio, ratio_number
from connector.core.windows import name_of
from connector.metrics.published_formulas import FORMULAS, FormulaResult, near
from connector.metrics.what_if import ExplainedGap, closes
from connector.render.csv_table import csv_of
from connector.render.report.footnotes import nothing_to_retain
from connector.render.report.json_form import currency_json, span_json
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Percent,
    Points,
    Table,
    Title,
    amount,
    figure,
    table_of,
)
from connector.reports.compare import PolicyComparison, WindowFormulas
from connector.reports.model import title_of

CLOSEST = 5  # pairs shown that do not explain the gap, but most of it


def parts(compared: PolicyComparison, locale: str) -> Iterator[Part]:
    def money(minor: int, *, signed: bool = False) -> str:
        return format_minor(minor, code, locale, signed=signed)

    gap, code = compared.gap_minor, compared.currency
    said = (
        _("{on}, end of the day in {timezone}")
        if compared.is_over
        else _("{on}, so far: the day is not over in {timezone}")
    )
    day = said.format(on=day_text(compared.on), timezone=compared.timezone)
    yield Title(f"MRR · {compared.currency.upper()} · {day}")
    yield _sides(
        (_("this ledger"), money(compared.ours_minor)),
        (_("the other tool"), money(compared.theirs_minor)),
        (_("gap"), money(gap, signed=True)),
    )
    if compared.booked_minor != compared.ours_minor:
        yield _(
            "The ledger's movements say {booked}: customers wait to be derived, "
            "see `stripe-nrr recompute`."
        ).format(booked=money(compared.booked_minor))
    if gap == 0:
        yield _("The same figure: there is nothing to explain.")
        return
    for title, shown in _sections(compared.found, gap).items():
        if shown:
            yield _gap_table(_(title), shown, code)
    if not any(closes(each, gap) for each in compared.found):
        yield _(UNEXPLAINED)


def _gap_table(title: str, found: Sequence[ExplainedGap], code: str) -> Table:
    return table_of(
        found,
        Column(title, lambda x: listed([switch.in_words for switch in x.choice])),
        figure("MRR", lambda x: Money(x.mrr_minor, code)),
        figure(_("Effect"), lambda x: Money(x.effect_minor, code, signed=True)),
        figure(_("Left of the gap"), lambda x: amount(x.left_minor, code, signed=True)),
    )


def _sides(*sides: tuple[str, str]) -> str:
    """A line each, the amounts below each other."""
    width = max(14, *(len(name) for name, _amount in sides))
    return "\n".join(f"  {name:<{width}}  {amount:>16}" for name, amount in sides)


UNEXPLAINED = marked(
    "No switch and no two of them explain the gap: it lies in the data (customers, days, "
    "currencies) or in rules that are no switch here."
)


def _sections(
    found: list[ExplainedGap], gap_minor: int
) -> dict[str, list[ExplainedGap]]:
    """What explains the gap and each switch alone; without the former, pairs as well."""
    matching = [each for each in found if closes(each, gap_minor)]
    others = [each for each in found if each not in matching]
    nearer = [each for each in others if abs(each.left_minor) < abs(gap_minor)]
    pairs = [each for each in nearer if len(each.choice) > 1]
    return {
        marked("Explains the gap"): matching,
        marked("One switch alone"): [each for each in others if len(each.choice) == 1],
        marked("Two, the closest"): [] if matching else pairs[:CLOSEST],
    }


def to_json(compared: PolicyComparison) -> dict[str, Any]:
    gap = compared.gap_minor
    return {
        "currency": compared.currency,
        "on": compared.on.isoformat(),
        "day_is_over": compared.is_over,
        "timezone": compared.timezone,
        "ours_minor": compared.ours_minor,
        "theirs_minor": compared.theirs_minor,
        "gap_minor": gap,
        "explanations": [
            {
                "switches": {switch.rule: switch.value for switch in each.choice},
                "mrr_minor": each.mrr_minor,
                "effect_minor": each.effect_minor,
                "left_minor": each.left_minor,
                "explains": bool(gap) and closes(each, gap),
            }
            for each in compared.found
        ],
    }


# Other formulas


def formulas_parts(
    found: list[WindowFormulas], against: Fraction | None, locale: str
) -> Iterator[Part]:
    for each in found:
        opening = format_minor(each.kept.opening_minor, each.currency, locale)
        so_far = "" if each.is_over else _(" (so far, not over)")
        whose = title_of(each.currency, is_total=each.is_total)
        title = _("{window}{so_far} · {whose}, opening MRR {opening}").format(
            window=name_of(each.window), so_far=so_far, whose=whose, opening=opening
        )
        yield Title(title)
        if not each.kept.customers:
            yield nothing_to_retain(each.window.start)
        yield _formula_table(each.results)
        if against is not None:
            yield from _verdict(each, against)
    if not found:
        yield _("There is no recurring revenue in this ledger.")


def legend(found: list[WindowFormulas]) -> Iterator[Part]:
    """What each formula does otherwise, in two lines; nothing beside no formula."""
    lines = (
        _("{name} {why}.\n    Printed by {printed}.").format(
            name=name, why=why, printed=printed
        )
        for name, why, printed in _others()
    )
    yield from ["\n".join(lines)] if found else []


def legend_table(found: list[WindowFormulas]) -> Iterator[Part]:
    """The same for Markdown."""
    heads = (_("Formula"), _("What it does otherwise"), _("Printed by"))
    yield from [Table(heads, _others())] if found else []


def _others() -> list[tuple[str, str, str]]:
    named = [variant for variant in FORMULAS if variant.why]
    return [(each.name, _(each.why), _(each.printed)) for each in named]


def _formula_table(results: list[FormulaResult]) -> Table:
    def named(each: FormulaResult) -> str:
        name = each.formula.name
        return _("{name}, ours").format(name=name) if each.is_ours else name

    def says(each: FormulaResult) -> Cell:
        return Percent(each.ratio) if each.formula.is_ratio else _("not a ratio")

    def points(each: FormulaResult) -> Cell:
        is_told = each.points is not None and not each.is_ours
        return Points(each.points) if is_told else None

    return table_of(
        results,
        Column("", lambda each: _(each.formula.metric.value)),
        Column(_("Formula"), named),
        figure(_("Says"), says),
        figure(_("Points"), points),
    )


def _verdict(each: WindowFormulas, against: Fraction) -> list[str]:
    """Who may have said it, in sentences."""
    given = format_ratio(against, 2)
    found = near(each.results, against)
    if not found:
        return [
            _(
                "{given}: none of these formulas comes within 0.2 points. The gap is in "
                "the MRR itself: see `stripe-nrr compare`."
            ).format(given=given)
        ]
    lines = []
    for result in found:
        said = _("{given}: {metric} by {name} is ").format(
            given=given, metric=_(result.formula.metric.value), name=result.formula.name
        )
        said += f"{format_ratio(result.ratio, 2)}."
        if result.is_ours:
            said += _(" That is this program's formula.")
        else:
            said += _(" Your other tool probably {why}.").format(
                why=_(result.formula.why)
            )
        lines.append(said)
    return lines


def formulas_json(
    found: list[WindowFormulas], against: Fraction | None
) -> dict[str, Any]:
    windows = [
        {
            **_window_json(each),
            "opening_minor": each.kept.opening_minor,
            "formulas": list(_results_json(each, against)),
        }
        for each in found
    ]
    return {"against": ratio_number(against), "windows": windows}


def _window_json(each: WindowFormulas) -> dict[str, Any]:
    return {
        **currency_json(each.currency, is_total=each.is_total),
        **span_json(each.window),
        "complete": each.is_over,
    }


def _results_json(
    each: WindowFormulas, against: Fraction | None
) -> Iterator[dict[str, Any]]:
    close = near(each.results, against) if against is not None else []
    for result in each.results:
        formula = result.formula
        yield {
            "metric": formula.metric.value,
            "formula": formula.name,
            "ratio": ratio_number(result.ratio) if formula.is_ratio else None,
            "points": ratio_number(result.points),
            "reported": result.is_ours,
            "near": result in close,
            "why": formula.why,
            "printed": formula.printed,
        }


def formulas_csv(found: list[WindowFormulas]) -> str:
    columns = (
        *("currency", "window", "from", "to", "complete"),
        *("metric", "formula", "ratio", "points"),
    )
    return csv_of(
        columns,
        (
            {**_window_json(each), **result}
            for each in found
            for result in _results_json(each, None)
        ),
    ).text()
