"""What each item's MRR truly is, and what Stripe's objects let anyone see of it.

True: by docs/definitions.md, exactly, rounded once per item, half to even. Seen:
a change counts from the first instant at which an object that Stripe still shows gives
the new state (How it dates a change). A state that was replaced before anything
showed it is not seen at all; one that only the subscription as it is today shows is
``observed``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.billing import taxes
from tests.billing.discounting import counted_nets
from tests.billing.state import COUNTS, Item


@dataclass(frozen=True, slots=True)
class Step:
    """From ``at`` on the MRR is ``mrr_minor``."""

    at: int
    mrr_minor: int
    observed: bool = False


def item_mrr_minor(
    item: Item,
    at: int,
    *,
    once: bool = False,
    usage: bool = False,
    repeating: bool = True,
    if_dropped: bool = False,
) -> int:
    """``once``: once coupons count, for the periods that they reduced.

    ``usage``: what is metered counts, with the usage of its last full period.
    """
    if item.removed or item.subscription.status not in COUNTS:
        return 0
    nets = counted_nets(
        item.subscription,
        at,
        once=once,
        usage=usage,
        repeating=repeating,
        if_dropped=if_dropped,
    )
    if item not in nets:
        return 0
    others = [i.tax for i in item.subscription.all_items if i is not item]
    inside = taxes.inside(item.price, item.tax, others)
    return round(item.price.monthly(nets[item]) / (1 + inside))


def true_steps(item: Item) -> list[Step]:
    return [Step(change.at, change.mrr_minor) for change in item.changes]


def seen_steps(item: Item, sightings: Iterable[int], now: int) -> list[Step]:
    """The item's steps as its sightings date them."""
    found: list[Step] = []
    seen = sorted(sightings)
    alive = item.subscription.ended_at is None
    for n, change in enumerate(item.changes):
        last = n == len(item.changes) - 1
        until = now + 1 if last else item.changes[n + 1].at
        at = next((s for s in seen if change.at <= s < until), None)
        if at is not None:
            found.append(Step(at, change.mrr_minor))
        elif last and alive:
            found.append(Step(now, change.mrr_minor, observed=True))
    return found


def since_birth(item: Item, seen: list[Step]) -> list[Step]:
    """An item says when it was added, not as what: the first state that is seen counts.

    Of an item that is only seen to end or to stop, its subscription shows the last state.
    """
    if not seen:
        return []
    shown = [change.at for change in item.changes if change.at <= seen[0].at][-1]
    over = (
        item.subscription.ended_at if seen[0].at == item.subscription.ended_at else None
    )
    stopped = shown if shown in item.subscription.stops else over
    before = [c for c in item.changes if stopped is not None and c.at < stopped]
    if before:
        return [Step(item.created, before[-1].mrr_minor), *seen]
    return [Step(item.created, seen[0].mrr_minor), *seen[1:]]


def added_up(
    items: Iterable[Item], steps_of: Callable[[Item], list[Step]]
) -> list[Step]:
    """The items' steps → the customer's, one an instant, each a change."""
    moves: dict[int, tuple[int, bool]] = {}
    for item in items:
        before = 0
        for step in steps_of(item):
            moved, observed = moves.get(step.at, (0, False))
            moved += step.mrr_minor - before
            moves[step.at] = (moved, observed or step.observed)
            before = step.mrr_minor
    found: list[Step] = []
    mrr_minor = 0
    for at, (moved, observed) in sorted(moves.items()):
        if moved:
            mrr_minor += moved
            found.append(Step(at, mrr_minor, observed))
    return found
