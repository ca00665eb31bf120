"""The trials of a subscription, and of single items: time that costs nothing.

Comes in: what subscriptions and items say of themselves, and the free lines of earlier
trials. Goes out: the spans in which nothing counts.
"""

from collections.abc import Mapping, Sequence

from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.mrr.evidence.intervals import Interval
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion
from connector.mrr.pricing import interval_minor, tariff
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Price, Subscription


def trials(
    last: SubscriptionVersion, charges: Sequence[LineItem], prices: Mapping[str, Price]
) -> list[Interval]:
    """The trials: what the subscription says, and the free lines of earlier ones.

    In classic mode ``trial_start`` is the first trial and ``trial_end`` the last one's; a
    line that was charged in between shows that the trials were two.
    """
    now = last.subscription
    if now.trial_end is None and now.status != "trialing":
        return []
    periods: list[tuple[int, int | None]] = []
    paid = sorted(c.start_s for c in charges if c.is_regular and c.amount_minor > 0)
    if now.trial_end is not None:
        start_s = now.started_at if now.trial_start is None else now.trial_start
        between = [p for p in paid if start_s <= p < now.trial_end]
        is_running = now.status == "trialing"
        until_s = None if is_running else now.trial_end
        periods.append((start_s, between[0] if between else until_s))
    else:
        periods.append((now.started_at, None))
    for charge in charges:
        if now.trial_end is not None and _is_trial_line(charge, prices):
            cut = [p for p in paid if charge.start_s < p < charge.end_s]
            end_s = min([charge.end_s, *cut])
            if charge.start_s <= now.trial_end < end_s:
                end_s = now.trial_end  # ended early
            is_running = now.status == "trialing" and end_s > last.seen_s
            periods.append((charge.start_s, None if is_running else end_s))
    return [
        Interval(
            start, end, _trial(now, start, "trial"), _trial(now, end, "trial ended")
        )
        for start, end in periods
    ]


def _is_trial_line(charge: LineItem, prices: Mapping[str, Price]) -> bool:
    """A whole period for 0, although the price and the quantity are not 0."""
    if charge.amount_minor != 0 or not charge.is_regular:
        return False
    price = prices.get(charge.price)
    if price is None:
        return False
    try:
        return interval_minor(tariff(price, charge.currency), charge.quantity) > 0
    except Unvalued:
        return charge.quantity > 0  # a custom amount


def item_trials(
    sightings: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    charges: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> dict[str, list[Interval]]:
    """The trials of single items: what they say of themselves, and their free lines.

    Where the subscription has a trial of its own, its free lines are that one's.
    """
    seen = [s.subscription for s in sightings]
    seen += [e.subscription for e in events if e.subscription is not None]
    periods = {
        (i.id, i.current_trial.start_date, i.current_trial.end_date)
        for s in seen
        for i in s.items.data
        if i.current_trial is not None
    }
    if seen[len(sightings) - 1].trial_end is None:
        periods |= {
            (c.item, c.start_s, c.end_s)
            for c in charges
            if _is_trial_line(c, prices) and c.unit_amount_minor == 0
        }
    found: dict[str, list[Interval]] = {}
    for item, start_s, end_s in sorted(periods):
        paid = [
            c.start_s
            for c in charges
            if c.item == item and c.amount_minor > 0 and start_s < c.start_s < end_s
        ]
        until_s = min([end_s, *paid])  # ended early
        began = (Evidence("subscription_item", item, start_s, "trial"),)
        ended = (Evidence("subscription_item", item, until_s, "trial ended"),)
        found.setdefault(item, []).append(Interval(start_s, until_s, began, ended))
    return found


def _trial(
    subscription: Subscription, at_s: int | None, said: str
) -> tuple[Evidence, ...]:
    if at_s is None:
        return ()
    return (Evidence("subscription", subscription.id, at_s, said),)
