"""A report as rows of texts: CSV, Markdown, and the cells that a terminal shows.

Nothing is worked out here: every figure comes from the ``Report``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from connector.core.figures import BASE, RATIOS, Waterfall, WindowFigures, names_of
from connector.core.invoiced import alarming
from connector.core.language import _, grouped, marked, point
from connector.core.losses import LossReason
from connector.core.model import NONE, Cause, SegmentValue
from connector.core.money import format_count, round_minor
from connector.core.text import markdown, printable
from connector.core.windows import name_of
from connector.metrics.churn import LossSums, ReasonSum
from connector.metrics.contributions import RETURN, Share
from connector.render.footnotes import asides, banner, footnotes, listed, note_line
from connector.render.report_json import (
    BASE_FIGURES,
    MORE_AMOUNTS,
    MORE_RATIOS,
    figures_json,
    row_json,
)
from connector.render.table import (
    Cell,
    Column,
    Money,
    Percent,
    Table,
    amount,
    csv_text,
    figure,
    figures,
    markdown_table,
    ratio_figures,
    table_of,
)
from connector.reports.model import (
    CurrencyReport,
    Report,
    WindowRow,
    as_reported_label,
    code_of,
    label,
    metrics_of,
    shown,
)

MORE_HEADINGS = (
    *(
        marked("Logo churn"),
        marked("Gross churn"),
        marked("Net churn"),
        marked("Renewed"),
        marked("Renewed MRR"),
    ),
    *(marked("Quick ratio"), marked("Paying"), "ARPA", "LTV"),
)


def headings(part: CurrencyReport) -> list[str]:
    """The columns of ``cells``: a single currency has no exchange rates."""
    names = (name.removesuffix("_minor") for name in names_of(Waterfall))
    moved = ["FX" if name == "fx" else _(name.capitalize()) for name in names]
    ratios = [name.upper() for name in RATIOS]
    return [name for name in (*moved, *ratios) if part.is_total or name != "FX"]


def cells(
    measured: WindowFigures, part: CurrencyReport, *, whole: bool = False
) -> list[Cell]:
    """One window's figures, in the order of ``headings``.

    What takes away is written with a minus. ``whole`` leaves out the cents.
    """
    moved = [
        Money(amount_minor, part.currency, whole=whole) if amount_minor else "–"
        for name, amount_minor in measured.waterfall.signed.items()
        if part.is_total or name != "fx_minor"
    ]
    return [*moved, *map(Percent, measured.retention.ratios.values())]


def more_cells(
    measured: WindowFigures, part: CurrencyReport, report: Report
) -> list[Cell]:
    """The other metrics of a window, in the order of ``MORE_HEADINGS``."""
    found = metrics_of(measured, report)
    churned = (found.logo_churn, found.gross_churn, found.net_churn)
    renewed = (found.renewal_rate, found.renewal_rate_mrr)
    amounts = (
        "–" if amount is None else Money(round_minor(amount), part.currency)
        for amount in (found.arpa_minor, found.ltv_minor)
    )
    return [
        *map(Percent, (*churned, *renewed)),
        format_times(found.quick_ratio),
        measured.paying,
        *amounts,
    ]


def format_times(ratio: Fraction | None) -> str:
    """``4.2×``; ``–`` where it has no value."""
    if ratio is None:
        return "–"
    whole, rest = divmod(round(ratio * 10), 10)
    return f"{grouped(whole)}{point()}{rest}×"


def overview_table(report: Report) -> Table | None:
    """A row a currency, the total first: its headline, else the last window that is over.

    None where there is one currency alone.
    """
    if len(report.parts) < 2:
        return None
    closing = _("ARR at close") if report.is_annual else _("MRR at close")

    def at_close(part: CurrencyReport) -> Cell:
        flow = _last(part).measured.waterfall
        return Money(flow.closing_minor, part.currency)

    return table_of(
        [part for part in report.parts if part.rows],
        Column(_("Currency"), lambda part: part.title),
        Column(_("Window"), lambda part: label(_last(part)).strip()),
        figure(closing, at_close),
        *ratio_figures(lambda part: _last(part).measured.retention),
        figure(_("Paying"), lambda part: _last(part).measured.paying),
    )


def _last(part: CurrencyReport) -> WindowRow:
    """What a currency is known by in one line."""
    over = [row for row in part.rows if row.is_over]
    return part.headline or (over or part.rows)[-1]


# Why


CAUSE_WORDS = {
    Cause.PLAN.value: marked("another plan"),
    Cause.QUANTITY.value: marked("quantity"),
    Cause.ADD_ON.value: marked("add-ons"),
    Cause.REMOVAL.value: marked("items removed"),
    Cause.PRICE.value: marked("price changes"),
    Cause.DISCOUNT.value: marked("discounts"),
    Cause.USAGE.value: marked("usage"),
    Cause.PAUSE.value: marked("paused"),
    Cause.RESUME.value: marked("resumed after a pause"),
    RETURN: marked("left and came back"),
}


def cause_words(cause: str) -> str:
    return _(CAUSE_WORDS[cause])


LOST = marked("Churn and contraction by reason, of all customers")
LOST_OF_SOME = marked("Churn and contraction by reason, also of who came later")
MOST = 3  # customers named beside a cause


def cause_tables(
    row: WindowRow, part: CurrencyReport, report: Report
) -> Iterator[tuple[str, Table]]:
    """Expansion and contraction of a row by cause, and all losses by reason, with titles.

    What a cause came to, of how many customers, and the largest of them by name.
    """
    for name, shares in () if row.causes is None else row.causes._asdict().items():
        title = _("{kind} by cause, {window}").format(
            kind=_(name.capitalize()), window=name_of(row.measured.window)
        )
        yield title, _cause_table(shares, part.currency, report)
    if row.losses is not None:
        lost = LOST_OF_SOME if report.only else LOST
        title = f"{_(lost)}, {name_of(row.measured.window)}"
        yield title, reason_table(row.losses, part.currency)


def _cause_table(shares: Sequence[Share], currency: str, report: Report) -> Table:
    def named(share: Share) -> str:
        return ", ".join(report.names[key][1] for key, _ in share.customers[:MOST])

    return table_of(
        shares,
        Column("", lambda share: cause_words(share.cause)),
        figure(_("Change"), lambda x: Money(x.amount_minor, currency, signed=True)),
        figure(_("Customers"), lambda share: share.number),
        Column(_("Mostly"), named),
    )


REASON_WORDS: Mapping[LossReason, str] = {
    LossReason.VOLUNTARY: marked("voluntary"),
    LossReason.FAILED_PAYMENT: marked("failed payment"),
    LossReason.PAUSED: marked("paused"),
    LossReason.REDUCED: marked("price or quantity reduced"),
    LossReason.DISCOUNT: marked("discount"),
    LossReason.UNKNOWN: marked("unknown"),
}


def reason_words(reason: LossReason) -> str:
    return _(REASON_WORDS[reason])


def reason_table(everyone: LossSums, currency: str) -> Table:
    """A row a reason that took something, then all of them."""
    reasons = [
        (reason_words(each.reason), each)
        for each in everyone.reasons
        if each.lost_minor
    ]
    rows: list[tuple[str, ReasonSum | LossSums]] = [*reasons, (_("all"), everyone)]
    return table_of(
        rows,
        Column("", lambda row: row[0]),
        figure(_("Churn"), lambda row: amount(-row[1].churn_minor, currency)),
        figure(_("Left"), lambda row: row[1].departures or "–"),
        figure(
            _("Contraction"), lambda row: amount(-row[1].contraction_minor, currency)
        ),
        figure(_("Paid less"), lambda row: row[1].contractions or "–"),
    )


# Markdown


def to_markdown(report: Report, locale: str) -> str:
    """A currency's tables (or, by segment, a window's), and the footnotes."""

    def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
        return markdown_table(figures(heads, rows), locale)

    parts = [f"**{line}**\n" for line in banner(report.facts, report.outside, locale)]
    if (every := overview_table(report)) is not None:
        parts.append(markdown_table(every, locale))
    for part in report.parts:
        parts.append(f"## {markdown(f'{kind_of(report)}, {part.title}')}\n")
        for title, rows in named_rows(part, report):
            parts += [f"### {markdown(title)}\n"] if title else []
            moved = [[name, *cells(each, part)] for name, each in rows]
            more = [[name, *more_cells(each, part, report)] for name, each in rows]
            parts.append(table(["", *headings(part)], moved))
            parts.append(table(["", *map(_, MORE_HEADINGS)], more))
        parts += [f"{line}\n" for line in asides(part, report)]
        for row in part.rows:
            for title, causes in cause_tables(row, part, report):
                parts += [f"### {markdown(title)}\n", table(causes.heads, causes.rows)]
        parts += [f"- {each.sentence}\n" for each in part.assessments]
    if not report.parts:
        parts.append(_("There is no recurring revenue in this ledger.") + "\n")
    parts += [f"- {markdown(note_line(each))}\n" for each in report.notes]
    parts += [f"{note}  " for note in footnotes(report)]
    if report.account is not None:
        whose = report.account.shown.replace("`", "'")  # nothing is markup in code
        parts.append(_("Ledger of `{whose}`.  ").format(whose=whose))
    return "\n".join(parts) + "\n"


def kind_of(report: Report) -> str:
    kind = _("Annual recurring revenue") if report.is_annual else _("Recurring revenue")
    return f"{kind}, {only_words(report.only)}" if report.only else kind


def only_words(only: Iterable[SegmentValue]) -> str:
    """``only plan Team and country DE``."""
    said = listed([printable(f"{_(by)} {segment_name(value)}") for by, value in only])
    return _("only {segments}").format(segments=said)


def named_rows(
    part: CurrencyReport, report: Report
) -> list[tuple[str, list[tuple[str, WindowFigures]]]]:
    """Tables of named rows: all windows in one, or each window by its segments."""
    if report.by is None:
        return [("", shown(part.rows))]
    return [
        (
            _("{row}, by {by}").format(row=label(row), by=printable(_(report.by))),
            by_segment(row),
        )
        for row in part.rows
    ]


# How often a price is billed, as Stripe says it.
INTERVALS = (marked("day"), marked("week"), marked("month"), marked("year"))


def segment_name(name: str) -> str:
    """As a reader knows it: a band's words are ours, all else is what others chose."""
    if name == NONE:
        return _(NONE)
    plan = re.fullmatch(r"(.*), ([\w ]+) (\([^()]*\))", name)
    if plan is not None:
        return f"{plan[1]}, {_interval(plan[2])} {plan[3]}"
    return _band(_interval(name))


def _interval(name: str) -> str:
    """``month``, ``6 months``; any other name as it is."""
    found = re.fullmatch(r"(\d+) (\w+)s", name)
    if found is not None and found[2] in INTERVALS:
        return format_count(int(found[1]), found[2])
    return _(name) if name in INTERVALS else name


def _band(name: str) -> str:
    """``2: 10.000 bis 100.000``; a name that is no band's as it is."""
    found = re.fullmatch(r"(\d+: )(under |)([\d,]+)(?: to ([\d,]+)| and more|)", name)
    if found is None:
        return name
    place, under, low, high = found.groups()
    low, high = (text and grouped(int(text.replace(",", ""))) for text in (low, high))
    if under:
        return place + _("under {high}").format(high=low)
    if high:
        return place + _("{low} to {high}").format(low=low, high=high)
    return place + _("{low} and more").format(low=low)


def by_segment(row: WindowRow) -> list[tuple[str, WindowFigures]]:
    """A row's segments, then all of them together, and as reported if that differs."""
    named = [(segment_name(each.name), each.measured) for each in row.segments]
    before = [] if row.reported is None else [(as_reported_label(row), row.reported)]
    return [*named, (_("total"), row.measured), *before]


# CSV


def to_csv(report: Report) -> str:
    """A row a window; by segment, a row a window and segment, and one without segment.

    A window that was closed with other figures has a row of these, whose currency says
    ``as reported``, and why where its month was closed although something lacked.
    Of recurring money that is in no figure, one row a currency, ``recurring, not counted``,
    has the amount a month as its closing.
    Amounts in whole units of the currency, ratios as numbers, empty where there is none.
    Columns of the waterfall are everybody's, ``base_*`` those of the opening customers.
    Of some customers alone, the segments they have in common stand in ``segment``.
    """
    return csv_text(csv_heads(report), _csv_rows(report))


def csv_heads(report: Report) -> list[str]:
    """The columns; amounts a year are called so, ``opening_arr``."""
    a_year = "_arr" if report.is_annual else ""
    amounts = [
        column.removesuffix("_minor") + (a_year if is_amount(column) else "")
        for column, _, _ in _COLUMNS
    ]
    return ["currency", "window", "from", "to", "complete", *amounts, "segment"]


def is_amount(column: str) -> bool:
    """Whether it is money a month, or a year; an LTV is a sum in either case."""
    return column.endswith("_minor") and column != "ltv_minor"


def _csv_rows(report: Report) -> Iterator[list[object]]:
    for part in report.parts:
        for row in part.rows:
            for segment in row.segments:
                yield _csv_row(part, row, report, segment.measured, segment.name)
            yield _csv_row(part, row, report, row.measured, "")
            if row.reported is not None:
                currency, *others = _csv_row(part, row, report, row.reported, "")
                why = row.closed_despite
                despite = "" if why is None else f" despite: {why.despite}"
                yield [f"{currency} as reported{despite}", *others]
    closing, months = ("closing_arr", 12) if report.is_annual else ("closing", 1)
    for currency, amount_minor in alarming(report.outside).items():
        told = {closing: Money(amount_minor * months, currency)}
        said = {"currency": f"{currency} recurring, not counted", **told}
        yield [said.get(name, "") for name in csv_heads(report)]


# A window's columns, and where ``figures_json`` has them.
_COLUMNS = (
    *((name, "waterfall", name) for name in names_of(Waterfall)),
    *((BASE + name, "retention", name) for name in BASE_FIGURES),
    *((name, "retention", name) for name in RATIOS),
    *((name, "metrics", name) for name in MORE_RATIOS),
    *((name, "metrics", name) for name in ("paying_customers", *MORE_AMOUNTS)),
)


def _csv_row(
    part: CurrencyReport,
    row: WindowRow,
    report: Report,
    measured: WindowFigures,
    segment: str,
) -> list[object]:
    figures = figures_json(measured, report)
    return [
        code_of(part.currency, is_total=part.is_total),
        *(str(value).lower() for value in row_json(row).values()),
        *(
            _cell(name, figures[group][name], part.currency)
            for _, group, name in _COLUMNS
        ),
        " and ".join(filter(None, (*map(str, report.only), segment))),
    ]


def _cell(name: str, value: Any, currency: str) -> object:
    if isinstance(value, float):
        return Decimal(f"{value:.6f}")
    is_amount = value is not None and name.endswith("_minor")
    return Money(value, currency) if is_amount else value
