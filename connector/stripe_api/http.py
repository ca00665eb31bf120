"""One request to Stripe → one answer: the one retry policy, and what a refusal says.

Every request is pinned to the API version of the installed ``stripe`` package. The key
goes into one header and is never shown whole. Many threads may ask at once: each try
takes its turn of the limiter.
"""

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from threading import Lock
from typing import Any, Self

import httpx
import msgspec

from connector.core.errors import (
    ConfigError,
    NotStripe,
    StripeRefused,
    StripeUnavailable,
    UnknownStripeShape,
)
from connector.stripe_api.answer import (
    CONNECT_ATTEMPTS,
    DEADLINE_S,
    Answer,
    Clients,
    TryAgain,
    answer_in_time,
    may_retry,
    retry_after,
    retrying,
)
from connector.stripe_api.clock import StripeClock
from connector.stripe_api.credentials import account_headers, shown
from connector.stripe_api.decoding import ErrorAnswer, ErrorDetail, decode
from connector.stripe_api.lists import Param, Params, instead_of_expands
from connector.stripe_api.rate_limit import Limiter, RequestCounts, Turn, endpoint_of
from connector.stripe_api.unfit import read_answer

log = logging.getLogger(__name__)

DEFAULT_BASE = "https://api.stripe.com"
NO_ACCESS = "account_invalid"  # the code of a refusal: the account is none of the key's
CONNECT_TIMEOUT_S = 10.0
LIMITS = httpx.Limits(
    max_connections=1, max_keepalive_connections=1, keepalive_expiry=30.0
)


def api_version() -> str:
    """The version that every request is pinned to: the installed ``stripe`` package's."""
    import stripe  # noqa: PLC0415 - 0.7 s, only for its version

    return str(stripe.api_version)


def checked_base(base: str) -> str:
    """The API base, or ``ConfigError``: a key only ever travels encrypted.

    Plain http is for a stand-in on this very machine.
    """
    try:
        url = httpx.URL(base)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    is_near = url.scheme == "http" and _is_loopback(url.host)
    if is_near or (url.scheme == "https" and url.host):
        return base.rstrip("/")
    fault = (
        f"the Stripe API base is {base!r}: give an https URL (plain http only for "
        "127.0.0.1, ::1 or localhost)"
    )
    fix = "correct STRIPE_API_BASE, or api_base under [stripe] in config.toml"
    raise ConfigError([fault], fix=fix)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def _certificates(*, trust_env: bool) -> ssl.SSLContext:
    """Read once: it takes longer than a request."""
    return httpx.create_ssl_context(trust_env=trust_env)


@dataclass(slots=True)
class StripeHttp:
    """A connection to one account, for any number of threads.

    ``stripe_account`` says which, where the key is of several: every request names it.
    Close it, or use it as a context manager. ``now_us`` and ``sleep`` are the clock and
    the wait of the shell around it, ``reads`` what it has cost so far, ``deadline_s`` for
    a whole request. ``answered_version`` is the API version that its last answer names.
    """

    key: str = field(repr=False)
    base: str = DEFAULT_BASE
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], object] = time.sleep
    limiter: Limiter = field(default_factory=Limiter, repr=False)
    now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    stopping: Callable[[], bool] = lambda: False
    reads: RequestCounts = field(default_factory=RequestCounts)
    deadline_s: float = DEADLINE_S
    stripe_account: str | None = None
    answered_version: str | None = field(init=False, default=None)
    clock: StripeClock = field(init=False, repr=False)
    _lock: Lock = field(init=False, repr=False, default_factory=Lock)
    _allowed: dict[tuple[str, Param], Param | None] = field(
        init=False, repr=False, default_factory=dict
    )
    _clients: Clients = field(init=False, repr=False)

    def __post_init__(self) -> None:
        base = checked_base(self.base)
        self.clock = StripeClock(self.now_us)
        trusted = not _is_loopback(httpx.URL(base).host)  # no proxy to ourselves
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Stripe-Version": api_version(),
            "User-Agent": "stripe-nrr",
            "Accept-Encoding": "gzip",
            **account_headers(self.key, self.stripe_account),
        }
        self._clients = Clients(
            lambda: httpx.Client(
                base_url=base,
                transport=self.transport,
                trust_env=trusted,
                verify=_certificates(trust_env=trusted),
                timeout=httpx.Timeout(DEADLINE_S, connect=CONNECT_TIMEOUT_S),
                limits=LIMITS,
                headers=headers,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()

    def get(self, path: str, params: Params, shape: type[Any], needs: str) -> Any:
        """One answer; asked for again without an expand that Stripe does not allow.

        Which properties expand differs by account and version; what then stays a bare
        id is joined from the catalogue, or refused by name where it cannot be.
        Raises ``StripeRefused``, ``StripeUnavailable``, ``UnknownStripeShape`` and
        ``Stopped``.
        """
        endpoint = endpoint_of(path)
        allowed = [self._allowed.get((endpoint, each), each) for each in params]
        asked = [each for each in allowed if each is not None]
        try:
            return self._patiently(path, asked, shape, needs)
        except StripeRefused as error:
            instead = instead_of_expands(asked, error)
            if not instead:
                raise
            log.warning("stripe_http.expand path=%s %s", path, error.problem)
            with self._lock:
                self._allowed |= {(endpoint, each): it for each, it in instead.items()}
            return self.get(path, asked, shape, needs)

    def _patiently(
        self, path: str, params: Params, shape: type[Any], needs: str
    ) -> Any:
        """One answer, decoded; asked again for as long as that may help."""
        try:
            ask = retrying(self.sleep, self._note_retry)
            return ask(self._once, path, params, shape, needs)
        except TryAgain as error:
            raise StripeUnavailable(
                f"Stripe did not answer {path} after {error.tries} tries: {error}",
                fix=f"check the network and {self.base}, then run it again; "
                "what was fetched is kept",
            ) from error

    def _note_retry(self) -> None:
        with self._lock:
            self.reads.retries += 1

    def _once(self, path: str, params: Params, shape: type[Any], needs: str) -> Any:
        try:
            with self.limiter.turn(endpoint_of(path), stopping=self.stopping) as turn:
                answer = self._answer(path, params, turn)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            why = str(error).rpartition("] ")[2]  # without "[Errno 111] "
            raise TryAgain(f"no connection ({why})", tries=CONNECT_ATTEMPTS) from error
        except httpx.RequestError as error:
            raise TryAgain(f"{type(error).__name__}: {error}") from error
        if answer.status != 200:
            raise self._refusal(answer, path, needs)
        if not answer.claims_json:
            problem = f"an answer of type {answer.media_type}, not JSON: not Stripe's"
            raise TryAgain(problem, tries=CONNECT_ATTEMPTS)
        try:
            return read_answer(answer.content, shape)
        except msgspec.DecodeError as error:  # a cut-off 200, not a shape we don't know
            raise TryAgain(f"an answer that is not JSON ({error})") from error

    def _answer(self, path: str, params: Params, turn: Turn) -> Answer:
        """Whatever Stripe answers, after telling limiter and clock what its headers say."""
        with self._lock:
            self.reads.requests += 1
        began_us = self.now_us()
        answer = answer_in_time(
            self._clients,
            path,
            params,
            deadline_s=self.deadline_s,
            stopping=self.stopping,
        )
        headers = answer.headers
        self._check_account(headers.get("Stripe-Account"))
        if answer.status == 429:
            reason = headers.get("Stripe-Rate-Limited-Reason")
            self.limiter.limited(turn, reason, retry_after(headers))
        with self._lock:
            self.reads.limited += answer.status == 429
            self.answered_version = headers.get("Stripe-Version", self.answered_version)
        if answer.status == 200:
            self.clock.compare(headers.get("Date", ""), began_us)
        return answer

    @property
    def account_id(self) -> str | None:
        """Of which account all is asked; None where it is the key's own."""
        return self.stripe_account and self.stripe_account.rpartition("/")[2]

    def _check_account(self, answered: str | None) -> None:
        """``NotStripe`` where the answer says that it is another account's."""
        if answered is not None and self.account_id not in (None, answered):
            raise NotStripe(
                f"{self.account_id} was asked for, and {answered} answered",
                fix=f"see what stands between here and {self.base}: it mixes up accounts, "
                "and has to let Stripe-Account and Stripe-Context pass",
            )

    def _refusal(self, answer: Answer, path: str, needs: str) -> Exception:
        """``TryAgain`` where a retry may help, else ``StripeRefused`` with the fix.

        ``NotStripe`` where the refusal is not worded as Stripe's are.
        """
        status, headers = answer.status, answer.headers
        detail = _detail(answer)
        said = (detail.message if detail else "").replace(self.key, shown(self.key))
        if may_retry(status, headers):
            why = headers.get("Stripe-Rate-Limited-Reason") or said
            return TryAgain(f"HTTP {status} {why}".strip(), retry_after(headers))
        if detail is None:
            kind = answer.media_type or "-"
            return NotStripe(
                f"{path} was not answered by Stripe itself (HTTP {status}, of type {kind})",
                fix="see what stands between here and "
                f"{self.base}: a proxy, a firewall, a login page; it has to let this pass",
            )
        problem = f"Stripe refused {path} (HTTP {status})"
        fix = "see the message; nothing of this answer was stored"
        if detail.code == NO_ACCESS:
            problem = (
                f"the key {shown(self.key)} has no access to {self.stripe_account}"
            )
            fix = (
                "set stripe_account in config.toml to an account of the platform or "
                "organization that the key is of"
            )
        elif status == 401:
            problem = f"Stripe does not know the key {shown(self.key)} (HTTP 401)"
            fix = (
                "put a restricted key with read permissions where this one is from: "
                "STRIPE_API_KEY, or the account's key_file"
            )
        elif status == 403:
            problem = f"the key {shown(self.key)} may not read {path} (HTTP 403)"
            fix = f"give the restricted key the permission “{needs}” in Stripe's Dashboard"
        elif said:
            problem += f": {said}"
        return StripeRefused(problem, fix=fix, status=status, code=detail.code)


def _detail(answer: Answer) -> ErrorDetail | None:
    """What Stripe says of its refusal; None where these are not Stripe's words."""
    if not answer.claims_json:
        return None
    try:
        return decode(answer.content, ErrorAnswer).error
    except (UnknownStripeShape, msgspec.DecodeError):
        return None
