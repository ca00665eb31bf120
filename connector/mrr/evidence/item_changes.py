"""Item facts → when each subscription item changed, and into what.

A change takes effect at the earliest instant that any evidence shows it for
(docs/definitions.md, How it dates a change): the start of a proration debit's period or
of the first regular line, the moment of an event, the creation of an item; and only
where nothing of these shows it, the moment a later version of the subscription did
(``observed``).
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import NamedTuple, TypeVar

from connector.core.model import Evidence
from connector.mrr.evidence.item_ends import add_ends_without_credit
from connector.mrr.evidence.item_facts import item_facts
from connector.mrr.evidence.item_states import (
    DEBIT,
    EARLIEST,
    REGULAR,
    SAME_REQUEST_S,
    VERSION,
    ItemFact,
    ItemFacts,
    ItemState,
    is_same_state,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.subscription_lines import without_unmade_changes
from connector.mrr.history import SubscriptionVersion
from connector.mrr.intervals import Interval
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Price, Subscription

_AT = attrgetter("at_s")
_WHEN = itemgetter(0)


class ItemChange(NamedTuple):
    """From ``at_s`` on the item is in ``state``; None: it is not there any more."""

    at_s: int
    state: ItemState | None
    evidence: tuple[Evidence, ...]


Dated = TypeVar("Dated", ItemChange, ItemFact)


def item_changes(
    versions: Sequence[SubscriptionVersion],
    line_items: Sequence[LineItem],
    events: Sequence[Event],
    prices: Mapping[str, Price],
    usage: Iterable[LineItem] = (),
) -> dict[str, list[ItemChange]]:
    """Each item's changes, oldest first; the first says when the item began.

    ``versions`` are one subscription's, oldest first; ``line_items`` and ``events`` those
    that name it, line items of metered prices apart (``usage``).
    """
    now = versions[-1].subscription
    licensed, used = without_unmade_changes(line_items, versions, events), [*usage]
    items = item_facts(versions, licensed, events, prices, used)
    regular = [line for line in licensed if line.is_regular]
    if now.items.data:
        add_ends_without_credit(items, licensed, used)
    return {
        item: list(_changes_of(now, item, known, regular))
        for item, known in items.items()
    }


def state_at(changes: Sequence[ItemChange], at_s: int) -> ItemState | None:
    """The state after the last of an item's changes by then."""
    place = bisect_right(changes, at_s, key=_AT)
    return changes[place - 1].state if place else None


def present_times(changes: Iterable[ItemChange]) -> Iterator[Interval]:
    """When the item is there, in whatever state."""
    for here, then in pairwise([*changes, None]):
        if here is not None and here.state is not None:
            end_s, ended = (None, ()) if then is None else (then.at_s, then.evidence)
            yield Interval(here.at_s, end_s, here.evidence, ended)


def of_instant(things: Sequence[Dated], at_s: int) -> Sequence[Dated]:
    """Those of one instant, of changes or facts in order of time."""
    start = bisect_left(things, at_s, key=_AT)
    return things[start : bisect_right(things, at_s, key=_AT)]


def _changes_of(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    regular: Sequence[LineItem],
) -> Iterator[ItemChange]:
    """The item's beginning, then the facts that changed something, in order."""
    facts = sorted(known.facts, key=EARLIEST)
    amounts = _UnitAmounts(facts)
    first = _first_change(subscription, item, known, amounts, regular)
    if first is None:
        return
    yield first
    before = sorted(known.facts_before, key=_AT)
    current, previous, changed_known_s = first.state, None, first.at_s
    read_s = first.at_s - 1
    for each in facts:
        at_s = each.at_s
        if at_s <= read_s or each.state == current:
            continue  # nearly always: a renewal at the price and quantity before
        if is_same_state(each.state, current):
            continue
        read_s, left = at_s, of_instant(before, at_s)
        # Events have no order within a second; nothing ends in the one it begins in.
        told = [
            fact
            for fact in of_instant(facts, at_s)
            if fact.state is not None or at_s > first.at_s
        ]
        if not told:
            continue
        fact = _strongest(told, current, left)
        if is_same_state(fact.state, current):
            continue
        is_backdated = fact.rank >= VERSION and changed_known_s > at_s
        if is_backdated and is_same_state(fact.state, previous):
            continue  # it was seen before the change now dated earlier was made
        state = amounts.told(fact.state, at_s, current)
        previous, current, changed_known_s = current, state, fact.known_s
        credited = [each for each in left if each.rank < VERSION]
        proof = [e for each in (fact, *credited) for e in each.evidence]
        yield ItemChange(at_s, state, tuple(dict.fromkeys(proof)))


def _strongest(
    facts: Sequence[ItemFact], current: ItemState | None, left: Sequence[ItemFact]
) -> ItemFact:
    """Of facts for one instant, the strongest; of equals, what was not ``left`` again.

    Prorations of a free change come as two amounts of 0 that only differ in the price:
    of these, the one that says something new.
    """
    if len(facts) == 1:
        return facts[0]
    best = [fact for fact in facts if fact.rank == facts[-1].rank]
    gone = [fact.state for fact in left if not is_same_state(fact.state, current)]
    stayed = [
        fact
        for fact in best
        if not any(is_same_state(fact.state, state) for state in gone)
    ]
    if gone and stayed:
        return stayed[-1]
    new = [fact for fact in best if not is_same_state(fact.state, current)]
    return (new or best)[-1]


class _UnitAmounts:
    """When which amount a unit was shown; read only where a state tells none."""

    def __init__(self, facts: Sequence[ItemFact]) -> None:
        self.facts = facts

    @cached_property
    def _by_price(self) -> Mapping[str, Sequence[tuple[int, Decimal]]]:
        """In order of time, as the facts are."""
        found: defaultdict[str, list[tuple[int, Decimal]]] = defaultdict(list)
        for fact in self.facts:
            state = fact.state
            if state is not None and state.unit_amount_minor is not None:
                found[state.price].append((fact.at_s, state.unit_amount_minor))
        return found

    def told(
        self, state: ItemState | None, at_s: int, current: ItemState | None
    ) -> ItemState | None:
        """The state with its amount: as before, else as the next line shows it."""
        if state is None or state.unit_amount_minor is not None:
            return state
        amount_minor: Decimal | None = None
        if current is not None and current.price == state.price:
            amount_minor = current.unit_amount_minor
        if amount_minor is None:
            own = self._by_price.get(state.price, ())
            place = bisect_left(own, at_s, key=_WHEN)
            amount_minor = own[place][1] if place < len(own) else None
        return ItemState(state.price, state.quantity, amount_minor)


def _first_change(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    amounts: "_UnitAmounts",
    regular: Sequence[LineItem],
) -> ItemChange | None:
    """When the item began and what it was then; None where nothing shows it."""
    facts = amounts.facts
    at_first = next((fact for fact in facts if fact.state is not None), None)
    first = min(known.facts_before, key=EARLIEST, default=None)
    if first is None or (at_first is not None and at_first.at_s < first.at_s):
        first = at_first
    if first is None or first.state is None:
        return None
    start_s = subscription.started_at
    at_s = _began_at(subscription, item, known, regular, first)
    if at_s != start_s:
        here = [f for f in known.facts if f.at_s == at_s and f.state is not None]
        added = Evidence("subscription_item", item, at_s, "added")
        proof = here[0].evidence if here else (added,)
    else:
        proof = (Evidence("subscription", subscription.id, start_s, "started"),)
        if first is at_first and first.rank in (REGULAR, DEBIT):
            proof += first.evidence
    return ItemChange(at_s, amounts.told(first.state, at_s, None), proof)


def _began_at(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    regular: Sequence[LineItem],
    first: ItemFact,
) -> int:
    """The subscription's start for its first items, else when the item was added."""
    start_s = subscription.started_at
    others = (line.start_s for line in regular if line.item != item)
    others_began_s = next(others, first.at_s)  # they come in order of time
    is_credit_or_version = first in known.facts_before or first.rank >= VERSION
    if known.created_s is None:
        if is_credit_or_version or first.at_s <= others_began_s:
            return start_s
        return first.at_s
    if known.created_s > subscription.created + SAME_REQUEST_S:
        return min(known.created_s, first.at_s)
    if first.rank == DEBIT and not is_credit_or_version and others_began_s < first.at_s:
        return first.at_s
    return start_s
