"""What charges, events and sightings assert about a subscription's items.

A fact says what an item was at an instant, and what shows it. Which of them changed
anything, ``changes`` finds out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from connector.core.errors import Unvalued
from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion, unexplained
from connector.mrr.pricing import interval_minor, tariff
from connector.stripe_api.events import Event
from connector.stripe_api.objects import ListOf, Price, Subscription, SubscriptionItem

# Objects of one request carry neighbouring seconds: the recordings show one.
SAME_REQUEST_S = 60


# A regular line is written when its period begins (an hour of draft at most). One that
# is written days ahead is prebilled, and may be out of date when its period comes.
PREBILLED_S = 3 * 86_400


# At one instant, the last one wins: a sighting in an event's second came before it.
CREDIT, REGULAR, DEBIT, SIGHTING, EVENT = range(5)


class ItemState(msgspec.Struct, frozen=True, gc=False):
    """What an item is. ``unit_amount_minor`` None: as the price says."""

    price: str
    quantity: Decimal
    unit_amount_minor: Decimal | None = None

    def same_as(self, other: "ItemState | None") -> bool:
        if other is None:
            return False
        amounts = (self.unit_amount_minor, other.unit_amount_minor)
        return (self.price, self.quantity) == (other.price, other.quantity) and (
            None in amounts or amounts[0] == amounts[1]
        )


class ItemFact(msgspec.Struct, frozen=True, gc=False):
    """At ``at_s`` the item was ``holding`` (None: not there), known since ``known_s``.

    ``proof`` is what shows it; most facts change nothing, and are never asked for theirs.
    """

    at_s: int
    rank: int
    holding: ItemState | None
    known_s: int
    proof: LineItem | Evidence

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        proof = self.proof
        return proof.evidence() if isinstance(proof, LineItem) else (proof,)


@dataclass(slots=True)
class ItemFacts:
    """All that is known of one item. ``priors`` show it just before their instant."""

    facts: list[ItemFact] = field(default_factory=list)
    priors: list[ItemFact] = field(default_factory=list)
    created_s: int | None = None  # None: no sighting or event shows the item itself
    covered_until_s: int = 0
    is_current: bool = False


def gather(
    sightings: Sequence[SubscriptionVersion],
    charges: Sequence[LineItem],
    events: Sequence[Event],
    prices: Mapping[str, Price],
) -> dict[str, ItemFacts]:
    """All that is known of each item of a subscription.

    ``sightings`` are its own, oldest first; ``charges`` and ``events`` those that name
    it, metered charges excluded.
    """
    items: dict[str, ItemFacts] = {}
    _from_charges(items, charges, prices)
    _from_events(items, events)
    _from_sightings(items, unexplained(sightings, events))
    for item in sightings[-1].subscription.items.data:
        items.setdefault(item.id, ItemFacts()).is_current = True
    return items


def is_metered(price: Price | None) -> bool:
    recurring = price.recurring if price is not None else None
    return recurring is not None and recurring.usage_type == "metered"


def item_state_of(item: SubscriptionItem) -> ItemState | None:
    """None for an item without a price (deleted from an event's old shape)."""
    if item.price is None:
        return None
    quantity = item.quantity_decimal
    if quantity is None:
        quantity = Decimal(1 if item.quantity is None else item.quantity)
    return ItemState(item.price.id, quantity)


def came_to_be(
    charges: Sequence[LineItem],
    sightings: Sequence[SubscriptionVersion],
    events: Iterable[Event],
) -> list[LineItem]:
    """Without what was billed and never came to be.

    A revision voids its original. A pending update is billed at once, made when it is
    paid, and else void: it is left out where nothing else (another charge, a look at the
    subscription) shows the state that it bills, and something the state before. What a
    later invoice bills had been made by then, whatever became of that invoice.
    """
    is_waiting = sightings[-1].subscription.pending_update is not None
    in_doubt = ("void", "open") if is_waiting else ("void",)
    if not any(charge.status in in_doubt for charge in charges):
        return list(charges)
    standing = {(c.item, c.start_s) for c in charges if c.status != "void"}
    kept = [
        c
        for c in charges
        if c.status != "void" or not c.is_regular or (c.item, c.start_s) not in standing
    ]
    looks = [*sightings]
    looks += [
        SubscriptionVersion(e.created, e.subscription) for e in events if e.subscription
    ]
    shown = [
        (item.id, held.price, held.quantity, seen_s)
        for seen_s, subscription in looks
        for item in subscription.items.data
        if (held := item_state_of(item)) is not None
    ]

    def has_witness(charge: LineItem) -> bool:
        state = (charge.item, charge.price, charge.quantity)
        billed = (
            (c.item, c.price, c.quantity) == state
            and (c.invoice != charge.invoice or c.start_s > charge.start_s)
            and c.start_s >= charge.start_s
            for c in kept
        )
        return any(billed) or any(
            each[:3] == state and each[3] >= charge.start_s for each in shown
        )

    changes: dict[tuple[str, int], list[LineItem]] = {}
    for charge in kept:
        is_billed_at_once = charge.known_s - charge.start_s <= SAME_REQUEST_S
        if charge.status in in_doubt and is_billed_at_once:
            changes.setdefault((charge.invoice, charge.start_s), []).append(charge)
    dropped = {
        key
        for key, parts in changes.items()
        if not all(part.is_regular for part in parts)
        and not all(has_witness(part) for part in parts if not part.credit)
        and all(has_witness(part) for part in parts if part.credit)
    }
    return [c for c in kept if (c.invoice, c.start_s) not in dropped]


def _unit_amount(charge: LineItem, price: Price | None) -> Decimal | None:
    """The amount a unit that the line shows, where it explains the line's amount.

    A trial's line says 0 a unit (recorded), which is not the price's amount.
    """
    unit_minor = charge.unit_amount_minor
    if unit_minor is None or not charge.amount_minor or price is None:
        return None
    is_plain = price.transform_quantity is None and price.billing_scheme == "per_unit"
    if is_plain and unit_minor * charge.quantity == charge.amount_minor:
        return unit_minor  # nearly every line there is; the rest is slower
    try:
        rate = tariff(price, charge.currency, unit_amount_minor=unit_minor)
    except Unvalued:
        return None
    whole = interval_minor(rate, charge.quantity)
    return unit_minor if abs(whole - charge.amount_minor) < 1 else None


def _from_charges(
    items: dict[str, ItemFacts],
    charges: Sequence[LineItem],
    prices: Mapping[str, Price],
) -> None:
    billed_anew: set[tuple[str, int]] = set()
    if any(charge.credit for charge in charges):
        billed_anew = {(c.item, c.start_s) for c in charges if not c.credit}
    for charge in charges:
        known = items.get(charge.item)
        if known is None:
            known = items[charge.item] = ItemFacts()
        unit_minor = _unit_amount(charge, prices.get(charge.price))
        holding = ItemState(charge.price, charge.quantity, unit_minor)
        rank = DEBIT if charge.proration else REGULAR
        fact = ItemFact(charge.start_s, rank, holding, charge.known_s, charge)
        if charge.credit:
            known.priors.append(fact)
            if (charge.item, charge.start_s) not in billed_anew:
                gone = msgspec.structs.replace(fact, rank=CREDIT, holding=None)
                known.facts.append(gone)
            continue
        known.covered_until_s = max(known.covered_until_s, charge.end_s)
        if charge.proration or charge.start_s <= charge.known_s + PREBILLED_S:
            known.facts.append(fact)


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
            held = item_state_of(item)
            if held is not None:
                known.priors.append(ItemFact(at_s, EVENT, held, at_s, proof))
        if not event.subscription.items.has_more:
            _look(items, event.subscription, at_s, EVENT, proof)


def _from_sightings(
    items: dict[str, ItemFacts], sightings: Sequence[SubscriptionVersion]
) -> None:
    for seen_s, subscription in sightings:
        proof = Evidence("observed", subscription.id, seen_s)
        _look(items, subscription, seen_s, SIGHTING, proof)


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
        held = item_state_of(item)
        if held is not None:  # an old API version's event may lack the price
            fact = ItemFact(at_s, rank, held, at_s, proof)
            (known.priors if ended else known.facts).append(fact)
    if ended or not present:
        return
    for item_id, known in items.items():
        if item_id not in present:
            known.facts.append(ItemFact(at_s, rank, None, at_s, proof))
