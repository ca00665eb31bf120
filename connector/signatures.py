"""Whether a webhook's body was signed by who knows one of our secrets, just now."""

import re
from collections.abc import Sequence

from stripe import SignatureVerificationError, WebhookSignature

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
