"""The dated versions of a subscription → the pauses that they show.

Those of the subscription, and those of its collection. What nobody watched,
``unbilled`` finds.
"""

from collections.abc import Iterable, Sequence

from connector.core.model import Evidence
from connector.mrr.evidence.dated_versions import (
    DAY_S,
    DatedVersion,
    gaps_while,
    is_seen_late,
    last_counted_s,
)
from connector.mrr.evidence.intervals import Interval
from connector.mrr.evidence.line_items import LineItem
from connector.stripe_api.objects import Subscription


def seen_pauses(
    dated: Sequence[DatedVersion], line_items: Sequence[LineItem]
) -> list[Interval]:
    """The pauses that versions and events show."""
    found = gaps_while(dated, _pause_of)
    return [
        _until_billed(_since_billed(gap, dated, line_items), line_items)
        for gap in found
    ]


def _pause_of(subscription: Subscription) -> object:
    """Which pause it is in: the one that began then; False where it is not paused."""
    details = subscription.status_details
    return subscription.status == "paused" and (details or True)


def _since_billed(
    gap: Interval, dated: Sequence[DatedVersion], line_items: Iterable[LineItem]
) -> Interval:
    """A pause that does not say since when it is one began with the unbilled time."""
    if any(proof.kind != "observed" for proof in gap.began):
        return gap
    billed = [n for n in line_items if not n.credit and n.start_s < gap.start_s]
    last = max(billed, key=lambda line: line.end_s, default=None)
    if last is None or last.end_s + DAY_S >= gap.start_s:
        return gap
    if last.end_s < last_counted_s(dated, gap.start_s):
        return gap
    return gap._replace(start_s=last.end_s, began=last.evidence())


def _until_billed(gap: Interval, line_items: Iterable[LineItem]) -> Interval:
    """A pause that only a version shows to be over ends with the first line since.

    While a subscription is paused nothing new is billed to it.
    """
    if not is_seen_late(gap):
        return gap
    for line in line_items:
        is_paid = line.status == "paid" and line.amount_minor > 0
        if is_paid and gap.holds(line.start_s):
            return gap._replace(end_s=line.start_s, ended=line.evidence())
    return gap


def stopped_collections(dated: Sequence[DatedVersion]) -> list[Interval]:
    """The time of ``pause_collection``: it ends at the last ``resumes_at`` shown."""
    found = gaps_while(dated, lambda s: s.pause_collection is not None)
    return [_until_resumed(gap, dated) for gap in found]


def _until_resumed(gap: Interval, dated: Iterable[DatedVersion]) -> Interval:
    inside = [each.subscription for each in dated if gap.covers(each.at_s)]
    resumes = [s.pause_collection.resumes_at for s in inside if s.pause_collection]
    at_s = resumes[-1] if resumes else None
    if at_s is None or not is_seen_late(gap) or not gap.holds(at_s):
        return gap
    proof = Evidence("subscription", inside[-1].id, at_s, "collection resumes")
    return gap._replace(end_s=at_s, ended=(proof,))
