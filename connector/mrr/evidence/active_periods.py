"""A subscription's versions, events and invoices → its active periods.

In them its status makes it recurring revenue under the policy: from its start (or the end
of its trial) to its end, without pauses and the like. Each has the evidence of both ends.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from connector.core.model import Evidence
from connector.core.policy import Policy
from connector.mrr.evidence.intervals import Interval, without
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.trials import trials
from connector.mrr.history import SubscriptionVersion, versions_without_event
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Price, Subscription

DAY_S = 86_400
_NEVER_BEGAN = frozenset({"incomplete", "incomplete_expired"})


def active_periods(
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    line_items: Sequence[LineItem],
    invoices: Sequence[Invoice],
    prices: Mapping[str, Price],
    policy: Policy,
) -> list[Interval]:
    """The time in which the subscription counts, oldest first, without overlaps."""
    current = versions[-1].subscription
    if current.status in _NEVER_BEGAN:
        return []
    end_s, ended = _subscription_end(versions[-1], policy)
    start_s = current.started_at
    if end_s is not None and end_s <= start_s:
        return []
    began = (Evidence("subscription", current.id, start_s, "started"),)
    whole = Interval(start_s, end_s, began, ended)
    # Active and past due count as a whole: all else is a gap.
    gaps = trials(versions[-1], line_items, prices)
    dated = _dated_versions(versions, events, line_items)
    gaps += _gaps_while(dated, lambda s: s.status == "unpaid")
    paused = _gaps_while(dated, _pause_of)
    gaps += [_until_billed(gap, line_items) for gap in paused]
    if policy.churn_when_requested:
        gaps += _withdrawn_cancellations(dated)
    if not policy.pause_collection_counts:
        stopped = _gaps_while(dated, lambda s: s.pause_collection is not None)
        gaps += [_until_resumed(gap, dated) for gap in stopped]
    if policy.past_due_days is not None:
        bills = [invoice for invoice in invoices if _bills_a_period(invoice)]
        late = _overdue(bills, policy.past_due_days * DAY_S)
        is_active = current.status == "active"  # then nothing open makes it past due
        gaps += [gap for gap in late if gap.end_s is not None or not is_active]
    return without(whole, gaps)


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


class _DatedVersion(NamedTuple):
    """A subscription as it was from ``at_s`` on, and what shows it."""

    at_s: int
    subscription: Subscription
    evidence: Evidence


def _dated_versions(
    versions: Iterable[SubscriptionVersion],
    events: Sequence[Event],
    line_items: Sequence[LineItem],
) -> list[_DatedVersion]:
    """The versions that lists and events show, oldest first.

    In one second an event is the last word.
    """
    dated = []
    for seen_s, subscription in versions_without_event(versions, events):
        at_s = _paused_at(subscription, seen_s, line_items)
        kind = "observed" if at_s == seen_s else "subscription"
        proof = Evidence(kind, subscription.id, at_s, subscription.status)
        dated.append(_DatedVersion(at_s, subscription, proof))
    for event in events:
        if event.subscription is not None:
            proof = Evidence("event", event.id, event.created, event.type)
            at_s = _paused_at(event.subscription, event.created, line_items)
            dated.append(_DatedVersion(at_s, event.subscription, proof))
    return sorted(dated, key=lambda version: version.at_s)


def _paused_at(now: Subscription, seen_s: int, line_items: Iterable[LineItem]) -> int:
    """Since when it has been as it is shown: paused at ``transitioned_at``.

    A trial that ends without a way to pay pauses it at that very moment.
    """
    if now.status != "paused":
        return seen_s
    details = now.status_details.paused if now.status_details is not None else None
    at_s = (details.transitioned_at if details is not None else None) or seen_s
    trial_end = now.trial_end
    if trial_end is None or not trial_end <= at_s:
        return at_s
    paid = (n.start_s for n in line_items if n.is_regular and n.amount_minor > 0)
    return at_s if any(trial_end <= paid_s < at_s for paid_s in paid) else trial_end


def _gaps_while(
    versions: Iterable[_DatedVersion], reason_of: Callable[[Subscription], object]
) -> list[Interval]:
    """From each version with a reason not to count to the next one without it.

    With another reason than before, another gap begins.
    """
    gaps: list[Interval] = []
    since: _DatedVersion | None = None
    for version in versions:
        if version.subscription.ended_at is not None:
            continue
        reason = reason_of(version.subscription)
        if since is not None and reason != reason_of(since.subscription):
            began, ended = (since.evidence,), (version.evidence,)
            gaps.append(Interval(since.at_s, version.at_s, began, ended))
            since = None
        if reason:
            since = since or version
    if since is not None:
        gaps.append(Interval(since.at_s, None, (since.evidence,), ()))
    return gaps


def _pause_of(subscription: Subscription) -> object:
    """Which pause it is in: the one that began then; False where it is not paused."""
    details = subscription.status_details
    return subscription.status == "paused" and (details or True)


def _until_billed(gap: Interval, line_items: Iterable[LineItem]) -> Interval:
    """A pause that only a version shows to be over ends with the first line since.

    While a subscription is paused nothing new is billed to it.
    """
    for line in line_items:
        is_paid = line.status == "paid" and line.amount_minor > 0
        if is_paid and _could_end_at(gap, line.start_s):
            return gap._replace(end_s=line.start_s, ended=line.evidence())
    return gap


def _until_resumed(gap: Interval, versions: Iterable[_DatedVersion]) -> Interval:
    """The same for paused collection: it ends at the last ``resumes_at`` shown."""
    inside = [each.subscription for each in versions if gap.covers(each.at_s)]
    resumes = [s.pause_collection.resumes_at for s in inside if s.pause_collection]
    at_s = resumes[-1] if resumes else None
    if at_s is None or not _could_end_at(gap, at_s):
        return gap
    proof = Evidence("subscription", inside[-1].id, at_s, "collection resumes")
    return gap._replace(end_s=at_s, ended=(proof,))


def _could_end_at(gap: Interval, at_s: int) -> bool:
    is_seen_late = all(proof.kind != "event" for proof in gap.ended)
    return is_seen_late and gap.end_s is not None and gap.start_s < at_s < gap.end_s


def _withdrawn_cancellations(versions: Iterable[_DatedVersion]) -> list[Interval]:
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


def _bills_a_period(invoice: Invoice) -> bool:
    """Not only one-off items, or a change: those do not make its subscription past due."""
    parents = [line.parent for line in invoice.lines.data if line.parent is not None]
    details = [parent.subscription_item_details for parent in parents]
    return any(each is not None and not each.proration for each in details)


def _overdue(bills: Sequence[Invoice], grace_s: int) -> list[Interval]:
    """From ``grace_s`` after an invoice was due until it was settled or given up.

    Only the newest invoice makes a subscription past due: paying it settles the older.
    """
    gaps = []
    for invoice in bills:
        moments = invoice.status_transitions
        due_s = invoice.due_date or (moments.finalized_at if moments else None)
        if invoice.status not in ("open", "paid", "uncollectible") or due_s is None:
            continue
        ends = [moments.paid_at, moments.marked_uncollectible_at] if moments else []
        ends += [
            b.status_transitions.paid_at
            for b in bills
            if b.created > invoice.created and b.status_transitions
        ]
        paid_s = min((at_s for at_s in ends if at_s is not None), default=None)
        late_s = due_s + grace_s
        if paid_s is None or paid_s > late_s:
            began = (Evidence("invoice", invoice.id, late_s, "past due"),)
            ended = (Evidence("invoice", invoice.id, paid_s, "paid"),) if paid_s else ()
            gaps.append(Interval(late_s, paid_s, began, ended))
    return gaps
