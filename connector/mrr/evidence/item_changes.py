"""Facts → when each subscription item changed, and into what.

A change takes effect at the earliest instant that any evidence shows it for
(docs/definitions.md, How it dates a change): the start of a proration debit's period or
of the first regular line, the moment of an event, the creation of an item; and only
where nothing of these shows it, the moment a later look at the subscription did
(``observed``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec

from connector.core.model import Evidence
from connector.mrr.evidence.item_states import (
    CREDIT,
    DEBIT,
    REGULAR,
    SAME_REQUEST_S,
    SIGHTING,
    ItemFact,
    ItemFacts,
    ItemState,
    came_to_be,
    gather,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import SubscriptionVersion
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Price, Subscription

_EARLIEST = attrgetter("at_s", "rank")


class ItemChange(NamedTuple):
    """From ``at_s`` on the item is ``holding``; None: it is not there any more."""

    at_s: int
    holding: ItemState | None
    evidence: tuple[Evidence, ...]


def item_changes(
    sightings: Sequence[SubscriptionVersion],
    charges: Sequence[LineItem],
    events: Sequence[Event],
    prices: Mapping[str, Price],
) -> dict[str, list[ItemChange]]:
    """Each item's changes, oldest first; the first says when the item began.

    ``sightings`` are one subscription's, oldest first; ``charges`` and ``events`` those
    that name it, metered charges excluded.
    """
    current = sightings[-1].subscription
    licensed = came_to_be(charges, sightings, events)
    items = gather(sightings, licensed, events, prices)
    changes = {}
    for item, known in items.items():
        if not known.is_current and current.items.data:
            known.facts += _gone_at_renewal(item, known, items, licensed)
        changes[item] = list(_walk(current, item, known, licensed))
    return changes


def _gone_at_renewal(
    item: str,
    known: ItemFacts,
    items: Mapping[str, ItemFacts],
    charges: Sequence[LineItem],
) -> Iterator[ItemFact]:
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
        if other_id == item or not last_s + SAME_REQUEST_S < born_s <= covered_s:
            continue
        is_prorated = any(
            f.rank == DEBIT and abs(f.at_s - born_s) <= SAME_REQUEST_S
            for f in other.facts
        )
        if not is_prorated:  # else a credit would show that this item made way
            proof = Evidence("subscription_item", other_id, born_s, "replaces it")
            yield ItemFact(born_s, CREDIT, None, born_s, proof)
            return
    for charge in charges:
        if (
            charge.is_regular
            and charge.item != item
            and charge.start_s >= covered_s > 0
        ):
            yield ItemFact(charge.start_s, CREDIT, None, charge.known_s, charge)
            return


def _walk(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    charges: Sequence[LineItem],
) -> Iterator[ItemChange]:
    """The facts that changed something, in order, after the item's beginning."""
    facts = sorted(known.facts, key=_EARLIEST)
    born = _birth(subscription, item, known, facts, charges)
    if born is None:
        return
    born = born._replace(holding=_priced(born.holding, born.at_s, facts, None))
    yield born
    left_at: dict[int, list[ItemFact]] = {}
    for prior in known.priors:
        left_at.setdefault(prior.at_s, []).append(prior)
    state, before, changed_known_s = born.holding, None, born.at_s
    for at_s, group in groupby(facts, key=attrgetter("at_s")):
        said, left = list(group), left_at.get(at_s, ())
        if len(said) == 1 and said[0].holding == state and not left:
            continue  # nearly always: a renewal on the terms before
        # Events have no order within a second; nothing ends in the one it begins in.
        said = [f for f in said if f.holding is not None or at_s > born.at_s]
        if not said or at_s < born.at_s:
            continue
        fact = _last_word(said, state, left)
        if _same(fact.holding, state):
            continue
        backdated = fact.rank >= SIGHTING and changed_known_s > at_s
        if backdated and _same(fact.holding, before):
            continue  # it was seen before the change now dated earlier was made
        holding = _priced(fact.holding, at_s, facts, state)
        before, state, changed_known_s = state, holding, fact.known_s
        taken_back = [prior for prior in left if prior.rank < SIGHTING]
        proof = [e for f in (fact, *taken_back) for e in f.evidence]
        yield ItemChange(at_s, holding, tuple(dict.fromkeys(proof)))


def _last_word(
    facts: Sequence[ItemFact], state: ItemState | None, left: Sequence[ItemFact]
) -> ItemFact:
    """Of facts for one instant, the strongest; of equals, what was not ``left`` again.

    Prorations of a free change come as two amounts of 0 that only differ in the price:
    of these, the one that says something new.
    """
    best = [fact for fact in facts if fact.rank == facts[-1].rank]
    gone = [p.holding for p in left if not _same(p.holding, state)]
    stayed = [f for f in best if not any(_same(f.holding, held) for held in gone)]
    if gone and stayed:
        return stayed[-1]
    news = [fact for fact in best if not _same(fact.holding, state)]
    return (news or best)[-1]


def _priced(
    holding: ItemState | None,
    at_s: int,
    facts: Iterable[ItemFact],
    state: ItemState | None,
) -> ItemState | None:
    """The holding with its amount a unit: as before, else as the next line shows it."""
    if holding is None or holding.unit_amount_minor is not None:
        return holding
    later = (f.holding for f in facts if f.at_s >= at_s and f.holding is not None)
    for other in (state, *later):
        amount_minor = other.unit_amount_minor if other is not None else None
        if (
            other is not None
            and other.price == holding.price
            and amount_minor is not None
        ):
            return msgspec.structs.replace(holding, unit_amount_minor=amount_minor)
    return holding


def _same(one: ItemState | None, other: ItemState | None) -> bool:
    return other is None if one is None else one.same_as(other)


def _birth(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    facts: Iterable[ItemFact],
    charges: Sequence[LineItem],
) -> ItemChange | None:
    """When the item began and what it was then; None where nothing shows it.

    ``facts`` are the known ones in order of time.
    """
    then = next((fact for fact in facts if fact.holding is not None), None)
    first = min(known.priors, key=_EARLIEST, default=None)
    if first is None or (then is not None and then.at_s < first.at_s):
        first = then
    if first is None or first.holding is None:
        return None
    start_s = subscription.started_at
    at_s = _born_at(subscription, item, known, charges, first)
    if at_s != start_s:
        here = [f for f in known.facts if f.at_s == at_s and f.holding is not None]
        born = Evidence("subscription_item", item, at_s, "added")
        proof = here[0].evidence if here else (born,)
    else:
        proof = (Evidence("subscription", subscription.id, start_s, "started"),)
        if first is then and first.rank in (REGULAR, DEBIT):
            proof += first.evidence
    return ItemChange(at_s, first.holding, proof)


def _born_at(
    subscription: Subscription,
    item: str,
    known: ItemFacts,
    charges: Sequence[LineItem],
    first: ItemFact,
) -> int:
    """The subscription's start for its first items, else when the item was added."""
    start_s = subscription.started_at
    others = (c.start_s for c in charges if c.is_regular and c.item != item)
    others_began_s = next(others, first.at_s)  # they come in order of time
    is_credit_or_later_look = first in known.priors or first.rank >= SIGHTING
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
