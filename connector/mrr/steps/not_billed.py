"""Item changes, pauses and trials → the items that the ends of these did not bill.

The end of a pause or a trial bills all that is paid in advance. What it did not bill was
metered, or not there, until its next bill (docs/definitions.md, How it dates a change).
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter

from connector.mrr.evidence.billed_times import billed_until
from connector.mrr.evidence.item_changes import ItemChange, state_at
from connector.mrr.evidence.item_states import SAME_REQUEST_S
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion
from connector.mrr.intervals import CoveredTime, Instants, Interval

_AT, _START = attrgetter("at_s"), attrgetter("start_s")


def not_billed_by_ends(
    changes: Mapping[str, Sequence[ItemChange]],
    gaps: Iterable[Interval],
    licensed: Sequence[LineItem],
    shown: Iterable[SubscriptionVersion],
) -> Iterator[tuple[str, list[ItemChange]]]:
    """The changes of such items; ``shown`` are all versions, and what events show."""
    ends_s = sorted(gap.end_s for gap in gaps if gap.end_s is not None)
    bills = _Bills(licensed)
    left_out = {
        item: [
            (end_s, line)
            for end_s in ends_s
            if own
            and own[0].at_s < end_s
            and (line := bills.next_without(item, end_s)) is not None
        ]
        for item, own in changes.items()
    }
    if not any(left_out.values()):
        return  # as nearly always
    seen_s: defaultdict[str, list[int]] = defaultdict(list)
    for at_s, subscription in shown:
        for each in subscription.items.data:
            seen_s[each.id].append(at_s)
    for item, found in left_out.items():
        own, seen = changes[item], Instants(seen_s[item])
        told = Instants([*seen_s[item], *map(_AT, own)])
        absent = [(at_s, n) for at_s, n in found if not told.any_in(at_s, n.start_s)]
        if absent:
            first_s, _ = absent[0]
            is_known = seen.any_in(0, first_s) or bills.began_s(item) < first_s
            yield item, _without(own, absent, is_known=is_known)


class _Bills:
    """What was billed in advance, by item, to ask of the ends of pauses and trials."""

    def __init__(self, licensed: Sequence[LineItem]) -> None:
        self._own: defaultdict[str, list[LineItem]] = defaultdict(list)
        until_s: defaultdict[str, list[int]] = defaultdict(list)
        for line, end_s in billed_until(licensed):
            self._own[line.item].append(line)
            until_s[line.item].append(end_s)
        self._until_s = {item: list(accumulate(n, max)) for item, n in until_s.items()}
        self._starts = Instants(line.start_s for line in licensed if not line.credit)
        self._credited = {(n.item, n.start_s) for n in licensed if n.credit}

    def began_s(self, item: str) -> int:
        return self._own[item][0].start_s

    def next_without(self, item: str, end_s: int) -> LineItem | None:
        """Its next line, where that shows that it was billed nothing from then to it.

        It was not paid beyond, and others were billed then, or the line is for the rest of
        a period and takes nothing back.
        """
        own = self._own.get(item, [])
        place = bisect_left(own, end_s - SAME_REQUEST_S, key=_START)
        if place == len(own) or own[place].start_s <= end_s + SAME_REQUEST_S:
            return None
        if place and self._until_s[item][place - 1] > end_s + SAME_REQUEST_S:
            return None
        line = own[place]
        bills_others = self._starts.any_in(end_s, end_s + SAME_REQUEST_S)
        is_anew = line.proration and (item, line.start_s) not in self._credited
        return line if bills_others or is_anew else None


def _without(
    changes: Sequence[ItemChange],
    absent: Sequence[tuple[int, LineItem]],
    *,
    is_known: bool,
) -> list[ItemChange]:
    """Not there in these times; where it is not ``is_known``, not before them either."""
    since_s = 0 if is_known else absent[0][0]
    spans = CoveredTime(
        Interval(end_s, line.start_s + 1, (), ()) for end_s, line in absent
    )
    found = [n for n in changes if n.at_s >= since_s and not spans.covers(n.at_s)]
    for end_s, line in absent:
        if end_s > since_s:
            found.append(ItemChange(end_s, None, line.evidence()))
        state = state_at(changes, line.start_s)
        found.append(ItemChange(line.start_s, state, line.evidence()))
    return sorted(found, key=_AT)
