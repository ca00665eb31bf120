"""What one look at an account shows, told by hand in Stripe's JSON."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.support.folders import Look
from tests.support.shapes import Json, customer, moment, product

LISTS = (
    "customers",
    "products",
    "prices",
    "coupons",
    "subscriptions",
    "invoices",
    "invoiceitems",
    "events",
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What one look at the account shows, and the settings that it is read with.

    Customers and products that nothing more is said about need not be given. ``earlier``
    are the looks before this one, the oldest first; their settings do not matter.
    ``policy`` is in the words of the configuration: ``{"metered": "invoiced"}``.
    """

    seen_at: str
    prices: Sequence[Json] = ()
    subscriptions: Sequence[Json] = ()
    invoices: Sequence[Json] = ()
    invoiceitems: Sequence[Json] = ()
    coupons: Sequence[Json] = ()
    events: Sequence[Json] = ()
    customers: Sequence[Json] = ()
    products: Sequence[Json] = ()
    policy: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "UTC"
    merge: Mapping[str, str] = field(default_factory=dict)
    earlier: Sequence["Told"] = ()

    def seen(self) -> Look:
        """As ``stripe.json`` keeps it."""
        at = datetime.fromtimestamp(moment(self.seen_at), UTC).isoformat()
        found: dict[str, object] = {"seen_at": at}
        if self.timezone != "UTC":
            found["timezone"] = self.timezone
        if self.policy:
            found["policy"] = dict(self.policy)
        if self.merge:
            found["merge"] = dict(self.merge)
        lists = {kind: list(getattr(self, kind)) for kind in LISTS}
        lists["customers"] += _missing(lists["customers"], self._customers(), customer)
        lists["products"] += _missing(lists["products"], self._products(), product)
        for kind, things in lists.items():
            _check_ids(kind, things)
        return found | lists

    def looks(self) -> list[Look]:
        return [told.seen() for told in (*self.earlier, self)]

    def _customers(self) -> Iterator[str]:
        for thing in (*self.subscriptions, *self.invoices, *self.invoiceitems):
            yield thing["customer"]

    def _products(self) -> Iterator[str]:
        for each in self.prices:
            yield each["product"]


def _missing(
    given: Sequence[Json], named: Iterator[str], make: Callable[[str], Json]
) -> list[Json]:
    """An object for each id that is named and not given."""
    known = {thing["id"] for thing in given}
    return [make(each) for each in dict.fromkeys(named) if each not in known]


def _check_ids(kind: str, things: Sequence[Json]) -> None:
    twice = [i for i, n in Counter(thing["id"] for thing in things).items() if n > 1]
    if twice:
        message = f"{kind} {', '.join(twice)} told twice: give them ids of their own"
        raise ValueError(message)
