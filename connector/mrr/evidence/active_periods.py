"""A subscription's versions, events and invoices → its active periods.

In them its status makes it recurring revenue under the policy: from its start (or the end
of its trial) to its end, without pauses and the like. Each has the evidence of both ends.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from math import inf
from operator import attrgetter
from typing import NamedTuple

from connector.core.model import Evidence
from connector.core.policy import Policy
from connector.mrr.evidence.dated_versions import (
    DAY_S,
    DatedVersion,
    dated_versions,
    gaps_while,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.status_gaps import (
    bills_a_period,
    seen_pauses,
    stopped_collections,
    unpaid_times,
)
from connector.mrr.evidence.trials import trials, trials_after_paying
from connector.mrr.evidence.unbilled import unbilled_pauses
from connector.mrr.history import SubscriptionVersion
from connector.mrr.intervals import Interval, without
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import STATUSES, Price

_NEVER_BEGAN = frozenset({"incomplete", "incomplete_expired"})


class ActivePeriods(NamedTuple):
    """``periods`` are oldest first, without overlaps.

    ``pauses`` are the gaps between them that are pauses. What ends a ``billed_after``
    bills all items anew. ``paid_trials`` lie inside of periods, oldest first: in them, what
    was paid before counts on.
    """

    periods: Sequence[Interval] = ()
    pauses: Sequence[Interval] = ()
    billed_after: Sequence[Interval] = ()
    paid_trials: Sequence[Interval] = ()


def active_periods(
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    line_items: Sequence[LineItem],
    invoices: Sequence[Invoice],
    prices: Mapping[str, Price],
    policy: Policy,
) -> ActivePeriods:
    """The time in which the subscription counts."""
    current = versions[-1].subscription
    if current.status in _NEVER_BEGAN:
        return ActivePeriods()
    start_s = current.started_at
    proof = Evidence("subscription", current.id, start_s, "started")
    if policy.active_from_payment:
        paid = _first_payment(invoices)
        if paid is None:
            return ActivePeriods()
        if paid.at_s > start_s:
            start_s, proof = paid.at_s, paid
    end_s, ended = _subscription_end(versions[-1], policy)
    if end_s is not None and end_s <= start_s:
        return ActivePeriods()
    whole = Interval(start_s, end_s, (proof,), ended)
    # Active and past due count as a whole: all else is a gap.
    dated = dated_versions(versions, events, line_items)
    if not current.is_of_known_status and _was_never_known(dated):
        return ActivePeriods()
    tried = trials(versions[-1], line_items, prices)
    pauses = seen_pauses(dated, line_items)
    over_s = end_s if end_s is not None and end_s <= versions[-1].seen_s else None
    pauses += unbilled_pauses(dated, line_items, invoices, tried, prices, over_s)
    billed_after = [*pauses, *tried]
    if not policy.pause_collection_counts:
        pauses += stopped_collections(dated)
    pauses = [p for p in (_until(pause, end_s) for pause in pauses) if p is not None]
    paid_trials: list[Interval] = []
    if policy.trial_after_paying_counts:
        paid_trials = trials_after_paying(tried, line_items)
    paid_from_s = {trial.start_s for trial in paid_trials}
    gaps = [trial for trial in tried if trial.start_s not in paid_from_s]
    gaps += pauses
    gaps += _gaps_by_status(dated, invoices, policy, current.status)
    return ActivePeriods(without(whole, gaps), pauses, billed_after, paid_trials)


def _was_never_known(dated: Iterable[DatedVersion]) -> bool:
    return not any(each.subscription.is_of_known_status for each in dated)


def _first_payment(invoices: Iterable[Invoice]) -> Evidence | None:
    """The first paid invoice that billed a subscription item, not for nothing."""
    paid = [
        Evidence("invoice", invoice.id, invoice.paid_at or invoice.created, "paid")
        for invoice in invoices
        if invoice.status == "paid" and _bills_an_item(invoice)
    ]
    return min(paid, key=lambda proof: proof.at_s, default=None)


def _bills_an_item(invoice: Invoice) -> bool:
    billed_minor = 0
    for line in invoice.lines.data:
        if line.parent is not None and line.parent.subscription_item_details:
            taken = sum(each.amount for each in line.discount_amounts or ())
            billed_minor += line.amount - taken
    return billed_minor > 0


def _until(pause: Interval, end_s: int | None) -> Interval | None:
    """As much of it as lies before the subscription's end."""
    if end_s is None or (pause.end_s is not None and pause.end_s <= end_s):
        return pause
    return pause._replace(end_s=end_s) if pause.start_s < end_s else None


def _gaps_by_status(
    dated: Sequence[DatedVersion],
    invoices: Sequence[Invoice],
    policy: Policy,
    status: str,
) -> list[Interval]:
    """Unpaid, and what else does not count under the policy; ``status`` is today's."""
    gaps = unpaid_times(dated, invoices)
    if status not in STATUSES:
        gaps += gaps_while(dated, lambda s: not s.is_of_known_status)
    if policy.churn_when_requested:
        gaps += _withdrawn_cancellations(dated)
    if policy.past_due_days is not None:
        bills = [invoice for invoice in invoices if bills_a_period(invoice)]
        late = _overdue(bills, policy.past_due_days * DAY_S)
        is_active = status == "active"  # then nothing open makes it past due
        gaps += [gap for gap in late if gap.end_s is not None or not is_active]
    return gaps


def _subscription_end(
    last: SubscriptionVersion, policy: Policy
) -> tuple[int | None, tuple[Evidence, ...]]:
    """When it ended, or with churn = "requested" when ending it was asked for."""
    seen_s, now = last
    end_s = now.ended_at
    summary = "ended"
    if end_s is None and now.status == "canceled":
        end_s = now.canceled_at or seen_s
    if policy.churn_when_requested and now.canceled_at is not None:
        end_s = now.canceled_at if end_s is None else min(end_s, now.canceled_at)
        summary = "cancellation requested"
    if end_s is None:
        return None, ()
    return end_s, (Evidence("subscription", now.id, end_s, summary),)


def _withdrawn_cancellations(versions: Iterable[DatedVersion]) -> list[Interval]:
    """From each request to cancel to the version that shows that it was withdrawn."""
    gaps: list[Interval] = []
    asked_s: int | None = None
    for version in versions:
        now = version.subscription
        if now.canceled_at is not None:
            asked_s = now.canceled_at if asked_s is None else asked_s
        elif asked_s is not None:
            began = Evidence("subscription", now.id, asked_s, "cancellation requested")
            gaps.append(Interval(asked_s, version.at_s, (began,), (version.evidence,)))
            asked_s = None
    return gaps


def _overdue(bills: Sequence[Invoice], grace_s: int) -> list[Interval]:
    """From ``grace_s`` after an invoice was due until it was settled or given up.

    Only the newest invoice makes a subscription past due: paying it settles the older.
    """
    gaps: list[Interval] = []
    settled_s = inf  # when the first of all that are newer was paid
    for _, alike in groupby(reversed(bills), key=attrgetter("created")):
        paid_s = [settled_s]
        for invoice in alike:
            gaps += _late(invoice, grace_s, settled_s)
            moments = invoice.status_transitions
            if moments is not None and moments.paid_at is not None:
                paid_s.append(moments.paid_at)
        settled_s = min(paid_s)
    return gaps[::-1]


def _late(invoice: Invoice, grace_s: int, settled_s: float) -> Iterator[Interval]:
    moments = invoice.status_transitions
    due_s = invoice.due_date or (moments.finalized_at if moments else None)
    if invoice.status not in ("open", "paid", "uncollectible") or due_s is None:
        return
    ends = [moments.paid_at, moments.marked_uncollectible_at] if moments else []
    end_s = min([settled_s, *(at_s for at_s in ends if at_s is not None)])
    late_s = due_s + grace_s
    if end_s > late_s:
        paid_s = None if end_s == inf else int(end_s)
        began = (Evidence("invoice", invoice.id, late_s, "past due"),)
        ended = (Evidence("invoice", invoice.id, paid_s, "paid"),) if paid_s else ()
        yield Interval(late_s, paid_s, began, ended)
