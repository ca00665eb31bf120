"""What a subscription was billed for → the pauses that nobody watched.

All items were billed for no time, for more than a day, between the end of one period (or
of a trial) and the start of the next: then nothing was owed, and it counted 0. An active
subscription would have been billed, be it by a draft or a void invoice
(docs/definitions.md, How it dates a change).
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter

from connector.core.dates import instant, later, next_period
from connector.core.model import Evidence
from connector.mrr.evidence.billed_times import (
    ENDLESS_S,
    BilledTime,
    BilledTimes,
    Prices,
    billed_until,
    cycle_of,
    trial_end_s,
)
from connector.mrr.evidence.dated_versions import DAY_S, DatedVersion, told_to_count
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem, draft_lines
from connector.mrr.intervals import Interval
from connector.mrr.pricing import is_metered
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Subscription


def unbilled_pauses(
    dated: Sequence[DatedVersion],
    line_items: Sequence[LineItem],
    invoices: Iterable[Invoice],
    trials: Sequence[Interval],
    prices: Prices,
    end_s: int | None,
) -> list[Interval]:
    """The pauses that only what was billed shows; ``end_s`` is the subscription's end.

    Where a version or a credit shows it in force meanwhile, it was: a change without
    prorations may leave time unbilled. Most subscriptions have none, and cost one look
    at each line.
    """
    if _is_covered(line_items, trials, end_s):
        return []
    billed = BilledTimes([*line_items, *draft_lines(invoices)], trials, prices)
    added = {i.id: i.created for v in dated for i in v.subscription.items.data}
    current = {i.id for i in dated[-1].subscription.items.data} if dated else set()
    found = [
        _between(before, after)
        for before, after in _neighbours(billed)
        if _is_pause(before, after, billed)
        and not billed.is_unfinished(before[0].end_s, after[0].start_s)
        and not _is_of_new_items(before, after, billed, added, current)
        and not _is_waited_for(before, after, billed, {i: added[i] for i in current})
    ]
    if end_s is not None and dated and billed.all:
        found += _before_the_end(billed, dated[-1].subscription, end_s)
    if not found:
        return []
    counted, credited = told_to_count(dated), _CreditedTime(line_items)
    return [
        gap
        for gap in found
        if not counted.any_in(gap.start_s + 1, gap.end_s) and not credited.is_in(gap)
    ]


class _CreditedTime:
    """When what credits take back was in force: they are in order of time.

    It was so just before, hence also where a gap ends; and all the time since it was
    billed: a resumption would have billed it again.
    """

    def __init__(self, line_items: Iterable[LineItem]) -> None:
        self._credits = list(_credits(line_items))
        since_s = (each_s for _, each_s in reversed(self._credits))
        self._since_s = list(accumulate(since_s, min))[::-1]  # of it and all later ones

    def is_in(self, gap: Interval) -> bool:
        place = bisect_right(self._credits, gap.start_s, key=itemgetter(0))
        if place == len(self._credits):
            return False
        return gap.end_s is None or self._since_s[place] <= gap.end_s


def _credits(line_items: Iterable[LineItem]) -> Iterator[tuple[int, int]]:
    """When something was taken back, and the first instant after it was last billed."""
    billed_s: defaultdict[str, list[int]] = defaultdict(list)
    for line in line_items:
        own = billed_s[line.item]
        if line.credit:
            place = bisect_left(own, line.start_s)
            yield line.start_s, own[place - 1] + 1 if place else line.start_s
        else:
            own.append(line.start_s)


def _is_covered(
    line_items: Sequence[LineItem], trials: Iterable[Interval], end_s: int | None
) -> bool:
    """Whether bills and trials leave no time between them, nor before the end."""
    spans = [(line.start_s, until_s) for line, until_s in billed_until(line_items)]
    spans += [(trial.start_s, trial_end_s(trial)) for trial in trials]
    spans.sort()
    covered_s = 0
    for start_s, until_s in spans:
        if until_s > covered_s:
            if covered_s and start_s > covered_s + DAY_S:
                return False
            covered_s = until_s
    return end_s is None or end_s <= covered_s + DAY_S


def _neighbours(
    billed: BilledTimes,
) -> Iterator[tuple[list[BilledTime], list[BilledTime]]]:
    """What ends where unbilled time begins, and what begins where that ends."""
    last: list[BilledTime] = []
    for place, each in enumerate(billed.all):
        covered_s = last[0].end_s if last else each.start_s
        if each.start_s > covered_s + DAY_S:
            if _begins_nothing(each, billed):
                continue
            yield last, billed.beginning_at(place)
        if not last or each.end_s > covered_s:
            last = [each]
        elif each.end_s == covered_s:
            last.append(each)


def _begins_nothing(each: BilledTime, billed: BilledTimes) -> bool:
    """Never due, and no next period: nobody paid to go on."""
    next_s = billed.due.first_after(each.start_s)
    return not each.is_due and (next_s is None or next_s < each.end_s)


def _is_pause(
    before: Sequence[BilledTime],
    after: Sequence[BilledTime],
    billed: BilledTimes,
) -> bool:
    """Not what a change without prorations left unbilled.

    A trial moves the anchor: before it, whatever is billed next at another interval may
    have been left so.
    """
    known, start_s = {each.cycle for each in before}, after[0].start_s
    if any(each.cycle is None for each in after):
        following = (c for c, at_s in billed.last_s.items() if at_s > start_s)
        return None in known or known.issuperset(following)
    licensed = [each for each in after if not each.is_metered]
    last = {each.item: billed.last_of(each.item, start_s) for each in licensed}
    is_moved = any(
        _went_on([*before, last[each.item] or before[0]], each)
        for each in licensed
        if not known.issuperset({each.cycle, (last[each.item] or each).cycle})
    )
    is_used = all(_is_used(last[each.item], start_s) for each in licensed)
    return bool(licensed) and not is_used and (None in known or not is_moved)


def _is_used(before: BilledTime | None, until_s: int) -> bool:
    """Whether it was metered, and the bill of what was used since was not due then."""
    if before is None or not before.is_metered or before.cycle is None:
        return False
    return until_s <= later(before.end_s, *before.cycle)


def _is_of_new_items(
    before: Sequence[BilledTime],
    after: Sequence[BilledTime],
    billed: BilledTimes,
    added: Mapping[str, int],
    current: Iterable[str],
) -> bool:
    """Whether only new items begin, as no resumption would have it.

    One was added without prorations and waited for its first bill, or an older item is
    there yet or was billed later: that would have been billed, too.
    """
    start_s, end_s = before[0].end_s, after[0].start_s
    new = {each.item for each in after if each.item}
    if not new or any(billed.first_s[item] < end_s for item in new):
        return False  # or a trial of the subscription begins
    waited = (added.get(item, start_s) <= start_s + SAME_REQUEST_S for item in new)
    is_there = any(billed.first_s.get(item, end_s) < end_s for item in current)
    return any(waited) or is_there or billed.goes_on.covers(end_s)


def _is_waited_for(
    before: Sequence[BilledTime],
    after: Sequence[BilledTime],
    billed: BilledTimes,
    added: Mapping[str, int],
) -> bool:
    """Whether a change gave back what was billed, and an item waits for its bill yet.

    It was added without prorations, and no period of its own began meanwhile; a resumption
    would have billed it, too.
    """
    start_s, end_s = before[0].end_s, after[0].start_s
    is_given_back = all(
        isinstance(each.shown_by, LineItem) and each.end_s < each.shown_by.end_s
        for each in before
    )
    waiting = [(i, at_s) for i, at_s in added.items() if at_s < end_s]
    firsts = ((billed.first_of(item), max(start_s, at_s)) for item, at_s in waiting)
    return is_given_back and any(
        first is None or (end_s < first.start_s and _began_by(first, end_s) <= since_s)
        for first, since_s in firsts
    )


def _began_by(each: BilledTime, by_s: int) -> int:
    """When the last period of its cycle began by then, counted from the one billed."""
    shown, cycle = each.shown_by, each.cycle
    if not isinstance(shown, LineItem) or cycle is None or not cycle[1]:
        return 0
    interval, count = cycle
    at_s = shown.start_s if shown.is_regular else later(shown.end_s, interval, -count)
    while at_s > by_s:
        at_s = later(at_s, interval, -count)
    return at_s


def _went_on(before: Sequence[BilledTime], after: BilledTime) -> bool:
    """Whether it may have been moved to another interval without being billed for it.

    Its first billed period begins where that interval's current one ended, counted from
    the same anchor, which a pause moves to its end.
    """
    assert after.cycle is not None
    interval, count = after.cycle
    is_current = later(after.start_s, interval, -count) <= before[0].end_s
    return is_current and any(
        _is_aligned(at_s, after.start_s, in_months=each.in_months and after.in_months)
        for each in before
        for at_s in (each.start_s, each.end_s)
    )


def _is_aligned(early_s: int, late_s: int, *, in_months: bool) -> bool:
    """Whether both may begin a period of one anchor: the time, and the day of the month."""
    if not in_months:
        return early_s % DAY_S == late_s % DAY_S
    early, late = instant(early_s), instant(late_s)
    count = (late.year - early.year) * 12 + late.month - early.month
    is_later = later(early_s, "month", count) == late_s
    return is_later or later(late_s, "month", -count) == early_s


def _between(before: Sequence[BilledTime], after: Sequence[BilledTime]) -> Interval:
    proof = [evidence for each in after for evidence in each.began]
    ended = tuple(dict.fromkeys(proof))
    return Interval(before[0].end_s, after[0].start_s, _ends(before), ended)


def _ends(before: Iterable[BilledTime]) -> tuple[Evidence, ...]:
    return tuple(dict.fromkeys(proof for each in before for proof in each.ended))


def _before_the_end(
    billed: BilledTimes, last: Subscription, end_s: int
) -> Iterator[Interval]:
    """From the last billed time to the end, where it would have been billed again.

    Not where all items are of another interval by now, whose time may not be over.
    """
    covered_s = max(each.end_s for each in billed.all)
    before = [each for each in billed.all if each.end_s == covered_s]
    licensed = [item for item in last.items.data if not is_metered(item.price)]
    known = {each.item: each.cycle for each in billed.all}
    is_due = any(each.cycle is None for each in before) or any(
        known.get(item.id, ("", 0)) in (None, cycle)
        or _due_again_s(covered_s, cycle, last.billing_cycle_anchor) < end_s
        for item, cycle in ((item, cycle_of(item.price)) for item in licensed)
    )
    is_over = end_s > covered_s + DAY_S and not billed.is_unfinished(covered_s, end_s)
    if licensed and is_due and is_over:
        yield Interval(covered_s, end_s, _ends(before), ())


def _due_again_s(covered_s: int, cycle: tuple[str, int], anchor_s: int | None) -> int:
    """When it was billed at this interval at the latest, whenever it was moved to it."""
    interval, count = cycle
    if not count:
        return ENDLESS_S
    if anchor_s is None:  # in a copy that was stored before this was read
        return later(covered_s, interval, count)
    return next_period(anchor_s, interval, count, covered_s)
