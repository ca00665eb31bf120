"""The page is whole without a script, says what the JSON says, and lets nothing in."""

import base64
import hashlib
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from connector.core.model import Refusal
from connector.core.money import format_minor, format_ratio
from connector.core.windows import WindowKind
from connector.metrics.benchmarks import Benchmarks
from connector.render.page.page import to_html
from connector.render.report.footnotes import RESTATED
from connector.reports.ledger import Ledger
from connector.reports.ledger_facts import Missing
from connector.reports.model import CurrencyReport, Report, WindowRow
from connector.reports.page import PageContents, make_page
from connector.reports.report import ReportRequest
from connector.store.mirror.walks import begin_walk, finish_walk
from tests.support.books import close, lived, post
from tests.support.ledgers import empty_ledger
from tests.support.pages import (
    NOW,
    OCTOBER,
    SETTINGS,
    Element,
    changed_demo,
    demo_page,
    demo_report,
    everything,
    parsed,
    restated_page,
    restated_report,
)

BY_PRODUCT = OCTOBER._replace(by="product", causes=True)


@pytest.fixture(scope="module")
def page() -> Element:
    return parsed(demo_page())


def table_after(root: Element, summary: str) -> list[list[str]]:
    """The table in the first ``details`` with this summary."""
    [found, *_] = [
        d for d in root.all("details") if d.all("summary")[0].text == summary
    ]
    return found.all("table")[0].rows()


def part_of(root: Element, currency: str) -> Element:
    [found] = [s for s in root.all("section") if s.attributes.get("id") == currency]
    return found


def money(amount_minor: int, currency: str) -> str:
    return format_minor(amount_minor, currency) if amount_minor else "–"


# --- the same value as text and JSON ---


@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_every_bar_s_number_is_the_report_s(page: Element, currency: str) -> None:
    [part] = [p for p in demo_report().currencies if p.currency == currency]
    months = [x for x in part.rows if x.measured.window.kind is WindowKind.MONTH]
    _, *rows = table_after(part_of(page, currency), "The numbers behind this chart")
    assert len(rows) == len(months) == 24
    for line, row in zip(months, rows, strict=True):
        flow = line.measured.waterfall
        assert row[1:8] == [
            money(flow.opening_minor, currency),
            money(flow.new_minor, currency),
            money(flow.reactivation_minor, currency),
            money(flow.expansion_minor, currency),
            money(-flow.contraction_minor, currency),
            money(-flow.churn_minor, currency),
            money(flow.closing_minor, currency),
        ]


@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_every_point_of_the_lines_is_the_report_s(page: Element, currency: str) -> None:
    [part] = [p for p in demo_report().currencies if p.currency == currency]
    years = [x for x in part.rows if x.measured.window.kind is WindowKind.TRAILING_12]
    _, *rows = table_after(
        part_of(page, currency), "The numbers behind these two charts"
    )
    told = [row[1:4] for row in rows]
    kept = [x.measured.retention for x in years]
    assert told == [[format_ratio(r) for r in (k.nrr, k.grr, k.crr)] for k in kept]
    assert len(told) == 13


def test_the_cards_are_the_headline(page: Element) -> None:
    headline = demo_report().currencies[0].rows[12].measured
    flow, kept = headline.waterfall, headline.retention
    cards = [card.text for card in part_of(page, "usd").all("div", class_="card")]
    assert format_minor(flow.closing_minor, "usd", whole=True) in cards[0]
    assert format_ratio(kept.nrr) in cards[1]
    assert format_ratio(kept.grr) in cards[2]


def test_the_sums_are_those_of_the_formula(page: Element) -> None:
    """What a reader can check with a calculator comes to what stands beside it."""
    for text in (p.text for p in page.all("p", class_="sum")):
        told, _, result = text.removesuffix("%").rpartition(" = ")
        sums = re.sub(r"[^0-9.+−÷()]", "", told.partition(" = ")[2])
        worked_out = eval(sums.replace("−", "-").replace("÷", "/"))  # noqa: S307
        assert worked_out * 100 == pytest.approx(float(result), abs=0.05)


def test_the_waterfall_s_bars_are_as_long_as_their_amounts(page: Element) -> None:
    falls = part_of(page, "usd").all("figure", class_="falls")[0]
    amounts = [row[1] for row in falls.all("table")[0].rows()]
    widths = [float(r.attributes["width"].rstrip("%")) for r in falls.all("rect")]
    units = [abs(int(re.sub(r"\D", "", text) or 0)) for text in amounts]
    scale = units[0] / widths[0]
    assert [width * scale for width in widths] == pytest.approx(units, rel=0.01, abs=9)


def test_segments_add_up_to_the_whole() -> None:
    part = part_of(parsed(demo_page(BY_PRODUCT)), "usd")
    views = part.all("details", class_="view")
    names = [view.all("summary")[0].text for view in views]
    assert names[0] == "Only product Team"
    closing = [
        _units(view.all("div", class_="card")[0].all("b")[0].text) for view in views
    ]
    whole = _units(part.all("div", class_="card")[0].all("b")[0].text)
    assert sum(closing) == pytest.approx(whole, abs=len(closing))
    assert [h.text for h in part.all("h4")][:2] == [
        "Expansion by cause, 12 months to Oct 2026",
        "Contraction by cause, 12 months to Oct 2026",
    ]


def _units(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def test_amounts_a_year_are_twelve_times_those_a_month() -> None:
    def card(asked: ReportRequest) -> str:
        root = part_of(parsed(demo_page(asked)), "usd")
        return root.all("div", class_="card")[0].text

    assert card(OCTOBER).startswith("MRR at close $52,416 ")
    assert card(OCTOBER._replace(arr=True)).startswith("ARR at close $628,987 ")


def test_quarters_stand_beside_the_same_headline() -> None:
    root = part_of(parsed(demo_page(OCTOBER._replace(kind=WindowKind.QUARTER))), "usd")
    assert "Movements by quarter" in [h.text for h in root.all("h3")]
    assert root.all("div", class_="card")[1].text.startswith(
        "NRR, trailing 12 months 106.6%"
    )


# --- closed and restated ---

AS_REPORTED = "as reported"


def restated_part(asked: ReportRequest = OCTOBER) -> Element:
    return part_of(parsed(restated_page(asked)), "eur")


def headline_of(report: Report) -> WindowRow:
    [part] = [p for p in report.currencies if p.currency == "eur"]
    *_, headline = (
        x for x in part.rows if x.measured.window.kind is WindowKind.TRAILING_12
    )
    return headline


def test_a_restated_headline_says_what_was_reported() -> None:
    line = headline_of(restated_report())
    assert line.reported is not None
    closing, nrr, grr, churn = (
        card.text for card in restated_part().all("div", class_="card")
    )
    for card, name in ((nrr, "nrr"), (grr, "grr")):
        now, was = (
            format_ratio(getattr(each.retention, name))
            for each in (line.measured, line.reported)
        )
        assert now != was
        assert f" {now} as reported: {was} " in card
    was = format_minor(line.reported.waterfall.closing_minor, "eur", whole=True)
    assert f" as reported: {was} " in closing
    assert AS_REPORTED not in churn, "October alone is as it was"


def test_the_waterfall_tells_what_was_reported_otherwise() -> None:
    line = headline_of(restated_report())
    assert line.reported is not None
    [told] = restated_part().all("p", class_="was")
    was = line.reported.waterfall
    opening = format_minor(was.opening_minor, "eur", whole=True)
    new, expansion = (
        format_minor(amount_minor, "eur", signed=True, whole=True)
        for amount_minor in (was.new_minor, was.expansion_minor)
    )
    assert told.text == (
        f"as reported: MRR Oct 2025 {opening}, New {new}, Expansion {expansion}"
    )


LINES = "The numbers behind these two charts"


@pytest.mark.parametrize(
    ("currency", "kind", "summary", "columns"),
    [
        ("usd", WindowKind.MONTH, "The numbers behind this chart", (8, 9, 10)),
        ("usd", WindowKind.TRAILING_12, LINES, (1, 2, 3)),
        ("eur", WindowKind.TRAILING_12, LINES, (1, 2, 3)),
    ],
)
def test_below_a_restated_window_stands_what_was_reported(
    currency: str, kind: WindowKind, summary: str, columns: tuple[int, ...]
) -> None:
    root = part_of(parsed(restated_page()), currency)
    [part] = [p for p in restated_report().currencies if p.currency == currency]
    lines = [x for x in part.rows if x.measured.window.kind is kind]
    _, *rows = table_after(root, summary)
    told = [(row[0] == AS_REPORTED, *(row[at] for at in columns)) for row in rows]
    expected = [
        (is_reported, *(format_ratio(r) for r in (kept.nrr, kept.grr, kept.crr)))
        for x in lines
        for is_reported, side in ((False, x.measured), (True, x.reported))
        if side is not None
        for kept in [side.retention]
    ]
    assert told == expected
    assert len(rows) > len(lines)
    marked = [tr.all("th")[0].text for tr in root.all("tr", class_="was")]
    assert set(marked) == {AS_REPORTED}


def test_a_restated_page_says_where_the_reason_is_found() -> None:
    notes = [p.text for p in restated_part().all("p", class_="s")]
    [note] = [text for text in notes if "restated" in text]
    told = RESTATED.replace("`", "")
    restated = [x for x in restated_report().currencies[1].rows if x.reported]
    assert note == f"{len(restated)} closed windows have been restated since. {told}"
    assert restated_part().all("circle", class_="ring")


def test_a_page_without_restatements_does_not_speak_of_them(page: Element) -> None:
    [body] = page.all("main")
    assert AS_REPORTED not in body.text.lower()
    assert not page.all("tr", class_="was")
    assert not page.all("circle", class_="ring")


def test_what_was_reported_stands_below_the_segments_total() -> None:
    root = restated_part(OCTOBER._replace(by="interval"))
    [table] = [t for t in root.all("table") if ["total"] in [r[:1] for r in t.rows()]]
    total, reported = table.all("tr")[-2:]
    assert total.attributes == {"class": "total"}
    assert reported.attributes == {"class": "was"}
    assert [row[0] for row in table.rows()[-2:]] == ["total", AS_REPORTED]


def test_what_was_reported_is_told_by_the_year_too() -> None:
    line = headline_of(restated_report())
    assert line.reported is not None
    annual = format_minor(line.reported.waterfall.closing_minor * 12, "eur", whole=True)
    card = restated_part(OCTOBER._replace(arr=True)).all("div", class_="card")[0]
    assert f"as reported: {annual}" in card.text


def test_a_closed_month_that_came_to_nothing_is_still_told() -> None:
    """Whose only customer turned out to be none: not left out as before the first."""
    january, april = date(2024, 1, 1), date(2024, 4, 1)
    with empty_ledger() as connection:
        post(connection, [*lived("cus_1", "50"), *lived("cus_2", ". . . 70")])
        close(connection, january, {})
        post(connection, [], customers=["cus_1"])
        walked_us = int(NOW.timestamp()) * 1_000_000
        walk = begin_walk(connection, walked_us)
        finish_walk(connection, walk, walked_us)
        asked = ReportRequest(first=january, last=april, trend=True)
        root = parsed(to_html(make_page(Ledger(connection, SETTINGS, NOW), asked)))
    _, first, reported, *_ = table_after(root, "The numbers behind this chart")
    assert (first[0].rstrip(" *"), first[7]) == ("Jan 2024", "–")
    assert (reported[0], reported[7]) == (AS_REPORTED, "$0.50")


# --- what is listed ---


def test_the_largest_movements_name_their_proof(page: Element) -> None:
    month, year = (
        t.rows()[1:] for t in part_of(page, "usd").all("table", class_="movers")[:2]
    )
    assert len(month) == len(year) == 10
    changes = [[abs(_units(row[5])) for row in rows] for rows in (month, year)]
    assert all(each == sorted(each, reverse=True) for each in changes)
    assert all(re.match(r"(il|in|ii|sub|evt|di)_", row[6]) for row in [*month, *year])


def test_what_is_at_risk_is_only_known_of_now() -> None:
    past = OCTOBER._replace(as_of=datetime(2026, 11, 5, tzinfo=UTC))
    assert "At risk on" in demo_page()
    assert "At risk on" not in demo_page(past)
    assert "As the ledger stood on 5 Nov 2026" in demo_page(past)


def test_what_is_missing_is_said_at_the_top_and_named_below() -> None:
    refused = Refusal(customer="cus_1", object_id="si_9", field="price", value="None")
    missing = Missing(refused=25, refused_customers=1)
    page = _page(replace(demo_report(), refusals=(refused,) * 25, missing=missing))
    root = parsed(page)
    assert root.all("p", class_="warn")[0].text.startswith(
        "Not complete: 25 objects of 1 customer could not be valued"
    )
    assert page.count("<code>si_9</code>") == 20
    assert "And 5 more" in page


def test_what_is_not_over_is_told_apart_from_the_headline() -> None:
    page = parsed(demo_page(ReportRequest(trend=True)))
    assert page.all("h1")[0].text == "Recurring revenue, Oct 2026"
    assert "So far, in the 12 months to Nov 2026 (known to 2 Nov 2026): " in page.text
    for trend in page.all("figure", class_="trend"):
        dots = [d for d in trend.all("circle") if d.attributes["cx"].endswith("%")]
        [open_] = [d for d in dots if d.attributes.get("class") == "open"]
        largest = max(dots, key=lambda d: int(d.attributes["r"]))
        assert float(largest.attributes["cx"][:-1]) < float(open_.attributes["cx"][:-1])
    assert page.all("path", class_="running")


def test_of_a_running_window_alone_the_page_says_that_it_is_not_over() -> None:
    asked = ReportRequest(first=date(2026, 11, 1), last=date(2026, 11, 1), trend=True)
    page = parsed(demo_page(asked))
    assert page.all("h1")[0].text == "Recurring revenue, Oct 2026"
    assert "Churn in Nov 2026 *" in page.text


def test_a_ledger_without_revenue_has_a_page() -> None:
    page = _page(replace(demo_report(), currencies=()))
    assert "There is no recurring revenue in this ledger." in parsed(page).text


def test_a_total_shows_exchange_rates_and_no_customers() -> None:
    part = demo_report().currencies[0]
    total = CurrencyReport(currency="usd", rows=part.rows, is_total=True)
    root = part_of(parsed(_page(replace(demo_report(), total=total))), "total-usd")
    falls = root.all("figure", class_="falls")[0].all("table")[0].rows()
    assert "FX" in [row[0] for row in falls]
    assert not root.all("table", class_="movers")


def _page(report: Report) -> str:
    return to_html(
        PageContents(
            report=report,
            cohorts={},
            largest={},
            churn={},
            outlooks={},
            failed={},
            benchmarks=Benchmarks((), ()),
            labels={},
            locale="en_US",
            version="1",
        )
    )


# --- hostile names ---

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)//",
    '" onmouseover="alert(3)" x=\'',
    "<img src=x onerror=alert(4)>",
    "]]><!--",
    "{{ 7 * 7 }}{% include 'page.css' %}",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_customers_call_themselves_stays_text(name: str) -> None:
    quoted = name.replace("'", "''")
    with changed_demo(f"UPDATE customers SET label = '{quoted}'") as connection:  # noqa: S608
        hostile = to_html(make_page(Ledger(connection, SETTINGS, NOW), OCTOBER))
    root = parsed(hostile)
    named = root.all("table", class_="movers")[0].all("th", scope="row")
    assert all(th.text.startswith(" ".join(name.split())) for th in named)
    _has_only_our_elements(root)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_segments_are_called_stays_text(name: str) -> None:
    def renamed(lines: Any) -> Any:
        return tuple(
            replace(
                x, segments=tuple(s._replace(name=name + s.name) for s in x.segments)
            )
            for x in lines
        )

    report = demo_report(BY_PRODUCT)
    parts = tuple(replace(p, rows=renamed(p.rows)) for p in report.currencies)
    root = parsed(_page(replace(report, currencies=parts, by=name)))
    options = [option.text for option in root.all("option")]
    assert any(text.startswith(" ".join(name.split())) for text in options)
    _has_only_our_elements(root)


def _has_only_our_elements(root: Element) -> None:
    ours = parsed(demo_page(BY_PRODUCT))
    assert {e.tag for e in everything(root)} <= {e.tag for e in everything(ours)}
    assert len(root.all("script")) == 1
    assert root.all("script")[0].text == ours.all("script")[0].text
    names = {name for e in everything(root) for name in e.attributes}
    assert not [name for name in names if name.startswith("on")]


# --- nothing from outside, and readable for everybody ---


def test_only_this_page_s_own_script_and_style_may_run(page: Element) -> None:
    [policy] = [m for m in page.all("meta") if "http-equiv" in m.attributes]
    said = dict(p.split(" ", 1) for p in policy.attributes["content"].split("; "))
    assert said["default-src"] == "'none'"
    for kind in ("script", "style"):
        [element] = page.all(kind)
        text = "".join(str(x) for x in element.inside)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert said[f"{kind}-src"] == f"'sha256-{digest}'"


def test_no_element_loads_or_styles_anything_itself(page: Element) -> None:
    for element in everything(page):
        assert not {"src", "srcset", "style", "action"} & element.attributes.keys()
        link = element.attributes.get("href", "#")
        assert link.startswith("#") or link == "data:,"


def test_every_chart_says_what_it_is_and_has_a_table(page: Element) -> None:
    tables = {d.attributes["id"] for d in page.all("details") if "id" in d.attributes}
    figures = page.all("figure", class_="chart")
    assert len(figures) == 8  # four a currency
    for figure in figures:
        [drawing, *_] = figure.all("svg")
        assert drawing.attributes["role"] == "img"
        assert len(drawing.attributes["aria-label"]) > 20
        assert figure.all("table") or figure.attributes["data-table"] in tables


def test_ids_are_unique_and_labels_find_theirs(page: Element) -> None:
    ids = [e.attributes["id"] for e in everything(page) if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    wanted = [e.attributes["for"] for e in page.all("label") if "for" in e.attributes]
    anchors = [e.attributes["href"][1:] for e in page.all("a")]
    assert {*wanted, *anchors} <= set(ids)


def test_the_page_is_small() -> None:
    assert len(demo_page().encode()) < 150_000
    assert len(demo_page(BY_PRODUCT).encode()) < 300_000


def test_an_empty_ledger_has_a_page() -> None:
    with empty_ledger() as connection:
        connection.execute("INSERT INTO walks (started_us, finished_us) VALUES (1, 2)")
        assert "no recurring revenue" in to_html(
            make_page(Ledger(connection, SETTINGS, NOW), OCTOBER)
        )
