"""Versions and events → whole subscriptions as shown, and which items may be gone then.

Thousands of items may have made way for others, one after the other. Each view lacks all
of them; only the first says something new.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from connector.core.model import Evidence
from connector.mrr.history import SubscriptionVersion, versions_without_event
from connector.stripe_api.decoding import ListOf
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Subscription, SubscriptionItem

_AT = itemgetter(0)


class SubscriptionView(NamedTuple):
    """All items that were shown at an instant, and those that differed just before it."""

    at_s: int
    items: Sequence[SubscriptionItem]
    before: Sequence[SubscriptionItem]
    is_ended: bool
    proof: Evidence

    @property
    def tells_who_left(self) -> bool:
        return bool(self.items) and not self.is_ended


def views_by_event(events: Iterable[Event]) -> Iterator[SubscriptionView]:
    """Of a list of items that is cut off an event shows nothing but what differed."""
    for event in events:
        if event.subscription is not None:
            before = event.previous.items or ListOf[SubscriptionItem]()
            items = event.subscription.items
            yield SubscriptionView(
                event.created,
                () if items.has_more else items.data,
                before.data,
                _is_ended(event.subscription, event.created),
                Evidence("event", event.id, event.created, event.type),
            )


def views_by_look(
    versions: Iterable[SubscriptionVersion], events: Iterable[Event]
) -> Iterator[SubscriptionView]:
    for seen_s, shown in versions_without_event(versions, events):
        proof = Evidence("observed", shown.id, seen_s)
        is_ended = _is_ended(shown, seen_s)
        yield SubscriptionView(seen_s, shown.items.data, (), is_ended, proof)


def _is_ended(shown: Subscription, at_s: int) -> bool:
    return shown.ended_at is not None and shown.ended_at <= at_s


def asked_since(
    billed: Mapping[str, Iterable[int]],
    views: Sequence[SubscriptionView],
    started_s: int,
) -> list[tuple[int, str]]:
    """From when on it matters that a view lacks an item: instants with items, in order.

    These are all at which its beginning or a fact of it is dated or was known: those of
    its lines (``billed``) and views, the subscription's start, its own creation.
    """
    telling = [{it.id for it in view.items} for view in views if view.tells_who_left]
    if not telling:
        return []
    never_left = set.intersection(*telling)
    asked: defaultdict[str, set[int]] = defaultdict(lambda: {0, started_s})
    for item, own in billed.items():
        if item not in never_left:
            asked[item].update(own)
    for view in views:
        for it in (*view.items, *view.before):
            if it.id not in never_left:
                asked[it.id] |= {view.at_s, it.created or 0}
    return sorted((at_s, item) for item, own in asked.items() for at_s in own)


def with_items_left(
    views: Iterable[SubscriptionView], asked: Sequence[tuple[int, str]]
) -> Iterator[tuple[SubscriptionView, set[str]]]:
    """Each view with the items that it may be the first to lack since they were asked for.

    That is since the instant of the view before: what was asked for then, may go now.
    """
    before_s = last_s = 0
    for view in views:
        left: set[str] = set()
        if asked and view.tells_who_left:
            if view.at_s != last_s:
                before_s, last_s = last_s, view.at_s
            since = bisect_left(asked, before_s, key=_AT)
            until = bisect_right(asked, view.at_s, key=_AT)
            left = {item for _, item in asked[since:until]}
            left -= {item.id for item in view.items}
        yield view, left
