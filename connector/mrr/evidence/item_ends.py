"""Item facts and bills → the ends of items that left without a line of their own.

Either another item took its place before its paid period was over, or the next renewal of
the subscription came without it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from connector.core.model import Evidence
from connector.mrr.evidence.item_states import (
    CREDIT,
    DEBIT,
    EARLIEST,
    SAME_REQUEST_S,
    VERSION,
    ItemFact,
    ItemFacts,
)
from connector.mrr.evidence.line_items import LineItem

_WHEN = itemgetter(0)
_Added = tuple[int, int, str]  # when, its place among all items, its id


def add_ends_without_credit(
    items: Mapping[str, ItemFacts],
    licensed: Sequence[LineItem],
    used: Sequence[LineItem],
) -> None:
    """To the facts of those that are gone; ``used`` are the lines of metered prices."""
    left = [item for item, known in items.items() if not known.is_current]
    if not left:
        return
    added = _added_without_debit(items)
    regular = [line for line in licensed if line.is_regular]
    bills = [(line.start_s, line) for line in [*regular, *_resumed(licensed)]]
    bills += _renewals_of_usage(items, used)
    bills.sort(key=_WHEN)
    for item in left:
        items[item].facts += _end_without_credit(item, items[item], added, bills)


def _added_without_debit(items: Mapping[str, ItemFacts]) -> list[_Added]:
    """In order of time; with a debit, a credit would show which item made way for it."""
    return sorted(
        (known.created_s, place, item)
        for place, (item, known) in enumerate(items.items())
        if known.created_s
        and not any(
            fact.rank == DEBIT and abs(fact.at_s - known.created_s) <= SAME_REQUEST_S
            for fact in known.facts
        )
    )


def _resumed(line_items: Iterable[LineItem]) -> Iterator[LineItem]:
    """What was billed again for the rest of a period, after a time that was not."""
    covered_s: dict[str, int] = {}
    for line in line_items:
        until_s = covered_s.get(line.item, line.start_s)
        if line.credit:
            covered_s[line.item] = min(until_s, line.start_s)
            continue
        if line.proration and until_s < line.start_s:
            yield line
        covered_s[line.item] = max(until_s, line.end_s)


def _renewals_of_usage(
    items: Mapping[str, ItemFacts], used: Iterable[LineItem]
) -> Iterator[tuple[int, LineItem]]:
    """Usage is billed at its period's end, and that began with a renewal, too.

    Not where the item became metered in the middle of it.
    """
    facts = [fact for known in items.values() for fact in known.facts]
    since_s = {fact.proof.id: fact.at_s for fact in facts if fact.rank == CREDIT}
    for line in (each for each in used if each.is_regular):
        if since_s.get(line.id, line.start_s) <= line.start_s:
            yield line.start_s, line
        yield line.end_s, line


def _end_without_credit(
    item: str,
    known: ItemFacts,
    added: Sequence[_Added],
    bills: Sequence[tuple[int, LineItem]],
) -> Iterator[ItemFact]:
    """``bills`` are regular lines by the instant of their renewal, and what was resumed."""
    billed = [fact for fact in known.facts if fact.rank < VERSION]
    if not known.facts or (billed and max(billed, key=EARLIEST).state is None):
        return  # nothing, or a credit of its own
    shown = [f for f in (*known.facts, *known.facts_before) if f.state is not None]
    last_s = max((fact.at_s for fact in shown), default=0)
    covered_s = known.covered_until_s
    since = bisect_right(added, last_s + SAME_REQUEST_S, key=_WHEN)
    until = bisect_right(added, covered_s, key=_WHEN)
    others = [each for each in added[since:until] if each[2] != item]
    if others:
        added_s, _, other = min(others, key=itemgetter(1))
        proof = Evidence("subscription_item", other, added_s, "replaces it")
        yield ItemFact(added_s, CREDIT, None, added_s, proof)
        return
    since = bisect_left(bills, covered_s, key=_WHEN) if covered_s else len(bills)
    for place in range(since, len(bills)):
        at_s, line = bills[place]
        if line.item != item:
            yield ItemFact(at_s, CREDIT, None, line.known_s, line)
            return
