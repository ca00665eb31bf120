"""The endpoint of the internet: a signed event in, durable, and only then 200.

Derives nothing, fetches nothing, logs no body. Whoever cannot sign learns nothing but
that it was refused.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from stripe import SignatureVerificationError, WebhookSignature

from connector.core.account import StripeIdentity
from connector.store.inbox import ReceivedEvent
from connector.webhooks.payload import read_payload

# Stripe's own tolerance, here in both directions: its check lets the future pass.
TOLERANCE_S = 300


def is_timely(header: str, now_s: float) -> bool:
    """Whether the header claims to be signed within the tolerance of now.

    Cheap: it needs no body, so a stale or foreign request ends before its body is read.
    """
    stamp = re.search(r"(?:^|,)t=(\d{1,12})(?:,|$)", header, re.ASCII)
    return stamp is not None and abs(now_s - int(stamp[1])) <= TOLERANCE_S


def is_genuine(body: bytes, header: str, secrets: Sequence[str], now_s: float) -> bool:
    """Whether any secret signed exactly these bytes, within the tolerance of now."""
    if not header.isascii() or not is_timely(header, now_s):
        return False
    try:
        text = body.decode("utf-8")  # the SDK's check is over text
    except UnicodeDecodeError:
        return False
    return any(_signed(text, header, secret) for secret in secrets)


def _signed(text: str, header: str, secret: str) -> bool:
    try:
        WebhookSignature.verify_header(text, header, secret, tolerance=TOLERANCE_S)
    except SignatureVerificationError:
        return False
    return True


PATH = "/webhooks/stripe"
MOST_BYTES = 1 << 20  # Stripe's events are a tenth of that at most
READING_S = 10.0  # for the whole body: a slow sender may not hold a place forever


class EndpointSettings(Struct, frozen=True, kw_only=True):
    """What answering needs. ``keep`` returns once an event is durable: whether it is new.

    ``count`` is told the outcome: kept, duplicate, ignored, refused, foreign or failed.
    ``foreign`` says why an event of this id is not this ledger's, or None.
    """

    secrets: Sequence[str]
    keep: Callable[[ReceivedEvent], Awaitable[bool]]
    count: Callable[[str, str], None]
    foreign: Callable[[str, StripeIdentity], str | None] = lambda _event, _origin: None
    now_s: Callable[[], float] = time.time


def endpoint_app(settings: EndpointSettings) -> Router:
    """Answers ``POST /webhooks/stripe``, and 404 or 405 to all else."""

    async def receive(request: Request) -> Response:
        status = await _received(request, settings)
        if status in (400, 408, 413, 415):
            settings.count("", "refused")
        headers = {"Retry-After": "30"} if status == 503 else None
        return Response(status_code=status, headers=headers)

    return Router([Route(PATH, receive, methods=["POST"])], redirect_slashes=False)


async def _received(request: Request, settings: EndpointSettings) -> int:
    """The status to answer with; an accepted event is durable by then."""
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json":
        return 415
    signature = request.headers.get("stripe-signature", "")
    if not is_timely(signature, settings.now_s()):
        return 400
    body = await _body(request)
    if isinstance(body, int):
        return body
    if not is_genuine(body, signature, settings.secrets, settings.now_s()):
        return 400
    return await _kept(body, settings)


async def _body(request: Request) -> bytes | int:
    """The raw bytes, or the status to answer with where they are too many or too slow."""
    claimed = request.headers.get("content-length", "0")
    if not claimed.isdecimal() or int(claimed[:12]) > MOST_BYTES:
        return 413
    read = bytearray()
    try:
        async with asyncio.timeout(READING_S):
            async for chunk in request.stream():
                read += chunk
                if len(read) > MOST_BYTES:  # whatever the header claims
                    return 413
    except TimeoutError:
        return 408
    except ClientDisconnect:
        return 400  # to nobody
    return bytes(read)


async def _kept(body: bytes, settings: EndpointSettings) -> int:
    event = read_payload(body)
    if event is None:
        return 400
    if settings.foreign(event.event, event.origin) is not None:
        settings.count("", "foreign")
        return 403
    if not event.names:
        settings.count("other", "ignored")
        return 200
    try:
        is_new = await settings.keep(event)
    except sqlite3.Error:
        settings.count(event.type, "failed")
        return 503
    settings.count(event.type, "kept" if is_new else "duplicate")
    return 200
