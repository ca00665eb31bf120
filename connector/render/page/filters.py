"""A value → the text, or the CSS class, that a template writes of it.

Texts come back plain: the template escapes them like everything else.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

from connector.core.language import (
    _,
    day_text,
    grouped,
    moment_text,
    percent_sign,
    table_day,
)
from connector.core.model import Evidence, Movement
from connector.core.money import (
    format_count,
    format_minor,
    format_ratio,
    format_short,
    round_minor,
)
from connector.core.text import printable
from connector.metrics.benchmarks import Band, Typical
from connector.mrr.stored_words import arithmetic_said, proof_said
from connector.render import churn
from connector.render.at_risk import committed_table, risk_table, scheduled_table
from connector.render.cohorts import name_of
from connector.render.coverage import outside_table
from connector.render.departures import how_shown, words
from connector.render.page.figures import segment_rows, window_rows
from connector.render.report.footnotes import (
    asides,
    headline_ratio,
    note_line,
    nothing_to_retain,
    unread,
)
from connector.render.report.missing import banner
from connector.render.report.reasons import (
    CAUSE_WORDS,
    cause_tables,
    cause_words,
    reason_words,
)
from connector.render.report.segment_names import segment_name
from connector.render.report.tables import cells, format_times, headings
from connector.render.restatements import because, run_words
from connector.render.risk_words import last_moved, renewal, why
from connector.render.table import Table, shown
from connector.reports.model import label, metrics_of, opening_note

# A cohort's shade: how far from 100 % it is, in so many steps either way.
SHADES = [Fraction(permille, 1000) for permille in (5, 50, 100, 200, 350)]


def money(
    amount_minor: int | Fraction | None,
    currency: str,
    *,
    locale: str,
    signed: bool = False,
    whole: bool = False,
) -> str:
    if amount_minor is None:
        return "–"
    exact = round_minor(Fraction(amount_minor))
    return format_minor(exact, currency, locale, signed=signed, whole=whole)


def share(amount_minor: int, of_minor: int) -> Fraction:
    return Fraction(amount_minor, of_minor or 1)


def band_range(band: Band) -> str:
    low, high = (
        None if e is None else format_ratio(e, 0) for e in (band.low, band.high)
    )
    if low is None or high is None:
        return (
            _("under {high}").format(high=high)
            if low is None
            else _("{low} and more").format(low=low)
        )
    return _("{low} to {high}").format(low=low, high=high)


def bare(text: str) -> str:
    """Per cent without their sign."""
    return text.removesuffix(percent_sign())


def says(band: Band) -> str:
    return _(band.says)


def reached(typical: Typical) -> str:
    low, high = format_ratio(typical.low, 0), format_ratio(typical.high, 0)
    if typical.low == typical.high:
        return f"{_(typical.who)} {low}"
    return _("{who}: {low} to {high}").format(who=_(typical.who), low=low, high=high)


def origin(published: Band | Typical) -> str:
    return f"{_(published.source)}, {published.year}"


def shade(ratio: Fraction | None) -> str:
    """``n`` at 100 %, ``u1`` to ``u5`` above it, ``d1`` to ``d5`` below."""
    if ratio is None:
        return "none"
    steps = sum(abs(ratio - 1) > step for step in SHADES)
    return f"{'u' if ratio > 1 else 'd'}{steps}" if steps else "n"


def causes(movement: Movement) -> str:
    """In words, but of the beginning and the end, which the kind says already."""
    named = (part.cause.value for part in movement.components)
    return ", ".join(dict.fromkeys(cause_words(n) for n in named if n in CAUSE_WORDS))


def proofs(movement: Movement) -> Sequence[str]:
    """The ids of its evidence, invoice lines first: these are what a customer paid."""
    every: list[Evidence] = [p for c in movement.components for p in c.evidence]
    ordered = sorted(every, key=lambda p: p.kind != "invoice_line")
    return list(dict.fromkeys(proof.id for proof in ordered))


# By the function's own name, by another, and those that write amounts.
_NAMED = (
    *(asides, band_range, bare, cause_tables, causes, cells, committed_table),
    *(headings, headline_ratio, label, note_line, nothing_to_retain, opening_note),
    *(origin, outside_table, printable, proofs, reached, reason_words, renewal),
    *(
        risk_table,
        run_words,
        says,
        scheduled_table,
        segment_name,
        segment_rows,
        shade,
        share,
    ),
    *(table_day, unread, why, window_rows, churn.span_text, how_shown),
    words,
)
_CALLED: Mapping[str, Callable[..., Any]] = {
    "churn_feedback": churn.feedback_table,
    "churn_months": churn.month_table,
    "churn_reasons": churn.totals_table,
    "cohort_name": name_of,
    "counted": format_count,
    "day": day_text,
    "metrics": metrics_of,
    "moment": moment_text,
    "number": grouped,
    "ratio": format_ratio,
    "said": _,
    "times": format_times,
}
_WITH_AMOUNTS: Mapping[str, Callable[..., Any]] = {
    "arithmetic": arithmetic_said,
    "banner": banner,
    "because": because,
    "churn_lead": churn.lead,
    "last_moved": last_moved,
    "money": money,
    "not_nrr": churn.not_nrr,
    "proof_said": proof_said,
    "short_money": format_short,
    "shown": shown,
    "texts": Table.texts,
}


def filters(locale: str) -> dict[str, Callable[..., Any]]:
    """All of them by name; amounts are written as ``locale`` does."""
    in_locale = {n: partial(each, locale=locale) for n, each in _WITH_AMOUNTS.items()}
    return {**{each.__name__: each for each in _NAMED}, **_CALLED, **in_locale}
