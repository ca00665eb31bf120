"""What shows that an item is metered, and the bills of its usage → since when it was.

Usage is billed when its period is over, a fee in advance: so an item became metered when
what was billed of it in advance ran out (docs/definitions.md, How it dates a change).
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter

from connector.mrr.evidence.item_states import (
    CREDIT,
    EARLIEST,
    ItemFact,
    ItemFacts,
    ItemState,
    item_state_of,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.subscription_views import SubscriptionView
from connector.mrr.pricing import is_metered, is_whole_period
from connector.stripe_api.objects import Price, SubscriptionItem

_AT = attrgetter("at_s")


def add_metered(
    items: Mapping[str, ItemFacts],
    views: Iterable[SubscriptionView],
    usage: Iterable[LineItem],
    prices: Mapping[str, Price],
) -> None:
    """Add since when items were metered that are shown so, or whose usage was billed."""
    shown = [(i, view) for view in views for i in view.items if is_metered(i.price)]
    used = [line for line in usage if line.item in items]
    concerned = dict.fromkeys([*(i.id for i, _ in shown), *(n.item for n in used)])
    metered = {item: _MeteredItem(items[item]) for item in concerned}
    for item, view in shown:
        metered[item.id].is_shown(item, view)
    for line in used:
        metered[line.item].was_used(line)
    for line in used:
        metered[line.item].was_used_up(line, prices.get(line.price))


class _MeteredItem:
    """The facts of one item in order, also by price, to ask when it was metered."""

    def __init__(self, known: ItemFacts) -> None:
        self._known = known
        self._facts: list[ItemFact] = sorted(known.facts, key=EARLIEST)
        self._at: defaultdict[str, list[ItemFact]] = defaultdict(list)
        self._billed: defaultdict[str, list[ItemFact]] = defaultdict(list)
        self._left: defaultdict[str, list[ItemFact]] = defaultdict(list)
        for fact in self._facts:
            self._sort_in(fact)
        for fact in sorted(known.facts_before, key=EARLIEST):
            self._left[_price_of(fact)].append(fact)

    def _sort_in(self, fact: ItemFact) -> None:
        insort(self._at[_price_of(fact)], fact, key=EARLIEST)
        if isinstance(fact.proof, LineItem):
            insort(self._billed[_price_of(fact)], fact, key=EARLIEST)

    def _add(self, fact: ItemFact) -> None:
        self._known.facts.append(fact)
        insort(self._facts, fact, key=EARLIEST)
        self._sort_in(fact)

    def was_used(self, line: LineItem) -> None:
        """Billed when its period is over: until then, at least, the item was metered.

        Since what was billed in advance before ran out; from the period's start on, where
        nothing was.
        """
        began_s = max(line.start_s, self._known.created_s or 0)
        at_s = self._ran_out_s(line.price, line.end_s) or began_s
        state = ItemState(
            line.price, Decimal(1)
        )  # as an item shows it, without quantity
        self._add(ItemFact(at_s, CREDIT, state, line.known_s, line))
        until_s = self._known.covered_until_s
        self._known.covered_until_s = max(until_s, line.end_s)

    def was_used_up(self, line: LineItem, price: Price | None) -> None:
        """Usage of less than a period is billed as the item is metered no longer.

        From its end on, the item is what is seen of it next.
        """
        if price is None or is_whole_period(price, line.start_s, line.end_s):
            return
        place = bisect_right(self._facts, line.end_s, key=_AT)
        seen = self._facts[place].state if place < len(self._facts) else None
        if seen is not None and seen.price != line.price:
            self._add(ItemFact(line.end_s, CREDIT, seen, line.known_s, line))

    def is_shown(self, item: SubscriptionItem, view: SubscriptionView) -> None:
        """At a licensed price its next period would have been billed."""
        state = item_state_of(item)
        ran_out_s = self._ran_out_s(state.price, view.at_s) if state else 0
        if 0 < ran_out_s < view.at_s:
            self._add(ItemFact(ran_out_s, CREDIT, state, view.at_s, view.proof))

    def _ran_out_s(self, price: str, by_s: int) -> int:
        """When what was last billed at another price than this metered one was over.

        ``by_s``, where something shows it at another one after that; 0 where nothing does.
        """
        others = list(_last_but_at(price, self._at, bisect_left, by_s))
        left = _last_but_at(price, self._left, bisect_right, by_s)
        left_s = max(map(_AT, left), default=0)
        if not others:
            return left_s
        billed = _last_but_at(price, self._billed, bisect_left, by_s)
        last = max(billed, key=EARLIEST, default=None)
        if last is None or not isinstance(last.proof, LineItem):
            return by_s
        end_s = last.at_s if last.state is None else last.proof.end_s
        is_last = max(map(_AT, others)) <= end_s
        return min(max(end_s, left_s), by_s) if is_last else by_s


def _price_of(fact: ItemFact) -> str:
    return "" if fact.state is None else fact.state.price


def _last_but_at(
    price: str,
    facts: Mapping[str, Sequence[ItemFact]],
    cut: Callable[..., int],
    by_s: int,
) -> Iterator[ItemFact]:
    """Of each price but this one the last by then, as ``cut`` finds it."""
    for other, own in facts.items():
        place = cut(own, by_s, key=_AT) if other != price else 0
        if place:
            yield own[place - 1]
