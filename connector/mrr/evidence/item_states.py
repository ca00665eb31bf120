"""What a subscription item was at an instant, and what shows it: an item fact.

Which of them changed anything, ``item_changes`` finds out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from operator import attrgetter

import msgspec

from connector.core.model import Evidence
from connector.mrr.evidence.line_items import LineItem
from connector.stripe_api.invoices import units_of
from connector.stripe_api.objects import SubscriptionItem

# Objects of one request carry neighbouring seconds: the recordings show one.
SAME_REQUEST_S = 60

# At one instant, the last one wins: a version in an event's second came before it.
CREDIT, REGULAR, DEBIT, VERSION, EVENT = range(5)

EARLIEST = attrgetter("at_s", "rank")


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


def item_state_of(item: SubscriptionItem) -> ItemState | None:
    """None for an item without a price (deleted from an event's old shape)."""
    if item.price is None:
        return None
    return ItemState(item.price.id, units_of(item))
