"""Line items, events and versions → item facts, by item."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from connector.core.errors import Unvalued
from connector.mrr.evidence.item_states import (
    CREDIT,
    DEBIT,
    EVENT,
    REGULAR,
    VERSION,
    ItemFact,
    ItemFacts,
    ItemState,
    item_state_of,
)
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.metered_items import add_metered
from connector.mrr.evidence.subscription_views import (
    SubscriptionView,
    asked_since,
    views_by_event,
    views_by_look,
    with_items_left,
)
from connector.mrr.history import SubscriptionVersion
from connector.mrr.pricing import interval_minor, tariff
from connector.stripe_api.events import Event
from connector.stripe_api.objects import Price

# A regular line is written when its period begins (an hour of draft at most). One that
# is written days ahead is prebilled, and may be out of date when its period comes.
PREBILLED_S = 3 * 86_400

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
    add_metered(items, [*told, *seen], usage, prices)
    return items


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
