"""Values → HTTP answers: pages and files, with headers that let nothing else happen."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from starlette.responses import Response

from connector import __version__
from connector.core.errors import (
    ConnectorError,
    LedgerBusy,
    LedgerUnusable,
    NothingFound,
    UsageFault,
)
from connector.dashboard.filters import filters
from connector.render.page.templating import (
    Inlined,
    environment,
    inlined,
    template,
    template_of,
)

AGAIN_S = 5  # after which a page that cannot be shown yet asks again
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NOTHING = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"


@cache
def _style() -> Inlined:
    return inlined(f"{template('page.css')}\n{_own('dashboard.css')}")


@cache
def _script() -> Inlined:
    return inlined(f"{template('page.js')}\n{_own('dashboard.js')}")


@cache
def _own(name: str) -> str:
    return template_of(__package__, name)


def _template(name: str) -> str | None:
    """Of this package; the drawings are the page's."""
    return None if name == "drawings.html.j2" else _own(name)


@cache
def policy() -> str:
    """What a page of ours may do: its own style and script, its own forms, and a poll."""
    return (
        f"{NOTHING}; style-src '{_style().hash}'; script-src '{_script().hash}'; "
        "img-src data:; form-action 'self'; connect-src 'self'"
    )


def html(
    name: str, locale: str, values: Mapping[str, Any], status: int = 200
) -> Response:
    shown = (
        _environment(locale)
        .get_template(name)
        .render(
            **values,
            version=__version__,
            style=_style().text,
            script=_script().text,
        )
    )
    headers = {**HEADERS, "Content-Security-Policy": policy()}
    if status == 503:
        headers["Retry-After"] = str(AGAIN_S)
    return Response(shown, status, headers, media_type="text/html")


@cache
def _environment(locale: str) -> Any:
    found = environment(locale, _template)
    found.filters |= filters(locale)
    return found


def file(text: str, media_type: str, name: str) -> Response:
    """A form of a page for other programs; ``name`` is ours, never a reader's."""
    headers = {
        **HEADERS,
        "Content-Security-Policy": NOTHING,
        "Content-Disposition": f'inline; filename="{name}"',
    }
    return Response(text, 200, headers, media_type=media_type)


XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def workbook_file(made: bytes, name: str) -> Response:
    headers = {
        **HEADERS,
        "Content-Security-Policy": NOTHING,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(made, 200, headers, media_type=XLSX)


def bare(text: str, status: int, **headers: str) -> Response:
    """An answer to who may not even see a page."""
    own = {name.replace("_", "-"): value for name, value in headers.items()}
    shown = {**HEADERS, "Content-Security-Policy": NOTHING, **own}
    return Response(text, status, shown, media_type="text/plain")


def status_of(error: ConnectorError) -> int:
    if isinstance(error, UsageFault):
        return 400
    if isinstance(error, NothingFound):
        return 404
    if isinstance(error, (LedgerUnusable, LedgerBusy)):
        return 503
    return 409  # the configuration and the ledger do not go together


_FOLDERS = re.compile(r"(?<![\w:/<.])(?:/[^\s/`\"']+)+/([^\s/`\"']+)")


def without_folders(text: str) -> str:
    """An error's text, in which a file goes by its own name alone."""
    return _FOLDERS.sub(r"\1", text)
