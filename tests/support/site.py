"""The dashboard over one folder's ledger, asked in this process as a browser asks it."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import httpx
from starlette.types import ASGIApp

from connector.config import ListenAddress, accounts_of, load
from connector.dashboard.access import Access
from connector.dashboard.app import DashboardApp
from connector.dashboard.ledger_reader import LedgerReader

HERE = "http://127.0.0.1:8481"
NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
LOOPBACK = ListenAddress("127.0.0.1", 8481)


@dataclass(frozen=True)
class Site:
    app: ASGIApp
    reader: LedgerReader
    access: Access

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers)

    def ask(
        self, method: str, path: str, headers: dict[str, str], body: bytes = b""
    ) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with self._client() as client:
                own = {name.replace("_", "-"): each for name, each in headers.items()}
                return await client.request(method, path, headers=own, content=body)

        return asyncio.run(asked())

    def get_all(self, paths: Sequence[str]) -> list[httpx.Response]:
        """All of them at once."""

        async def asked() -> list[httpx.Response]:
            async with self._client() as client:
                return await asyncio.gather(*(client.get(path) for path in paths))

        return asyncio.run(asked())

    def page(self, path: str) -> "Page":
        response = self.get(path)
        assert response.status_code == 200, (path, response.text[:2000])
        return read(response.text)

    def _client(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=HERE, timeout=60)


@contextmanager
def site_of(
    folder: Path, token: str | None = None, bind: ListenAddress = LOOPBACK
) -> Iterator[Site]:
    config = load(folder / "config.toml", {}, folder)
    reader = LedgerReader(config, lambda: NOW, accounts_of(config))
    access = Access(bind, token)
    try:
        yield Site(DashboardApp(reader, access), reader, access)
    finally:
        reader.close()


@dataclass
class Page(HTMLParser):
    """``texts`` are those of elements that are shown, ``links`` their hrefs by text."""

    texts: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    command: str = ""
    ids: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    _stack: list[str] = field(default_factory=list)
    _href: str | None = None
    _is_command: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in given.items()]
        self.ids += [given["id"]] if "id" in given else []
        self._is_command = tag == "code" and given.get("class") == "cmd"
        if tag == "a":
            self._href = given.get("href", "")
            self.links.append(("", self._href))
        if tag in ("style", "script"):
            self._stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script"):
            self._stack.pop()
        if tag == "a":
            self._href = None

    def handle_data(self, data: str) -> None:
        if self._stack:
            return
        self.texts.append(data)
        if self._is_command and not self.command:
            self.command = data
        if self._href is not None:
            text, href = self.links[-1]
            self.links[-1] = (text + data, href)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def to(self, start: str) -> list[str]:
        """Where links lead that begin so."""
        return [href for _, href in self.links if href.startswith(start)]

    def inner(self, path: str) -> list[str]:
        """The pages of this site that it leads to, without the part of a page."""
        found = (urldefrag(urljoin(path, href))[0] for _, href in self.links)
        return list(dict.fromkeys(each for each in found if each.startswith("/")))


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page


def token_file(folder: Path, token: str) -> Path:
    path = folder / "token"
    path.write_text(token)
    path.chmod(0o600)
    return path
