"""Subscription versions and free line items → the trials: intervals that cost nothing.

Those of a whole subscription, and those of single items.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf
from operator import attrgetter, itemgetter

from connector.core.dates import later
from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion
from connector.mrr.intervals import Instants, Interval
from connector.mrr.pricing import interval_minor, tariff
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
    paid = Instants(line.start_s for line in billed)
    start_s = now.started_at if now.trial_start is None else now.trial_start
    ends = {start_s: _cut(start_s - 1, now.trial_end, paid)}
    for line in line_items:
        if is_trial_line(line, prices):
            end_s = _cut(line.start_s, line.end_s, paid)
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


def _cut(after_s: int, end_s: int, paid: Instants) -> int:
    """Where something was paid before a trial's end, it ended with that."""
    paid_s = paid.first_after(after_s)
    return end_s if paid_s is None else min(end_s, paid_s)


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
    paid = sorted(
        (line.start_s, line.end_s)
        for line in line_items
        if line.status == "paid" and line.amount_minor > line.discounted_minor
    )
    paid_until_s = list(accumulate((end_s for _, end_s in paid), max))
    found: list[Interval] = []
    free_until_s: float = 0
    for trial in sorted(tried, key=lambda each: each.start_s):
        earlier = bisect_left(paid, trial.start_s, key=itemgetter(0))
        is_paid = earlier and trial.start_s <= paid_until_s[earlier - 1]
        if is_paid or trial.start_s <= free_until_s:
            found.append(trial)
            free_until_s = max(free_until_s, trial.end_s or inf)
    return found


class PaidTrials:
    """Trials in which what was paid before counts on; oldest first."""

    def __init__(self, trials: Sequence[Interval]) -> None:
        self._trials = trials
        self._until_s = list(accumulate((each.end_s or inf for each in trials), max))
        self._paid_s: list[int] = []  # of each trial, the instant before it
        for trial in trials:
            self._paid_s.append(self.as_of(trial.start_s - 1))

    def as_of(self, at_s: int) -> int:
        """The instant that says what is paid: in a trial, the last one before it."""
        known = len(self._paid_s)
        if not known:
            return at_s
        place = bisect_right(self._trials, at_s, hi=known, key=attrgetter("start_s"))
        while place and at_s < self._until_s[place - 1]:
            place -= 1
            if self._trials[place].covers(at_s):
                return self._paid_s[place]
        return at_s


def _trial(now: Subscription, start_s: int, end_s: int | None) -> Interval:
    began = (Evidence("subscription", now.id, start_s, "trial"),)
    if end_s is None:
        return Interval(start_s, None, began, ())
    ended = (Evidence("subscription", now.id, end_s, "trial ended"),)
    return Interval(start_s, end_s, began, ended)


def is_trial_line(line: LineItem, prices: Mapping[str, Price]) -> bool:
    """A period for 0, although the price and the quantity are not 0.

    Nor is it so short that it costs less than half a cent.
    """
    if line.amount_minor != 0 or not line.is_regular:
        return False
    price = prices.get(line.price)
    if price is None:
        return False
    try:
        rate = tariff(price, line.currency)
    except Unvalued:
        return line.quantity > 0  # a custom amount
    whole_s = later(line.start_s, rate.interval, rate.interval_count) - line.start_s
    full_minor = interval_minor(rate, line.quantity)
    return 2 * full_minor * min(line.end_s - line.start_s, whole_s) >= whole_s


def item_trials(
    now: Subscription,
    versions: Iterable[SubscriptionVersion],
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> dict[str, list[Interval]]:
    """The trials of single items: what all versions say of them, and their free lines.

    Where the subscription has a trial of its own, its free lines are that one's.
    """
    periods = {
        (item.id, item.current_trial.start_date, item.current_trial.end_date)
        for version in versions
        for item in version.subscription.items.data
        if item.current_trial is not None
    }
    if now.trial_end is None:
        periods |= {
            (line.item, line.start_s, line.end_s)
            for line in line_items
            if not line.amount_minor and line.unit_amount_minor is not None
            if is_trial_line(line, prices)
        }
    found: dict[str, list[Interval]] = {}
    if not periods:
        return found
    paid: defaultdict[str, list[int]] = defaultdict(list)
    for line in line_items:
        if line.amount_minor > 0:
            paid[line.item].append(line.start_s)
    paid_at = {item: Instants(own) for item, own in paid.items()}
    for item, start_s, end_s in sorted(periods):
        until_s = _cut(start_s, end_s, paid_at.get(item, Instants(())))  # ended early
        began = (Evidence("subscription_item", item, start_s, "trial"),)
        ended = (Evidence("subscription_item", item, until_s, "trial ended"),)
        found.setdefault(item, []).append(Interval(start_s, until_s, began, ended))
    return found
