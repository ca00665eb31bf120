"""What a subscription was billed for → the pauses that nobody watched.

All items were billed for no time, for more than a day, between the end of one period (or
of a trial) and the start of the next: then nothing was owed, and it counted 0. An active
subscription would have been billed, be it by a draft or a void invoice
(docs/definitions.md, How it dates a change).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple

from connector.core.dates import instant, later, next_period
from connector.core.model import Evidence
from connector.mrr.evidence.dated_versions import DAY_S, DatedVersion, is_contradicted
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem, draft_lines
from connector.mrr.evidence.trials import is_trial_line
from connector.mrr.intervals import Interval
from connector.mrr.pricing import MONTHS_FACTOR, is_metered
from connector.stripe_api.invoices import NOT_DUE, Invoice
from connector.stripe_api.objects import Price, Subscription

Prices = Mapping[str, Price]
_ENDLESS_S = 1 << 40
IN_ORDER = attrgetter("start_s", "known_s")


class BilledTime(NamedTuple):
    """The time that a line bills, or a trial takes, which ``shown_by`` shows.

    ``cycle`` is the price's interval and count: ("month", 3); None for a trial, also one
    that a free line bills.
    """

    start_s: int
    end_s: int
    item: str
    cycle: tuple[str, int] | None
    shown_by: LineItem | Interval
    is_regular: bool = False  # and not shortened by a credit
    is_due: bool = True
    is_metered: bool = False

    @property
    def began(self) -> tuple[Evidence, ...]:
        shown = self.shown_by
        return shown.evidence() if isinstance(shown, LineItem) else shown.began

    @property
    def ended(self) -> tuple[Evidence, ...]:
        shown = self.shown_by
        return shown.evidence() if isinstance(shown, LineItem) else shown.ended

    @property
    def in_months(self) -> bool:
        return self.cycle is not None and self.cycle[0] in ("month", "year")

    @property
    def whole_end_s(self) -> int:
        """Where its period ends, had no end that was set for a while shortened it."""
        if not self.is_regular or self.cycle is None:
            return self.end_s
        end_s = later(self.start_s, *self.cycle)
        is_clipped = self.in_months and instant(self.start_s + DAY_S).day == 1
        if is_clipped:  # at a month's end: its anchor may be any day up to the 31st
            end_s += (31 - instant(self.start_s).day) * DAY_S
        return max(self.end_s, end_s)


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
    shown = [*line_items, *draft_lines(invoices)]
    billed = _billed_time(sorted(shown, key=IN_ORDER), trials, prices)
    added = {i.id: i.created for v in dated for i in v.subscription.items.data}
    current = {i.id for i in dated[-1].subscription.items.data} if dated else set()
    found = [
        _between(before, after)
        for before, after in _neighbours(billed)
        if _is_pause(before, after, billed)
        and not _is_unfinished(before[0].end_s, after[0].start_s, billed)
        and not _is_of_new_items(before, after, billed, added, current)
        and not _is_waited_for(before, after, billed, {i: added[i] for i in current})
    ]
    if end_s is not None and dated and billed:
        found += _before_the_end(billed, dated[-1].subscription, end_s)
    if not found:
        return []
    credited = list(_credits(line_items))
    return [
        gap
        for gap in found
        if not is_contradicted(gap, dated)
        and not any(_is_in_force(gap, *credit) for credit in credited)
    ]


def _credits(line_items: Iterable[LineItem]) -> Iterator[tuple[int, int]]:
    """When something was taken back, and when it had last been billed; 0 for never."""
    billed_s: defaultdict[str, list[int]] = defaultdict(lambda: [0])
    for line in line_items:
        own = billed_s[line.item]
        if line.credit:
            yield line.start_s, own[bisect_left(own, line.start_s) - 1]
        else:
            own.append(line.start_s)


def _is_in_force(gap: Interval, credited_s: int, billed_s: int) -> bool:
    """Whether what is credited was in force in the gap.

    It was so just before, hence also where the gap ends; and all the time since it was
    billed: a resumption would have billed it again.
    """
    if credited_s <= gap.start_s:
        return False
    return gap.end_s is None or credited_s <= gap.end_s or 0 < billed_s < gap.end_s


def _is_covered(
    line_items: Sequence[LineItem], trials: Iterable[Interval], end_s: int | None
) -> bool:
    """Whether bills and trials leave no time between them, nor before the end."""
    spans = [(line.start_s, until_s) for line, until_s in _billed_until(line_items)]
    spans += [(trial.start_s, _end_of(trial)) for trial in trials]
    spans.sort()
    covered_s = 0
    for start_s, until_s in spans:
        if until_s <= covered_s:
            continue
        if covered_s and start_s > covered_s + DAY_S:
            return False
        covered_s = until_s
    return end_s is None or end_s <= covered_s + DAY_S


def _end_of(trial: Interval) -> int:
    return _ENDLESS_S if trial.end_s is None else trial.end_s


def _billed_time(
    line_items: Sequence[LineItem], trials: Iterable[Interval], prices: Prices
) -> list[BilledTime]:
    """In order of time."""
    found = [BilledTime(each.start_s, _end_of(each), "", None, each) for each in trials]
    found += [_billed(line, end_s, prices) for line, end_s in _billed_until(line_items)]
    return sorted(found, key=lambda each: each[:2])


def _billed_until(line_items: Sequence[LineItem]) -> list[tuple[LineItem, int]]:
    """Until when each line bills, where that is any time; both in order of time.

    A credit bills nothing, and ends what was billed before it; not what is billed anew
    from the same instant on.
    """
    found: list[tuple[LineItem, int]] = []
    later_credits: dict[str, list[LineItem]] = {}  # by item, the latest first
    for line in reversed(line_items):
        if line.credit:
            later_credits.setdefault(line.item, []).append(line)
            continue
        end_s = line.end_s
        for credit in reversed(later_credits.get(line.item, ())):
            if credit.start_s >= end_s:
                break
            if (line.known_s, line.start_s) < (credit.known_s, credit.start_s):
                end_s = credit.start_s
        if end_s > line.start_s:
            found.append((line, end_s))
    found.reverse()
    return found


def _billed(line: LineItem, end_s: int, prices: Prices) -> BilledTime:
    price = prices.get(line.price)
    return BilledTime(
        line.start_s,
        end_s,
        line.item,
        None if is_trial_line(line, prices) else _cycle(price),
        line,
        is_regular=line.is_regular and end_s == line.end_s,
        is_due=line.status not in NOT_DUE,
        is_metered=is_metered(price),
    )


def _cycle(price: Price | None) -> tuple[str, int]:
    """A price that cannot be read recurs at no time."""
    recurring = price.recurring if price is not None else None
    if recurring is None or recurring.interval not in MONTHS_FACTOR:
        return "day", 0
    return recurring.interval, recurring.interval_count


def _neighbours(
    billed: Sequence[BilledTime],
) -> Iterator[tuple[list[BilledTime], list[BilledTime]]]:
    """What ends where unbilled time begins, and what begins where that ends."""
    last: list[BilledTime] = []
    for index, each in enumerate(billed):
        covered_s = last[0].end_s if last else each.start_s
        if each.start_s > covered_s + DAY_S:
            rest = billed[index:]
            if _begins_nothing(each, rest):
                continue
            yield last, [other for other in rest if other.start_s == each.start_s]
        if not last or each.end_s > covered_s:
            last = [each]
        elif each.end_s == covered_s:
            last.append(each)


def _begins_nothing(each: BilledTime, rest: Iterable[BilledTime]) -> bool:
    """Never due, and no next period: nobody paid to go on."""
    following = [b for b in rest if b.is_due and b.start_s > each.start_s]
    next_s = min((b.start_s for b in following), default=None)
    return not each.is_due and (next_s is None or next_s < each.end_s)


def _is_pause(
    before: Sequence[BilledTime],
    after: Sequence[BilledTime],
    billed: Iterable[BilledTime],
) -> bool:
    """Not what a change without prorations left unbilled.

    A trial moves the anchor: before it, whatever is billed next at another interval may
    have been left so.
    """
    known = {each.cycle for each in before}
    if any(each.cycle is None for each in after):
        following = [b for b in billed if b.cycle and b.start_s > after[0].start_s]
        return None in known or all(each.cycle in known for each in following)
    licensed = [each for each in after if not each.is_metered]
    start_s = after[0].start_s
    last = {b.item: b for b in billed if b.cycle and b.start_s < start_s}
    is_moved = any(
        _went_on([*before, last.get(each.item, before[0])], each)
        for each in licensed
        if not known.issuperset({each.cycle, last.get(each.item, each).cycle})
    )
    return bool(licensed) and (None in known or not is_moved)


def _is_unfinished(start_s: int, end_s: int, billed: Iterable[BilledTime]) -> bool:
    """Whether a period that was shortened for a while would have lasted all that time."""
    return any(each.start_s < start_s and end_s <= each.whole_end_s for each in billed)


def _is_of_new_items(
    before: Sequence[BilledTime],
    after: Sequence[BilledTime],
    billed: Iterable[BilledTime],
    added: Mapping[str, int],
    current: Container[str],
) -> bool:
    """Whether only new items begin, as no resumption would have it.

    One was added without prorations and waited for its first bill, or an older item is
    there yet or was billed later: that would have been billed, too.
    """
    start_s, end_s = before[0].end_s, after[0].start_s
    known = {each.item for each in billed if each.start_s < end_s}
    new = {each.item for each in after if each.item}
    if not new or not known.isdisjoint(new):
        return False  # or a trial of the subscription begins
    waited = (added.get(item, start_s) <= start_s + SAME_REQUEST_S for item in new)
    later_on = {each.item for each in billed if each.item and each.start_s > end_s}
    there = (item in current or item in later_on for item in known)
    return any(waited) or any(there)


def _is_waited_for(
    before: Sequence[BilledTime],
    after: Sequence[BilledTime],
    billed: Iterable[BilledTime],
    added: Mapping[str, int],
) -> bool:
    """Whether a change gave back what was billed, and an item waits for its bill yet.

    It was added before without prorations; a resumption would have billed it, too.
    """
    start_s, end_s = before[0].end_s, after[0].start_s
    is_given_back = all(
        isinstance(each.shown_by, LineItem) and each.end_s < each.shown_by.end_s
        for each in before
    )
    known = {each.item for each in billed if each.start_s <= end_s}
    return is_given_back and any(
        created_s <= start_s and item not in known for item, created_s in added.items()
    )


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
    billed: Sequence[BilledTime], last: Subscription, end_s: int
) -> Iterator[Interval]:
    """From the last billed time to the end, where it would have been billed again.

    Not where all items are of another interval by now, whose time may not be over.
    """
    covered_s = max(each.end_s for each in billed)
    before = [each for each in billed if each.end_s == covered_s]
    licensed = [item for item in last.items.data if not is_metered(item.price)]
    known = {each.item: each.cycle for each in billed}
    is_due = any(each.cycle is None for each in before) or any(
        known.get(item.id, ("", 0)) in (None, cycle)
        or _due_again_s(covered_s, cycle, last.billing_cycle_anchor) < end_s
        for item, cycle in ((item, _cycle(item.price)) for item in licensed)
    )
    is_over = end_s > covered_s + DAY_S and not _is_unfinished(covered_s, end_s, billed)
    if licensed and is_due and is_over:
        yield Interval(covered_s, end_s, _ends(before), ())


def _due_again_s(covered_s: int, cycle: tuple[str, int], anchor_s: int | None) -> int:
    """When it was billed at this interval at the latest, whenever it was moved to it."""
    interval, count = cycle
    if not count:
        return _ENDLESS_S
    if anchor_s is None:  # in a copy that was stored before this was read
        return later(covered_s, interval, count)
    return next_period(anchor_s, interval, count, covered_s)
