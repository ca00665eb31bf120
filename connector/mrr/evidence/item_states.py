"""Line items, events and versions → item facts: what each item was, and what shows it.

An item fact says what a subscription item was at one instant. Which of them changed
anything, ``item_changes`` finds out.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

import msgspec

from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.subscription_views import (
    SubscriptionView,
    asked_since,
    views_by_event,
    views_by_look,
    with_items_left,
)
from connector.mrr.history import SubscriptionVersion
from connector.mrr.pricing import interval_minor, is_metered, is_whole_period, tariff
from connector.stripe_api.events import Event
from connector.stripe_api.invoices import units_of
from connector.stripe_api.objects import Price, SubscriptionItem

# Objects of one request carry neighbouring seconds: the recordings show one.
SAME_REQUEST_S = 60

# A regular line is written when its period begins (an hour of draft at most). One that
# is written days ahead is prebilled, and may be out of date when its period comes.
PREBILLED_S = 3 * 86_400

# At one instant, the last one wins: a version in an event's second came before it.
CREDIT, REGULAR, DEBIT, VERSION, EVENT = range(5)

_EARLIEST, _AT = attrgetter("at_s", "rank"), attrgetter("at_s")


class ItemState(msgspec.Struct, frozen=True, gc=False):
    """A price and a quantity. ``unit_amount_minor`` None: as the price says."""

    price: str
    quantity: Decimal
    unit_amount_minor: Decimal | None = None


def is_same_state(one: ItemState | None, other: ItemState | None) -> bool:
    """Whether nothing says that they differ: an amount that is not told does not."""
    if one is None or other is None:
        return one is other
    return (
        one.price == other.price
        and one.quantity == other.quantity
        and (
            one.unit_amount_minor is None
            or other.unit_amount_minor is None
            or one.unit_amount_minor == other.unit_amount_minor
        )
    )


class ItemFact(msgspec.Struct, frozen=True, gc=False):
    """At ``at_s`` the item was in ``state`` (None: not there), known since ``known_s``.

    ``proof`` is what shows it; most facts change nothing, and are never asked for theirs.
    """

    at_s: int
    rank: int
    state: ItemState | None
    known_s: int
    proof: LineItem | Evidence

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        proof = self.proof
        return proof.evidence() if isinstance(proof, LineItem) else (proof,)


@dataclass(slots=True)
class ItemFacts:
    """All that is known of one item. ``facts_before`` hold just before their instant.

    ``created_s`` is None where no version or event shows the item itself.
    """

    facts: list[ItemFact] = field(default_factory=list)
    facts_before: list[ItemFact] = field(default_factory=list)
    created_s: int | None = None
    covered_until_s: int = 0
    is_current: bool = False

    def instants_s(self) -> Iterator[int]:
        """All at which something was so, or was known."""
        for fact in (*self.facts, *self.facts_before):
            yield from (fact.at_s, fact.known_s)


_Items = defaultdict[str, ItemFacts]


def item_facts(
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
    prices: Mapping[str, Price],
    usage: Iterable[LineItem] = (),
) -> dict[str, ItemFacts]:
    """All that is known of each item of a subscription.

    ``versions`` are its own, oldest first; ``line_items`` and ``events`` those that name
    it, line items of metered prices apart (``usage``): of items that nothing else shows,
    these are not told.
    """
    items: _Items = defaultdict(ItemFacts)
    _add_from_line_items(items, line_items, prices)
    now = versions[-1].subscription
    told, seen = list(views_by_event(events)), list(views_by_look(versions, events))
    billed = {item: known.instants_s() for item, known in items.items()}
    asked = asked_since(billed, [*told, *seen], now.started_at)
    for rank, views in ((EVENT, told), (VERSION, seen)):
        for view, left in with_items_left(views, asked):
            _add_from_view(items, view, rank, left)
    for item in now.items.data:
        items[item.id].is_current = True
    _add_metered(items, [*told, *seen], usage, prices)
    return items


def item_state_of(item: SubscriptionItem) -> ItemState | None:
    """None for an item without a price (deleted from an event's old shape)."""
    if item.price is None:
        return None
    return ItemState(item.price.id, units_of(item))


def _unit_amount(line: LineItem, price: Price | None) -> Decimal | None:
    """The amount a unit that the line shows, where it explains the line's amount.

    A trial's line says 0 a unit (recorded), which is not the price's amount.
    """
    unit_minor, quantity = line.unit_amount_minor, line.quantity
    if unit_minor is None or not line.amount_minor or price is None:
        return None
    is_plain = price.transform_quantity is None and price.billing_scheme == "per_unit"
    if is_plain and unit_minor * quantity == line.amount_minor:
        return unit_minor  # nearly every line there is; the rest is slower
    try:
        rate = tariff(price, line.currency, unit_amount_minor=unit_minor)
    except Unvalued:
        return None
    whole = interval_minor(rate, quantity)
    return unit_minor if abs(whole - line.amount_minor) < 1 else None


def _add_from_line_items(
    items: _Items,
    line_items: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> None:
    billed_anew: dict[tuple[str, int], int] = {}  # until when
    if any(line.credit for line in line_items):
        debits = (line for line in line_items if not line.credit)
        billed_anew = {(n.item, n.start_s): n.end_s for n in debits}
    for line in line_items:
        known, start_s, end_s = items[line.item], line.start_s, line.end_s
        unit_minor = _unit_amount(line, prices.get(line.price))
        state = ItemState(line.price, line.quantity, unit_minor)
        rank = DEBIT if line.proration else REGULAR
        fact = ItemFact(start_s, rank, state, line.known_s, line)
        if line.credit:
            known.facts_before.append(fact)
            anew_s = billed_anew.get((line.item, start_s), 0)
            taken_s = min(known.covered_until_s, start_s)
            known.covered_until_s = max(taken_s, anew_s)
            if (line.item, start_s) not in billed_anew:
                gone = msgspec.structs.replace(fact, rank=CREDIT, state=None)
                known.facts.append(gone)
            continue
        if end_s > known.covered_until_s:  # noqa: PLR1730 - a call costs ten times that
            known.covered_until_s = end_s
        if line.proration or start_s <= fact.known_s + PREBILLED_S:
            known.facts.append(fact)


def _add_metered(
    items: _Items,
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
        self._facts: list[ItemFact] = sorted(known.facts, key=_EARLIEST)
        self._at: defaultdict[str, list[ItemFact]] = defaultdict(list)
        self._billed: defaultdict[str, list[ItemFact]] = defaultdict(list)
        self._left: defaultdict[str, list[ItemFact]] = defaultdict(list)
        for fact in self._facts:
            self._sort_in(fact)
        for fact in sorted(known.facts_before, key=_EARLIEST):
            self._left[_price_of(fact)].append(fact)

    def _sort_in(self, fact: ItemFact) -> None:
        insort(self._at[_price_of(fact)], fact, key=_EARLIEST)
        if isinstance(fact.proof, LineItem):
            insort(self._billed[_price_of(fact)], fact, key=_EARLIEST)

    def _add(self, fact: ItemFact) -> None:
        self._known.facts.append(fact)
        insort(self._facts, fact, key=_EARLIEST)
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
        last = max(billed, key=_EARLIEST, default=None)
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


def _add_from_view(
    items: _Items, view: SubscriptionView, rank: int, left: Iterable[str]
) -> None:
    """Add what is shown: what items were before, all that are there, which are gone."""
    at_s, proof = view.at_s, view.proof
    # An ended subscription shows its last state, but not since when.
    for shown, is_before in ((view.before, True), (view.items, view.is_ended)):
        for item in shown:
            known = items[item.id]
            known.created_s = known.created_s or item.created or None
            state = item_state_of(item)
            if state is not None:  # an old API version's event may lack the price
                fact = ItemFact(at_s, rank, state, at_s, proof)
                (known.facts_before if is_before else known.facts).append(fact)
    for item_id in left:
        if item_id in items:
            items[item_id].facts.append(ItemFact(at_s, rank, None, at_s, proof))
