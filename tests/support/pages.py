"""The page as a command makes it, and what a parser finds in it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from connector import config
from connector.render.page.page import to_html
from connector.reports.ledger import Ledger
from connector.reports.model import Report
from connector.reports.page import make_page
from connector.reports.report import ReportRequest, make_report
from tests.support.books import close
from tests.support.ledgers import empty_ledger, settle
from tests.support.synced import demo_now_s, settled_demo

NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
OCTOBER = ReportRequest(last=date(2026, 10, 1), trend=True)
SETTINGS = config.parse('timezone = "Europe/Berlin"', {})
LIST_PRICES = config.parse(
    'timezone = "Europe/Berlin"\n[policy]\nrepeating_coupon = "ignored"', {}
)
CLOSED = (date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1))


@cache
def demo_page(asked: ReportRequest = OCTOBER) -> str:
    with settled_demo() as connection:
        return to_html(make_page(Ledger(connection, SETTINGS, NOW), asked))


@cache
def demo_report(asked: ReportRequest = OCTOBER) -> Report:
    with settled_demo() as connection:
        return make_report(Ledger(connection, SETTINGS, NOW), asked)


@cache
def _restated_demo() -> bytes:
    with settled_demo() as connection:
        rules = {**SETTINGS.policy.settings(), "timezone": "Europe/Berlin"}
        for month in CLOSED:
            close(connection, month, rules, NOW)
        settle(connection, demo_now_s(), "Europe/Berlin", LIST_PRICES.policy)
        return bytes(connection.serialize())


@contextmanager
def restated_demo() -> Iterator[sqlite3.Connection]:
    """The demo's ledger, three months closed and derived by another policy since."""
    with empty_ledger() as connection:
        connection.deserialize(_restated_demo())
        yield connection


@cache
def restated_page(asked: ReportRequest = OCTOBER) -> str:
    with restated_demo() as connection:
        return to_html(make_page(Ledger(connection, LIST_PRICES, NOW), asked))


@cache
def restated_report(asked: ReportRequest = OCTOBER) -> Report:
    with restated_demo() as connection:
        return make_report(Ledger(connection, LIST_PRICES, NOW), asked)


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    inside: list["Element | str"] = field(default_factory=list)

    def all(self, tag: str, **wanted: str) -> "list[Element]":
        """Those below it, in order; ``class_="x"`` asks for one of its classes."""
        found = []
        for each in self.inside:
            if isinstance(each, Element):
                if each.tag == tag and each.has(wanted):
                    found.append(each)
                found += each.all(tag, **wanted)
        return found

    def has(self, wanted: dict[str, str]) -> bool:
        return all(
            value in self.attributes.get(name.rstrip("_"), "").split()
            for name, value in wanted.items()
        )

    @property
    def text(self) -> str:
        parts = (x if isinstance(x, str) else x.text for x in self.inside)
        return " ".join("".join(parts).split())

    def rows(self) -> list[list[str]]:
        """A table's texts, its heading first."""
        return [
            [x.text for x in row.inside if isinstance(x, Element)]
            for row in self.all("tr")
        ]


VOID = {"meta", "link", "input", "br", "hr", "img"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.open[-1].inside.append(Element(tag, named))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def parsed(html: str) -> Element:
    """Every element is closed where it must be."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    [root] = reader.open
    return root


def everything(root: Element) -> Iterator[Element]:
    for each in root.inside:
        if isinstance(each, Element):
            yield each
            yield from everything(each)


@contextmanager
def changed_demo(*statements: str) -> Iterator[sqlite3.Connection]:
    with settled_demo() as connection:
        for statement in statements:
            connection.execute(statement)
        yield connection


def written(html: str, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path
