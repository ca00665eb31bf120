"""Subscription versions and free line items → the trials: intervals that cost nothing.

Those of a whole subscription, and those of single items.
"""

from collections.abc import Iterable, Mapping, Sequence

from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion, versions_in
from connector.mrr.intervals import Interval
from connector.mrr.pricing import interval_minor, tariff
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Price, Subscription


def trials(
    last: SubscriptionVersion,
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> list[Interval]:
    """The trials: what the subscription says, and the free lines of earlier ones.

    In classic mode ``trial_start`` is the first trial and ``trial_end`` the last one's; a
    line that was paid in between shows that the trials were two. No line need show that
    the last one was put off, or that it was given for nothing.
    """
    now = last.subscription
    if now.trial_end is None and now.status != "trialing":
        return []
    if now.trial_end is None:
        return [_trial(now, now.started_at, None)]
    billed = [n for n in line_items if n.amount_minor > 0 and not n.credit]
    paid = sorted(line.start_s for line in billed)
    start_s = now.started_at if now.trial_start is None else now.trial_start
    between = [p for p in paid if start_s <= p < now.trial_end]
    ends = {start_s: between[0] if between else now.trial_end}
    for line in line_items:
        if is_trial_line(line, prices):
            cut = [p for p in paid if line.start_s < p < line.end_s]
            end_s = min([line.end_s, *cut])
            if line.start_s <= now.trial_end < end_s:
                end_s = now.trial_end  # ended early
            ends[line.start_s] = max(end_s, ends.get(line.start_s, 0))
    latest_s = _latest_began_s(ends, billed, now.trial_end)
    if latest_s < now.trial_end:
        ends[latest_s] = max(now.trial_end, ends.get(latest_s, 0))
    if now.status != "trialing":
        return [_trial(now, *span) for span in ends.items()]
    until_s = min(now.trial_end, last.seen_s + 1)
    return [
        _trial(now, at_s, None if end_s >= until_s else end_s)
        for at_s, end_s in ends.items()
    ]


def _latest_began_s(
    starts: Iterable[int], billed: Iterable[LineItem], trial_end: int
) -> int:
    """With the last free line, or where what was billed since then ends."""
    free_s = max((at_s for at_s in starts if at_s < trial_end), default=trial_end)
    since = [line.end_s for line in billed if free_s <= line.start_s < trial_end]
    return max(since, default=free_s)


def trials_after_paying(
    tried: Iterable[Interval], line_items: Sequence[LineItem]
) -> list[Interval]:
    """Those trials until which was paid: for the time up to them, or on to them."""
    paid = [
        (line.start_s, line.end_s)
        for line in line_items
        if line.status == "paid" and line.amount_minor > line.discounted_minor
    ]
    found: list[Interval] = []
    for trial in sorted(tried, key=lambda each: each.start_s):
        earlier = ((each.start_s, each.end_s or trial.start_s) for each in found)
        if any(begun_s < trial.start_s <= end_s for begun_s, end_s in paid) or any(
            begun_s <= trial.start_s <= end_s for begun_s, end_s in earlier
        ):
            found.append(trial)
    return found


def _trial(now: Subscription, start_s: int, end_s: int | None) -> Interval:
    began = (Evidence("subscription", now.id, start_s, "trial"),)
    if end_s is None:
        return Interval(start_s, None, began, ())
    ended = (Evidence("subscription", now.id, end_s, "trial ended"),)
    return Interval(start_s, end_s, began, ended)


def is_trial_line(line: LineItem, prices: Mapping[str, Price]) -> bool:
    """A whole period for 0, although the price and the quantity are not 0."""
    if line.amount_minor != 0 or not line.is_regular:
        return False
    price = prices.get(line.price)
    if price is None:
        return False
    try:
        return interval_minor(tariff(price, line.currency), line.quantity) > 0
    except Unvalued:
        return line.quantity > 0  # a custom amount


def item_trials(
    versions: Sequence[SubscriptionVersion],
    events: Sequence[Event],
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> dict[str, list[Interval]]:
    """The trials of single items: what they say of themselves, and their free lines.

    Where the subscription has a trial of its own, its free lines are that one's.
    """
    periods = {
        (item.id, item.current_trial.start_date, item.current_trial.end_date)
        for version in (*versions, *versions_in(events))
        for item in version.subscription.items.data
        if item.current_trial is not None
    }
    if versions[-1].subscription.trial_end is None:
        periods |= {
            (line.item, line.start_s, line.end_s)
            for line in line_items
            if line.unit_amount_minor is not None and is_trial_line(line, prices)
        }
    found: dict[str, list[Interval]] = {}
    for item, start_s, end_s in sorted(periods):
        paid = [
            line.start_s
            for line in line_items
            if line.item == item
            and line.amount_minor > 0
            and start_s < line.start_s < end_s
        ]
        until_s = min([end_s, *paid])  # ended early
        began = (Evidence("subscription_item", item, start_s, "trial"),)
        ended = (Evidence("subscription_item", item, until_s, "trial ended"),)
        found.setdefault(item, []).append(Interval(start_s, until_s, began, ended))
    return found
