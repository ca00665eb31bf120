"""An account that goes on while it is read, and writes every event that Stripe would.

The billing engine writes the events of subscriptions; a ``Telling`` account also those
of invoices, pending items, discounts, customers and the catalogue, each at the second in
which its lists came to show something else.
"""

from collections.abc import Collection, Iterator

from tests.billing.account import Account
from tests.billing.state import Json
from tests.support.simulator import SimulatedAccount

NOUNS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "coupons": "coupon",
}
SETTLED = {
    "paid": "invoice.paid",
    "void": "invoice.voided",
    "uncollectible": "invoice.marked_uncollectible",
}
Shown = dict[str, dict[str, Json]]


class Telling(Account):
    """Call ``tell`` after each act; whatever falls due by itself is told by itself."""

    def __init__(self, now: int, *, seed: int = 1) -> None:
        super().__init__(now, seed=seed)
        self._shown: Shown = {}

    def advance(self, to: int) -> None:
        while self._due and self._due[0][0] <= to:
            super().advance(self._due[0][0])
            self.tell()
        super().advance(to)

    def tell(self) -> None:
        """Write the events of all that the lists show since the last time."""
        after = {
            kind: {it["id"]: it for it in things}
            for kind, things in self.snapshot().items()
        }
        billed = {
            line.invoice_item for made in self.invoices.values() for line in made.lines
        }
        for kind, thing in told(self._shown, after, billed):
            made = {
                "id": self.new_id("evt"),
                "object": "event",
                "type": kind,
                "created": self.now,
                "data": {"object": thing},
            }
            self.events.append(("", made))
        self._shown = after

    def now_shown(self) -> SimulatedAccount:
        """What Stripe shows now: of the events, the last 30 days'."""
        return SimulatedAccount(self.snapshot())

    def ever_shown(self) -> SimulatedAccount:
        """The same, and every event there ever was."""
        events = [event for _, event in self.events]
        return SimulatedAccount({**self.snapshot(), "events": events[::-1]})


def told(
    before: Shown, after: Shown, billed: Collection[str | None]
) -> Iterator[tuple[str, Json]]:
    """The types and objects of the events that lead from one snapshot to the next.

    No event tells of a pending item that was ``billed``: it is on an invoice now.
    """
    for kind, noun in NOUNS.items():
        for key, thing in after[kind].items():
            old = before.get(kind, {}).get(key)
            if thing != old:
                yield f"{noun}.{'created' if old is None else 'updated'}", thing
    yield from _discounts(before, after)
    yield from _pending(before, after, billed)
    for key, invoice in after["invoices"].items():
        old = before.get("invoices", {}).get(key)
        if invoice != old:
            yield from ((kind, invoice) for kind in _of_invoice(old, invoice))


def _of_invoice(old: Json | None, new: Json) -> Iterator[str]:
    was, now = "draft" if old is None else old["status"], new["status"]
    if old is None:
        yield "invoice.created"
    if was == now and old is not None:
        yield "invoice.updated"
    if was == "draft" and now != "draft":
        yield "invoice.finalized"
    if was != now and now in SETTLED:
        yield SETTLED[now]


def _pending(
    before: Shown, after: Shown, billed: Collection[str | None]
) -> Iterator[tuple[str, Json]]:
    old, new = before.get("invoiceitems", {}), after["invoiceitems"]
    for key, item in new.items():
        if key not in old:
            yield "invoiceitem.created", item
    for key, item in old.items():
        if key not in new and key not in billed:
            yield "invoiceitem.deleted", item


def _discounts(before: Shown, after: Shown) -> Iterator[tuple[str, Json]]:
    old, new = _of_subscriptions(before), _of_subscriptions(after)
    for key, discount in new.items():
        if key not in old:
            yield "customer.discount.created", discount
    for key, discount in old.items():
        if key not in new:
            yield "customer.discount.deleted", discount


def _of_subscriptions(shown: Shown) -> dict[str, Json]:
    return {
        discount["id"]: discount
        for subscription in shown.get("subscriptions", {}).values()
        for holder in (subscription, *subscription["items"]["data"])
        for discount in holder["discounts"]
    }
