"""A ledger in which nobody has paid is a page that says what to do next, everywhere."""

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support.commands import Workdir
from tests.support.odd_accounts import shown
from tests.support.site import Site, site_of
from tests.support.small_ledger import NOW, lay_out_of

PAGES = {
    **dict.fromkeys(("/", "/?currency=jpy&months=12", "/?as-of=2026-03-01"), "report"),
    "/window": "explain --window ..2026-10",
    "/window?metric=crr": "explain --window ..2026-10",
    "/customers": "",
    "/movements": "movements",
    "/cohorts": "cohorts",
    "/at-risk": "at-risk",
    "/churn": "churn",
    "/coverage": "",
    "/restatements": "",
    "/differences": "",
    "/counts": "",
}
TELLING = ("/coverage", "/restatements", "/counts")  # something also of such a ledger


def only_looking() -> Account:
    """Customers, and none who pays."""
    made = Account(instant("2026-02-10T09:00:00Z"), seed=5)
    for name in ("Looks", "Waits"):
        made.add_customer(name)
    made.advance(NOW)
    return made


@pytest.fixture(scope="module", params=["nobody", "only looking"])
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    found = tmp_path_factory.mktemp("empty")
    is_empty = request.param == "nobody"
    lay_out_of(found, shown("empty") if is_empty else only_looking().snapshot())
    return found


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    with site_of(folder) as found:
        yield found


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_and_says_what_to_do(site: Site, path: str) -> None:
    page = site.page(path)
    if path not in TELLING:
        assert "No recurring revenue yet" in page.text
        assert "stripe-nrr sync" in page.text
        assert {"/counts", "/coverage"} <= {href for _, href in page.links}


@pytest.mark.parametrize("path", PAGES)
def test_programs_get_no_rows_as_from_the_command(
    site: Site, folder: Path, path: str
) -> None:
    place, _, query = path.partition("?")
    place = "/overview" if place == "/" else place
    told = site.get(f"{place}.json?{query}")
    rows = site.get(f"{place}.csv?{query}")
    assert (told.status_code, rows.status_code) == (200, 200)
    assert told.json()["schema"] == 1
    if PAGES[path]:
        words = PAGES[path].split()
        by_command = Workdir(folder).call(*words, "--format", "csv").out
        [heads] = csv.reader(io.StringIO(rows.text))
        assert [heads] == list(csv.reader(io.StringIO(by_command)))


def test_who_has_never_paid_has_a_page(site: Site, folder: Path) -> None:
    with closing(open_database(Workdir(folder).ledger)) as connection:
        found = connection.execute("SELECT id FROM stripe_customers").fetchall()
    for (key,) in found:
        assert site.get(f"/customer/{key}").status_code in (200, 404)
    assert site.get("/customer/cus_nobody").status_code == 404


def test_before_the_first_sync_pages_say_so_and_programs_are_told_to_wait(
    tmp_path: Path,
) -> None:
    workdir = Workdir(tmp_path).configure('timezone = "UTC"\n')
    with closing(open_database(workdir.ledger, create=True)):
        pass
    with site_of(tmp_path) as site:
        for path in PAGES:
            page = site.page(path)
            if path != "/counts":
                assert "Nothing has been synced yet" in page.text
                assert "stripe-nrr sync" in page.text
        for ending in ("json", "csv"):
            response = site.get(f"/window.{ending}")
            assert response.status_code == 503
            assert "stripe-nrr sync" in response.text
