"""A subscription's facts → what shows the change of an item at an instant."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from connector.core.model import Evidence
from connector.mrr.discounts.shares import AppliedDiscount
from connector.mrr.evidence.item_changes import of_instant
from connector.mrr.intervals import Interval
from connector.mrr.steps.facts import SubscriptionFacts


class Proofs:
    """The facts by their bounds, to ask of many instants."""

    def __init__(self, facts: SubscriptionFacts) -> None:
        self._facts = facts
        self._lasting_at = _by_bound(facts.lasting)
        self._trials_at = {i: _by_bound(own) for i, own in facts.trials.items()}
        self._discounts_at = _by_bound_of_discounts(facts.discounts)
        self._regular = {(n.item, n.start_s): n for n in facts.licensed if n.is_regular}

    def of_change(
        self, item: str, at_s: int, shares: Iterable[str]
    ) -> tuple[Evidence, ...]:
        """Whatever shows a change of this item at this instant, each once.

        Where a discount is shared anew, that is what changed those that it is shared with.
        """
        proof = list(self._of_bounds(item, at_s))
        for other in shares:
            proof += self._of_bounds(other, at_s)
        line = self._regular.get((item, at_s))  # of a period that begins then
        if line is not None and all(line.id != each.id for each in proof):
            proof += line.evidence()
        for used in self._facts.usage.ended(item, at_s):
            proof += used.evidence()
        return tuple(dict.fromkeys(proof))

    def _of_bounds(self, item: str, at_s: int) -> Iterator[Evidence]:
        for change in of_instant(self._facts.changes.get(item, ()), at_s):
            yield from change.evidence
        shared = self._discounts_at.get(at_s, ())
        discounts = (each.interval_of(item) for each in shared)
        trials = self._trials_at.get(item, {}).get(at_s, ())
        for interval in (*self._lasting_at.get(at_s, ()), *trials, *discounts):
            if interval is not None and at_s in (interval.start_s, interval.end_s):
                is_start = at_s == interval.start_s
                yield from interval.began if is_start else interval.ended


def _by_bound(intervals: Iterable[Interval]) -> dict[int, list[Interval]]:
    """Those that begin or end at an instant, in their order."""
    found: defaultdict[int, list[Interval]] = defaultdict(list)
    for each in intervals:
        found[each.start_s].append(each)
        if each.end_s is not None and each.end_s != each.start_s:
            found[each.end_s].append(each)
    return found


def _by_bound_of_discounts(
    applied: Iterable[AppliedDiscount],
) -> dict[int, list[AppliedDiscount]]:
    """Those that begin or end for any item at an instant, in their order."""
    found: defaultdict[int, list[AppliedDiscount]] = defaultdict(list)
    for each in applied:
        for at_s in _by_bound(each.intervals):
            found[at_s].append(each)
    return found
