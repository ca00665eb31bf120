"""Who may look: this machine, or whoever has been given the token.

A web page in a browser of this machine can ask its ports too, under a name of its own
that leads here: its ``Host`` gives it away. Beyond the machine only the token counts,
as a cookie that a one-time URL or a form sets, or as ``Authorization: Bearer``.
"""

import hashlib
import hmac
import secrets
import threading

from starlette.requests import Request

from connector.config import ListenAddress
from connector.webhooks.admin_access import has_token, is_loopback, is_named_here

KEY, BOUND_BY = "[dashboard] token_file", "[dashboard] bind"
COOKIE = "stripe_nrr_dashboard"
COOKIE_S = 30 * 86_400


class Access:
    """The rules for one address. Without a token only this machine's names may ask."""

    def __init__(self, bind: ListenAddress, token: str | None) -> None:
        self._bind, self._token = bind, token
        self._lock = threading.Lock()
        self._code = secrets.token_urlsafe(24) if token is not None else ""

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    @property
    def entry_code(self) -> str:
        """What the one-time URL ends in; "" where none is needed, or it was used."""
        return self._code

    def is_foreign(self, request: Request) -> bool:
        """Whether the request comes under another machine's name."""
        if not is_loopback(self._bind.host):
            return False
        return not is_named_here(request, self._bind.host)

    def is_let_in(self, request: Request) -> bool:
        if self._token is None:
            return True
        by_cookie = _same(request.cookies.get(COOKIE, ""), self.cookie_value)
        return has_token(request, self._token) or by_cookie

    def enters_by_code(self, code: str) -> bool:
        """Whether it is the one-time code, which it then is no more."""
        with self._lock:
            if not self._code or not _same(code, self._code):
                return False
            self._code = ""
            return True

    def enters_by_token(self, given: str) -> bool:
        return self._token is not None and _same(given, self._token)

    @property
    def cookie_value(self) -> str:
        """Not the token itself; another token makes all cookies worthless."""
        token = (self._token or "").encode()
        return hmac.new(token, b"stripe-nrr dashboard", hashlib.sha256).hexdigest()


def _same(given: str, wanted: str) -> bool:
    """In the same time, wherever they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())
