"""What the mirrored subscriptions and events say of ends and pauses.

Stripe's reason and feedback; never the free-text comment, which is not mirrored.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from msgspec import UnsetType

from connector.core.errors import UnknownStripeShape
from connector.core.losses import Cancellation
from connector.store.database import json_array, mirrors_of
from connector.stripe_api.decoding import Base, decode
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Subscription

T = TypeVar("T", bound=Base)
# Cancelled at once: Stripe takes both moments in one go.
AT_ONCE_S = 60

_SUBSCRIPTIONS = """
    SELECT id, body FROM stripe_subscriptions
    WHERE id IN (SELECT value FROM json_each(?))
"""
_EVENTS = """
    SELECT id, body FROM stripe_events WHERE id IN (SELECT value FROM json_each(?))
"""


def cancellations(
    connection: sqlite3.Connection, subscriptions: Collection[str]
) -> dict[str, Cancellation]:
    """Of those that have ended, or are to end; others are absent."""
    found = _everywhere(connection, _SUBSCRIPTIONS, [json_array(subscriptions)])
    return {
        key: _cancellation(now)
        for key, now in _read(found, Subscription)
        if now.ended_at is not None or now.canceled_at or now.status == "canceled"
    }


def _cancellation(now: Subscription) -> Cancellation:
    details = now.cancellation_details
    asked_s = now.canceled_at
    ended_s = now.ended_at
    if asked_s is not None and ended_s is not None and ended_s - asked_s < AT_ONCE_S:
        asked_s = None
    if isinstance(details, UnsetType):
        return Cancellation(asked_s=asked_s, is_read=False)
    if details is None:
        return Cancellation(asked_s=asked_s)
    return Cancellation(details.reason or None, details.feedback or None, asked_s)


def event_statuses(
    connection: sqlite3.Connection, events: Collection[str]
) -> dict[str, str]:
    """In which status those of the events that show a subscription show it."""
    rows = _everywhere(connection, _EVENTS, [json_array(events)])
    return {
        key: event.subscription.status
        for key, event in _read(rows, Event)
        if event.subscription is not None
    }


class PauseSeen(NamedTuple):
    """A subscription shown as paused; ``since_s`` is None where Stripe does not say it."""

    seen_s: int
    since_s: int | None
    is_failed_payment: bool


_VERSIONS = """
    SELECT id, seen_s, body FROM stripe_subscriptions
    WHERE id IN (SELECT value FROM json_each(:ids))
    UNION ALL SELECT subscription, seen_s, body FROM subscription_versions
    WHERE subscription IN (SELECT value FROM json_each(:ids))
"""
_EVENTS_OF = """
    SELECT id, body FROM stripe_events WHERE customer IN (
        SELECT customer FROM stripe_subscriptions
        WHERE id IN (SELECT value FROM json_each(?)))
"""


def pauses_seen(
    connection: sqlite3.Connection, subscriptions: Collection[str]
) -> dict[str, list[PauseSeen]]:
    """How each of them was seen paused, by looks and events, oldest first."""
    wanted = json_array(subscriptions)
    found: dict[str, list[PauseSeen]] = {key: [] for key in subscriptions}
    for key, seen_s, body in _everywhere(connection, _VERSIONS, {"ids": wanted}):
        for _, now in _read([(key, body)], Subscription):
            if now.status == "paused":
                found[key].append(PauseSeen(seen_s, now.paused_since, _is_failed(now)))
    for _, event in _read(_everywhere(connection, _EVENTS_OF, [wanted]), Event):
        shown = event.subscription
        if shown is not None and shown.status == "paused" and shown.id in found:
            is_failed = _is_failed(shown) or event.previous.status in _UNPAID
            since_s = shown.paused_since
            found[shown.id].append(PauseSeen(event.created, since_s, is_failed))
    return {key: sorted(own) for key, own in found.items()}


_UNPAID = frozenset({"past_due", "unpaid"})


def _is_failed(now: Subscription) -> bool:
    paused = now.status_details.paused if now.status_details is not None else None
    return paused is not None and paused.is_failed_payment


def _everywhere(
    connection: sqlite3.Connection, query: str, asked: Any
) -> Iterator[Any]:
    for mirror in mirrors_of(connection):
        yield from mirror.execute(query, asked)


def _read(rows: Iterable[tuple[str, bytes]], shape: type[T]) -> Iterator[tuple[str, T]]:
    """Without those that an older version kept and that do not fit any more."""
    for key, body in rows:
        with suppress(UnknownStripeShape):
            yield key, decode(body, shape)
