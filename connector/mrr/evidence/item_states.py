"""Line items, events and versions → item facts: what each item was, and what shows it.

An item fact says what a subscription item was at one instant. Which of them changed
anything, ``item_changes`` finds out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

_EARLIEST = attrgetter("at_s", "rank")


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
            for item in view.items:
                if is_metered(item.price):
                    _add_not_billed(items[item.id], item, view)
    for item in now.items.data:
        items[item.id].is_current = True
    told_usage = [line for line in usage if line.item in items]
    for line in told_usage:
        _add_usage(items[line.item], line)
    for line in told_usage:
        _add_what_followed(items[line.item], line, prices.get(line.price))
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


def _add_usage(known: ItemFacts, line: LineItem) -> None:
    """Billed when its period is over: until then, at least, the item was metered.

    Since what was billed in advance before ran out; from the period's start on, where
    nothing was.
    """
    began_s = max(line.start_s, known.created_s or 0)
    at_s = _ran_out_s(known, line.price, line.end_s) or began_s
    state = ItemState(line.price, Decimal(1))  # as an item shows it, without a quantity
    known.facts.append(ItemFact(at_s, CREDIT, state, line.known_s, line))
    known.covered_until_s = max(known.covered_until_s, line.end_s)


def _add_what_followed(known: ItemFacts, line: LineItem, price: Price | None) -> None:
    """Usage of less than a period is billed as an item is metered no longer.

    From its end on, the item is what is seen of it next.
    """
    if price is None or is_whole_period(price, line.start_s, line.end_s):
        return
    later = [fact for fact in known.facts if fact.at_s > line.end_s]
    seen = min(later, key=_EARLIEST).state if later else None
    if seen is not None and seen.price != line.price:
        known.facts.append(ItemFact(line.end_s, CREDIT, seen, line.known_s, line))


def _add_not_billed(
    known: ItemFacts, item: SubscriptionItem, view: SubscriptionView
) -> None:
    """Shown metered: at a licensed price its next period would have been billed."""
    state = item_state_of(item)
    ran_out_s = _ran_out_s(known, state.price, view.at_s) if state else 0
    if 0 < ran_out_s < view.at_s:
        fact = ItemFact(ran_out_s, CREDIT, state, view.at_s, view.proof)
        known.facts.append(fact)


def _ran_out_s(known: ItemFacts, price: str, by_s: int) -> int:
    """When what was last billed at another price than this metered one was over.

    ``by_s``, where something shows it at another one after that; 0 where nothing does.
    """
    others = [f for f in known.facts if f.at_s < by_s and _is_other(f, price)]
    left = [f for f in known.facts_before if f.at_s <= by_s and _is_other(f, price)]
    left_s = max((fact.at_s for fact in left), default=0)
    if not others:
        return left_s
    billed = [fact for fact in others if isinstance(fact.proof, LineItem)]
    last = max(billed, key=_EARLIEST, default=None)
    if last is None or not isinstance(last.proof, LineItem):
        return by_s
    end_s = last.at_s if last.state is None else last.proof.end_s
    is_last = max(fact.at_s for fact in others) <= end_s
    return min(max(end_s, left_s), by_s) if is_last else by_s


def _is_other(fact: ItemFact, price: str) -> bool:
    return fact.state is None or fact.state.price != price


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
