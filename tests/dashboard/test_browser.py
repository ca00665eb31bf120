"""Pages in a real Chromium: at each width, light and dark, with scripts and without."""

import re
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from connector.store.database import open_database
from connector.store.mirror.dirty_customers import mark
from tests.support.browser import Browser, browser, missing
from tests.support.commands import Workdir
from tests.support.small_ledger import GROWS, lay_out

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

CUSTOMER = "cus_1rI7CieY3u8myG"
PAGES = [
    *("/", "/?by=plan", "/?months=12&currency=eur", "/window", "/customers"),
    *(
        f"/customer/{CUSTOMER}",
        "/movements",
        "/cohorts",
        "/at-risk",
        "/coverage",
        "/churn",
    ),
    *("/restatements", "/differences", "/counts", "/nosuch", "/?to=2026-13"),
]
WIDTHS = (390, 820, 1280)
LONG = "Very long and hostile <b>name</b> " + "W" * 90


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def address(copied: Workdir) -> Iterator[str]:
    yield from serving(copied)


def serving(workdir: Workdir) -> Iterator[str]:
    process = workdir.start("dashboard", "--bind", "127.0.0.1:0")
    assert process.stdout is not None
    try:
        port = re.findall(r":(\d+)$", process.stdout.readline().strip())[0]
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.communicate()


def check(tab: Browser, address: str, path: str) -> None:
    """It fits, asks for nothing elsewhere, and breaks no rule of its own."""
    tab.driver.get(address + path)
    wide = "return document.documentElement.scrollWidth - innerWidth"
    assert tab.run(wide) <= 0, path
    outside = [url for url in tab.requests() if not url.startswith((address, "data:"))]
    assert outside == [], path
    said = [line for line in tab.complaints() if "status of 40" not in line]
    assert said == [], path


def test_every_page_fits_every_width_in_light_and_dark(
    tab: Browser, address: str
) -> None:
    for width, is_dark in product(WIDTHS, (False, True)):
        tab.size(width).dark(on=is_dark)
        for path in PAGES:
            check(tab, address, path)


def test_long_and_hostile_names_fit_too(tab: Browser, tmp_path: Path) -> None:
    for address in serving(lay_out(tmp_path, LONG)):
        for width in WIDTHS:
            tab.size(width)
            for path in (
                "/",
                "/window",
                "/customers",
                f"/customer/{GROWS}",
                "/at-risk",
            ):
                check(tab, address, path)


def test_without_scripts_clicks_lead_from_nrr_to_an_invoice_line(
    tab: Browser, address: str
) -> None:
    tab.size(1280).scripts(on=False)
    try:
        tab.driver.get(f"{address}/")
        tab.driver.find_element(By.CSS_SELECTOR, "a.card").click()
        tab.driver.find_element(By.CSS_SELECTOR, "#rows tbody th a").click()
        tab.driver.find_element(By.CSS_SELECTOR, ".mv summary").click()
        assert "Invoice line il_" in tab.driver.find_element(By.TAG_NAME, "main").text
    finally:
        tab.scripts(on=True)


def test_an_open_page_offers_what_is_newer_and_changes_no_number(
    tab: Browser, copied: Workdir, address: str
) -> None:
    tab.size(1280).driver.get(f"{address}/")
    before = tab.run("return document.querySelector('h1').textContent")
    assert tab.run("return document.getElementById('news').hidden")
    with closing(open_database(copied.ledger)) as connection:
        mark(connection, [CUSTOMER])
    done = (
        "const [done] = arguments; const wait = () => document.getElementById('news')"
    )
    tab.driver.execute_async_script(
        f"{done}.hidden ? setTimeout(wait, 50) : done();"
        "document.dispatchEvent(new Event('visibilitychange')); wait()"
    )
    assert tab.run("return document.querySelector('h1').textContent") == before
