"""A churn or contraction by name: who, how much, and how Stripe shows it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from connector.core.language import _, day_text, marked, ngettext
from connector.core.losses import LossReason
from connector.core.model import Cause
from connector.render.csv_table import CsvRows, csv_of
from connector.render.report.reasons import reason_words
from connector.render.table import Column, Money, Table, customer_cell, figure, table_of
from connector.reports.churn import ChurnReport, LostMrr
from connector.reports.model import LISTED


def departures_table(found: ChurnReport) -> Table:
    """Who left, the latest first; no more than are read."""

    def customer(each: LostMrr) -> str:
        return customer_cell(each.customer, {each.customer: each.label})

    return table_of(
        found.departures[:LISTED],
        Column(_("Customer"), customer),
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


def loss_json(lost: LostMrr) -> dict[str, Any]:
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


def losses_csv(losses: Iterable[tuple[str, LostMrr]]) -> CsvRows:
    """A row a loss and reason; amounts in whole units of the currency, negative."""
    return csv_of(_LOSS_COLUMNS, _loss_records(losses))


_LOSS_COLUMNS = (
    *("currency", "day", "customer", "label", "kind", "reason", "amount_minor"),
    *("stated", "feedback", "shown_as", "subscription", "proof"),
    *("cancellation_asked_on", "paid_since", "returned_on", "returned_minor"),
)


def _loss_records(
    losses: Iterable[tuple[str, LostMrr]],
) -> Iterator[Mapping[str, Any]]:
    for currency, lost in losses:
        told = {"currency": currency, **loss_json(lost)}
        yield from ({**told, **share} for share in told["reasons"])
