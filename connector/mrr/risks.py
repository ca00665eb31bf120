"""What Stripe's objects already show of one customer's future: risks, and what is set.

Comes in: a customer's history, as the mirror has it, and its subscriptions' MRR. Goes
out: risks by name; and the history as it will read when what is scheduled has happened
and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, tzinfo
from enum import StrEnum
from typing import NamedTuple

import msgspec

from connector.core.dates import local_day
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import History, SubscriptionVersion
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Subscription


class RiskReason(StrEnum):
    """Why MRR may go, the surest first."""

    CANCELS = "set to cancel"
    PAST_DUE = "past due"
    OPEN_INVOICE = "unpaid invoice"
    PENDING_UPDATE = "change awaits payment"
    PAUSED = "collection paused"
    TRIAL = "trial will not convert"
    CONTRACTED = "contracted lately"


class Risk(NamedTuple):
    """``mrr_minor`` a month of ``subscription`` may go; "" is all that the customer pays.

    ``day`` is when: the end that is set, the day an invoice was due, or of the last
    contraction; None where the object names none. A trial's MRR is 0 until it converts.
    """

    reason: RiskReason
    customer: str
    currency: str
    subscription: str
    mrr_minor: int
    day: date | None


def risks(
    history: History,
    mrr: Mapping[str, tuple[str, int]],
    line_items: Mapping[str, Sequence[LineItem]],
    now_s: int,
    zone: tzinfo,
) -> Iterator[Risk]:
    """Each risk that a subscription shows; ``mrr`` is its currency and minor units."""
    for subscription, versions in history.versions.items():
        now = versions[-1].subscription
        if now.status == "canceled":
            continue
        currency, mrr_minor = mrr.get(subscription, (now.currency, 0))
        for reason, at_s in _reasons(now, history, line_items, now_s):
            if mrr_minor or reason is RiskReason.TRIAL:
                day = None if at_s is None else local_day(at_s, zone)
                yield Risk(
                    reason, history.customer, currency, subscription, mrr_minor, day
                )


def _reasons(
    now: Subscription,
    history: History,
    line_items: Mapping[str, Sequence[LineItem]],
    now_s: int,
) -> Iterator[tuple[RiskReason, int | None]]:
    end_s = ends_at(now, line_items.get(now.id, ()))
    if now.status == "trialing":
        if end_s is not None and now.trial_end is not None and end_s <= now.trial_end:
            yield RiskReason.TRIAL, end_s
        return
    if end_s is not None and end_s > now_s:
        yield RiskReason.CANCELS, end_s
    due_s = _due_since(history.invoices, now.id, now_s)
    if now.status == "past_due":
        yield RiskReason.PAST_DUE, due_s
    elif due_s is not None:
        yield RiskReason.OPEN_INVOICE, due_s
    if now.pending_update is not None:
        yield RiskReason.PENDING_UPDATE, now.pending_update.expires_at or None
    if now.pause_collection is not None:
        yield RiskReason.PAUSED, now.pause_collection.resumes_at


def ends_at(now: Subscription, line_items: Sequence[LineItem]) -> int | None:
    """When it is set to end: ``cancel_at``, or with the flag alone its paid period's end.

    None where no end is set, or none that an invoice shows.
    """
    if now.ended_at is not None:
        return None
    if now.cancel_at is not None:
        return now.cancel_at
    if not now.cancel_at_period_end:
        return None
    return max((line.end_s for line in line_items), default=None)


def _due_since(
    invoices: Sequence[Invoice], subscription: str, now_s: int
) -> int | None:
    """Since when the oldest open invoice of a subscription has been due."""
    due = []
    for invoice in invoices:
        if invoice.status == "open" and invoice.subscription == subscription:
            moments = invoice.status_transitions
            finalized_s = moments.finalized_at if moments is not None else None
            due.append(invoice.due_date or finalized_s or invoice.created)
    return min((due_s for due_s in due if due_s <= now_s), default=None)


def as_scheduled(
    history: History, line_items: Mapping[str, Sequence[LineItem]], now_s: int
) -> History:
    """The history as it will read: every subscription that is set to end has ended."""
    versions = {}
    for key, known in history.versions.items():
        *before, last = known
        now = last.subscription
        end_s = ends_at(now, line_items.get(key, ()))
        if end_s is not None and end_s > now_s:
            ended = msgspec.structs.replace(now, status="canceled", ended_at=end_s)
            last = SubscriptionVersion(last.seen_s, ended)
        versions[key] = (*before, last)
    return msgspec.structs.replace(history, versions=versions)


class RiskSum(NamedTuple):
    """What may go for one reason, or (None) for any: MRR with several counts once."""

    reason: RiskReason | None
    mrr_minor: int
    subscriptions: int
    customers: int


def risk_sum(reason: RiskReason | None, found: Sequence[Risk]) -> RiskSum:
    """Of those with the reason; None: of all."""
    own = [risk for risk in found if reason in (None, risk.reason)]
    return RiskSum(
        reason,
        at_risk_minor(own) if reason is None else sum(risk.mrr_minor for risk in own),
        len({risk.subscription for risk in own if risk.subscription}),
        len({risk.customer for risk in own}),
    )


def by_customer(risks: Sequence[Risk]) -> dict[str, list[Risk]]:
    """Each customer's, the surest reason first, then the largest."""
    own: dict[str, list[Risk]] = {}
    for risk in sorted(risks, key=lambda r: (_ORDER[r.reason], -r.mrr_minor)):
        own.setdefault(risk.customer, []).append(risk)
    return own


_ORDER = {reason: place for place, reason in enumerate(RiskReason)}


def at_risk_minor(risks: Sequence[Risk]) -> int:
    """What may go in all: MRR with several reasons counts once."""
    if len(risks) == 1:
        return risks[0].mrr_minor
    by_customer: dict[str, dict[str, int]] = {}
    for risk in risks:
        by_customer.setdefault(risk.customer, {})[risk.subscription] = risk.mrr_minor
    return sum(own.get("", sum(own.values())) for own in by_customer.values())
