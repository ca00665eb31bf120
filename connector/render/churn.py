"""Churn and contraction by reason, and who left, as text, JSON, CSV and Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from connector.core.dates import parse_month
from connector.core.figures import WindowFigures
from connector.core.language import _, day_text, grouped, marked, month_text, ngettext
from connector.core.losses import LossReason
from connector.core.money import format_count, format_minor
from connector.core.windows import Window
from connector.metrics.churn import LossSums
from connector.render.csv_table import csv_of
from connector.render.departures import departures_table, loss_json, words
from connector.render.report.footnotes import and_more, unread
from connector.render.report.json_form import only_json, reasons_json
from connector.render.report.reasons import reason_table, reason_words
from connector.render.report.segment_names import only_words, segment_name
from connector.render.table import (
    Cell,
    Column,
    Part,
    Table,
    Title,
    amount,
    figure,
    table_of,
)
from connector.reports.churn import MONTH, REASON, ChurnReport, ChurnReports
from connector.reports.model import LISTED

NOTE = marked(
    "Voluntary: a cancellation was asked for. Failed payment "
    "(involuntary): Stripe ended it for a payment that failed or was "
    "disputed, it is unpaid, or a failed payment paused it. Unknown: "
    "Stripe shows no reason. What has several reasons counts once, with "
    "the one that took most; the amounts are each reason's own."
)


# Tables


def _capital(text: str) -> str:
    """With a capital at its beginning; the others stay, as German nouns have them."""
    return text[:1].upper() + text[1:]


def sums_table(
    sums: Sequence[LossSums], everyone: LossSums, currency: str, name: str
) -> Table:
    """A row a month or segment: what each reason took in all, then churn and contraction.

    Reasons that took nothing have no column, but voluntary and failed payment.
    """
    always = (LossReason.VOLUNTARY, LossReason.FAILED_PAYMENT)
    shown = [r.reason for r in everyone.reasons if r.lost_minor or r.reason in always]

    def lost(reason: LossReason, each: LossSums) -> Cell:
        return amount(-each.of(reason).lost_minor, currency)

    return table_of(
        [*sums, everyone],
        Column(name, lambda x: _("all") if x is everyone else segment_name(x.name)),
        *(figure(_capital(reason_words(r)), partial(lost, r)) for r in shown),
        figure(_("Churn"), lambda each: amount(-each.churn_minor, currency)),
        figure(_("Left"), lambda each: each.departures or "–"),
        figure(
            _("Contraction"), lambda each: amount(-each.contraction_minor, currency)
        ),
    )


def month_table(found: ChurnReport) -> Table:
    months = [each._replace(name=_month_said(each.name)) for each in found.months]
    return sums_table(months, found.everyone, found.currency, _("Month"))


def _month_said(name: str) -> str:
    return month_text(parse_month(name))


def totals_table(found: ChurnReport) -> Table:
    return reason_table(found.everyone, found.currency)


def feedback_table(found: ChurnReport) -> Table:
    """What those who cancelled said, in Stripe's words for it."""
    return table_of(
        found.feedback,
        Column(
            _("Who cancelled said"), lambda each: words(each.feedback, _("nothing"))
        ),
        figure(_("Churn"), lambda each: amount(-each.churn_minor, found.currency)),
        figure(_("Left"), lambda each: each.departures),
    )


# Sentences


def title(found: ChurnReport) -> str:
    so_far = "" if found.is_over else _(", so far")
    span = span_text(found.window)
    return _("Churn and contraction, {currency}, {span}{so_far}").format(
        currency=found.currency.upper(), span=span, so_far=so_far
    )


def span_text(window: Window) -> str:
    last = window.end - timedelta(days=1)
    first = month_text(window.start)
    return (
        first
        if first == month_text(last)
        else _("{first} to {last}").format(first=first, last=month_text(last))
    )


def lead(found: ChurnReport, locale: str) -> str:
    """How many left, with how much, and how many of them are back."""
    if not found.left:
        return _("Nobody left.")
    lost = format_minor(found.everyone.churn_minor, found.currency, locale)
    came = (
        ngettext(
            " {number} customer came back since.",
            " {number} customers came back since.",
            found.back,
        ).format(number=grouped(found.back))
        if found.back
        else ""
    )
    times = found.everyone.departures - found.left
    again = _(" ({times} of them twice or more)").format(times=times) if times else ""
    return ngettext(
        "{customers} customer left{again}, with {lost}.{came}",
        "{customers} customers left{again}, with {lost}.{came}",
        found.left,
    ).format(
        customers=grouped(found.left),
        again=again,
        lost=lost,
        came=came,
    )


def not_nrr(found: ChurnReport, locale: str) -> str:
    """Why this is not the churn behind NRR, and what that is."""
    kept, opening = found.measured.retention, found.window.start
    gone = format_count(kept.customers - kept.kept, "customer")
    lost = format_minor(kept.churn_minor, found.currency, locale)
    return _(
        "Not the churn behind NRR: here is every departure, at what was paid "
        "on the day; NRR counts only the {customers} who paid when {opening} "
        "began, at what they paid then, and not who came back: {gone}, {lost}."
    ).format(
        customers=grouped(kept.customers),
        opening=day_text(opening),
        gone=gone,
        lost=lost,
    )


# Forms


def parts(reports: ChurnReports, locale: str) -> Iterator[Part]:
    """By reason, by month, who left; with ``by`` that alone, and the sentences."""
    only = f", {only_words(reports.only)}" if reports.only else ""
    for found in reports.currencies:
        yield Title(title(found) + only)
        yield lead(found, locale)
        yield from _tables(found, reports.by)
        yield not_nrr(found, locale)
        if found.everyone.unread:
            yield unread(found.everyone.unread)
    if reports.currencies:
        yield _(NOTE)
    else:
        yield _("There is no recurring revenue in this ledger.")


def _tables(found: ChurnReport, by: str | None) -> Iterator[Part]:
    if by in (None, REASON):
        yield totals_table(found)
        if any(each.feedback for each in found.feedback):
            yield feedback_table(found)
    if by in (None, MONTH):
        yield month_table(found)
    if by not in (None, REASON, MONTH):
        name = _(by).capitalize()
        yield sums_table(found.segments, found.everyone, found.currency, name)
    if by is None and found.left:
        yield departures_table(found)
        yield from and_more(found.everyone.departures - LISTED)


def to_json(reports: ChurnReports) -> dict[str, Any]:
    """Amounts in minor units: sums are what was taken away, of losses they are negative."""
    return {
        "by": reports.by,
        "only": only_json(reports.only),
        "currencies": [_report_json(each, reports.by) for each in reports.currencies],
    }


def _report_json(found: ChurnReport, by: str | None) -> dict[str, Any]:
    told = {
        "currency": found.currency,
        "from": found.window.start.isoformat(),
        "to": found.window.end.isoformat(),
        "over": found.is_over,
        **_sums_json(found.everyone),
        "months": [{"month": m.name, **_sums_json(m)} for m in found.months],
        "feedback": [each._asdict() for each in found.feedback],
        "not_read": found.everyone.unread,
        "left_count": found.everyone.departures,
        "left": [loss_json(each) for each in found.departures],
        "nrr": _nrr_json(found.measured),
    }
    if by not in (None, REASON, MONTH):
        told["segments"] = [
            {"segment": s.name, **_sums_json(s)} for s in found.segments
        ]
    return told


def _sums_json(sums: LossSums) -> dict[str, Any]:
    return {
        "churn_minor": sums.churn_minor,
        "departures": sums.departures,
        "contraction_minor": sums.contraction_minor,
        "contractions": sums.contractions,
        "voluntary_minor": sums.of(LossReason.VOLUNTARY).lost_minor,
        "involuntary_minor": sums.of(LossReason.FAILED_PAYMENT).lost_minor,
        "reasons": reasons_json(sums),
    }


def _nrr_json(measured: WindowFigures) -> dict[str, Any]:
    """What the same window's NRR counts: the opening customers alone."""
    kept = measured.retention
    return {
        "opening_customers": kept.customers,
        "churned_customers": kept.customers - kept.kept,
        "churn_minor": kept.churn_minor,
        "contraction_minor": kept.contraction_minor,
    }


def to_csv(reports: ChurnReports) -> str:
    """With ``by``: a row a month or segment, and reason.

    Amounts in whole units of the currency, as what was taken.
    """
    by, mark = str(reports.by), ["complete"] if reports.by == MONTH else []
    columns = dict.fromkeys(["currency", by, REASON, *_SUM_COLUMNS, *mark])
    return csv_of(list(columns), _sum_records(reports, by)).text()


_SUM_COLUMNS = ("churn_minor", "departures", "contraction_minor", "contractions")


def _sum_records(reports: ChurnReports, by: str) -> Iterator[Mapping[str, Any]]:
    """Of each reason; a month is complete once it is over."""
    for found in reports.currencies:
        own = {REASON: [found.everyone], MONTH: found.months}
        running = f"{found.window.end - timedelta(days=1):%Y-%m}"
        for each in own.get(by, found.segments):
            is_over = found.is_over or each.name != running
            told = {"currency": found.currency, by: each.name, "complete": is_over}
            yield from ({**told, **reason} for reason in reasons_json(each))
