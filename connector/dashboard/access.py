"""Who may look: this machine, or whoever has been given the token.

A web page in a browser of this machine can ask its ports too, under a name of its own
that leads here: its ``Host`` gives it away. Beyond the machine only the token counts,
as a cookie that a one-time URL or a form sets, or as ``Authorization: Bearer``.
"""

import hashlib
import hmac
import re
import secrets
import threading
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request

from connector.config import ListenAddress
from connector.core.errors import ConfigError

KEY = "[dashboard] token_file"
COOKIE = "stripe_nrr_dashboard"
COOKIE_S = 30 * 86_400
SHORTEST = 16  # characters: what is shorter can be guessed


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_token(path: Path | None, bind: ListenAddress) -> str | None:
    """What the file holds; None without one, which only loopback may be."""
    if path is None:
        if is_loopback(bind.host):
            return None
        fault = f"the dashboard would be open to whoever reaches {bind.host}: no {KEY}"
        fix = "bind it to 127.0.0.1, or make a token: "
        fix += "`(umask 077; openssl rand -hex 32 > dashboard-token)`"
        raise ConfigError([fault], fix=fix)
    try:
        mode = path.stat().st_mode & 0o777
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError([f"{path} cannot be read: {why}"], source=KEY) from error
    if mode & 0o077:
        fault = f"{path} may be opened by others than its owner (mode {mode:04o})"
        raise ConfigError([fault], fix=f"run `chmod 600 {path}`, and make a new token")
    if not re.fullmatch(rf"[\x21-\x7e]{{{SHORTEST},}}", token):
        fault = f"the token in {path} is shorter than {SHORTEST} letters, or no ASCII"
        raise ConfigError([fault], fix="make one with `openssl rand -hex 32`")
    return token


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
        given = request.headers.get("host", "")
        named = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:]+)(:\d{1,5})?", given)
        return named is None or not (
            is_loopback(named[1]) or named[1].lower() == self._bind.host.lower()
        )

    def is_let_in(self, request: Request) -> bool:
        if self._token is None:
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        by_header = _same(given.strip(), self._token) and scheme.lower() == "bearer"
        by_cookie = _same(request.cookies.get(COOKIE, ""), self.cookie_value)
        return by_header or by_cookie

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
