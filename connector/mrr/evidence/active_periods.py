"""When a subscription counts: from its start (or the end of its trial) to its end.

Comes in: a subscription's sightings, events and charges. Goes out: the spans of time in
which its status makes it recurring revenue under the policy, each with the evidence of
both ends.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from connector.core.model import Evidence
from connector.core.policy import Policy
from connector.mrr.evidence.intervals import Interval, without
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.trials import trials
from connector.mrr.history import SubscriptionVersion, unexplained
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Invoice, Price, Subscription, ref

DAY_S = 86_400
_NEVER_BEGAN = frozenset({"incomplete", "incomplete_expired"})


def active_periods(
    sightings: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    charges: Sequence[LineItem],
    invoices: Sequence[Invoice],
    prices: Mapping[str, Price],
    policy: Policy,
) -> list[Interval]:
    """The time in which the subscription counts, oldest first, without overlaps."""
    current = sightings[-1].subscription
    if current.status in _NEVER_BEGAN:
        return []
    end_s, ended = _end(sightings[-1], policy)
    start_s = current.started_at
    if end_s is not None and end_s <= start_s:
        return []
    began = (Evidence("subscription", current.id, start_s, "started"),)
    life = Interval(start_s, end_s, began, ended)
    gaps = trials(sightings[-1], charges, prices)
    looks = _looks(sightings, events, charges)
    gaps += _idle(looks, lambda s: s.status == "unpaid")
    paused = _idle(looks, _pause)
    gaps += [_until_billed(gap, charges) for gap in paused]
    if policy.churn_when_requested:
        gaps += _taken_back(looks)
    if not policy.pause_collection_counts:
        stopped = _idle(looks, lambda s: s.pause_collection is not None)
        gaps += [_until_agreed(gap, looks) for gap in stopped]
    if policy.past_due_days is not None:
        bills = [invoice for invoice in invoices if _bills_a_period(invoice)]
        late = _overdue(bills, policy.past_due_days * DAY_S)
        is_active = current.status == "active"  # then nothing open makes it past due
        gaps += [gap for gap in late if gap.end_s is not None or not is_active]
    return without(life, gaps)


def _end(
    last: SubscriptionVersion, policy: Policy
) -> tuple[int | None, tuple[Evidence, ...]]:
    """When it ended, or with churn = "requested" when ending it was asked for."""
    seen_s, now = last
    end_s = now.ended_at
    said = "ended"
    if end_s is None and now.status == "canceled":
        end_s = now.canceled_at or seen_s
    if policy.churn_when_requested and now.canceled_at is not None:
        end_s = now.canceled_at if end_s is None else min(end_s, now.canceled_at)
        said = "cancellation requested"
    if end_s is None:
        return None, ()
    return end_s, (Evidence("subscription", now.id, end_s, said),)


class _SeenStatus(NamedTuple):
    at_s: int
    subscription: Subscription
    evidence: Evidence


def _looks(
    sightings: Iterable[SubscriptionVersion],
    events: Sequence[Event],
    charges: Sequence[LineItem],
) -> list[_SeenStatus]:
    """Every moment at which the subscription's state is known, oldest first.

    In one second an event is the last word.
    """
    looks = []
    for seen_s, subscription in unexplained(sightings, events):
        at_s = _paused_at(subscription, seen_s, charges)
        kind = "observed" if at_s == seen_s else "subscription"
        proof = Evidence(kind, subscription.id, at_s, subscription.status)
        looks.append(_SeenStatus(at_s, subscription, proof))
    for event in events:
        if event.subscription is not None:
            proof = Evidence("event", event.id, event.created, event.type)
            at_s = _paused_at(event.subscription, event.created, charges)
            looks.append(_SeenStatus(at_s, event.subscription, proof))
    return sorted(looks, key=lambda look: look.at_s)


def _paused_at(now: Subscription, seen_s: int, charges: Iterable[LineItem]) -> int:
    """Since when it has been as it is seen: paused at ``transitioned_at``.

    A trial that ends without a way to pay pauses it at that very moment.
    """
    if now.status != "paused":
        return seen_s
    details = now.status_details.paused if now.status_details is not None else None
    at_s = (details.transitioned_at if details is not None else None) or seen_s
    trial_end = now.trial_end
    if trial_end is None or not trial_end <= at_s:
        return at_s
    paid = (c.start_s for c in charges if c.is_regular and c.amount_minor > 0)
    return at_s if any(trial_end <= p < at_s for p in paid) else trial_end


def _idle(
    looks: Iterable[_SeenStatus], idleness: Callable[[Subscription], object]
) -> list[Interval]:
    """From each look that shows it idle to the next one that does not.

    Idle in another way than before (``idleness``) is idle anew.
    """
    gaps: list[Interval] = []
    since: _SeenStatus | None = None
    for look in looks:
        if look.subscription.ended_at is not None:
            continue
        found = idleness(look.subscription)
        if since is not None and found != idleness(since.subscription):
            began, ended = (since.evidence,), (look.evidence,)
            gaps.append(Interval(since.at_s, look.at_s, began, ended))
            since = None
        if found:
            since = since or look
    if since is not None:
        gaps.append(Interval(since.at_s, None, (since.evidence,), ()))
    return gaps


def _pause(subscription: Subscription) -> object:
    """Which pause it is in: the one that began then; False where it is not paused."""
    details = subscription.status_details
    return subscription.status == "paused" and (details or True)


def _until_billed(gap: Interval, charges: Iterable[LineItem]) -> Interval:
    """A pause that only a look saw to be over ends with the first charge since.

    While a subscription is paused nothing new is billed to it.
    """
    for charge in charges:
        is_paid = charge.status == "paid" and charge.amount_minor > 0
        if is_paid and _could_end_at(gap, charge.start_s):
            return gap._replace(end_s=charge.start_s, ended=charge.evidence())
    return gap


def _until_agreed(gap: Interval, looks: Iterable[_SeenStatus]) -> Interval:
    """The same for paused collection: it ends when it last said that it would."""
    inside = [look.subscription for look in looks if gap.covers(look.at_s)]
    agreed = [s.pause_collection.resumes_at for s in inside if s.pause_collection]
    at_s = agreed[-1] if agreed else None
    if at_s is None or not _could_end_at(gap, at_s):
        return gap
    proof = Evidence("subscription", inside[-1].id, at_s, "collection resumes")
    return gap._replace(end_s=at_s, ended=(proof,))


def _could_end_at(gap: Interval, at_s: int) -> bool:
    is_seen_late = all(proof.kind != "event" for proof in gap.ended)
    return is_seen_late and gap.end_s is not None and gap.start_s < at_s < gap.end_s


def _taken_back(looks: Iterable[_SeenStatus]) -> list[Interval]:
    """From each request to cancel to the look that shows that it was taken back."""
    gaps: list[Interval] = []
    asked_s: int | None = None
    for look in looks:
        now = look.subscription
        if now.canceled_at is not None:
            asked_s = now.canceled_at if asked_s is None else asked_s
        elif asked_s is not None:
            began = Evidence("subscription", now.id, asked_s, "cancellation requested")
            gaps.append(Interval(asked_s, look.at_s, (began,), (look.evidence,)))
            asked_s = None
    return gaps


def _bills_a_period(invoice: Invoice) -> bool:
    """Not only one-off items, or a change: those do not make its subscription past due."""
    parents = [line.parent for line in invoice.lines.data if line.parent is not None]
    details = [parent.subscription_item_details for parent in parents]
    return any(each is not None and not each.proration for each in details)


def _overdue(invoices: Iterable[Invoice], grace_s: int) -> list[Interval]:
    """From ``grace_s`` after an invoice was due until it was settled or given up.

    Only the newest invoice makes a subscription past due: paying it settles the older.
    """
    gaps = []
    bills = list(invoices)
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


def names(invoice: Invoice, subscription: str) -> bool:
    """Whether the invoice bills the subscription."""
    details = invoice.parent.subscription_details if invoice.parent else None
    return details is not None and ref(details.subscription) == subscription
