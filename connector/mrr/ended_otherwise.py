"""An ended subscription whose item shows a quantity that was never billed.

A pending change that a cancellation dropped leaves it so. What was billed counts; that
the two contradict each other is a note, and no fault of the figures.
"""

from decimal import Decimal
from typing import NamedTuple

from connector.core.language import message
from connector.mrr.evidence.line_items import LineItem
from connector.mrr.evidence.subscription_lines import subscription_lines
from connector.mrr.history import History, versions_in
from connector.stripe_api.invoices import units_of
from connector.stripe_api.objects import SubscriptionItem


class UnbilledQuantity(NamedTuple):
    """``item`` ended with ``shown`` units; its last line bills ``billed``, and counts."""

    subscription: str
    item: str
    shown: Decimal
    billed: Decimal
    line: str

    @property
    def sentence(self) -> str:
        return message(
            f"{self.subscription} ended with quantity {self.shown:f} of {self.item}, "
            f"which was never billed; {self.line} bills {self.billed:f}, and counts"
        )


def unbilled_quantities(history: History) -> list[UnbilledQuantity]:
    """Of each item of an ended subscription that was last billed otherwise."""
    billed = subscription_lines(history)
    found = []
    for key, versions in history.versions.items():
        now = versions[-1].subscription
        if now.ended_at is None:
            continue
        in_force = _in_force(history, key)
        for item in now.items.data:
            units = units_of(item)
            own = [n for n in billed.get(key, []) if n.item == item.id and _bills(n)]
            is_seen = (item.id, units) in in_force or _is_metered(item)
            if own and not is_seen and all(n.quantity != units for n in own):
                last = max(own, key=lambda line: line.start_s)
                unbilled = UnbilledQuantity(key, item.id, units, last.quantity, last.id)
                found.append(unbilled)
    return found


def _bills(line: LineItem) -> bool:
    return not line.credit and line.status != "void"


def _is_metered(item: SubscriptionItem) -> bool:
    return item.quantity is None and item.quantity_decimal is None


def _in_force(history: History, subscription: str) -> set[tuple[str, Decimal]]:
    """The quantities that a look or an event showed before it had ended."""
    shown = [*history.versions[subscription], *versions_in(history.events)]
    return {
        (item.id, units_of(item))
        for _, version in shown
        if version.id == subscription and version.ended_at is None
        for item in version.items.data
    }
