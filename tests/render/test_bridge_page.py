"""Theirs beside ours as a page: whole, escaped, drawn as its tables say, alone."""

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector.core.money import format_minor
from connector.reconcile.model import Reconciliation
from connector.reconcile.reconcile import reconcile_files
from connector.render.bridge.page import drawn_months, to_html
from connector.reports.ledger import Ledger
from tests.support import stripe_files
from tests.support.browser import Browser, browser, missing
from tests.support.pages import NOW, SETTINGS, Element, everything, parsed
from tests.support.pages import written as page_written
from tests.support.synced import settled_demo

EVIL = "<script>alert(1)</script> & \u202eCo"
FOUND = ("cus_evil<b>", "98765.43")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Path]]:
    """The demo, one of whose customers has a bad name and a month that is wrong."""
    head, *rest = stripe_files.PATH.read_text(encoding="utf-8").splitlines()
    rows = [line.split(",") for line in rest]
    rows[0][-1] = FOUND[1]
    evil = rows[0][0]
    rows.append([FOUND[0], "usd", *["5.00"] * 12])
    path = tmp_path_factory.mktemp("page") / "<i>their.csv"
    path.write_text("\n".join([head, *map(",".join, rows)]), encoding="utf-8")
    with settled_demo() as connection:
        connection.execute("UPDATE customers SET label = ? WHERE id = ?", [EVIL, evil])
        yield Ledger(connection, SETTINGS, NOW), path


@pytest.fixture(scope="module")
def done(given: tuple[Ledger, Path]) -> Reconciliation:
    ledger, path = given
    [found] = reconcile_files(ledger, [path])
    return found


@pytest.fixture(scope="module")
def html(given: tuple[Ledger, Path], done: Reconciliation) -> str:
    return to_html([done], given[0].facts(), "en_US")


@pytest.fixture(scope="module")
def page(html: str) -> Element:
    return parsed(html)


def test_what_is_unexplained_comes_first_with_ours_beside_it(
    page: Element, done: Reconciliation
) -> None:
    titles = [each.text for each in page.all("h3")]
    assert titles[0].startswith("Unexplained")
    [beside] = page.all("div", class_="side")
    theirs, ours = beside.all("table")
    assert theirs.rows()[1][2] == "$98,765.43"
    booked = done.explained[done.cells[0].customer.id]
    assert [row[0] for row in ours.rows()[1:]] == [str(m.day) for m in booked[-8:]]
    assert ours.rows()[-1][3] == theirs.rows()[1][1]


def test_names_are_escaped_and_the_page_loads_nothing(html: str, page: Element) -> None:
    assert not page.all("script")
    assert not page.all("i")
    shown = [h.text for h in page.all("h4")]
    assert any("<script>alert(1)</script> & \\u202eCo" in text for text in shown)
    assert "<i>their.csv" in page.all("h2")[0].text
    assert any(FOUND[0] in th.text or "here" in th.text for th in page.all("th"))
    loaded = [e for e in everything(page) if {"src", "href"} & e.attributes.keys()]
    assert [e.attributes["href"] for e in loaded] == ["data:,"]
    [style] = page.all("style")
    text = re.search(r"<style>(.*)</style>", html, re.DOTALL)
    assert text is not None
    digest = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in html
    assert "style=" not in html.replace(style.text, "")


def test_every_month_s_row_goes_from_ours_to_theirs(
    page: Element, done: Reconciliation
) -> None:
    rows = [row for t in page.all("table", class_="bridge") for row in t.rows()[1:]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        (
            f"{month.month:%b %Y}",
            format_minor(month.ours_minor, month.currency),
            format_minor(month.theirs_minor, month.currency),
        )
        for month in done.months
    ]


def test_the_bars_are_the_bridge(done: Reconciliation) -> None:
    """Each begins where the one before it ended; the widths are of one scale."""
    for currency in ("usd", "eur"):
        for drawn in drawn_months(done, currency):
            first, *moved, last = drawn.steps
            assert sum((s.amount_minor for s in moved), first.amount_minor) == (
                last.amount_minor
            )
            highest = max(step.bar.x + step.bar.width for step in drawn.steps)
            assert highest == pytest.approx(100, abs=0.02)
            per_cent = (last.amount_minor - drawn.base_minor) / last.bar.width
            for step in moved:
                told = step.bar.width * per_cent
                assert told == pytest.approx(abs(step.amount_minor), abs=per_cent / 20)
            ends = [s.bar.end_x for s in drawn.steps]
            for end_x, step in zip(ends, moved, strict=False):
                edges = (step.bar.x, step.bar.x + step.bar.width)
                assert min(abs(end_x - edge) for edge in edges) < 0.02


def test_where_all_is_the_same_it_says_so(given: tuple[Ledger, Path]) -> None:
    ledger, path = given
    ours = path.with_name("ours.csv")
    query = """
        SELECT customers.id, currency, day, amount_minor FROM movements
        JOIN customers ON customers.key = movements.customer
        WHERE NOT EXISTS (SELECT 1 FROM retractions WHERE movement = movements.id)
    """
    rows = ledger.connection.execute(query).fetchall()
    lines = (",".join(map(str, row)) + "\n" for row in rows)
    ours.write_text("customer,currency,date,mrr_change_minor\n" + "".join(lines))
    found = reconcile_files(ledger, [ours])
    page = parsed(to_html(found, ledger.facts(), "en_US"))
    assert found[0].differing == 0
    assert "Every month is the same on both sides." in [p.text for p in page.all("p")]
    assert not page.all("div", class_="side")


@pytest.mark.skipif(bool(missing()) and not os.environ.get("CI"), reason=missing())
def test_in_a_browser_it_fits_and_asks_nobody(html: str, tmp_path: Path) -> None:
    path = page_written(html, tmp_path)
    with browser() as tab:
        _fits(tab, path)


def _fits(tab: Browser, path: Path) -> None:
    for width, is_dark in ((1180, False), (1180, True), (390, False)):
        tab.size(width).dark(on=is_dark).open(path)
        seen = "return document.documentElement.scrollWidth"
        assert tab.run(seen) <= width
        colours = tab.run(
            "const s = getComputedStyle(document.body); return [s.color,"
            " s.backgroundColor]"
        )
        assert colours[0] != colours[1]
    assert {url for url in tab.requests() if not url.startswith("data:")} == {
        path.as_uri()
    }
    assert tab.complaints() == []
