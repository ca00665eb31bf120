"""What charges, events and sightings assert about a subscription's items, and when.

A change takes effect at the earliest instant that any evidence shows it for (metrics:
Movements): the start of a proration debit's period or of the first regular line, the
moment of an event, the creation of an item; and only where nothing of these shows it, the
moment a later look at the subscription did (``observed``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from connector.charges import Charge
from connector.history import Sighting
from connector.model import Evidence
from connector.stripe_objects import (
    Event,
    ListOf,
    Price,
    Subscription,
    SubscriptionItem,
)

# Objects of one request carry neighbouring seconds: the recordings show one.
SAME_REQUEST_S = 60
# A regular line is written when its period begins (an hour of draft at most). One that
# is written days ahead is prebilled, and may be out of date when its period comes.
PREBILLED_S = 3 * 86_400

CREDIT, REGULAR, DEBIT, EVENT, SIGHTING = range(5)  # at one instant, the last one wins


class Holding(NamedTuple):
    """What an item is. ``unit_amount_minor`` None: as the price says."""

    price: str
    quantity: Decimal
    unit_amount_minor: Decimal | None = None

    def same_as(self, other: "Holding | None") -> bool:
        if other is None:
            return False
        amounts = (self.unit_amount_minor, other.unit_amount_minor)
        return (self.price, self.quantity) == (other.price, other.quantity) and (
            None in amounts or amounts[0] == amounts[1]
        )


class Fact(NamedTuple):
    """At ``at_s`` the item was ``holding`` (None: not there), known since ``known_s``.

    ``proof`` is what shows it; most facts change nothing, and are never asked for theirs.
    """

    at_s: int
    rank: int
    holding: Holding | None
    known_s: int
    proof: Charge | Evidence

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        proof = self.proof
        return proof.evidence() if isinstance(proof, Charge) else (proof,)


class Change(NamedTuple):
    """From ``at_s`` on the item is ``holding``; None: it is not there any more."""

    at_s: int
    holding: Holding | None
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class ItemFacts:
    """All that is known of one item. ``priors`` show it just before their instant."""

    facts: list[Fact] = field(default_factory=list)
    priors: list[Fact] = field(default_factory=list)
    created_s: int | None = None  # None: no sighting or event shows the item itself
    covered_until_s: int = 0
    is_current: bool = False


def item_changes(
    sightings: Sequence[Sighting],
    charges: Sequence[Charge],
    events: Sequence[Event],
    prices: Mapping[str, Price],
) -> dict[str, list[Change]]:
    """Each item's changes, oldest first; the first says when the item began.

    ``sightings`` are one subscription's, oldest first; ``charges`` and ``events`` those
    that name it.
    """
    current = sightings[-1].subscription
    licensed = [c for c in charges if not is_metered(prices.get(c.price))]
    items: dict[str, ItemFacts] = {}
    _from_charges(items, licensed)
    _from_events(items, events)
    _from_sightings(items, sightings)
    changes = {}
    for item, known in items.items():
        if not known.is_current and current.items.data:
            known.facts += _gone_at_renewal(item, known, items, licensed)
        changes[item] = list(_walk(current, item, known, licensed))
    return changes


def is_metered(price: Price | None) -> bool:
    recurring = price.recurring if price is not None else None
    return recurring is not None and recurring.usage_type == "metered"


def holding_of(item: SubscriptionItem) -> Holding | None:
    """None for an item without a price (deleted from an event's old shape)."""
    if item.price is None:
        return None
    quantity = item.quantity_decimal
    if quantity is None:
        quantity = Decimal(1 if item.quantity is None else item.quantity)
    return Holding(item.price.id, quantity)


def _from_charges(items: dict[str, ItemFacts], charges: Sequence[Charge]) -> None:
    shown = {(c.item, c.start_s) for c in charges if not c.credit}
    for charge in charges:
        known = items.setdefault(charge.item, ItemFacts())
        # A trial's line says 0 a unit (recorded), which is not the price's amount.
        unit_minor = charge.unit_amount_minor if charge.amount_minor else None
        holding = Holding(charge.price, charge.quantity, unit_minor)
        fact = Fact(
            charge.start_s,
            DEBIT if charge.proration else REGULAR,
            holding,
            charge.known_s,
            charge,
        )
        if charge.credit:
            known.priors.append(fact)
            if (charge.item, charge.start_s) not in shown:
                known.facts.append(fact._replace(rank=CREDIT, holding=None))
        elif charge.proration or charge.start_s <= charge.known_s + PREBILLED_S:
            known.facts.append(fact)
            known.covered_until_s = max(known.covered_until_s, charge.end_s)


def _from_events(items: dict[str, ItemFacts], events: Iterable[Event]) -> None:
    for event in events:
        if event.subscription is None:
            continue
        proof = Evidence("event", event.id, event.created, event.type)
        at_s = event.created
        before = event.previous.items or ListOf[SubscriptionItem]()
        for item in before.data:
            known = items.setdefault(item.id, ItemFacts())
            known.created_s = known.created_s or item.created or None
            prior = Fact(at_s, EVENT, holding_of(item), at_s, proof)
            known.priors.append(prior)
        if not event.subscription.items.has_more:
            _look(items, event.subscription, at_s, EVENT, proof)


def _from_sightings(items: dict[str, ItemFacts], sightings: Sequence[Sighting]) -> None:
    for seen_s, subscription in sightings:
        proof = Evidence("observed", subscription.id, seen_s)
        _look(items, subscription, seen_s, SIGHTING, proof)
    for item in sightings[-1].subscription.items.data:
        items[item.id].is_current = True


def _look(
    items: dict[str, ItemFacts],
    subscription: Subscription,
    at_s: int,
    rank: int,
    proof: Evidence,
) -> None:
    """Take down what a whole subscription shows: each of its items, and who is gone."""
    ended = subscription.ended_at is not None and subscription.ended_at <= at_s
    present = set()
    for item in subscription.items.data:
        known = items.setdefault(item.id, ItemFacts())
        known.created_s = known.created_s or item.created or None
        present.add(item.id)
        # A look at an ended subscription shows its last state, but not since when.
        fact = Fact(at_s, rank, holding_of(item), at_s, proof)
        (known.priors if ended else known.facts).append(fact)
    if ended or not present:
        return
    for item_id, known in items.items():
        if item_id not in present:
            known.facts.append(Fact(at_s, rank, None, at_s, proof))


def _gone_at_renewal(
    item: str,
    known: ItemFacts,
    items: Mapping[str, ItemFacts],
    charges: Sequence[Charge],
) -> Iterator[Fact]:
    """The end of an item that left without a line of its own.

    Either another item took its place before its paid period was over, or the next
    renewal of the subscription came without it.
    """
    if not known.facts:
        return
    shown = [f for f in (*known.facts, *known.priors) if f.holding is not None]
    last_s = max((fact.at_s for fact in shown), default=0)
    covered_s = known.covered_until_s
    for other_id, other in items.items():
        born_s = other.created_s or 0
        is_prorated = any(
            f.rank == DEBIT and abs(f.at_s - born_s) <= SAME_REQUEST_S
            for f in other.facts
        )  # then a credit would show that this item made way
        if is_prorated or other_id == item:
            continue
        if last_s + SAME_REQUEST_S < born_s <= covered_s:
            proof = Evidence("subscription_item", other_id, born_s, "replaces it")
            yield Fact(born_s, CREDIT, None, born_s, proof)
            return
    for charge in charges:
        if (
            charge.is_regular
            and charge.item != item
            and charge.start_s >= covered_s > 0
        ):
            yield Fact(charge.start_s, CREDIT, None, charge.known_s, charge)
            return


def _walk(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    charges: Sequence[Charge],
) -> Iterator[Change]:
    """The facts that changed something, in order, after the item's beginning."""
    born = _birth(subscription, item, known, charges)
    if born is None:
        return
    yield born
    state, before, changed_known_s = born.holding, None, born.at_s
    facts = sorted(known.facts, key=lambda fact: (fact.at_s, fact.rank))
    for at_s, group in groupby(facts, key=lambda fact: fact.at_s):
        # Events have no order within a second; nothing ends in the one it begins in.
        said = [f for f in group if f.holding is not None or at_s > born.at_s]
        if not said or at_s < born.at_s:
            continue
        fact = _last_word(said, state)
        if _same(fact.holding, state):
            continue
        backdated = fact.rank >= EVENT and changed_known_s > at_s
        if backdated and _same(fact.holding, before):
            continue  # it was seen before the change now dated earlier was made
        holding = fact.holding
        before, state, changed_known_s = state, holding, fact.known_s
        taken_back = [p for p in known.priors if p.at_s == at_s and p.rank < EVENT]
        proof = [e for f in (fact, *taken_back) for e in f.evidence]
        yield Change(at_s, holding, tuple(dict.fromkeys(proof)))


def _last_word(facts: list[Fact], state: Holding | None) -> Fact:
    """Of facts for one instant, the strongest; of equals, one that says something new.

    Prorations of a free change come as two amounts of 0 that only differ in the price.
    """
    best = [fact for fact in facts if fact.rank == facts[-1].rank]
    news = [fact for fact in best if not _same(fact.holding, state)]
    return (news or best)[-1]


def _same(one: Holding | None, other: Holding | None) -> bool:
    return other is None if one is None else one.same_as(other)


def _birth(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    charges: Sequence[Charge],
) -> Change | None:
    """When the item began and what it was then; None where nothing shows it."""
    shown = [f for f in known.facts if f.holding is not None]
    first = min([*known.priors, *shown], key=_earliest, default=None)
    if first is None or first.holding is None:
        return None
    start_s = subscription.started_at
    at_s = _born_at(subscription, item, known, charges, first)
    if at_s != start_s:
        here = [f for f in shown if f.at_s == at_s]
        born = Evidence("subscription_item", item, at_s, "added")
        proof = here[0].evidence if here else (born,)
    else:
        proof = (Evidence("subscription", subscription.id, start_s, "started"),)
        if first in shown and first.rank in (REGULAR, DEBIT):
            proof += first.evidence
    return Change(at_s, first.holding, proof)


def _earliest(fact: Fact) -> tuple[int, int]:
    return (fact.at_s, fact.rank)


def _born_at(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    charges: Sequence[Charge],
    first: Fact,
) -> int:
    """The subscription's start for its first items, else when the item was added."""
    start_s = subscription.started_at
    others = [c.start_s for c in charges if c.item != item and c.is_regular]
    others_began_s = min(others, default=first.at_s)
    is_credit_or_later_look = first in known.priors or first.rank >= EVENT
    if known.created_s is None:
        if is_credit_or_later_look or first.at_s <= others_began_s:
            return start_s
        return first.at_s
    if known.created_s > subscription.created + SAME_REQUEST_S:
        return min(known.created_s, first.at_s)
    if (
        first.rank == DEBIT
        and not is_credit_or_later_look
        and others_began_s < first.at_s
    ):
        return first.at_s
    return start_s
