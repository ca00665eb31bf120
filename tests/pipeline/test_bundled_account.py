"""The bundled account read from its files is the one that Stripe's API would show."""

import gzip
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connector.core.errors import ConnectorError
from connector.pipeline import bundled_account
from connector.pipeline.bundled_account import (
    KINDS,
    BundledAccount,
    bundled_folder,
    load_account,
)
from connector.pipeline.ingest import Ingest
from connector.pipeline.source import ObjectSource
from connector.pipeline.sync import sync
from connector.pipeline.thread_pool import ThreadPool
from connector.reports.check import live_subscriptions
from connector.store.mirror.objects import TABLES
from connector.stripe_api.client import StripeApi
from connector.stripe_api.decoding import created_at, ref
from connector.stripe_api.lists import LISTINGS
from connector.stripe_api.paging import CreatedRange, going_on
from connector.stripe_api.rate_limit import Limiter
from tests.support import loopback
from tests.support.ledgers import empty_ledger, settle
from tests.support.loopback import serving
from tests.support.synced import DEFAULTS, demo, demo_now_s

LEDGER = (
    *("movements", "components", "retractions", "refusals", "terms", "plans"),
    *("customers", "window_sums", "runs", "settings"),
)


@pytest.fixture
def account() -> BundledAccount:
    return load_account(bundled_folder())


# --- beside the API ---


def ingested(db: sqlite3.Connection, source: ObjectSource) -> dict[str, int]:
    """Walk the whole account and derive the ledger; how much of each kind was seen."""
    with ThreadPool[Any](1) as threads:
        ingest = Ingest(
            connection=db,
            source=source,
            threads=threads,
            config=DEFAULTS,
            now_us=lambda: demo_now_s() * 1_000_000,
        )
        sync(ingest, full=True)
    settle(db, demo_now_s(), "Europe/Berlin")
    return ingest.met.seen


def rows(db: sqlite3.Connection, tables: tuple[str, ...]) -> dict[str, list[Any]]:
    return {
        table: db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608
        for table in tables
    }


def mirrored(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """The mirror, with ids where files and answers differ in what they show whole."""
    found = rows(
        db, tuple(f"stripe_{table}" for table in dict.fromkeys(TABLES.values()))
    )
    return {table: [tuple(map(plain, row)) for row in found[table]] for table in found}


def plain(value: Any) -> Any:
    """Of a body, a discount's coupon by its id; in an event the discount by its own."""
    if not isinstance(value, bytes):
        return value
    body = msgspec.json.decode(value)
    for discount in body.get("discounts", ()):
        discount["source"]["coupon"] = id_of(discount["source"]["coupon"])
    if discounts := body.get("subscription", {}).get("discounts"):
        body["subscription"]["discounts"] = [id_of(each) for each in discounts]
    return body


def id_of(shown: str | dict[str, Any]) -> str:
    return shown if isinstance(shown, str) else str(shown["id"])


def api_of(stripe: loopback.Served) -> StripeApi:
    stripe.now_s = demo_now_s
    return StripeApi(
        loopback.KEY,
        stripe.url,
        now_us=lambda: demo_now_s() * 1_000_000,
        limiter=Limiter.free(),
    )


def test_it_ends_in_the_ledger_of_the_same_account_behind_the_api(
    account: BundledAccount,
) -> None:
    with (
        serving(demo()) as stripe,
        api_of(stripe) as api,
        empty_ledger() as asked,
        empty_ledger() as read,
    ):
        assert ingested(read, account) == ingested(asked, api)
        assert rows(read, LEDGER) == rows(asked, LEDGER)
        assert rows(read, ("movements",))["movements"]
        assert mirrored(read) == mirrored(asked)
        assert account.requests == api.reads.requests == len(stripe.requests)


def test_it_shows_the_live_subscriptions_that_the_api_shows(
    account: BundledAccount,
) -> None:
    with serving(demo()) as stripe, api_of(stripe) as api:
        asked = [ref(each) for each in live_subscriptions(api)]
        assert [ref(each) for each in live_subscriptions(account)] == asked
        assert account.requests == api.reads.requests
    assert asked


# --- lists ---


def test_pages_add_up_to_the_list_newest_first(account: BundledAccount) -> None:
    for kind in LISTINGS:
        pages = list(account.pages(kind))
        things = [thing for page in pages for thing in page.data]
        assert things == list(account.lists.get(kind, ()))
        made = [(created_at(thing), ref(thing)) for thing in things]
        assert made == sorted(made, reverse=True)
        assert [len(page.data) for page in pages[:-1]] == [100] * (len(pages) - 1)
        assert bool(things) == (kind in KINDS)


def test_pages_go_on_after_an_object(account: BundledAccount) -> None:
    whole = account.lists["invoices"]
    after = ref(whole[150])
    page = account.page("invoices", place=going_on(after))
    rest = page.data
    while page.has_more:
        page = account.page("invoices", place=page.place)
        rest += page.data
    assert rest == whole[151:]


def test_a_page_is_narrowed_by_creation(account: BundledAccount) -> None:
    whole = account.lists["invoices"]
    newest_s, oldest_s = created_at(whole[100]), created_at(whole[300])
    span = CreatedRange(oldest_s, newest_s)
    first = account.page("invoices", span)
    assert first.has_more
    second = account.page("invoices", span, first.place)
    expected = [it for it in whole if oldest_s <= created_at(it) < newest_s]
    assert (first.data + second.data)[:200] == expected[:200]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        pytest.param("subscriptions", "status", "past_due", id="by status"),
        pytest.param("subscriptions", "status", "trialing", id="of nobody"),
        pytest.param("invoice items", "customer", None, id="by customer"),
    ],
)
def test_pages_are_narrowed_by_a_field(
    account: BundledAccount, kind: str, field: str, value: str | None
) -> None:
    whole = account.lists[kind]
    wanted = value or ref(getattr(whole[0], field))
    pages = account.pages(kind, extra=[(field, wanted)])
    found = [thing for page in pages for thing in page.data]
    assert found == [it for it in whole if ref(getattr(it, field)) == wanted]


def test_one_object_is_found_by_its_id(account: BundledAccount) -> None:
    price = account.lists["prices"][3]
    assert account.one("prices", ref(price)) == (price, demo_now_s() * 1_000_000)
    assert account.one("prices", "price_of_another") is None


# --- files ---


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        pytest.param(["fixtures/demo"], "fixtures/demo", id="in the repository"),
        pytest.param(
            ["fixtures/demo", "connector/bundled_demo"],
            "connector/bundled_demo",
            id="in a wheel",
        ),
    ],
)
def test_the_bundled_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: list[str], expected: str
) -> None:
    module = tmp_path / "connector" / "pipeline" / "bundled_account.py"
    monkeypatch.setattr(bundled_account, "__file__", module)
    for folder in there:
        (tmp_path / folder).mkdir(parents=True)
    assert bundled_folder() == tmp_path / expected


def test_an_installation_without_the_demo_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = tmp_path / "connector" / "pipeline" / "bundled_account.py"
    monkeypatch.setattr(bundled_account, "__file__", module)
    with pytest.raises(ConnectorError, match="not part of this installation"):
        bundled_folder()


@pytest.mark.parametrize(
    ("name", "spoil", "problem"),
    [
        pytest.param("account.json", lambda _: b"{", "Input data", id="half a file"),
        pytest.param("prices.jsonl.gz", lambda _: None, "No such", id="a file less"),
        pytest.param(
            "prices.jsonl.gz", lambda _: b"{}", "Not a gzipped", id="not gzip"
        ),
        pytest.param("prices.jsonl.gz", lambda it: it[:99], "ended", id="half a gzip"),
        pytest.param(
            "prices.jsonl.gz", lambda _: gzip.compress(b"{}"), "`id`", id="no prices"
        ),
    ],
)
def test_a_folder_that_cannot_be_read(
    tmp_path: Path, name: str, spoil: Callable[[bytes], bytes | None], problem: str
) -> None:
    folder = shutil.copytree(bundled_folder(), tmp_path / "demo")
    spoiled = spoil((folder / name).read_bytes())
    (folder / name).unlink()
    if spoiled is not None:
        (folder / name).write_bytes(spoiled)
    with pytest.raises(ConnectorError, match="cannot be read") as raised:
        load_account(folder)
    assert problem in raised.value.problem
    assert raised.value.fix
