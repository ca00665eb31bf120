"""Churn and contraction by reason, and who left, as text, JSON, CSV and Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, TextIO

from connector.core.dates import parse_month
from connector.core.figures import WindowFigures
from connector.core.language import (
    _,
    day_text,
    grouped,
    marked,
    month_text,
    ngettext,
    table_month,
)
from connector.core.losses import LossReason
from connector.core.model import Cause
from connector.core.money import format_count, format_minor
from connector.core.windows import Window
from connector.metrics.churn import LossSums
from connector.render.footnotes import and_more, unread
from connector.render.report_json import only_json, reasons_json
from connector.render.report_tables import (
    only_words,
    reason_table,
    reason_words,
    segment_name,
)
from connector.render.table import (
    Cell,
    Column,
    Money,
    Part,
    Table,
    Title,
    amount,
    csv_text,
    figure,
    table_of,
    write_csv,
)
from connector.reports.churn import MONTH, REASON, ChurnReport, ChurnReports, LostMrr
from connector.reports.model import LISTED

NOTE = marked(
    "Voluntary: a cancellation was asked for. Failed payment "
    "(involuntary): Stripe ended it for a payment that failed or was "
    "disputed, it is unpaid, or a failed payment paused it. Unknown: "
    "Stripe shows no reason. What has several reasons counts once, with "
    "the one that took most; the amounts are each reason's own."
)


# Tables


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
        *(figure(reason_words(r).capitalize(), partial(lost, r)) for r in shown),
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
    return table_month(parse_month(name))


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


def departures_table(found: ChurnReport) -> Table:
    """Who left, the latest first; no more than are read."""
    return table_of(
        found.departures[:LISTED],
        Column(_("Customer"), lambda each: each.label),
        figure("MRR", lambda each: Money(each.amount_minor, found.currency)),
        Column(_("Left"), lambda each: each.day),
        Column(_("Reason"), lambda each: reason_words(each.reason)),
        Column(_("Stated"), lambda each: words(each.feedback)),
        Column(_("How Stripe shows it"), how_shown),
        Column(_("Paid since"), lambda each: each.paid_since),
        Column(_("Came back"), lambda each: each.returned_on or "–"),
    )


def words(code: str | None, nothing: str = "–") -> str:
    """Stripe's ``too_expensive`` as a reader expects it."""
    return _(code.replace("_", " ")) if code else nothing


def how_shown(lost: LostMrr) -> str:
    """What Stripe's objects show of the largest part of a loss, in a few words."""
    said = "" if lost.proof is None else lost.proof.summary
    if lost.asked_on is not None:
        return _("cancelled on {day}{before}").format(
            day=day_text(lost.asked_on), before=_before(lost)
        )
    if lost.stated is not None:
        known = _STATED.get(lost.stated)
        other = _("ended: {stated}").format(stated=words(lost.stated))
        return other if known is None else _(known)
    if lost.reason is LossReason.FAILED_PAYMENT:
        return _(_FAILED.get(said, _UNPAID))
    if lost.reason is LossReason.PAUSED:
        return _("on trial") if said == "trial" else _("paused")
    if lost.cause in (Cause.END, Cause.REMOVAL) and lost.reason is LossReason.UNKNOWN:
        return _("ended at once") if lost.subscription else _("invoiced no more")
    found = _BY_CAUSE.get(lost.cause)
    return "" if found is None else _(found)


_STATED = {
    "payment_failed": marked("ended, as payments failed"),
    "payment_disputed": marked("ended, as a payment was disputed"),
    "cancellation_requested": marked("cancelled at once"),
}
_UNPAID = marked("unpaid")
_FAILED = {
    "left a draft": marked("unpaid: its renewal was left a draft"),
    "past due": marked("past due for too long"),
    "paused": marked("paused after a failed payment"),
}
_BY_CAUSE = {
    Cause.PLAN: marked("another plan"),
    Cause.QUANTITY: marked("a lower quantity"),
    Cause.PRICE: marked("a lower price"),
    Cause.USAGE: marked("less usage"),
    Cause.DISCOUNT: marked("a discount"),
    Cause.REMOVAL: marked("an item was removed"),
    Cause.END: marked("all items were removed"),
}


def _before(lost: LostMrr) -> str:
    assert lost.asked_on is not None
    days = (lost.day - lost.asked_on).days
    return (
        ngettext(", {days} day before", ", {days} days before", days).format(days=days)
        if days > 0
        else ""
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
        "left": [_lost_json(each) for each in found.departures],
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


def _lost_json(lost: LostMrr) -> dict[str, Any]:
    return {
        "customer": lost.customer,
        "label": lost.label,
        "day": lost.day.isoformat(),
        "kind": lost.kind.value,
        "amount_minor": lost.amount_minor,
        "reason": lost.reason.value,
        "reasons": [
            {"reason": share.reason.value, "amount_minor": share.amount_minor}
            for share in lost.shares
        ],
        "stated": lost.stated,
        "feedback": lost.feedback,
        "shown_as": how_shown(lost),
        "subscription": lost.subscription,
        "proof": None if lost.proof is None else lost.proof.id,
        "cancellation_asked_on": _iso(lost.asked_on),
        "paid_since": lost.paid_since.isoformat(),
        "returned_on": _iso(lost.returned_on),
        "returned_minor": lost.returned_minor if lost.returned_on else None,
    }


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def losses_csv(losses: Iterable[tuple[str, LostMrr]], out: TextIO) -> None:
    """A row a loss and reason; amounts in whole units of the currency, negative."""
    write_csv(out, _LOSS_HEADS, _loss_rows(losses))


def losses_text(losses: Iterable[tuple[str, LostMrr]]) -> str:
    """The same in one text."""
    return csv_text(_LOSS_HEADS, _loss_rows(losses))


def to_csv(reports: ChurnReports) -> str:
    """With ``by``: a row a month or segment, and reason.

    Amounts in whole units of the currency, as what was taken.
    """
    group = [] if reports.by == REASON else [reports.by]
    mark = _MARK if reports.by == MONTH else ()
    heads = ["currency", *group, "reason", *_SUM_COLUMNS, *mark]
    return csv_text(heads, _sum_rows(reports))


_LOSS_HEADS = (
    *("currency", "day", "customer", "label", "kind", "reason", "amount"),
    *("stated", "feedback", "shown_as", "subscription", "proof"),
    *("cancellation_asked_on", "paid_since", "returned_on", "returned"),
)
_SUM_COLUMNS = ("churn", "departures", "contraction", "contractions")
_MARK = ("complete",)  # of months: whether it is over


def _loss_rows(losses: Iterable[tuple[str, LostMrr]]) -> Iterator[list[object]]:
    for currency, lost in losses:
        for share in lost.shares:
            yield [
                *(currency, lost.day, lost.customer, lost.label, lost.kind),
                *(share.reason, Money(share.amount_minor, currency)),
                *(lost.stated, lost.feedback, how_shown(lost), lost.subscription),
                "" if lost.proof is None else lost.proof.id,
                *(lost.asked_on, lost.paid_since, lost.returned_on),
                Money(lost.returned_minor, currency) if lost.returned_on else None,
            ]


def _sum_rows(reports: ChurnReports) -> Iterator[list[object]]:
    for found in reports.currencies:
        sums = found.months if reports.by == MONTH else found.segments
        groups = [("", found.everyone)] if reports.by == REASON else []
        groups = groups or [(each.name, each) for each in sums]
        running = (
            None if found.is_over else f"{found.window.end - timedelta(days=1):%Y-%m}"
        )
        for name, each in groups:
            mark = (
                ["false" if name == running else "true"] if reports.by == MONTH else []
            )
            for of in each.reasons:
                yield [
                    *(found.currency, *([name] if name else []), of.reason),
                    *(Money(of.churn_minor, found.currency), of.departures),
                    *(Money(of.contraction_minor, found.currency), of.contractions),
                    *mark,
                ]
