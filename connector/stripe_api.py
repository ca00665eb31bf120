"""Stripe's lists and objects: pages of 100, typed, with their nested lists complete.

Comes in: a key, a base URL, and the transport that carries requests (a real one, or the
bundled account's). Goes out: objects, and when they were asked for. Nothing here knows a
database.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Self, TypeVar

import httpx
import msgspec

from connector.errors import StripeRefused, StripeUnavailable
from connector.listings import LISTINGS, Listing
from connector.stripe_http import DEFAULT_BASE, Params, Reads, StripeHttp
from connector.stripe_objects import (
    Base,
    Invoice,
    Line,
    ListOf,
    Price,
    Subscription,
    SubscriptionItem,
)

T = TypeVar("T", bound=Base)
log = logging.getLogger(__name__)

PAGE = 100  # the most Stripe gives, and what its read allowance counts on
# A list that does not move on is asked again so often, so far apart.
STUCK_TRIES = 3
STUCK_WAIT_S = 1.0


class Page(NamedTuple, Generic[T]):
    """``asked_us`` is when its request began: what it shows is at least as new."""

    data: list[T]
    has_more: bool
    asked_us: int


class _Answer(Base, Generic[T], frozen=True, kw_only=True):
    """A list as an answer. Without ``data`` it is none, and never an empty page."""

    data: list[T]
    has_more: bool = False


@dataclass(slots=True)
class StripeApi:
    """A connection to one account. Close it, or use it as a context manager.

    ``now_us`` and ``sleep`` are the clock and the wait of the shell around it.
    """

    key: str = field(repr=False)
    base: str = DEFAULT_BASE
    transport: httpx.BaseTransport | None = None
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    sleep: Callable[[float], None] = time.sleep
    _http: StripeHttp = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = StripeHttp(
            self.key, self.base, transport=self.transport, sleep=self.sleep
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def reads(self) -> Reads:
        """What this connection has cost so far."""
        return self._http.reads

    def probe(self) -> None:
        """One cheap read, to fail before anything is written where the key is wrong."""
        listing = LISTINGS["prices"]
        self._http.get(listing.path, [("limit", "1")], ListOf[Price], listing.needs)

    def pages(
        self, kind: str, after: str | None = None, extra: Params = ()
    ) -> Iterator[Page[Any]]:
        """The pages of a kind in ``LISTINGS``, newest first, from after ``after`` on.

        Nested lists are complete. Raises ``StripeRefused`` and ``StripeUnavailable``.
        """
        listing = LISTINGS[kind]
        params = (*listing.params, *extra)
        for page in self._walk(listing.path, params, listing.type, listing, after):
            whole = [self._completed(thing) for thing in page.data]
            yield Page(whole, page.has_more, page.asked_us)

    def one(self, kind: str, key: str) -> tuple[Any, int] | None:
        """One object, complete, and when it was asked for; None where it is gone."""
        listing = LISTINGS[kind]
        expands = [
            (name, value.removeprefix("data."))
            for name, value in listing.params
            if name == "expand[]"
        ]
        asked_us = self.now_us()
        path = f"{listing.path}/{key}"
        try:
            thing = self._http.get(path, expands, listing.type, listing.needs)
        except StripeRefused as error:
            if error.status == 404:
                return None
            raise
        return self._completed(thing), asked_us

    def _completed(self, thing: T) -> T:
        """The object with its nested list whole: Stripe cuts it at 10 or 20."""
        if isinstance(thing, Invoice) and thing.lines.has_more:
            expand = [("expand[]", "data.discounts")]
            path = f"/v1/invoices/{thing.id}/lines"
            lines = self._all(path, expand, Line, LISTINGS["invoices"])
            return msgspec.structs.replace(thing, lines=ListOf[Line](data=lines))
        if isinstance(thing, Subscription) and thing.items.has_more:
            asked = [("subscription", thing.id), ("expand[]", "data.discounts")]
            path, of = "/v1/subscription_items", LISTINGS["subscriptions"]
            items = self._all(path, asked, SubscriptionItem, of)
            whole = ListOf[SubscriptionItem](data=items)
            return msgspec.structs.replace(thing, items=whole)
        return thing

    def _all(self, path: str, params: Params, shape: type[T], of: Listing) -> list[T]:
        pages = self._walk(path, params, shape, of, None)
        return [thing for page in pages for thing in page.data]

    def _walk(
        self,
        path: str,
        params: Params,
        shape: type[T],
        listing: Listing,
        after: str | None,
    ) -> Iterator[Page[T]]:
        """Page by page, each object once; ends even where Stripe's list does not."""
        met: set[str] = set() if after is None else {after}
        while True:
            cursor = [] if after is None else [("starting_after", after)]
            asked = [("limit", str(PAGE)), *params, *cursor]
            asked_us = self.now_us()
            answer = self._moving(path, asked, _Answer[shape], listing.needs, met)  # type: ignore[valid-type]
            fresh = [thing for thing in answer.data if _id(thing) not in met]
            yield Page(fresh, answer.has_more and bool(fresh), asked_us)
            if not answer.has_more or not fresh:
                return
            met.update(map(_id, answer.data))
            after = _id(answer.data[-1])

    def _moving(
        self, path: str, params: Params, shape: type[Any], needs: str, met: set[str]
    ) -> Any:
        """A page that brings the list on; one that does not is asked for again.

        An empty page that claims more is the end, as nothing can follow it. A page that
        keeps repeating what was met would hide what should follow: that is a failure.
        """
        answer = self._http.get(path, params, shape, needs)
        for _ in range(STUCK_TRIES):
            if not answer.has_more or any(_id(t) not in met for t in answer.data):
                return answer
            log.warning("stripe_api.stuck path=%s %s", path, params[-1])
            self.sleep(STUCK_WAIT_S)
            answer = self._http.get(path, params, shape, needs)
        if answer.has_more and answer.data and all(_id(t) in met for t in answer.data):
            raise StripeUnavailable(
                f"Stripe's list {path} repeats itself and does not go on",
                fix="run it again later; what was fetched is kept",
            )
        return answer


def _id(thing: Any) -> str:
    return str(thing.id)
