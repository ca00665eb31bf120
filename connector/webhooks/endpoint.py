"""The endpoint of the internet: a signed event in, durable, and only then 200.

Derives nothing, fetches nothing, logs no body. Whoever cannot sign learns nothing but
that it was refused.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router
from stripe import SignatureVerificationError, WebhookSignature

from connector.core.account import NOBODY, StripeIdentity
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


def signers(
    body: bytes, header: str, secrets: Iterable[str], now_s: float
) -> Iterator[str]:
    """The secrets that signed exactly these bytes, within the tolerance of now."""
    if not header.isascii() or not is_timely(header, now_s):
        return
    try:
        text = body.decode("utf-8")  # the SDK's check is over text
    except UnicodeDecodeError:
        return
    yield from (secret for secret in secrets if _signed(text, header, secret))


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
    """What answering needs, of one account. ``keep`` returns once an event is durable.

    It says whether it is new. ``count`` is told the outcome: kept, duplicate, ignored,
    refused, foreign or failed. ``foreign`` says why an event of this id is not this
    ledger's, or None. ``account`` is whose it is, as far as is known; ``is_named``: its
    events say so, as they come to an endpoint of a platform or of an organization.
    """

    secrets: Sequence[str]
    keep: Callable[[ReceivedEvent], Awaitable[bool]]
    count: Callable[[str, str], None]
    foreign: Callable[[str, StripeIdentity], str | None] = lambda _event, _origin: None
    account: Callable[[], StripeIdentity] = lambda: NOBODY
    is_named: bool = False
    now_s: Callable[[], float] = time.time


class Unsigned(Struct, frozen=True, kw_only=True):
    """What is told of requests that are nobody's here: ``EndpointSettings`` of none.

    ``stray`` is told of an event that is signed, and of none of these accounts.
    """

    count: Callable[[str, str], None]
    stray: Callable[[str, StripeIdentity], object] = lambda _event, _origin: None


def endpoint_app(
    accounts: Sequence[EndpointSettings], unsigned: Unsigned | None = None
) -> Router:
    """Answers ``POST /webhooks/stripe``, and 404 or 405 to all else.

    Each account's events go its own way: by whose secret signed them, and by the account
    that they name. ``accounts`` is looked at with each request: one may take another's
    place.
    """
    nobody = unsigned or Unsigned(count=accounts[0].count)

    async def receive(request: Request) -> Response:
        status = await _received(request, accounts, nobody)
        if status in (400, 408, 413, 415):
            nobody.count("", "refused")
        headers = {"Retry-After": "30"} if status == 503 else None
        return Response(status_code=status, headers=headers)

    return Router([Route(PATH, receive, methods=["POST"])], redirect_slashes=False)


async def _received(
    request: Request, accounts: Sequence[EndpointSettings], nobody: Unsigned
) -> int:
    """The status to answer with; an accepted event is durable by then."""
    now_s = accounts[0].now_s
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    if kind.strip().lower() != "application/json":
        return 415
    signature = request.headers.get("stripe-signature", "")
    if not is_timely(signature, now_s()):
        return 400
    body = await _body(request)
    if isinstance(body, int):
        return body
    secrets = dict.fromkeys(secret for each in accounts for secret in each.secrets)
    by = set(signers(body, signature, secrets, now_s()))
    event = read_payload(body) if by else None
    if event is None:
        return 400
    signed = [each for each in accounts if by.intersection(each.secrets)]
    whose = receiver(event.origin, signed, accounts)
    if whose is None:
        nobody.stray(event.event, event.origin)
        nobody.count("", "foreign")
        return 403
    return await _kept(event, whose)


def receiver(
    origin: StripeIdentity,
    signed: Sequence[EndpointSettings],
    accounts: Sequence[EndpointSettings],
) -> EndpointSettings | None:
    """Whose an event is, of the accounts with a secret that ``signed`` it.

    Of the account that it names. One that names none, or one that nobody is known to be,
    is of whose endpoint it came to, where that is one alone: whether it may be is for
    its ``foreign`` to say. None where it is nobody's.
    """
    if len(accounts) == 1:
        return accounts[0]
    if origin.id is not None:
        if any(each.account().id == origin.id for each in accounts):
            own = [each for each in signed if each.account().id == origin.id]
        else:
            own = [each for each in signed if each.account().id is None]
    else:
        own = [each for each in signed if not each.is_named or len(signed) == 1]
    return own[0] if len(own) == 1 else None


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


async def _kept(event: ReceivedEvent, settings: EndpointSettings) -> int:
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
