"""Who may look at the operator port: this machine, or who has the token.

A web page in a browser of this machine can ask its ports, too, under a name of its own
that leads here; its ``Host`` gives it away. Beyond the machine only the token counts.
"""

import hmac
import re
from ipaddress import ip_address
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.config import ListenAddress
from connector.core.errors import ConfigError, why_unread

KEY = "[serve] admin_token_file"


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def admin_token(path: Path | None, bind: ListenAddress) -> str | None:
    """What the file of ``KEY`` holds; see ``read_token``."""
    return read_token(path, bind, KEY, "[serve] admin_bind")


def read_token(
    path: Path | None, bind: ListenAddress, key: str, bound_by: str
) -> str | None:
    """What the file holds; None without one, which only loopback may be.

    ``key`` and ``bound_by`` are what sets them. Raises ``ConfigError`` where others than
    its owner may open it.
    """
    if path is None:
        if is_loopback(bind.host):
            return None
        fault = (
            f"{bound_by} is {bind.host}, where others than this machine may look at "
            f"your MRR, and there is no {key}"
        )
        fix = (
            "bind it to 127.0.0.1, or make a token: "
            "`(umask 077; openssl rand -hex 32 > admin-token)`"
        )
        raise ConfigError([fault], fix=fix)
    try:
        mode = path.stat().st_mode & 0o777
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fault = f"{path} cannot be read: {why_unread(error)}"
        raise ConfigError([fault], source=key) from error
    if mode & 0o077:
        fault = f"{path} may be opened by others than its owner (mode {mode:04o})"
        raise ConfigError([fault], fix=f"run `chmod 600 {path}`, and make a new token")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        fault = f"the token in {path} is empty, or has characters that no header holds"
        raise ConfigError([fault], fix="make one with `openssl rand -hex 32`")
    return token


def guarded(app: ASGIApp, bind: ListenAddress, token: str | None) -> ASGIApp:
    """The app, for who may look: 403 to another ``Host``, 401 without the token."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        refused = _refusal(Request(scope), bind, token)
        await (app if refused is None else refused)(scope, receive, send)

    return asked


def _refusal(
    request: Request, bind: ListenAddress, token: str | None
) -> Response | None:
    if is_loopback(bind.host) and not is_named_here(request, bind.host):
        return PlainTextResponse("This is another host's name.\n", 403)
    if token is not None and not has_token(request, token):
        return PlainTextResponse(
            "A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"}
        )
    return None


def is_named_here(request: Request, bound: str) -> bool:
    named = re.fullmatch(
        r"(\[[0-9a-fA-F:.]+\]|[^:]+)(:\d{1,5})?", request.headers.get("host", "")
    )
    return named is not None and (
        is_loopback(named[1]) or named[1].lower() == bound.lower()
    )


def has_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    is_it = hmac.compare_digest(given.strip().encode(), token.encode())
    return is_it and scheme.lower() == "bearer"
