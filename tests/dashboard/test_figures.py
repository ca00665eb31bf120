"""Every page tells what the command it names tells, and its text says those numbers."""

import csv
import io
import shlex
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from openpyxl import load_workbook  # type: ignore[import-untyped]

from connector.core.money import format_minor, format_ratio
from tests.support.commands import Workdir
from tests.support.site import Page, Site, site_of

CUSTOMER = "cus_1rI7CieY3u8myG"
PAGES = [
    "/",
    "/?currency=eur&months=12&window=quarter",
    "/?months=24&to=2026-03&as-of=2026-11-02",
    "/?by=plan",
    "/?by=country&window=year&months=60",
    "/?segment=interval=month&segment=country=US",
    "/?segment=interval=month&by=country&months=12",
    "/?segment=interval=month&segment=country=AU&by=country&window=quarter",
    "/window",
    "/window?window=2026-Q1&metric=grr&currency=eur",
    "/window?window=..2026-11",
    "/window?metric=crr",
    "/window?metric=crr&window=2026-10&currency=eur",
    "/window?segment=country=US&segment=interval=year&metric=grr",
    "/window?window=2026-Q2&segment=cohort=2025-11&as-of=2026-11-02T07:00:00Z",
    "/window?window=2025&as-of=2026-11-02T07:00:00Z",
    f"/customer/{CUSTOMER}",
    f"/customer/{CUSTOMER}?on=2026-01-31",
    "/movements",
    "/movements?from=2025-11-01&to=2026-10-31&kind=churn&currency=eur",
    "/movements?from=2025-11-01&segment=interval=month&segment=country=US",
    "/cohorts",
    "/cohorts?by=month&metric=crr&currency=eur",
    "/at-risk",
    "/at-risk?currency=eur&reason=contracted",
    "/at-risk?sort=renews",
    "/churn",
    "/churn?from=2026-01&to=2026-10&currency=eur&reason=voluntary",
    "/coverage",
    "/coverage?currency=eur&window=quarter",
    "/restatements",
    "/differences?to=2026-06&window=quarter",
    "/differences?against=107%25",
]
TOTALS = [
    "/",
    "/?segment=interval=month&segment=country=DE&months=12",
    "/window?metric=grr",
    "/window?metric=crr",
    "/window?segment=interval=month&segment=country=DE",
    "/movements?kind=contraction",
    "/movements?from=2025-11-01&to=2026-10-31&segment=interval=month",
    "/cohorts?metric=grr",
    "/at-risk",
    "/differences",
]
OF_THE_MOMENT = {"generated_at"}


def form(path: str, ending: str) -> str:
    place, _, query = path.partition("?")
    return f"{place if place != '/' else '/overview'}.{ending}?{query}"


def told(demo: Workdir, page: Page, *words: str) -> Any:
    name, *command = shlex.split(page.command)
    assert name == "stripe-nrr"
    return demo.call(*command, *words)


def without_moment(found: Any) -> Any:
    return {name: each for name, each in found.items() if name not in OF_THE_MOMENT}


@pytest.mark.parametrize("path", PAGES)
def test_json_is_the_commands(site: Site, demo: Workdir, path: str) -> None:
    page = site.page(path)
    found = site.get(form(path, "json")).json()
    by_command = told(demo, page, "--format", "json").json
    assert without_moment(found) == without_moment(by_command)


@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_customers_are_those_of_an_export(
    site: Site, demo: Workdir, currency: str
) -> None:
    """Which has a row a customer and currency, in minor units, in no order of amounts."""
    path = f"/customers?status=all&currency={currency}"
    rows = csv.DictReader(io.StringIO(told(demo, site.page(path)).out))
    exported = {
        (row["customer"], row["label"], int(row["mrr_minor"]))
        for row in rows
        if row["currency"] == currency
    }
    listed = site.get(form(path, "json")).json()["customers"]
    assert {tuple(each.values()) for each in listed} == exported
    assert len(exported) > 5
    past = site.page(f"{path}&as-of=2026-11-02")
    assert past.command == "", "an export is of now"


@pytest.mark.parametrize("path", [p for p in PAGES if "/customer" not in p])
def test_csv_is_the_commands(site: Site, demo: Workdir, path: str) -> None:
    page = site.page(path)
    assert site.get(form(path, "csv")).text == told(demo, page, "--format", "csv").out


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/window?window=2026-Q1&currency=eur",
        "/window?segment=interval=month&segment=country=US",
    ],
)
def test_the_workbook_has_the_pages_window(site: Site, path: str) -> None:
    window = path if path != "/" else "/window"
    [told] = site.get(form(window, "json")).json()["windows"]
    found = site.get(form(path, "xlsx"))
    assert found.headers["content-disposition"].startswith("attachment")
    sheet = load_workbook(io.BytesIO(found.content), data_only=True)["Window"]
    assert f"{sheet['C4'].value:.6f}" == f"{told['ratio']:.6f}"


@pytest.mark.parametrize(
    "path", [p for p in PAGES if not p.startswith(("/?", "/window"))][1:]
)
def test_the_workbook_of_a_list_is_its_csv(site: Site, path: str) -> None:
    """Each row of it, numbers as numbers and days as days."""
    place = form(path, "xlsx").split("?")[0]
    assert any(h.startswith(place) for _, h in site.page(path).links)
    found = site.get(form(path, "xlsx"))
    assert found.status_code == 200, found.text
    sheet = load_workbook(io.BytesIO(found.content)).active
    written = [[each for each in row if each is not None] for row in sheet.values]
    [heads, *rows] = csv.reader(io.StringIO(site.get(form(path, "csv")).text))
    began = written.index(heads) + 1
    told = [[each for each in row if each] for row in rows]
    assert [len(row) for row in written[began : began + len(rows)]] == [
        len(row) for row in told
    ]
    for row, own in zip(written[began:], told, strict=False):
        for cell, text in zip(row, own, strict=True):
            assert as_text(cell, text) == text


def as_text(cell: object, text: str) -> str:
    """As CSV has it; of a number so many decimals as that has."""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d}"
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        return f"{cell:.{len(text.partition('.')[2])}f}"
    return str(cell)


@pytest.mark.parametrize("path", TOTALS)
def test_the_total_of_all_currencies_is_the_commands(
    total_folder: Path, path: str
) -> None:
    with site_of(total_folder) as site:
        page, found = site.page(path), site.get(form(path, "json")).json()
    by_command = told(Workdir(total_folder), page, "--format", "json").json
    assert without_moment(found) == without_moment(by_command)


def test_a_segment_alone_is_told_as_among_the_others(total_folder: Path) -> None:
    """Of each currency and of their total, in each window."""
    asked = ("--format", "json", "--window", "quarter", "--from", "2026-01")
    workdir = Workdir(total_folder)
    among = workdir.call("report", "--by", "interval", *asked).json
    alone = workdir.call("report", "--segment", "interval=year", *asked).json
    for one, other in zip(parts(alone), parts(among), strict=True):
        for window, whole in zip(one["windows"], other["windows"], strict=True):
            [own] = (s for s in whole["segments"] if s.pop("segment") == "year")
            assert {name: window[name] for name in own} == own


def parts(report: Any) -> list[Any]:
    return [report["total"], *report["currencies"]]


def money(minor: int, currency: str = "usd", **how: bool) -> str:
    return format_minor(minor, currency, **how)


def ratio(value: float) -> str:
    return format_ratio(Fraction(str(value)))


def test_the_overview_shows_the_headline_of_the_report(
    site: Site, demo: Workdir
) -> None:
    page = site.page("/")
    part = told(demo, page, "--format", "json").json["currencies"][0]
    [headline, *_] = (w for w in part["windows"] if w["to"] == "2026-11-01")
    kept = headline["retention"]
    for name in ("nrr", "grr", "crr"):
        assert f"{name.upper()}" in page.text
        assert ratio(kept[name]) in page.text
    assert f"Twelve months to October 2026: NRR {ratio(kept['nrr'])}" in page.text
    for minor in headline["waterfall"].values():
        assert money(abs(minor), whole=True) in page.text
    months = [w for w in part["windows"] if w["window"] == "month"]
    assert len(months) == 37
    for each in months:
        assert money(each["waterfall"]["closing_minor"]) in page.text


def test_a_window_lists_everybody_who_moved_it_and_adds_up(
    site: Site, demo: Workdir
) -> None:
    page = site.page("/window")
    [taken] = told(demo, page, "--format", "json").json["windows"]
    rows = taken["contributions"]
    assert len(rows) == 98
    for each in rows:
        assert f"/customer/{each['customer']}?currency=usd" in page.to("/customer/")
        for name in ("opening_minor", "closing_minor"):
            assert money(each[name]) in page.text
        assert money(each["amount_minor"], signed=True) in page.text
    whole = money(taken["numerator_minor"]), money(taken["denominator_minor"])
    assert f"{whole[0]} ÷ {whole[1]} = 106.63%" in page.text


def test_crr_lists_everybody_who_left_and_adds_up(site: Site, demo: Workdir) -> None:
    page = site.page("/window?metric=crr")
    [taken] = told(demo, page, "--format", "json").json["windows"]
    rows = taken["contributions"]
    assert taken["customers"] - len(rows) == taken["customers_kept"]
    assert all(each["customers"] == -1 and not each["closing_minor"] for each in rows)
    for each in rows:
        assert f"/customer/{each['customer']}?currency=usd" in page.to("/customer/")
    sums = f"{taken['customers_kept']} ÷ {taken['customers']}"
    assert (
        f"CRR = {sums} = {format_ratio(Fraction(str(taken['ratio'])), 2)}" in page.text
    )
    rows = site.get("/window.csv?metric=crr").text.splitlines()[1:]
    assert sum(int(row.rpartition(",")[2]) for row in rows) == -len(rows)


@pytest.mark.parametrize("kind", ["churn", "contraction", "expansion"])
def test_kinds_and_causes_part_a_window(site: Site, kind: str) -> None:
    whole = site.get("/window.csv").text.splitlines()[1:]
    own = site.get(f"/window.csv?kind={kind}").text.splitlines()[1:]
    assert own == [row for row in whole if f",{kind}," in row]
    found = site.get(f"/window.csv?kind={kind}&cause=quantity").text.splitlines()[1:]
    assert set(found) <= set(own)


def test_segments_of_a_window_add_up_to_it(site: Site) -> None:
    whole = site.get("/window.csv").text.splitlines()[1:]
    links = {
        href for href in site.page("/?by=plan").to("/window?") if "segment=" in href
    }
    parts = [site.get(href.replace("/window?", "/window.csv?")) for href in links]
    rows = [row for each in parts for row in each.text.splitlines()[1:]]
    assert len(links) > 3
    assert sorted(rows) == sorted(whole)


def test_two_segments_at_once_part_a_window_and_its_causes(site: Site) -> None:
    """Each country within each interval: everybody who moved it, once."""
    rows, moved_minor = [], 0
    for interval in ("month", "year"):
        page = site.page(f"/?by=country&segment=interval={interval}")
        cells = [h for h in page.to("/window?") if h.count("segment=") == 2]
        assert len(cells) > 1
        for href in cells:
            rows += site.get(href.replace("?", ".csv?")).text.splitlines()[1:]
            [taken] = site.get(href.replace("?", ".json?")).json()["windows"]
            assert [each["by"] for each in taken["only"]] == ["interval", "country"]
            moved_minor += taken["numerator_minor"] - taken["denominator_minor"]
    whole = site.get("/window.csv").text.splitlines()[1:]
    [taken] = site.get("/window.json").json()["windows"]
    assert sorted(rows) == sorted(whole)
    assert moved_minor == taken["numerator_minor"] - taken["denominator_minor"]


def test_the_overview_of_a_segment_leads_to_the_windows_of_it(site: Site) -> None:
    path = "/?segment=interval=month&segment=country=AU"
    page = site.page(path)
    assert "only interval month and country AU" in page.text
    plans = [h for h in page.to("/window?") if "segment=plan" in h]
    assert {h.count("segment=") for h in page.to("/window?") if h not in plans} == {2}
    assert {h.count("segment=") for h in plans} == {3}
    [card, *_] = (h for text, h in page.links if text.startswith("NRR"))
    [taken] = site.get(card.replace("?", ".json?")).json()["windows"]
    assert f"NRR {ratio(taken['ratio'])}" in page.text
    assert {h.count("segment=") for h in page.to("/movements?")} == {2}
    fewer = [h for h in page.to("/?") if h.count("segment=") == 1]
    assert len(fewer) == 2, "each can be left out"
    old = "/?by=country&segment=AU"
    assert site.page(old).command.endswith("--segment country=AU")


def test_the_movements_of_a_segment_are_those_of_its_waterfall(site: Site) -> None:
    path = "/?segment=interval=month&segment=country=US&months=12"
    [part] = site.get(form(path, "json")).json()["currencies"]
    [october] = (
        each
        for each in part["windows"]
        if (each["window"], each["from"]) == ("month", "2026-10-01")
    )
    linked = [h for h in site.page(path).to("/movements?") if "from=2026-10-01" in h]
    asked = {dict(parse_qsl(h.partition("?")[2])).get("kind") for h in linked}
    assert asked >= {"new", "expansion", "contraction", "churn"}
    for href in linked:
        rows = site.get(href.replace("?", ".json?")).json()["movements"]
        kind = dict(parse_qsl(href.partition("?")[2])).get("kind")
        if kind is not None:
            moved = october["waterfall"][f"{kind}_minor"]
            assert abs(sum(each["amount_minor"] for each in rows)) == moved, kind


def test_a_customer_shows_each_movement_with_its_sum_and_evidence(
    site: Site, demo: Workdir
) -> None:
    page = site.page(f"/customer/{CUSTOMER}")
    found = told(demo, page, "--format", "json").json
    assert found["label"] in page.text
    for each in found["movements"]:
        assert f"m-{each['day']}" in page.ids
        assert money(each["amount_minor"], signed=True) in page.text
        for part in each["components"]:
            assert part["before"] in page.text
            assert part["after"] in page.text
            for proof in part["evidence"]:
                assert proof["id"] in page.text
                assert proof["said"] in page.text


def test_customers_add_up_to_the_mrr_of_the_day(site: Site) -> None:
    everybody = site.get("/customers.json?status=all").json()["customers"]
    month = site.get("/overview.json").json()["currencies"][0]["windows"][-1]
    mrr_minor = month["waterfall"]["closing_minor"]
    assert sum(each["mrr_minor"] for each in everybody) == mrr_minor
    assert money(mrr_minor) in site.page("/customers").text


def test_movements_are_shown_a_hundred_at_a_time_and_all_of_them(site: Site) -> None:
    days = "from=2023-01-01&to=2026-11-02"
    found = site.get(f"/movements.json?{days}").json()["movements"]
    pages = -(-len(found) // 100)
    seen = [
        href
        for n in range(1, pages + 1)
        for href in site.page(f"/movements?{days}&page={n}").to("/customer/")
    ]
    assert pages > 3
    wanted = [f"/customer/{m['customer']}?currency=usd#m-{m['day']}" for m in found]
    assert sorted(seen) == sorted(wanted)
    assert site.get(f"/movements?{days}&page={pages + 1}").status_code == 400


def test_what_is_at_risk_is_listed_by_customer(site: Site, demo: Workdir) -> None:
    page = site.page("/at-risk")
    [outlook] = told(demo, page, "--format", "json").json["currencies"]
    assert f"{money(outlook['at_risk_minor'])} of MRR may go" in page.text
    for risk in outlook["risks"]:
        assert f"/customer/{risk['customer']}?currency=usd" in page.to("/customer/")
    for each in outlook["scheduled"]:
        assert money(each["amount_minor"], signed=True) in page.text


def test_a_gap_to_another_tool_is_explained_as_by_the_command(
    site: Site, demo: Workdir
) -> None:
    path = "/differences?mrr=52000&on=2026-10-31"
    found = site.get(form(path, "json")).json()["compare"]
    by_command = told(demo, site.page(path), "--format", "json").json
    assert found == {name: by_command[name] for name in found}
    assert money(found["gap_minor"], signed=True) in site.page(path).text


def test_who_is_at_risk_in_the_total_is_shown_with_what_moved_last(
    total_folder: Path,
) -> None:
    with site_of(total_folder) as site:
        [outlook] = site.get("/at-risk.json?currency=total").json()["currencies"]
        page = site.get("/at-risk?currency=total").text
    assert outlook["customers"]
    for each in outlook["customers"]:
        assert each["last_movement"] is not None
    assert (
        money(outlook["customers"][0]["last_movement"]["amount_minor"], "eur") in page
    )
