"""Stripe's read API: pages of typed objects over httpx, with the one retry policy.

Every request is pinned to the API version of the installed ``stripe`` package. Comes in:
a key, a base URL, and the transport that carries requests (a real one, or the bundled
account's). Nothing here knows a database.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Generic, NamedTuple, Self, TypeVar

import httpx
import msgspec
import tenacity

from connector.errors import (
    ConfigError,
    StripeRefused,
    StripeUnavailable,
)
from connector.stripe_objects import (
    LISTINGS,
    Base,
    Invoice,
    Line,
    Listing,
    ListOf,
    Price,
    Subscription,
    SubscriptionItem,
    decode,
)

T = TypeVar("T", bound=Base)
log = logging.getLogger(__name__)

DEFAULT_BASE = "https://api.stripe.com"
PAGE = 100  # the most Stripe gives, and what its read allowance counts on
ATTEMPTS = 8
# A host that cannot even be reached is more likely misspelt than busy.
CONNECT_ATTEMPTS = 4
TIMEOUT_S = 80.0  # Stripe's own client waits as long
RETRIED_STATUS = frozenset({409, 429})
Params = Sequence[tuple[str, str]]


class Page(NamedTuple, Generic[T]):
    """``asked_us`` is when its request began: what it shows is at least as new."""

    data: list[T]
    has_more: bool
    asked_us: int


class _Again(Exception):
    """The same request may succeed a little later. ``wait_s`` is what Stripe asked for."""

    def __init__(
        self, problem: str, wait_s: float | None = None, tries: int = ATTEMPTS
    ) -> None:
        super().__init__(problem)
        self.wait_s = wait_s
        self.tries = tries


class _Answer(Base, Generic[T], frozen=True, kw_only=True):
    """A list as an answer. Without ``data`` it is none, and never an empty page."""

    data: list[T]
    has_more: bool = False


class ErrorDetail(msgspec.Struct):
    message: str = ""
    code: str | None = None
    param: str | None = None


class ErrorBody(msgspec.Struct):
    error: ErrorDetail = msgspec.field(default_factory=ErrorDetail)


def shown(key: str) -> str:
    """A key as it may appear in a message: its kind and its last four characters."""
    kind = re.match(r"(?:[a-z]+_(?:live|test)_)?", key)
    known = kind[0] if kind is not None else ""
    return f"{known}…{key[-4:]}" if len(key) > len(known) + 8 else f"{known}…"


def checked_base(base: str) -> str:
    """The API base, or ``ConfigError``: a key only ever travels encrypted.

    Plain http is for a stand-in on this very machine.
    """
    try:
        url = httpx.URL(base)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    if url.scheme == "https" and url.host:
        return base.rstrip("/")
    if url.scheme == "http" and _is_loopback(url.host):
        return base.rstrip("/")
    fault = f"the Stripe API base is {base!r}: give an https URL "
    fault += "(plain http only for 127.0.0.1, ::1 or localhost)"
    raise ConfigError([fault], source="[stripe] api_base in config.toml")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(slots=True)
class Reads:
    """What a run has cost of Stripe's read allowance."""

    requests: int = 0
    retries: int = 0


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
    reads: Reads = field(default_factory=Reads)
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        import stripe  # noqa: PLC0415 - 0.7 s, only for its version

        base = checked_base(self.base)
        self._client = httpx.Client(
            base_url=base,
            transport=self.transport,
            trust_env=not _is_loopback(httpx.URL(base).host),  # no proxy to ourselves
            timeout=TIMEOUT_S,
            headers={
                "Authorization": f"Bearer {self.key}",
                "Stripe-Version": stripe.api_version,
                "User-Agent": "stripe-nrr",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def probe(self) -> None:
        """One cheap read, to fail before anything is written where the key is wrong."""
        listing = LISTINGS["prices"]
        self._get(listing.path, [("limit", "1")], ListOf[Price], listing.needs)

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
            thing = self._get(path, expands, listing.type, listing.needs)
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
        """Page by page; stops on the last page, an empty one, or one that repeats."""
        met: set[str] = set() if after is None else {after}
        while True:
            cursor = [] if after is None else [("starting_after", after)]
            asked = [("limit", str(PAGE)), *params, *cursor]
            asked_us = self.now_us()
            answer = self._get(path, asked, _Answer[shape], listing.needs)  # type: ignore[valid-type]
            ids = [str(getattr(thing, "id")) for thing in answer.data]  # noqa: B009
            fresh = [
                t for t, key in zip(answer.data, ids, strict=True) if key not in met
            ]
            is_stuck = answer.has_more and not fresh
            if is_stuck:
                log.warning("stripe_api.stuck path=%s after=%s", path, after)
            has_more = answer.has_more and not is_stuck
            yield Page(fresh, has_more, asked_us)
            if not has_more:
                return
            met.update(ids)
            after = ids[-1]

    def _get(self, path: str, params: Params, shape: type[Any], needs: str) -> Any:
        """One answer; asked for again without an expand that Stripe does not allow.

        Which properties expand differs by account and version; what then stays a bare
        id is joined from the catalogue, or refused by name where it cannot be.
        """
        try:
            return self._patiently(path, params, shape, needs)
        except StripeRefused as error:
            fewer = _without_expand(params, error)
            if list(fewer) == list(params):
                raise
            log.warning("stripe_api.expand path=%s %s", path, error.problem)
            return self._get(path, fewer, shape, needs)

    def _patiently(
        self, path: str, params: Params, shape: type[Any], needs: str
    ) -> Any:
        """One answer, decoded; asked again for as long as that may help."""
        try:
            for attempt in _retrying(self.sleep, self.reads):
                with attempt:
                    return self._once(path, params, shape, needs)
        except _Again as error:
            raise StripeUnavailable(
                f"Stripe did not answer {path} after {error.tries} tries: {error}",
                fix=f"check the network and {self.base}, then run it again; "
                "what was fetched is kept",
            ) from error
        raise AssertionError("tenacity re-raises")  # pragma: no cover

    def _once(self, path: str, params: Params, shape: type[Any], needs: str) -> Any:
        self.reads.requests += 1
        try:
            response = self._client.get(path, params=list(params))
        except httpx.ConnectError as error:
            raise _Again(f"no connection ({error})", tries=CONNECT_ATTEMPTS) from error
        except httpx.RequestError as error:
            raise _Again(f"{type(error).__name__}: {error}") from error
        if response.status_code != 200:
            raise self._refusal(response, path, needs)
        try:
            return decode(response.content, shape)
        except msgspec.DecodeError as error:  # a cut-off 200, not a shape we don't know
            raise _Again(f"an answer that is not JSON ({error})") from error

    def _refusal(self, response: httpx.Response, path: str, needs: str) -> Exception:
        """``_Again`` where a retry may help, else ``StripeRefused`` with the fix."""
        status = response.status_code
        detail = _detail(response.content)
        said = detail.message.replace(self.key, shown(self.key))
        if _may_retry(status, response.headers):
            why = response.headers.get("Stripe-Rate-Limited-Reason") or said
            return _Again(
                f"HTTP {status} {why}".strip(), _retry_after(response.headers)
            )
        problem = f"Stripe refused {path} (HTTP {status})"
        fix = "see the message; nothing of this answer was stored"
        if status == 401:
            problem = f"Stripe does not know the key {shown(self.key)} (HTTP 401)"
            fix = "set STRIPE_API_KEY to a live restricted key with read permissions"
        elif status == 403:
            problem = f"the key {shown(self.key)} may not read {path} (HTTP 403)"
            fix = f"give the restricted key the permission “{needs}” in Stripe's Dashboard"
        elif said:
            problem += f": {said}"
        return StripeRefused(problem, fix=fix, status=status, code=detail.code)


def _without_expand(params: Params, error: StripeRefused) -> Params:
    """The parameters less the expands that the refusal names, if it is about one."""
    match = re.search(r"cannot be expanded \(([\w.]+)\)", error.problem)
    if error.status != 400 or match is None:
        return params
    named = match[1]
    kept = []
    for name, value in params:
        is_meant = value == named or value.endswith(f".{named}")
        if name != "expand[]" or not is_meant:
            kept.append((name, value))
        elif value.endswith(".source.coupon"):  # the discount itself still expands
            kept.append((name, value.removesuffix(".source.coupon")))
    return kept


def _detail(content: bytes) -> ErrorDetail:
    try:
        return msgspec.json.decode(content, type=ErrorBody).error
    except msgspec.DecodeError:
        return ErrorDetail()


def _may_retry(status: int, headers: Mapping[str, str]) -> bool:
    """Stripe's own word wins; else what its documentation calls transient."""
    word = headers.get("stripe-should-retry")
    if word in ("true", "false"):
        return word == "true"
    return status in RETRIED_STATUS or status >= 500


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        asked_s = float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return min(asked_s, 60.0) if asked_s >= 0 else None


def _is_enough(state: tenacity.RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    tries = error.tries if isinstance(error, _Again) else ATTEMPTS
    return state.attempt_number >= tries


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.wait_s if isinstance(error, _Again) else None
    if asked is not None:
        return asked
    return tenacity.wait_random_exponential(multiplier=0.5, max=20)(state)


def _retrying(sleep: Callable[[float], None], reads: Reads) -> tenacity.Retrying:
    def note(state: tenacity.RetryCallState) -> None:
        reads.retries += 1
        error = state.outcome.exception() if state.outcome is not None else None
        log.warning("stripe_api.retry attempt=%d %s", state.attempt_number, error)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Again),
        stop=_is_enough,
        wait=_wait,
        before_sleep=note,
        sleep=sleep,
        reraise=True,
    )
