"""A subscription's facts → when anything may change, and of which of its items."""

from collections.abc import Iterable, Iterator, Sequence

from connector.mrr.evidence.item_changes import ItemChange
from connector.mrr.intervals import Interval
from connector.mrr.steps.facts import SubscriptionFacts

# The items whose pricing may change at an instant; None: all of them.
Touched = set[str] | None


def instants(facts: SubscriptionFacts) -> dict[int, Touched]:
    found: dict[int, Touched] = {}
    for at_s, items in _boundaries(facts):
        touched = found.setdefault(at_s, set())
        if items is None:
            found[at_s] = None
        elif touched is not None:
            touched.update(items)
    return found


def _boundaries(
    facts: SubscriptionFacts,
) -> Iterator[tuple[int, Iterable[str] | None]]:
    for item, own in facts.changes.items():
        yield from ((change.at_s, (item,)) for change in own)
    for item, lines in facts.usage.lines.items():
        yield from ((line.end_s, (item,)) for line in lines)
    untold: list[str] = []
    if facts.taxes:
        told = facts.changes.items()
        untold += (i for i, own in told if not _tells_tax(facts, i, own))
    for item, rates in facts.taxes.items():
        yield from ((rate.since_s, (item, *untold)) for rate in rates)
    for items, interval in _intervals(facts):
        yield interval.start_s, items
        if interval.end_s is not None:
            yield interval.end_s, items


def _tells_tax(
    facts: SubscriptionFacts, item: str, changes: Sequence[ItemChange]
) -> bool:
    """Whether it has a rate of its own from its first change on."""
    return any(r.since_s <= changes[0].at_s for r in facts.taxes.get(item, ())[:1])


def _intervals(
    facts: SubscriptionFacts,
) -> Iterator[tuple[Iterable[str] | None, Interval]]:
    for interval in facts.lasting:
        yield None, interval
    for item, own in facts.trials.items():
        yield from (((item,), trial) for trial in own)
    for each in facts.discounts:
        is_shared = each.coupon.percent_off is None
        if each.interval is not None:
            items = (each.item,) if each.item and not is_shared else None
            yield items, each.interval
        for item, interval in each.by_item.items():
            yield None if is_shared else (item,), interval
