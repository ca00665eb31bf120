"""Pages in a real Chromium: at each width, light and dark, with scripts and without."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from connector.store.mirror.dirty_customers import mark
from connector.store.opening import open_database
from tests.billing.account import Account
from tests.billing.calendar_ import instant
from tests.support import loopback
from tests.support.axe import PACKAGE, axe_script, findings
from tests.support.browser import Browser, browser, missing
from tests.support.commands import Workdir
from tests.support.odd_accounts import ODD, shown
from tests.support.simulator import SimulatedAccount
from tests.support.small_ledger import GROWS, lay_out, lay_out_of

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

CUSTOMER = "cus_1rI7CieY3u8myG"
PAGES = [
    *("/", "/?by=plan", "/?months=12&currency=eur", "/window", "/customers"),
    *("/?segment=interval=month&segment=country=US&by=plan", "/window?metric=crr"),
    *(
        f"/customer/{CUSTOMER}",
        "/movements",
        "/cohorts",
        "/at-risk",
        "/coverage",
        "/churn",
    ),
    *("/churn?segment=interval=month", "/at-risk?segment=country=US"),
    *("/restatements", "/differences", "/counts", "/nosuch", "/?to=2026-13"),
]
WIDTHS = (390, 768, 1280)
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


# By so many pixels more than there is room for: a phone would show it smaller, by which
# ``innerWidth`` grows, but not ``clientWidth``.
WIDER = (
    "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
)


def check(tab: Browser, address: str, path: str) -> None:
    """It fits, asks for nothing elsewhere, and breaks no rule of its own."""
    tab.requests()  # those of the pages before, as their complaints
    tab.complaints()
    tab.driver.get(address + path)
    assert tab.run(WIDER) <= 0, path
    outside = [url for url in tab.requests() if not url.startswith((address, "data:"))]
    assert outside == [], path
    said = [
        line for line in tab.complaints() if not re.search("status of (40|503)", line)
    ]
    assert said == [], path


def test_every_page_fits_every_width_in_light_and_dark(
    tab: Browser, address: str
) -> None:
    for width, is_dark in product(WIDTHS, (False, True)):
        tab.size(width).dark(on=is_dark)
        for path in PAGES:
            check(tab, address, path)


def test_axe_finds_nothing_on_any_page(tab: Browser, address: str) -> None:
    if not axe_script():
        pytest.skip(
            f"no {PACKAGE}: give its axe.min.js as AXE_CORE, or let npm reach it"
        )
    found = {}
    for width, is_dark in product(WIDTHS, (False, True)):
        tab.size(width).dark(on=is_dark)
        for path in PAGES:
            tab.driver.get(address + path)
            if broken := findings(tab):
                found[(path, width, is_dark)] = broken
    tab.complaints()
    assert found == {}


def test_every_page_prints_on_a4(tab: Browser, address: str) -> None:
    """Nothing wider than the paper, and nothing that is only for clicking."""
    for path in PAGES:
        tab.driver.get(address + path)
        assert tab.paper().startswith(b"%PDF"), path
        tab.size(720).asks("Emulation.setEmulatedMedia", media="print")
        try:
            assert tab.run(WIDER) <= 0, path
            shown = "return [...document.querySelectorAll('form, nav')].filter("
            assert (
                tab.run(f"{shown}e => e.closest('.top, .bar') && e.offsetHeight)") == []
            )
        finally:
            tab.asks("Emulation.setEmulatedMedia", media="")
    tab.complaints()


def focus(tab: Browser, selector: str, most: int = 150) -> WebElement:
    """Go there by Tab alone; wherever it stops on the way is seen to be there."""
    for _ in range(most):
        tab.driver.switch_to.active_element.send_keys(Keys.TAB)
        if tab.run("return document.activeElement.matches(arguments[0])", selector):
            break
    here: WebElement = tab.driver.switch_to.active_element
    assert tab.run("return document.activeElement.matches(arguments[0])", selector)
    assert tab.run(SEEN)
    return here


SEEN = """
const here = document.activeElement, box = here.getBoundingClientRect();
const style = getComputedStyle(here);
return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
  && box.width > 0 && box.right > 0 && box.left < innerWidth
  && box.bottom > 0 && box.top < innerHeight;
"""


def test_by_keyboard_alone_from_nrr_to_an_invoice_line(
    tab: Browser, address: str
) -> None:
    tab.size(1280).driver.get(f"{address}/")
    focus(tab, ".skip", 1).send_keys(Keys.ENTER)
    card = focus(tab, "a.card", 40)
    assert card.text.startswith("NRR")
    card.send_keys(Keys.ENTER)
    focus(tab, ".skip", 1).send_keys(Keys.ENTER)
    focus(tab, "#rows tbody th a").send_keys(Keys.ENTER)
    focus(tab, ".skip", 1).send_keys(Keys.ENTER)
    summary = focus(tab, ".mv summary")
    if not tab.run("return arguments[0].parentElement.open", summary):
        summary.send_keys(Keys.ENTER)
    # The newest is the end, which no invoice shows; the one before it is shown by one.
    focus(
        tab, ".mv details:not([open]) > summary, details.mv:not([open]) > summary", 20
    )
    tab.driver.switch_to.active_element.send_keys(Keys.ENTER)
    focus(tab, ".ev a[href*='/invoices/in_']", 20)
    line = "return document.activeElement.closest('li').textContent"
    assert "Invoice line il_" in tab.run(line)


def test_a_page_that_is_open_during_a_sync_offers_what_it_found(
    tab: Browser, tmp_path: Path
) -> None:
    """A real sync beside it: one click, and nothing changes before."""
    early, late = (SimulatedAccount(each) for each in growing())
    (tmp_path / "config.toml").write_text('timezone = "UTC"\n')
    with loopback.serving(early) as stripe:
        workdir = Workdir(tmp_path, stripe=stripe.url)
        assert workdir.run("sync").code == 0
        for address in serving(workdir):
            tab.size(1280).driver.get(f"{address}/customers")
            before = tab.run("return document.querySelector('main').innerText")
            assert "$60.00" in before
            stripe.account = late
            sync = workdir.start("sync", "--full")
            tab.driver.execute_async_script(NEWS)
            shown = tab.run("return document.querySelector('main').innerText")
            assert shown.endswith(before)
            assert sync.wait(PATIENCE_S) == 0, sync.communicate()
            sync.communicate()
            tab.driver.find_element(By.CSS_SELECTOR, "#news a").click()
            assert "$90.00" in tab.driver.find_element(By.TAG_NAME, "main").text
            assert not tab.driver.find_element(By.ID, "news").is_displayed()


def growing() -> Iterator[Mapping[str, Any]]:
    """An account, and the same ten days later: four seats are six by then."""
    made = Account(instant("2026-01-10T09:00:00Z"), seed=7)
    price = made.add_price(made.add_product("Team"), 1500)
    grows = made.subscribe(made.add_customer("Grows"), [(price, 4)])
    made.advance(instant("2026-10-10T12:00:00Z"))
    yield made.snapshot()
    made.change_quantity(grows.items[0], 6)
    made.advance(instant("2026-10-20T12:00:00Z"))
    yield made.snapshot()


# As the page asks when it is looked at again, until it has heard of something.
NEWS = """
const [done] = arguments;
const wait = () => {
  if (!document.getElementById('news').hidden) return done();
  document.dispatchEvent(new Event('visibilitychange'));
  setTimeout(wait, 100);
};
wait();
"""
PATIENCE_S = 60


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


@pytest.mark.parametrize("name", ODD)
def test_odd_accounts_fit_too(tab: Browser, tmp_path: Path, name: str) -> None:
    account = shown(name)
    [*_, key] = ["cus_nobody", *(each["id"] for each in account["customers"])]
    paths = [path for path in PAGES if "segment=" not in path and "eur" not in path]
    for address in serving(lay_out_of(tmp_path, account)):
        for width, is_dark in zip(WIDTHS, (False, True, False), strict=True):
            tab.size(width).dark(on=is_dark)
            for path in (*paths, f"/customer/{key}", "/?months=all", "/?currency=jpy"):
                check(tab, address, path)


def test_without_scripts_clicks_lead_from_nrr_to_an_invoice_line(
    tab: Browser, address: str
) -> None:
    tab.size(1280).scripts(on=False)
    try:
        tab.driver.get(f"{address}/")
        tab.driver.find_element(By.CSS_SELECTOR, "a.card").click()
        tab.driver.find_element(By.CSS_SELECTOR, "#rows tbody th a").click()
        # The newest is the end, which no invoice shows; those before it are shown by one.
        for summary in tab.driver.find_elements(By.CSS_SELECTOR, ".mv summary")[1:]:
            summary.click()
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
