"""The app: who may ask, which page a path is, and what is said where there is none.

Every request is answered from one moment of the ledger, which is opened to be read
alone. Whatever is wrong has a page of its own that names it; nothing else is told.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from connector.core.errors import ConnectorError, NothingFound
from connector.core.language import DEFAULT, speaking
from connector.core.messages import spoken
from connector.dashboard import frame
from connector.dashboard.access import COOKIE, COOKIE_S, Access
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest, answered
from connector.dashboard.ledger_reader import LedgerReader, LedgerReading
from connector.dashboard.pages import (
    at_risk,
    churn,
    cohorts,
    counts,
    coverage,
    customer,
    customers,
    differences,
    movements,
    overview,
    restatements,
    window,
)
from connector.dashboard.query import query_of
from connector.dashboard.responses import (
    DIALECT,
    HEADERS,
    bare,
    formed,
    formed_of_nothing,
    html,
    never_synced,
    no_page,
    status_of,
    unreadable,
    without_folders,
)


class PageRoute(NamedTuple):
    """``known`` are the parameters it reads; ``has_key`` that its path names a thing.

    ``nothing`` is what it gives where nobody has ever paid, None where it has an answer.
    """

    answer: Callable[[PageRequest], PageAnswer]
    known: frozenset[str]
    nothing: NothingPaid | None = None
    has_key: bool = False


PAGES: Mapping[str, PageRoute] = {
    "overview": PageRoute(overview.answer, overview.KNOWN, overview.NOTHING),
    "window": PageRoute(window.answer, window.KNOWN, window.NOTHING),
    "customers": PageRoute(customers.answer, customers.KNOWN, customers.NOTHING),
    "customer": PageRoute(customer.answer, customer.KNOWN, has_key=True),
    "movements": PageRoute(movements.answer, movements.KNOWN, movements.NOTHING),
    "cohorts": PageRoute(cohorts.answer, cohorts.KNOWN, cohorts.NOTHING),
    "at-risk": PageRoute(at_risk.answer, at_risk.KNOWN, at_risk.NOTHING),
    "churn": PageRoute(churn.answer, churn.KNOWN, churn.NOTHING),
    "coverage": PageRoute(coverage.answer, coverage.KNOWN),
    "restatements": PageRoute(restatements.answer, restatements.KNOWN),
    "differences": PageRoute(
        differences.answer, differences.KNOWN, differences.NOTHING
    ),
    "counts": PageRoute(counts.answer, counts.KNOWN),
}
log = logging.getLogger(__name__)
FORMS = ("json", "csv", "xlsx")
LONGEST_QUERY = 4_000
MOST_FORM_BYTES = 4_096


class DashboardApp:
    """The app for one ledger and one address."""

    def __init__(self, reader: LedgerReader, access: Access) -> None:
        self._reader, self._access = reader, access
        self._router = Router(
            [
                Route("/", self._page("overview", "html")),
                *self._routes(),
                Route("/state", self._state),
                Route("/enter", self._enter, methods=["GET", "POST"]),
                Route("/enter/{once}", self._enter_by_code),
            ],
            redirect_slashes=False,
            default=self._no_page,
        )

    def _routes(self) -> list[Route]:
        found = []
        for name, page in PAGES.items():
            key = "/{key:path}" if page.has_key else ""
            found += [
                Route(f"/{name}{key}.{form}", self._page(name, form)) for form in FORMS
            ]
            found.append(Route(f"/{name}{key}", self._page(name, "html")))
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        refused = self._refusal(request)
        if refused is not None:
            await refused(scope, receive, send)
            return
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:  # a method that a route has not
            told = bare(f"{error.detail}\n", error.status_code)
            await told(scope, receive, send)
        except Exception:
            await bare("Something went wrong here.\n", 500)(scope, receive, send)
            raise  # to the log, which alone tells what

    def _refusal(self, request: Request) -> Response | None:
        if self._access.is_foreign(request):
            return bare("This is another host's name.\n", 403)
        if len(request.url.query) > LONGEST_QUERY:
            return bare("The query is too long.\n", 414)
        is_entrance = request.url.path.startswith("/enter")
        if is_entrance or self._access.is_let_in(request):
            return None
        if request.url.path.rpartition(".")[2] in FORMS or request.url.path == "/state":
            return bare("A token is needed.\n", 401, WWW_Authenticate="Bearer")
        return self._entrance(401)

    # Pages

    def _page(self, name: str, form: str) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            return self._told(name, form, request)

        return endpoint

    def _told(self, name: str, form: str, request: Request) -> Response:
        config = self._reader.config
        is_told = form == "html"  # to a person; programs get keys alone
        with speaking(config.language if is_told else DEFAULT):
            return self._answered(name, form, request)

    def _answered(self, name: str, form: str, request: Request) -> Response:
        try:
            with self._reader.reading() as reading:
                try:
                    asked = self._asked(PAGES[name], form, request, reading)
                    return self._formed(name, form, asked)
                except ConnectorError as error:
                    shown = frame.of_ledger(reading.ledger, name)
                    return self._problem(error, form, shown)
        except NothingFound as error:  # one of several accounts was never synced
            return self._problem(error, form, frame.bare_frame(), status=503)
        except ConnectorError as error:
            return self._problem(error, form, frame.bare_frame())
        except (sqlite3.Error, OSError) as error:
            log.warning("dashboard.unreadable page=%s %s", name, error)
            return self._problem(unreadable(), form, frame.bare_frame())

    def _formed(self, name: str, form: str, asked: PageRequest) -> Response:
        """A page of its own where nobody has paid, which most pages tell of."""
        page = PAGES[name]
        try:
            has_paid = bool(asked.ledger.currencies(None, asked.as_of))
        except NothingFound:  # no sync has finished
            if not page.known:  # it tells of the configuration alone
                return formed(name, form, page.answer(asked), asked)
            if form == "html":
                return formed_of_nothing(name, form, None, asked)
            raise never_synced() from None
        if not has_paid and page.nothing is not None:
            return formed_of_nothing(name, form, page.nothing, asked)
        return formed(name, form, answered(page.answer, asked), asked)

    def _asked(
        self, page: PageRoute, form: str, request: Request, reading: LedgerReading
    ) -> PageRequest:
        known = page.known | ({DIALECT} if form == "csv" else set())
        query = query_of(request.query_params.multi_items(), known, reading.ledger.zone)
        key = str(request.path_params.get("key", ""))
        return PageRequest(reading=reading, query=query, path=request.url.path, key=key)

    def _problem(
        self,
        error: ConnectorError,
        form: str,
        shown: Mapping[str, Any],
        status: int | None = None,
    ) -> Response:
        status = status or status_of(error)
        problem, fix = (
            spoken(without_folders(each)) for each in (error.problem, error.fix)
        )
        if form != "html":
            return bare(f"{problem}\n{fix}\n", status)
        values = {
            **shown,
            "title": problem,
            "problem": problem,
            "fix": fix,
            "status": status,
            "parameter": getattr(error, "parameter", None),
        }
        return html("problem.html.j2", str(shown["locale"]), values, status)

    def _no_page(self, scope: Scope, receive: Receive, send: Send) -> Any:
        with speaking(self._reader.config.language):
            response = self._problem(no_page(), "html", frame.bare_frame())
        return response(scope, receive, send)

    # A page that is open asks whether there is something newer

    def _state(self, request: Request) -> Response:
        try:
            tag = f'"{self._reader.told(frame.state_tag)}"'
        except (ConnectorError, sqlite3.Error, OSError):
            return bare("", 503, Retry_After="5")
        if request.headers.get("if-none-match") == tag:
            return Response(None, 304, {**HEADERS, "ETag": tag})
        return bare(f"{tag}\n", 200, ETag=tag)

    # Whoever is not on this machine shows the token once

    def _entrance(self, status: int = 200, *, is_wrong: bool = False) -> Response:
        config = self._reader.config
        with speaking(config.language):
            values = {"is_wrong": is_wrong, "language": config.language}
            return html("enter.html.j2", config.locale, values, status)

    async def _enter(self, request: Request) -> Response:
        if not self._access.needs_token:
            return RedirectResponse("/", 303, HEADERS)
        if request.method == "GET":
            return self._entrance()
        given = await _form_field(request, "token")
        if given is None or not self._access.enters_by_token(given):
            return self._entrance(401, is_wrong=True)
        return self._let_in(request)

    def _enter_by_code(self, request: Request) -> Response:
        if not self._access.needs_token:
            return RedirectResponse("/", 303, HEADERS)
        if not self._access.enters_by_code(str(request.path_params["once"])):
            return self._entrance(401, is_wrong=True)
        return self._let_in(request)

    def _let_in(self, request: Request) -> Response:
        response = RedirectResponse("/", 303, HEADERS)
        response.set_cookie(
            COOKIE,
            self._access.cookie_value,
            max_age=COOKIE_S,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response


async def _form_field(request: Request, name: str) -> str | None:
    """One field of a small form; None where it is not there, or it is not small."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            return None
    found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return found.get(name, [None])[0]


def beside(dashboard: ASGIApp, other: ASGIApp, paths: Collection[str]) -> ASGIApp:
    """Both on one port: ``other`` has its paths, the dashboard all the rest."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        app = other if Request(scope).url.path in paths else dashboard
        await app(scope, receive, send)

    return asked
