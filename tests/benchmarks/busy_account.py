"""An account in which something happens all the time, as events tell of it.

Customers renew one after the other: a subscription goes on and an invoice is made; that
of an earlier renewal is updated, finalized and paid. Each fifth renewal has another
quantity. What happens when is a function of time alone, so that whoever sends the events
and Stripe, who lists them, need not be one process.
"""

import itertools
import random
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.support.simulator import SimulatedAccount
from tests.support.simulator_rules import Params, Thing, missing

PART = 5  # events a renewal
LATER = 3_000  # renewals until an invoice that was made is finalized
GROWS_EACH = 5
TOLD = (
    "customer.subscription.updated",
    "invoice.created",
    "invoice.updated",
    "invoice.finalized",
    "invoice.paid",
)


@dataclass(frozen=True)
class Happenings:
    """``rate`` events a second since ``began_s``; they are numbered from 0."""

    subscriptions: Sequence[Thing]
    invoices: Sequence[Thing]
    rate: float
    began_s: float

    @classmethod
    def of(cls, account: SimulatedAccount, rate: float, began_s: float) -> "Happenings":
        going_on = [
            each
            for each in account.objects["subscriptions"]
            if each["status"] == "active" and each["items"]["data"][0].get("quantity")
        ]
        random.Random(1).shuffle(going_on)
        newest = {each["customer"]: each for each in account.objects["invoices"]}
        billed = [each for each in going_on if each["customer"] in newest]
        return cls(billed, [newest[each["customer"]] for each in billed], rate, began_s)

    def number_at(self, at_s: float) -> int:
        """The first event from that moment on."""
        return max(0, -int(-(at_s - self.began_s) * self.rate // 1))

    def created_s(self, number: int) -> int:
        return int(self.began_s + number / self.rate)

    def subscription(self, renewal: int) -> Thing:
        """The renewed one, as it is from this renewal on."""
        many = len(self.subscriptions)
        shown = self.subscriptions[renewal % many]
        former = range(renewal, -1, -many)
        grown = next((n for n in former if n % GROWS_EACH == 0), None)
        if grown is None:
            return shown
        item = shown["items"]["data"][0] | {"quantity": 1 + grown * 7 % 19}
        rest = shown["items"]["data"][1:]
        return {**shown, "items": {**shown["items"], "data": [item, *rest]}}

    def event(self, number: int) -> Thing:
        renewal, part = divmod(number, PART)
        if part == 0:
            thing = self.subscription(renewal)
        else:
            of = renewal if part == 1 else renewal + LATER
            thing = self.invoices[of % len(self.invoices)]
        return {
            "id": f"evt_{self.rate:g}_{number:012}",
            "object": "event",
            "type": TOLD[part],
            "created": self.created_s(number),
            "livemode": False,
            "data": {"object": thing},
        }


@dataclass
class BusyAccount(SimulatedAccount):
    """The account as it is by now, and its list of events."""

    account: SimulatedAccount
    happenings: Happenings
    now_s: Callable[[], float] = time.time
    _renewed: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        super().__init__(self.account.objects, self.account.facts)
        shelf = self._shelves["subscriptions"]
        self._subscriptions = list(shelf.things)
        shelf.things = self._subscriptions  # in its order, and to be changed

    def answer(
        self, path: str, params: Params, *, method: str = "GET"
    ) -> tuple[int, Thing]:
        self._go_on()
        match path.strip("/").split("/"):
            case ["v1", "events"]:
                return 200, self._events(params)
            case ["v1", "events", key]:
                number = int(key.rpartition("_")[2])
                if number < self.happenings.number_at(self.now_s()):
                    return 200, self.happenings.event(number)
                return missing("event", key).answer
        return super().answer(path, params, method=method)

    def _go_on(self) -> None:
        shelf = self._shelves["subscriptions"]
        until = self.happenings.number_at(self.now_s()) // PART
        for renewal in range(self._renewed, until):
            now = self.happenings.subscription(renewal)
            self._subscriptions[shelf.position[now["id"]]] = now
        self._renewed = max(self._renewed, until)

    def _events(self, params: Params) -> Thing:
        given = dict(params)
        types = {value for name, value in params if name == "types[]"}
        first, end = 0, self.happenings.number_at(self.now_s())
        if "created[gte]" in given:
            first = self._from(int(given["created[gte]"]), end)
        if "created[lt]" in given:
            end = self._from(int(given["created[lt]"]), end)
        if "starting_after" in given:
            end = min(end, int(given["starting_after"].rpartition("_")[2]))
        numbers = range(end - 1, first - 1, -1) if TOLD[0] in types else range(0)
        limit = int(given.get("limit", 10))
        shown = [self.happenings.event(each) for each in numbers[:limit]]
        more = len(numbers) > limit
        return {"object": "list", "data": shown, "has_more": more, "url": "/v1/events"}

    def _from(self, at_s: int, end: int) -> int:
        return bisect_left(range(end), at_s, key=self.happenings.created_s)


def in_time(happenings: Happenings, seconds: float) -> Iterator[tuple[float, Thing]]:
    """Events from now on, each with how long to wait for it first."""
    first = happenings.number_at(time.time())
    for number in itertools.count(first):
        if number - first >= round(happenings.rate * seconds):
            return
        at_s = happenings.began_s + number / happenings.rate
        yield max(0.0, at_s - time.time()), happenings.event(number)
