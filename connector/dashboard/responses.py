"""Values → HTTP answers: pages and files, with headers that let nothing else happen."""

import re
from collections.abc import Callable, Mapping
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
from connector.core.language import _
from connector.core.model import JSON_SCHEMA
from connector.core.text import json_text
from connector.dashboard import frame
from connector.dashboard.answer import NothingPaid, PageAnswer, PageRequest
from connector.dashboard.filters import FILTERS
from connector.render.csv_table import DIALECTS, STANDARD, dialect, written_as
from connector.render.page.templating import (
    Inlined,
    environment,
    inlined,
    template,
    template_of,
)
from connector.render.report.json_form import facts_json
from connector.render.report.missing import banner, nothing_before
from connector.store.mirror import freshness

DIALECT = "dialect"  # the parameter that says how CSV is written
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
    found.filters |= FILTERS
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


# A page's answer in the form asked for


def no_workbook() -> NothingFound:
    return NothingFound(
        "there is no workbook of this page",
        fix="take its CSV, or the workbook of the overview of all customers",
    )


def formed(name: str, form: str, answer: PageAnswer, asked: PageRequest) -> Response:
    if form == "json":
        facts = (
            facts_json(asked.ledger.facts(asked.as_of)) if answer.tells_facts else {}
        )
        text = json_text({"schema": JSON_SCHEMA, **facts, **answer.json()})
        return file(text, "application/json", f"{name}.json")
    if form == "xlsx":
        told = answer.command_line(asked.reading.options)
        made = answer.xlsx or (lambda: _listed(answer.title, answer.csv(), told, asked))
        return workbook_file(made(), f"{name}.xlsx")
    if form == "csv":
        return _csv_file(name, answer.csv, asked)
    values = {
        **frame.of_ledger(asked.ledger, name),
        **frame.of_answer(answer, asked, name),
        **answer.values,
    }
    return html(answer.template, asked.config.locale, values)


def formed_of_nothing(
    name: str, form: str, nothing: NothingPaid | None, asked: PageRequest
) -> Response:
    """Of a ledger in which nobody has paid; ``nothing`` None: nor was it ever synced."""
    ledger, state = asked.ledger, asked.state
    if nothing is not None and form == "json":
        facts = facts_json(ledger.facts(asked.as_of))
        text = json_text({"schema": JSON_SCHEMA, **facts, **nothing.json(asked)})
        return file(text, "application/json", f"{name}.json")
    if nothing is not None and form == "csv":
        return _csv_file(name, lambda: nothing.csv(asked), asked)
    if nothing is not None and form == "xlsx":
        book = _listed(_("No figures yet"), nothing.csv(asked), "", asked)
        return workbook_file(book, f"{name}.xlsx")
    if form == "xlsx":
        raise no_workbook()
    synced_at = None if nothing is None else state.synced_at
    begins_at = ledger.begins_at(asked.as_of)
    values = {
        **frame.of_ledger(ledger, name),
        "title": _("No figures yet"),
        "is_synced": nothing is not None,
        "synced_at": synced_at and synced_at.astimezone(ledger.zone),
        "known_day": state.today,
        "customers": freshness.count(ledger.connection, "customers"),
        "path": asked.path,
        "given": dict(asked.query.all),
        "as_of": asked.as_of,
        "before": begins_at and nothing_before(begins_at),
    }
    return html("nothing.html.j2", asked.config.locale, values)


def _listed(title: str, text: str, command: str, asked: PageRequest) -> bytes:
    """A list that is no whole report, as a workbook of what its CSV says."""
    from connector.render.workbook.listed import ListedRows, list_xlsx

    ledger, locale = asked.ledger, asked.config.locale
    warnings = banner(ledger.facts(asked.as_of), ledger.outside(), locale)
    return list_xlsx(ListedRows(title, text, warnings, command), locale)


def _csv_file(name: str, text: Callable[[], str], asked: PageRequest) -> Response:
    """In the dialect asked for."""
    with written_as(asked.query.choice(DIALECT, tuple(DIALECTS), STANDARD)):
        return file(dialect().mark + text(), "text/csv", f"{name}.csv")


def unreadable() -> LedgerUnusable:
    return LedgerUnusable(
        "the ledger cannot be read now",
        fix="nothing is lost; it is tried again by itself",
    )


def never_synced() -> LedgerUnusable:
    """What programs are told; people have a page of it."""
    return LedgerUnusable(
        "the ledger is empty: no sync has finished yet", fix="run `stripe-nrr sync`"
    )


def no_page() -> NothingFound:
    return NothingFound("there is no such page", fix="choose one of those above")
