"""The lines of all of a customer's subscriptions → since when its own discount is gone.

A customer's discount is one for all that it reduces: what one subscription is billed in
full, without any discount, shows that the others have it no longer, either.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from operator import itemgetter

from connector.mrr.discounts.reduced_periods import (
    FullAmounts,
    changes_without,
    naming_lines,
)
from connector.mrr.discounts.time_index import TimeIndex
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.history import History
from connector.stripe_api.decoding import ref
from connector.stripe_api.objects import Price, Subscription

# What is billed in full from an instant on, and the lines that show it.
BilledInFull = tuple[int, tuple[LineItem, ...]]
CHANGED, JOINED = "changed", "joined"  # of whatever item


class LinesByCustomer:
    """Those of a history, which may be of several ids that were merged."""

    def __init__(
        self, history: History, by_subscription: Mapping[str, Sequence[LineItem]]
    ) -> None:
        self._history, self._by_subscription = history, by_subscription
        self._known: dict[str, CustomerLines] = {}

    def of(self, now: Subscription) -> "CustomerLines":
        """Of all subscriptions of this one's customer."""
        customer = ref(now.customer)
        if customer not in self._known:
            own = {
                key: self._by_subscription.get(key, ())
                for key, versions in self._history.versions.items()
                if ref(versions[-1].subscription.customer) == customer
            }
            prices = self._history.catalogue.prices
            self._known[customer] = CustomerLines(own, prices)
        return self._known[customer]


class CustomerLines:
    """By subscription, as they were read; looked through only where that is asked for."""

    def __init__(
        self,
        by_subscription: Mapping[str, Sequence[LineItem]],
        prices: Mapping[str, Price],
    ) -> None:
        self._by_subscription, self._prices = by_subscription, prices

    @property
    def are_of_several(self) -> bool:
        return len(self._by_subscription) > 1

    def naming(self, discount: str) -> Sequence[LineItem]:
        """Of all of its subscriptions."""
        return self._naming.get(discount, ())

    @cached_property
    def _naming(self) -> Mapping[str, Sequence[LineItem]]:
        every = self._by_subscription.values()
        return naming_lines(line for own in every for line in own)

    @cached_property
    def in_full(self) -> TimeIndex[str, BilledInFull]:
        """What nothing is taken off, by item; of whatever item, changes and what joins."""
        every = self._by_subscription.values()
        found = (each for own in every for each in self._in_full(own))
        return TimeIndex(found, itemgetter(0), _keys)

    def _in_full(self, line_items: Sequence[LineItem]) -> Iterator[BilledInFull]:
        for line in line_items:
            if line.is_regular and line.amount_minor > 0 and not line.discounts:
                yield line.discounted_s, (line,)
        full = FullAmounts(line_items, self._prices)
        for change in changes_without(line_items, full):
            if change.discounts is None:
                yield change.at_s, change.billed


def _keys(found: BilledInFull) -> tuple[str, ...]:
    lines = found[1]
    if not lines[0].proration:
        return (lines[0].item,)
    kind = CHANGED if any(line.credit for line in lines) else JOINED
    return (kind, lines[0].item)
