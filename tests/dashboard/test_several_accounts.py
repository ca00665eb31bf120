"""The dashboard of several accounts: their sums, and the way to each account's Stripe."""

import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from connector.core.account import StripeIdentity
from connector.store.account import belong_to
from connector.store.database import put_setting, transaction
from connector.store.mirror.dirty_customers import mark
from connector.store.opening import open_database
from tests.dashboard.test_figures import form, without_moment
from tests.support.accounts import Book, demo_and_shop, pays, write
from tests.support.commands import Workdir
from tests.support.site import Site, read, site_of

TWO = "".join(
    f'[[account]]\nname = "{name}"\ndatabase = "{name}.db"\nkey_file = "{name}.key"\n'
    for name in ("de", "uk")
)
PAGES = [
    "/",
    "/?by=account",
    "/?segment=account%3Dshop&months=12",
    "/window",
    "/window?segment=account%3Ddemo&metric=crr",
    "/movements?from=2025-11-01&currency=eur",
    "/customer/Parent",
    "/cohorts",
    "/at-risk",
    "/churn",
    "/coverage",
    "/restatements",
    "/restatements?account=shop",
    "/differences",
]

EACH = 6  # links that differ only in what they say
OF_ONE = {"/restatements": "demo", "/restatements?account=shop": "shop"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("accounts")
    demo_and_shop(found)
    return found


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    with site_of(folder) as found:
        yield found


@pytest.fixture
def two(tmp_path: Path) -> Workdir:
    for name in ("de", "uk"):
        book = Book({"a": pays(f"cus_{name}", d2025_01_15=5000)})
        write(tmp_path / f"{name}.db", [book])
    return Workdir(tmp_path).configure(TWO)


@pytest.mark.parametrize("path", PAGES)
def test_each_page_tells_what_its_command_adds_up(
    site: Site, folder: Path, path: str
) -> None:
    page = site.page(path)
    program, *command = shlex.split(page.command)
    assert program == "stripe-nrr"
    told = Workdir(folder).call(*command, "--format", "json").json
    found = site.get(form(path, "json")).json()
    assert without_moment(found) == without_moment(told)
    whose = OF_ONE.get(path, "demo, shop")
    assert f"{whose} test mode" in page.text


def test_the_account_is_a_segment_among_others(site: Site, two: Workdir) -> None:
    page = site.page("/")
    assert [href for _, href in page.links if "by=account" in href]
    assert {"demo", "shop"} <= {t for t, _ in site.page("/?by=account").links}
    with site_of(two.folder) as other:
        assert other.page("/?segment=account%3Dde&currency=usd").text.count("$50.00")
        assert other.get("/?segment=account%3Dfr").status_code == 404


def test_every_object_leads_to_its_own_account_in_stripe(
    site: Site, folder: Path
) -> None:
    """Of a company of two accounts, too: each line to the one that billed it."""
    whose: dict[str, str] = {}
    for name in ("demo", "shop"):
        with closing(open_database(folder / f"{name}.db")) as connection:
            for kind in ("customers", "subscriptions", "invoices"):
                rows = connection.execute(f"SELECT id FROM stripe_{kind}")  # noqa: S608
                whose |= dict.fromkeys((key for (key,) in rows), f"acct_1{name}")
    links = site.page("/customer/Parent").to("https://dashboard.stripe.com/")
    for path in ("/coverage", "/counts", "/customers"):
        for customer in site.page(path).to("/customer/")[:5]:
            links += site.page(customer).to("https://dashboard.stripe.com/")
        links += site.page(path).to("https://dashboard.stripe.com/")
    found = [link.split("/") for link in links]
    assert {(each[3], each[4]) for each in found} == {
        ("acct_1demo", "test"),
        ("acct_1shop", "test"),
    }
    own = [each for each in found if each[5] != "events"]
    assert {each[5] for each in own} == {"customers", "subscriptions", "invoices"}
    assert all(whose[each[6]] == each[3] for each in own)


def test_every_link_leads_to_a_page(site: Site) -> None:
    seen = set()
    met: Counter[tuple[str, str]] = (
        Counter()
    )  # of pages, and which questions they are asked
    for path in ("/", "/?by=account", "/customers", "/movements", "/restatements"):
        for each in site.page(path).inner(path):
            url = urlsplit(each)
            kind = url.path.split("/")[1], " ".join(sorted(dict(parse_qsl(url.query))))
            if each not in seen and met[kind] < EACH:
                seen.add(each)
                met[kind] += 1
                assert site.get(each).status_code == 200, each
    assert len(met) > 30


@pytest.mark.parametrize("written", ["de", "uk"])
def test_what_is_committed_to_any_of_them_is_seen(two: Workdir, written: str) -> None:
    with site_of(two.folder) as site:
        first = site.get("/state")
        own = re.search(r'data-state="(\w+)"', site.get("/").text)
        assert own is not None
        assert first.headers["etag"] == f'"{own[1]}"'
        tag = first.headers["etag"]
        assert site.get("/state", If_None_Match=tag).status_code == 304
        made = iter("abc")

        def ask() -> str:
            with site.reader.reading() as reading:
                return reading.keep("what", lambda: next(made))

        assert [ask(), ask()] == ["a", "a"]
        with closing(open_database(two.folder / f"{written}.db")) as connection:
            with transaction(connection):
                put_setting(connection, "told", "something")
            assert [ask(), ask()] == ["b", "b"]
            mark(connection, [f"cus_{written}"])
        assert site.get("/state", If_None_Match=tag).status_code == 200


def test_whether_there_is_news_is_worked_out_once_a_commit(two: Workdir) -> None:
    with site_of(two.folder) as site:
        made = iter("abc")

        def told() -> str:
            return site.reader.told(lambda parts: f"{len(parts)}{next(made)}")

        assert [told(), told()] == ["2a", "2a"]
        with closing(open_database(two.folder / "uk.db")) as connection:
            mark(connection, ["cus_uk"])
        assert [told(), told()] == ["2b", "2b"]


def test_what_does_not_add_up_is_a_page_that_says_so(two: Workdir) -> None:
    """One ledger away, one never synced, live beside test mode, one account twice."""
    folder = two.folder
    shutil.copy(folder / "uk.db", folder / "kept.db")

    def said(page: str, status: int) -> None:
        with site_of(folder) as site:
            for path in ("/", "/overview.json", "/state"):
                found = site.get(path)
                assert found.status_code == (503 if path == "/state" else status)
            assert page in read(site.get("/").text).text

    (folder / "uk.db").unlink()
    said("Run stripe-nrr sync --account uk to make one", 503)
    open_database(folder / "uk.db", create=True).close()
    said("ledger of account uk is empty", 503)
    shutil.copy(folder / "kept.db", folder / "uk.db")
    with site_of(folder) as site:
        assert site.get("/").status_code == 200
    for name, mode in (("de", True), ("uk", False)):
        with closing(open_database(folder / f"{name}.db")) as connection:
            belong_to(connection, StripeIdentity(id=f"acct_1{name}", livemode=mode))
    said("De is of live mode and uk of test mode", 503)
    shutil.copy(folder / "de.db", folder / "uk.db")
    said("De and uk are both acct_1de", 503)


def test_the_policy_of_a_month_s_end_is_of_one_account(site: Site) -> None:
    found = site.get("/differences?mrr=500&on=2026-10-31")
    assert found.status_code == 400
    assert "--account NAME" in found.text
