"""The page as a reader has it: in a real browser, on a screen, a phone and on paper."""

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connector.render.report.json_form import to_json
from tests.support.browser import Browser, browser, missing
from tests.support.pages import OCTOBER, demo_page, demo_report, restated_page, written

BY_PRODUCT = OCTOBER._replace(by="product")
KINDS = ("new", "expansion", "reactivation", "contraction", "churn")

if missing() and not os.environ.get("CI"):
    pytest.skip(missing(), allow_module_level=True)


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    assert not missing(), missing()
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(demo_page(BY_PRODUCT), tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(tab: Browser, path: Path) -> Iterator[Browser]:
    """The page as it is when it was opened; nobody may complain while a test runs."""
    tab.scripts(on=True).size(1180).dark(on=False)
    tab.complaints()
    yield tab.open(path)
    assert tab.complaints() == []


def test_nothing_is_asked_of_anybody_else(page: Browser, path: Path) -> None:
    asked = page.requests()
    assert asked
    assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}


def test_a_page_that_did_reach_out_would_be_noticed(
    tab: Browser, tmp_path: Path
) -> None:
    """The policy stops an image and a script that somebody brought in all the same."""
    smuggled = (
        "<img src='http://127.0.0.1:9/x.png'><script>document.title = 'in'</script>"
    )
    html = demo_page().replace("</main>", f"{smuggled}</main>")
    tab.open(written(html, tmp_path))
    assert len(tab.complaints()) == 2
    assert tab.run("return document.title") != "in"


def test_what_is_drawn_is_what_the_json_says(page: Browser) -> None:
    """Bars as Chromium lays them out, in pixels, against whole minor units."""
    windows = to_json(demo_report())["currencies"][0]["windows"]
    months = [w["waterfall"] for w in windows if w["window"] == "month"]
    signs = dict.fromkeys(KINDS, 1) | {"contraction": -1, "churn": -1}
    paths = page.run(
        "return Object.fromEntries([...document.querySelectorAll("
        "'#usd .view.on .chart > svg > svg path:not(.line)')]"
        ".map(p => [p.getAttribute('class'), p.getAttribute('d')]))"
    )
    heights = {kind: _heights(paths[kind]) for kind in KINDS}
    amounts = {
        kind: [signs[kind] * m[f"{kind}_minor"] for m in months if m[f"{kind}_minor"]]
        for kind in KINDS
    }
    per_pixel = max(amounts["new"]) / max(heights["new"])
    for kind in KINDS:
        told = [height * per_pixel for height in heights[kind]]
        assert told == pytest.approx(amounts[kind], abs=per_pixel / 10)


def _heights(path: str) -> list[float]:
    found = re.findall(r"M[\d.]+ ([\d.]+)h[\d.]+V([\d.]+)", path)
    return [float(start) - float(end) for start, end in found]


def _middle(page: Browser, query: str, across: float = 0.5) -> tuple[float, float]:
    """Bring it into sight; where its middle is then."""
    page.run("document.querySelector(arguments[0]).scrollIntoView(false)", query)
    page.painted()
    box: dict[str, float] = page.run(
        "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()",
        query,
    )
    return box["x"] + box["width"] * across, box["y"] + box["height"] / 2


def _tip(page: Browser) -> str:
    tip: dict[str, Any] = page.run(
        "const t = document.getElementById('tip');"
        "return {text: t.innerText, seen: getComputedStyle(t).opacity !== '0'}"
    )
    return " ".join(tip["text"].split()) if tip["seen"] else ""


BARS = "#usd .view.on [data-columns='24'] > svg"
LINE = "#usd .view.on .trend > svg"


def _settled(page: Browser) -> None:
    page.run("document.getElementById('tip').style.transition = 'none'")


def test_the_pointer_shows_the_numbers_of_a_month(page: Browser) -> None:
    _settled(page)
    page.move(*_middle(page, BARS, 23.5 / 24))
    assert _tip(page) == (
        "Oct 2026 Opening $51,590.32 New $1,621.10 Reactivation – Expansion $555.83 "
        "Contraction −$368.67 Churn −$983.00 Closing $52,415.58 "
        "NRR 98.5% GRR 97.4% CRR 98.8%"
    )
    page.move(*_middle(page, LINE, 12.5 / 13))
    assert _tip(page).startswith("Oct 2026 NRR 106.6% GRR 89.3% CRR 91.8%")
    page.move(5, 5)
    assert _tip(page) == ""


def test_the_pointer_tells_what_a_restated_month_was_closed_with(
    tab: Browser, tmp_path: Path
) -> None:
    """Rows as reported stand between the months, and are no columns of the chart."""
    tab.scripts(on=True).size(1180).dark(on=False)
    tab.open(written(restated_page(), tmp_path))
    _settled(tab)
    for place, month in ((21.5, "Aug"), (22.5, "Sep"), (23.5, "Oct")):
        tab.move(*_middle(tab, BARS, place / 24))
        assert _tip(tab).startswith(f"{month} 2026 Opening $")
        assert ("(as reported: $" in _tip(tab)) == (month != "Oct")
    tab.move(*_middle(tab, BARS, 22.5 / 24))
    assert "NRR 101.4% (as reported: 101.5%) GRR 99.5% CRR 99.6%" in _tip(tab)


def test_the_keyboard_shows_them_too(page: Browser) -> None:
    _settled(page)
    page.run("document.querySelector(arguments[0]).focus({focusVisible: true})", BARS)
    page.painted()
    page.press("ArrowLeft")
    assert _tip(page).startswith("Sep 2026 Opening $47,543.")
    page.press("Escape")
    assert _tip(page) == ""


def test_a_cohort_s_cell_says_whose_it_is(page: Browser) -> None:
    _settled(page)
    page.move(*_middle(page, "#usd .heat tbody tr:nth-child(2) td:nth-child(6)"))
    assert _tip(page) == "Q1 2024 cohort after 2 NRR 103% of MRR $3,775 customers 17"


def _seen(page: Browser) -> dict[str, list[str]]:
    """The currencies whose figures can be seen, and the first card of each."""
    found: dict[str, list[str]] = page.run(
        "const seen = e => e.checkVisibility();"
        "const all = q => [...document.querySelectorAll(q)].filter(seen);"
        "return {parts: all('.part').map(p => p.id),"
        " closing: all('.card:first-child b').map(b => b.textContent)}"
    )
    return found


def _choose(page: Browser, query: str, text: str) -> None:
    page.run(
        "const s = document.querySelector(arguments[0]);"
        "s.value = [...s.options].find(o => o.text === arguments[1]).value;"
        "s.dispatchEvent(new Event('change'))",
        query,
        text,
    )


def test_one_currency_and_one_segment_at_a_time(page: Browser) -> None:
    assert _seen(page) == {"parts": ["usd"], "closing": ["$52,416"]}
    _choose(page, "#usd .segment", "Team")
    assert _seen(page) == {"parts": ["usd"], "closing": ["$24,294"]}
    _choose(page, "#usd .segment", "all customers")
    assert _seen(page)["closing"] == ["$52,416"]
    _choose(page, "#currency", "EUR")
    assert _seen(page) == {"parts": ["eur"], "closing": ["€7,515"]}


def test_another_metric_of_the_cohorts_needs_no_script(page: Browser) -> None:
    caption = (
        "return [...document.querySelectorAll('#usd .heat')]"
        ".filter(t => t.checkVisibility()).map(t => t.caption.textContent)"
    )
    assert page.run(caption) == ["NRR"]
    page.run("document.getElementById('m-usd-3').checked = true")
    assert page.run(caption) == ["CRR"]


def test_without_a_script_everything_is_there(tab: Browser, path: Path) -> None:
    tab.scripts(on=False).size(1180)
    tab.open(path)
    tab.scripts(on=True)
    assert _seen(tab)["parts"] == ["usd", "eur"]
    assert tab.run("return document.querySelector('.pick').hidden")
    assert tab.run("return document.querySelectorAll('details.view > summary').length")


@pytest.mark.parametrize("width", [320, 390, 768, 1180, 1920])
def test_nothing_is_cut_at_any_width(page: Browser, width: int) -> None:
    """No page scrolls sideways, and no text of a chart leaves the page or its chart."""
    page.size(width)
    cut = page.run(
        "return [...document.querySelectorAll('.part:not(.off) .view.on svg text')]"
        ".filter(t => t.checkVisibility())"
        ".map(t => [t.textContent, t.getBoundingClientRect()])"
        ".filter(([, b]) => b.left < 0 || b.right > innerWidth).map(([text]) => text)"
    )
    assert cut == []
    assert page.run("return document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [390, 1180])
def test_no_label_lies_on_another(page: Browser, width: int) -> None:
    page.size(width)
    overlaps = page.run(
        "const found = [];"
        "const drawings = '.part:not(.off) .view.on .chart > svg';"
        "for (const svg of document.querySelectorAll(drawings)) {"
        " const texts = [...svg.querySelectorAll('text')].filter(t => t.checkVisibility())"
        "  .map(t => [t.textContent, t.getBoundingClientRect()]);"
        " texts.forEach(([a, p], i) => texts.slice(i + 1).forEach(([b, q]) => {"
        "  if (p.left < q.right && q.left < p.right"
        "   && p.top + 2 < q.bottom && q.top + 2 < p.bottom)"
        "   found.push(`${a} on ${b}`);"
        " }));"
        "}"
        "return found"
    )
    assert overlaps == []


# Every text's contrast with what it stands on, from the lightest.
CONTRASTS = """
const rgb = c => {
  const probe = new OffscreenCanvas(1, 1).getContext('2d');
  probe.fillStyle = c; probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const ground = e => {
  for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (rgb(c)[3] === 255) return c;
  }
  return 'white';
};
const worst = {};
for (const e of document.querySelectorAll('main *')) {
  if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
  if (!e.checkVisibility() || e.closest('.unseen, caption')) continue;
  const style = getComputedStyle(e);
  const [a, b] = [e.namespaceURI.endsWith('svg') ? style.fill : style.color, ground(e)]
    .map(c => light(rgb(c))).sort((x, y) => y - x);
  const contrast = (a + .05) / (b + .05);
  if (contrast < 4.5) worst[`${e.tagName} ${e.textContent.slice(0, 20)}`] = contrast;
}
return worst;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read(page: Browser, dark: bool) -> None:  # noqa: FBT001
    page.dark(on=dark)
    ground = page.run("return getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(18, 22, 28)" if dark else "rgb(255, 255, 255)")
    assert page.run(CONTRASTS) == {}


def test_paper_has_the_numbers_behind_every_chart(page: Browser) -> None:
    """What can be opened is open on paper, and closed again afterwards."""
    page.run(
        "window.onpaper = 0;"
        "addEventListener('beforeprint', () => { window.onpaper ="
        " document.querySelectorAll('details.numbers:not([open])').length; })"
    )
    closed = "return document.querySelectorAll('details.numbers:not([open])').length"
    before = page.run(closed)
    paper = page.paper()
    assert paper.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", paper)) <= 12
    assert page.run("return window.onpaper") == 0
    assert page.run(closed) == before > 0


def test_the_demo_s_report_is_the_one_that_is_looked_at() -> None:
    assert demo_report().today == date(2026, 11, 2)
