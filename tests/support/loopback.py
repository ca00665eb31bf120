"""Stripe on this machine: a real HTTP server in front of a ``SimulatedAccount``.

    with serving(account, faults=[rate_limited(), None, hung_up()]) as stripe:
        ...ask stripe.url, change stripe.account, look at stripe.requests...

A *fault* spoils one reply. The *plan* says which: a sequence (one entry a request, in
the order they arrive; None spoils nothing, and after the last all is well) or a
function from the request to a fault or None, such as ``on(path, *faults)``.

By hand: ``python -m tests.support.loopback FOLDER``.
"""

import argparse
import gzip
import itertools
import random
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tests.support.simulator import SHAPED_AS, SimulatedAccount
from tests.support.simulator_rules import refusal

KEY = "rk_test_loopback"
ACCOUNT_ID = "acct_loopback"

# The right that a restricted key needs to read a list, or the account.
PERMISSIONS = {
    "customers": "rak_customer_read",
    "products": "rak_product_read",
    "prices": "rak_plan_read",
    "coupons": "rak_coupon_read",
    "subscriptions": "rak_subscription_read",
    "subscription_items": "rak_subscription_read",
    "invoices": "rak_invoice_read",
    "invoiceitems": "rak_invoice_item_read",
    "events": "rak_event_read",
    "account": "rak_accounts_kyc_basic_read",
}


class Request(NamedTuple):
    path: str
    params: list[tuple[str, str]]
    headers: dict[str, str]  # names in lower case
    method: str = "GET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes over the wire; the last ones are ways in which it goes wrong."""

    status: int
    body: Any  # bytes as they are, all else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0
    keep: float = 1  # the part of the body that is sent
    claims_all: bool = False  # Content-Length is the whole body's, whatever is sent
    hangs_up: bool = False
    pace_s: float = 0  # between two bytes, of the headers on


# From the true reply, and the true reply before it to the same path, the spoiled one.
Fault = Callable[[Reply, Reply | None], Reply]
Plan = Sequence[Fault | None] | Callable[[Request], Fault | None]


# --- faults ---


def rate_limited(
    retry_after_s: int | None = None, reason: str | None = "endpoint-rate"
) -> Fault:
    """429; without a reason it is Stripe's ``lock_timeout``."""
    headers = {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if reason is not None:
        headers["Stripe-Rate-Limited-Reason"] = reason
    code = "rate_limit" if reason else "lock_timeout"
    return _refusing(429, "Request rate limit exceeded.", headers=headers, code=code)


def failing(status: int = 500, *, should_retry: bool | None = None) -> Fault:
    headers = {}
    if should_retry is not None:
        headers["Stripe-Should-Retry"] = str(should_retry).lower()
    message = "An unknown error occurred."
    return _refusing(status, message, headers=headers, type="api_error")


def conflicting() -> Fault:
    message = "Another request is changing this object."
    return _refusing(409, message, code="lock_timeout")


def forbidding(kind: str, *, key: str = KEY, reworded: bool = False) -> Fault:
    """403 for lack of the permission to read ``kind``, as worded to 2026, or since."""
    right = PERMISSIONS[kind]
    allow = f"Having the '{right}' permission would allow this request to continue."
    if reworded:
        right = right.removeprefix("rak_")
        allow = (
            f"Enabling {kind.title()} Read ('{right}') permissions on this key "
            "would allow this request to continue."
        )
    message = (
        f"The provided key '{masked(key)}' does not have the required permissions for "
        f"this endpoint on account '{ACCOUNT_ID}'. {allow}"
    )
    return _refusing(403, message)


def unauthorized(key: str | None) -> Fault:
    if key is None:
        return _refusing(401, "You did not provide an API key.")
    return _refusing(401, f"Invalid API Key provided: {masked(key)}")


def no_access(request: Request) -> Fault:
    """To an account that is none of the key's, or to none by an organization's."""
    headers = request.headers
    named = headers.get("stripe-context") or headers.get("stripe-account")
    if named is None:
        return _refusing(400, "Stripe-Context is required with an organization's key.")
    message = (
        f"The provided key does not have access to account '{named}' (or that account "
        "does not exist). Application access may have been revoked."
    )
    return _refusing(403, message, code="account_invalid")


def hung_up() -> Fault:
    """The connection closes without a word."""
    return lambda true, _: replace(true, hangs_up=True)


def truncated(keep: float = 0.5, *, claims_all: bool = False) -> Fault:
    """A 200 that stops in the middle; its Content-Length may claim all the same."""
    return lambda true, _: replace(true, keep=keep, claims_all=claims_all)


def delayed(delay_s: float) -> Fault:
    return lambda true, _: replace(true, delay_s=delay_s)


def trickling(pace_s: float = 0.5) -> Fault:
    """Byte by byte, so that no read of a socket ever waits for long."""
    return lambda true, _: replace(true, pace_s=pace_s)


def trickling_body(pace_s: float = 0.5) -> Fault:
    """The headers at once, and then byte by byte."""
    return lambda true, _: replace(true, pace_s=pace_s, headers={"X-Pace": "body"})


def told_by_a_proxy(status: int, media_type: str = "text/html") -> Fault:
    """What stands in between answers in Stripe's place."""
    body = b"<html><body>Access denied by policy.</body></html>"
    return lambda *_: Reply(
        status=status, body=body, headers={"Content-Type": media_type}
    )


def compressed(times: int = 1, zeros: int = 0) -> Fault:
    """By gzip, so many times over, with so many blanks before the JSON's end."""

    def spoiled(true: Reply, _: Reply | None) -> Reply:
        content = msgspec.json.encode(true.body) + b" " * zeros
        for _n in range(times):
            content = gzip.compress(content, mtime=0)
        encoding = ", ".join(["gzip"] * times)
        return replace(true, body=content, headers={"Content-Encoding": encoding})

    return spoiled


def held_until(goes_on: threading.Event) -> Fault:
    """No answer before, but for a minute at most."""

    def held(true: Reply, _: Reply | None) -> Reply:
        goes_on.wait(60)
        return true

    return held


def same_page_again() -> Fault:
    """The page that the same path gave last, whatever the cursor says."""
    return lambda true, before: before or true


def shuffled(chance: random.Random) -> Fault:
    """The page's objects in another order."""

    def spoiled(true: Reply, _: Reply | None) -> Reply:
        if "data" not in true.body:
            return true
        things = chance.sample(true.body["data"], len(true.body["data"]))
        return replace(true, body=true.body | {"data": things})

    return spoiled


def vanished() -> Fault:
    """The object that the page should follow is not there any more."""
    message = "No such object"
    return _refusing(400, message, code="resource_missing", param="starting_after")


def empty_with_more() -> Fault:
    return lambda true, _: replace(
        true, body=true.body | {"data": [], "has_more": True}
    )


def _refusing(
    status: int, message: str, *, headers: Mapping[str, str] | None = None, **error: str
) -> Fault:
    status, body = refusal(status, message, **error)
    return lambda *_: Reply(status=status, body=body, headers=headers or {})


def masked(key: str) -> str:
    """The key as Stripe repeats it: its kind and its last four characters."""
    return key[:8] + "*" * max(len(key) - 12, 0) + key[-4:]


# --- plans ---


def on(path: str, *faults: Fault | None) -> Callable[[Request], Fault | None]:
    """These faults in order, but only on requests for exactly this path."""
    left = in_order(faults)
    return lambda request: left(request) if request.path == path else None


def in_order(faults: Sequence[Fault | None]) -> Callable[[Request], Fault | None]:
    number = itertools.count()  # its `next` is atomic, unlike a generator's

    def planned(_: Request) -> Fault | None:
        i = next(number)
        return faults[i] if i < len(faults) else None

    return planned


# --- serving ---


class Served:
    """The running server. Set ``account``, ``key`` or ``forbidden`` at any time.

    ``now_s`` is Stripe's clock. ``others`` are more accounts of the key, by id: connected
    ones, or those of its organization, where it is one's; ``mixes_up`` has it answer
    with the key's own all the same. ``keys`` are more keys, each with its account.
    """

    def __init__(
        self,
        account: SimulatedAccount,
        key: str,
        faults: Plan,
        forbidden: Collection[str],
    ) -> None:
        self.account = account
        self.key = key
        self.forbidden = forbidden
        self.requests: list[Request] = []
        self.sent: list[threading.Event] = []  # of each answer, once it was, as a whole
        self.others: dict[str, SimulatedAccount] = {}
        self.mixes_up = False
        self.keys: dict[str, SimulatedAccount] = {}
        self.now_s: Callable[[], float] = time.time
        self.url = ""  # without the `/v1`
        self.numbers = itertools.count(1)
        self._before: dict[str, Reply] = {}
        self.spoil(faults)

    def spoil(self, faults: Plan) -> None:
        """Follow this plan from the next request on."""
        self._plan = faults if callable(faults) else in_order(faults)

    def put(self, kind: str, *things: dict[str, Any]) -> None:
        """Let the account hold these, in place of those with the same ids."""
        kept = {thing["id"]: thing for thing in self.account.objects.get(kind, ())}
        self._replace(kind, list((kept | {it["id"]: it for it in things}).values()))

    def remove(self, kind: str, *object_ids: str) -> None:
        things = self.account.objects.get(kind, ())
        self._replace(kind, [it for it in things if it["id"] not in object_ids])

    def _replace(self, kind: str, things: list[dict[str, Any]]) -> None:
        objects = {**self.account.objects, kind: things}
        self.account = SimulatedAccount(objects, self.account.facts)

    def reply(self, request: Request) -> Reply:
        """The reply to this request, spoiled if the plan says so."""
        self.requests.append(request)
        account = self._asked(request)
        fault = self._refused(request) or self._plan(request)
        if account is None:
            fault = fault or no_access(request)
        status, body = (account or self.account).answer(
            request.path, request.params, method=request.method
        )
        true = Reply(status=status, body=body)
        before = self._before.get(request.path)
        if status == 200:
            self._before[request.path] = true
        return fault(true, before) if fault else true

    def _asked(self, request: Request) -> SimulatedAccount | None:
        """Whose the request is; None where the key has no access to it."""
        headers = request.headers
        key = headers.get("authorization", "").rpartition(" ")[2]
        if key in self.keys:
            return self.keys[key]
        named = headers.get("stripe-context")
        if self.key.startswith("sk_org_") and named is None:
            return None
        named = named or headers.get("stripe-account")
        if self.mixes_up or named is None:
            return self.account
        own = {self.account.facts.id: self.account}
        return {**own, **self.others}.get(named.rpartition("/")[2])

    def _refused(self, request: Request) -> Fault | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or key not in {self.key, *self.keys}:
            return unauthorized(key or None)
        kind = (request.path.split("/") + [""] * 3)[2]
        return forbidding(kind, key=key) if kind in self.forbidden else None


class _Server(ThreadingHTTPServer):
    """Ends with every connection closed and every thread joined."""

    daemon_threads = False
    request_queue_size = 128

    def __init__(self, port: int, served: Served) -> None:
        super().__init__(("127.0.0.1", port), partial(_Handler, served=served))
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        for connection in list(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a client may leave when it likes
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one segment: else Nagle waits 40 ms
    disable_nagle_algorithm = True
    server: _Server
    _headers_buffer: list[bytes]

    def __init__(self, *connection: Any, served: Served) -> None:
        self.served = served
        super().__init__(*connection)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        request = Request(
            path=url.path,
            params=parse_qsl(url.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            method=self.command,
        )
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = threading.Event()
        self.served.sent.append(sent)
        if self._send(self.served.reply(request), request):
            sent.set()

    def do_POST(self) -> None:
        self.do_GET()

    def _send(self, reply: Reply, request: Request) -> bool:
        """Whether it was sent to its end."""
        if reply.delay_s and self.server.stopping.wait(reply.delay_s):
            return False
        if reply.hangs_up:
            self.close_connection = True
            return False
        body = reply.body
        whole = body if isinstance(body, bytes) else msgspec.json.encode(body)
        sent = whole[: round(len(whole) * reply.keep)]
        self.send_response_only(reply.status)
        for name, value in (self._headers(request) | dict(reply.headers)).items():
            self.send_header(name, value)
        length = len(whole if reply.claims_all else sent)
        self.send_header("Content-Length", str(length))
        if reply.pace_s:
            return self._trickle(sent, reply)
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection |= length != len(sent)
        return True

    def _trickle(self, sent: bytes, reply: Reply) -> bool:
        self.close_connection = True
        head = b"".join([*self._headers_buffer, b"\r\n"])
        self._headers_buffer.clear()
        if "X-Pace" in reply.headers:
            self.wfile.write(head)
            self.wfile.flush()
            head = b""
        for byte in head + sent:
            if self.server.stopping.wait(reply.pace_s):
                return False
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
        return True

    def _headers(self, request: Request) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "Date": formatdate(self.served.now_s(), usegmt=True),
            "Request-Id": f"req_loopback{next(self.served.numbers):08}",
            "Stripe-Version": request.headers.get("stripe-version", SHAPED_AS),
        }

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing: the requests are kept in ``Served.requests``."""


@contextmanager
def serving(
    account: SimulatedAccount,
    *,
    key: str = KEY,
    faults: Plan = (),
    forbidden: Collection[str] = (),
    port: int = 0,
) -> Iterator[Served]:
    """Serve ``account`` on 127.0.0.1; port 0 is any that is free."""
    served = Served(account, key, faults, forbidden)
    server = _Server(port, served)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield served
    finally:
        server.stop()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.loopback")
    parser.add_argument("folder", type=Path, help="stripe.json or <kind>.jsonl.gz")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default=KEY)
    asked = parser.parse_args()
    account = SimulatedAccount.load(asked.folder)
    with serving(account, key=asked.key, port=asked.port) as served:
        print(f"{served.url}  key {served.key}", flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
