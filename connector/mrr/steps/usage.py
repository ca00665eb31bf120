"""The lines of metered items → what was used, and until when it counts.

The last full period's usage counts until the next one is billed. A metered item that makes
way for another is one change, and no removal: what it used counts until the other one has
been billed for a full period, however its end came to be known.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from connector.mrr.evidence.item_changes import ItemChange
from connector.mrr.evidence.item_states import SAME_REQUEST_S, ItemState
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.pricing import is_metered, is_whole_period
from connector.stripe_api.objects import Price, Subscription

_START, _END = attrgetter("start_s"), attrgetter("end_s")
_Usage = Mapping[str, Sequence[LineItem]]  # each item's full periods, by their end


class BilledUsage:
    """Each metered item's line items for full periods, to ask of instants."""

    def __init__(self, lines: _Usage) -> None:
        self.lines = lines
        self._ends_s = {item: [n.end_s for n in own] for item, own in lines.items()}

    def last(self, item: str, at_s: int) -> LineItem | None:
        """Of the period that counts then, the last that is over."""
        place = bisect_right(self._ends_s.get(item, ()), at_s)
        return self.lines[item][place - 1] if place else None

    def ended(self, item: str, at_s: int) -> Sequence[LineItem]:
        """Of the periods that are over just then."""
        ends_s = self._ends_s.get(item)
        if ends_s is None:
            return ()
        place = bisect_left(ends_s, at_s)
        return self.lines[item][place : bisect_right(ends_s, at_s)]


def usage_lines(
    line_items: Iterable[LineItem], prices: Mapping[str, Price]
) -> dict[str, list[LineItem]]:
    """Each metered item's line items for full periods, by the end of their period."""
    used: dict[str, list[LineItem]] = {}
    for line in line_items:
        price = prices.get(line.price)
        if price is None or not is_metered(price) or not line.is_regular:
            continue
        if is_whole_period(price, line.start_s, line.end_s):  # not a stub's usage
            used.setdefault(line.item, []).append(line)
    for lines in used.values():
        lines.sort(key=attrgetter("end_s"))
    return used


def usage_changes(
    now: Subscription,
    usage: _Usage,
    metered: Iterable[LineItem],
    known: Mapping[str, Sequence[ItemChange]],
    prices: Mapping[str, Price],
) -> dict[str, list[ItemChange]]:
    """Of metered items that are gone: from when to when their usage counts.

    ``metered`` are the lines of usage, also of a stub's; ``known`` are the changes that
    anything else shows. One that had a fee in the end went with that.
    """
    current = {
        item.id: item.created for item in now.items.data if is_metered(item.price)
    }
    listed = {item.id for item in now.items.data}
    if listed.issuperset(usage):
        return {}
    billed: dict[str, list[LineItem]] = {}
    for line in metered:
        if line.item in usage or line.item in current:
            billed.setdefault(line.item, []).append(line)
    began_s = current | {item: min(map(_START, own)) for item, own in billed.items()}
    return {
        item: _while_it_counts(item, usage, billed, began_s, known.get(item, ()))
        for item in usage.keys() - listed
        if is_metered(
            prices.get(_last_price(known.get(item, ())) or usage[item][-1].price)
        )
    }


def _last_price(changes: Sequence[ItemChange]) -> str:
    states = [change.state for change in changes if change.state is not None]
    return states[-1].price if states else ""


def _while_it_counts(
    item: str,
    usage: _Usage,
    billed: _Usage,
    began_s: Mapping[str, int],
    known: Sequence[ItemChange],
) -> list[ItemChange]:
    first, last = min(billed[item], key=_START), max(billed[item], key=_END)
    state = ItemState(first.price, first.quantity)
    begun = [ItemChange(first.start_s, state, first.evidence())]
    there = [n for n, change in enumerate(known) if change.state is not None]
    last_there = there[-1] + 1 if there else 0
    if {each.state.price for each in known if each.state} - {state.price}:
        begun = [*known[:last_there]]  # it had a fee before, or another rate
    told = known[last_there:]
    heirs = list(_heirs(last, usage[item][-1], told, began_s))
    if heirs:
        ends_s = [usage[heir][0].end_s for heir in heirs if heir in usage]
        return (
            [*begun, ItemChange(min(ends_s), None, last.evidence())]
            if ends_s
            else begun
        )
    if told and last is usage[item][-1]:  # it was there for a while after it
        return [*begun, told[-1]]
    return [*begun, ItemChange(last.end_s, None, last.evidence())]


def _heirs(
    last: LineItem,
    whole: LineItem,
    told: Iterable[ItemChange],
    began_s: Mapping[str, int],
) -> Iterator[str]:
    """The items that took its place: as an event says it left, else where it was billed to.

    After a full period its last days are not billed yet: some time in the next.
    """
    left_s = [n.at_s for n in told if any(e.kind == "event" for e in n.evidence)]
    is_known = left_s or last is not whole
    since_s = left_s[0] if left_s else last.end_s
    length_s = SAME_REQUEST_S if is_known else whole.end_s - whole.start_s
    for item, at_s in began_s.items():
        if item != last.item and -SAME_REQUEST_S <= at_s - since_s < length_s:
            yield item
