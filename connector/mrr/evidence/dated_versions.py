"""A subscription's versions and events → since when it was in which state.

Where nothing dates a pause, the time that was billed does: nothing new is billed to a
paused subscription.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import (
    SubscriptionVersion,
    versions_in,
    versions_without_event,
)
from connector.mrr.intervals import Instants, Interval
from connector.stripe_api.events import Event
from connector.stripe_api.objects import STATUSES, Subscription

DAY_S = 86_400
COUNTED = frozenset({"active", "past_due"})
UPDATED = "customer.subscription.updated"


class DatedVersion(NamedTuple):
    """A subscription as it was from ``at_s`` on, and what shows it.

    ``status_before`` is what an event tells of the instant just before; None: nothing.
    """

    at_s: int
    subscription: Subscription
    evidence: Evidence
    status_before: str | None = None

    @property
    def is_change(self) -> bool:
        """Whether an event tells that its status became so at that very instant."""
        return self.status_before not in (None, self.subscription.status)


def dated_versions(
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    line_items: Sequence[LineItem],
) -> list[DatedVersion]:
    """The versions that lists and events show, oldest first.

    In one second an event is the last word.
    """
    unexplained = versions_without_event(versions, events)
    counted = _counted(unexplained, events, line_items)
    dated, told = [], set()
    for event in events:
        if event.subscription is not None:
            proof = Evidence("event", event.id, event.created, event.type)
            at_s = _paused_at(event.subscription, event.created, counted)
            before = _status_before(event, event.subscription)
            dated.append(DatedVersion(at_s, event.subscription, proof, before))
            told.add((at_s, event.subscription.status))
    looks = []
    for seen_s, subscription in unexplained:
        at_s = _paused_at(subscription, seen_s, counted)
        if (at_s, subscription.status) not in told:  # else the event proves it
            kind = "observed" if at_s == seen_s else "subscription"
            proof = Evidence(kind, subscription.id, at_s, subscription.status)
            looks.append(DatedVersion(at_s, subscription, proof))
    found = sorted([*looks, *dated], key=lambda version: version.at_s)
    statuses = {version.subscription.status for version in found}
    return found if statuses <= STATUSES else _without_healed(found, versions[-1])


def _is_known(version: DatedVersion) -> bool:
    return version.subscription.is_of_known_status


def _without_healed(
    dated: Sequence[DatedVersion], newest: SubscriptionVersion
) -> list[DatedVersion]:
    """Without those of a status that nobody knew, but for the last ones.

    Once it has a known one, all is as if nothing had been, also where that began before
    the unknown one was seen: a pause is dated by what it says of itself.
    """
    if newest.subscription.is_of_known_status:
        return [each for each in dated if _is_known(each)]
    last = max((n for n, each in enumerate(dated) if _is_known(each)), default=-1)
    return [each for n, each in enumerate(dated) if n > last or _is_known(each)]


def _status_before(event: Event, now: Subscription) -> str | None:
    """An update that names no other status left it as it was."""
    if event.type != UPDATED:
        return event.previous.status
    return event.previous.status or now.status


def _counted(
    versions: Iterable[SubscriptionVersion],
    events: Iterable[Event],
    line_items: Iterable[LineItem],
) -> Instants:
    """When it is shown to have counted, or to have been billed; asked of pauses alone."""
    told = [event.subscription for event in events if event.subscription is not None]
    now = [version.subscription for version in versions]
    if not [each for each in (*now, *told) if each.status == "paused"]:
        return Instants(())
    shown = [*versions, *versions_in(events)]
    counted = [at_s for at_s, now in shown if now.status in COUNTED]
    return Instants(counted + [n.start_s for n in line_items if not n.credit])


def _paused_at(now: Subscription, seen_s: int, counted: Instants) -> int:
    """Since when it has been as it is shown: paused at ``transitioned_at``.

    A trial that ends without a way to pay pauses it at that very moment, unless a version
    shows that it counted since, or a line that it was billed, be it on a void invoice.
    """
    if now.status != "paused":
        return seen_s
    details = now.status_details.paused if now.status_details is not None else None
    at_s = (details.transitioned_at if details is not None else None) or seen_s
    trial_end = now.trial_end
    if trial_end is None or not trial_end <= at_s:
        return at_s
    return at_s if counted.any_in(trial_end, at_s) else trial_end


def gaps_while(
    versions: Iterable[DatedVersion], reason_of: Callable[[Subscription], object]
) -> list[Interval]:
    """From each version with a reason not to count to the next one without it.

    With another reason than before, another gap begins.
    """
    gaps: list[Interval] = []
    since: DatedVersion | None = None
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


def seen_to_count(versions: Iterable[DatedVersion]) -> Instants:
    """When versions show that it counted."""
    return Instants(
        version.at_s for version in versions if version.subscription.status in COUNTED
    )


def told_to_count(versions: Sequence[DatedVersion]) -> Instants:
    """The same, and what events show of the instant before them."""
    before = [each.at_s - 1 for each in versions if each.status_before in COUNTED]
    shown = [each.at_s for each in versions if each.subscription.status in COUNTED]
    return Instants(shown + before)


def is_seen_late(gap: Interval) -> bool:
    """Whether no event tells when the gap was over."""
    return gap.end_s is not None and all(proof.kind != "event" for proof in gap.ended)
