"""With a segment chosen a page tells what the command does, and why it tells no more."""

import csv
import io
import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from connector.core.model import MovementKind
from tests.dashboard.test_figures import form, told
from tests.support.commands import Workdir
from tests.support.pages import parsed
from tests.support.site import Site, site_of

MONTHLY = "segment=interval=month"
BOTH = f"{MONTHLY}&segment=country=US"
PATHS = (
    *(f"/churn?{MONTHLY}", f"/churn?{BOTH}&from=2026-01&to=2026-06"),
    *(f"/at-risk?{MONTHLY}", f"/at-risk?{BOTH}&sort=renews"),
)


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_some_is_what_the_command_tells(
    site: Site, demo: Workdir, path: str
) -> None:
    page = site.page(path)
    found = site.get(form(path, "json")).json()
    by_command = told(demo, page, "--format", "json").json
    assert found == by_command
    assert [each["by"] for each in found["only"]] == (
        ["interval", "country"] if "country" in path else ["interval"]
    )
    rows = site.get(form(path, "csv")).text
    assert rows == told(demo, page, "--format", "csv").out


def test_losses_by_reason_add_up_to_the_waterfall_of_the_same_customers(
    site: Site,
) -> None:
    """And what months, yearly and all together lose is what everybody does."""
    sums = {}
    for chosen in (MONTHLY, "segment=interval=year", ""):
        [found] = site.get(f"/churn.json?{chosen}").json()["currencies"]
        query = f"/overview.json?{chosen}&months=12"
        [part] = site.get(query).json()["currencies"]
        headline = part["windows"][0]["waterfall"]
        for kind in ("churn_minor", "contraction_minor"):
            lost = sum(each[kind] for each in found["reasons"])
            assert lost == headline[kind]
            sums[chosen, kind] = lost
    for kind in ("churn_minor", "contraction_minor"):
        of_some = sums[MONTHLY, kind] + sums["segment=interval=year", kind]
        assert of_some == sums["", kind]


def test_causes_of_some_come_with_their_losses(demo: Workdir) -> None:
    words = ["report", "--segment", "interval=month", "--causes", "--format", "json"]
    parts = demo.call(*words).json["currencies"]
    for window in (each for part in parts for each in part["windows"]):
        for kind in ("churn_minor", "contraction_minor"):
            lost = sum(each[kind] for each in window["losses"])
            assert lost == window["waterfall"][kind]


def test_at_risk_of_some_is_part_of_what_everybody_s_is(site: Site) -> None:
    [everybody] = site.get("/at-risk.json").json()["currencies"]
    parts = [
        site.get(f"/at-risk.json?segment=interval={each}").json()["currencies"][0]
        for each in ("month", "year")
    ]
    named = [each["customer"] for own in parts for each in own["customers"]]
    assert sorted(named) == sorted(each["customer"] for each in everybody["customers"])
    assert sum(own["mrr_minor"] for own in parts) == everybody["mrr_minor"]


def test_benchmarks_are_told_of_some_and_marks_are_not(copied: Workdir) -> None:
    assert copied.call("close", "2026-09").code == 0
    with site_of(copied.folder) as site:
        page = site.page(f"/?{MONTHLY}")
    assert "the median is 102%" in page.text
    assert "published of whole companies" in page.text
    assert "A closing keeps the figures of all customers only" in page.text
    ran = copied.call("report", "--segment", "interval=month")
    assert "A closing keeps the figures of all customers only" in ran.out
    assert "SaaS Capital" in ran.out


def test_the_html_page_of_some_has_their_figures(demo: Workdir, tmp_path: Path) -> None:
    path = tmp_path / "some.html"
    only = ["--segment", "interval=month", "--segment", "country=US"]
    only += ["--currency", "usd"]
    ran = demo.call("report", *only, "--format", "html", "-o", str(path))
    assert ran.code == 0, ran.err
    page = parsed(path.read_text(encoding="utf-8"))
    [part] = demo.call("report", *only, "--format", "json").json["currencies"]
    nrr = part["windows"][0]["retention"]["nrr"]
    assert f"{nrr * 100:.1f}%" in page.text
    assert "only interval month and country US" in page.text
    assert "A closing keeps the figures of all customers only" in page.text
    [churn] = demo.call("churn", *only, "--format", "json").json["currencies"]
    labels = {each["label"] for each in churn["left"]}
    assert labels
    assert all(label in page.text for label in labels)
    assert not page.all("table", class_="heat"), "cohorts are of all"


def test_nobody_in_a_segment_is_said(site: Site, demo: Workdir) -> None:
    for path in ("/churn?segment=plan=nobody", "/at-risk?segment=plan=nobody"):
        assert site.get(path).status_code == 404
    for name in ("churn", "at-risk"):
        assert demo.call(name, "--segment", "plan=nobody").code != 0


IN_DOLLARS = ("--segment", "country=DE", "--currency", "usd")
WITH_SEGMENTS = (
    *(["report"], ["at-risk"], ["churn"], ["report", "--by", "plan"]),
    *(["explain", "--window", "2026-Q1"], ["movements"], ["movements", "--by", "plan"]),
)


@pytest.mark.parametrize("words", WITH_SEGMENTS, ids=" ".join)
def test_a_segment_that_pays_in_another_currency_is_not_nobody(
    demo: Workdir, words: list[str]
) -> None:
    ran = demo.call(*words, *IN_DOLLARS)
    assert ran.code == 1
    assert "nobody of the segment country=DE pays in usd" in ran.err
    [option] = re.findall(r"fix: ask for what they pay in: (.+)", ran.err)
    assert option == "--currency eur"
    again = demo.call(*words, *IN_DOLLARS[:2], *shlex.split(option))
    assert (again.code, again.err) == (0, "")


@pytest.mark.parametrize("words", WITH_SEGMENTS, ids=" ".join)
def test_what_names_the_segments_runs_as_it_is_written(
    demo: Workdir, words: list[str]
) -> None:
    for only in (["country=XX"], ["country=XX", "plan=nobody"], ["cohort=2031-01"]):
        asked = [word for each in only for word in ("--segment", each)]
        ran = demo.call(*words, *asked, "--currency", "usd")
        assert ran.code == 1
        assert "nobody is in the segment" in ran.err
        [command] = re.findall(r"`stripe-nrr (.+)`", ran.err)
        assert demo.call(*shlex.split(command)).code == 0


def test_a_page_says_in_what_a_segment_pays(site: Site) -> None:
    for path in ("/?", "/?by=country&", "/churn?", "/at-risk?", "/movements?"):
        response = site.get(f"{path}{GERMAN}&currency=usd")
        assert response.status_code == 404
        assert "nobody of the segment country=DE pays in usd" in response.text
        assert "--currency eur" in response.text


# All customers of Germany pay in euros; most others pay in dollars.
GERMAN = "segment=country=DE"
OF_GERMANS = (
    *(f"/?{GERMAN}", f"/?{GERMAN}&by=plan", f"/window?{GERMAN}", f"/churn?{GERMAN}"),
    *(f"/?{GERMAN}&as-of=2026-11-02", f"/?{GERMAN}&window=quarter"),
    *(f"/at-risk?{GERMAN}", f"/movements?{GERMAN}", f"/churn?{GERMAN}&currency=total"),
    *("/customers?q=Größl", "/window?q=Größl"),
)


@pytest.mark.parametrize("path", OF_GERMANS)
def test_a_page_opens_in_a_currency_in_which_it_has_anybody(
    site: Site, demo: Workdir, path: str
) -> None:
    """In all of its forms, and with a menu that leads to the others."""
    assert 'aria-current="true">EUR</a>' in site.get(path).text
    page = site.page(path)
    [dollars] = [href for text, href in page.links if text == "USD"]
    assert 'aria-current="true">USD</a>' in site.get(dollars).text
    for of, theirs in (("csv", r"\busd\b"), ("json", r'"usd"')):
        response = site.get(form(path, of))
        assert response.status_code == 200
        assert not re.search(theirs, response.text)
    if "export" not in page.command:
        assert "--currency eur" in page.command
        assert demo.call(*shlex.split(page.command)[1:]).code == 0


def test_the_page_of_some_begins_with_a_currency_in_which_there_is_somebody(
    demo: Workdir,
) -> None:
    html = demo.call("report", "--segment", "country=DE", "--format", "html").out
    assert re.findall(r'<option value="(\w+)">', html)[:2] == ["eur", "usd"]
    html = demo.call("report", "--segment", "country=AU", "--format", "html").out
    assert re.findall(r'<option value="(\w+)">', html)[:2] == ["usd", "eur"]


def test_a_customer_s_movements_are_in_what_it_pays(site: Site) -> None:
    [key] = [
        each["customer"]
        for each in site.get("/customers.json?currency=eur").json()["customers"]
        if each["label"] == "Größl Schlosserei GmbH"
    ]
    page = site.page(f"/movements?customer={key}")
    assert "--currency eur" in page.command
    assert "Größl Schlosserei GmbH" in page.text


def test_a_currency_that_is_named_stays(site: Site) -> None:
    assert site.get(f"/?{GERMAN}&currency=usd").status_code == 404
    assert site.page("/customers?q=Größl&currency=usd").command
    assert 'aria-current="true">USD</a>' in site.get("/").text
    assert site.get("/?segment=country=XX").status_code == 404


def test_with_a_total_that_is_where_it_opens(total_folder: Path) -> None:
    with site_of(total_folder) as total:
        assert 'aria-current="true">Total</a>' in total.get(f"/?{GERMAN}").text
        assert 'aria-current="true">EUR</a>' in total.get(f"/churn?{GERMAN}").text


def test_an_owner_s_customers_are_shown_in_what_they_pay(copied: Workdir) -> None:
    copied.configure(
        'timezone = "Europe/Berlin"\n[customers]\nowner = "metadata:csm"\n'
        'metadata = ["csm"]\n'
    )
    with closing(sqlite3.connect(copied.ledger)) as connection, connection:
        connection.execute(
            "UPDATE stripe_customers SET body = CAST(json_set(body, '$.metadata',"
            " json_object('csm', iif(id = ("
            "  SELECT id FROM customers WHERE label = 'Größl Schlosserei GmbH'"
            " ), 'Ada', 'Bo'))) AS BLOB)"
        )
    with site_of(copied.folder) as site:
        assert 'aria-current="true">EUR</a>' in site.get("/at-risk?owner=Ada").text
        assert 'aria-current="true">USD</a>' in site.get("/at-risk?owner=Bo").text


def test_what_counts_is_told_by_a_command_too(site: Site, demo: Workdir) -> None:
    page = site.page("/counts")
    by_command = told(demo, page, "--format", "json").json
    found = site.get("/counts.json").json()
    assert found == {name: by_command[name] for name in found}


def test_csv_for_a_german_excel(site: Site, demo: Workdir) -> None:
    for path in ("/window", "/overview", "/churn", "/customers", "/movements"):
        usual = site.get(f"{path}.csv").text
        german = site.get(f"{path}.csv?dialect=excel-de").content.decode("utf-8-sig")
        assert site.get(f"{path}.csv?dialect=excel-de").content[:3] == b"\xef\xbb\xbf"
        rows = list(csv.reader(io.StringIO(usual)))
        others = list(csv.reader(io.StringIO(german), delimiter=";"))
        assert [len(row) for row in rows] == [len(row) for row in others]
        assert any(re.search(r"^-?\d+,\d+$", cell) for row in others for cell in row)
    by_command = demo.call("churn", "--format", "csv", "--dialect", "excel-de").out
    [_, *rest] = site.get("/churn.csv?dialect=excel-de&currency=usd").text.splitlines()
    assert set(rest) <= set(by_command.splitlines())
    assert site.get("/window.csv?dialect=excel-xx").status_code == 400
    assert site.get("/window?dialect=excel-de").status_code == 400


def test_a_german_dashboard_offers_it(copied: Workdir) -> None:
    copied.configure('timezone = "Europe/Berlin"\n[reporting]\nlanguage = "de"\n')
    with site_of(copied.folder) as site:
        page = site.page("/window")
        [href] = [h for text, h in page.links if text == "CSV für Excel"]
        assert site.get(href).content.startswith(b"\xef\xbb\xbf")


# Notes and goals


def test_notes_stand_at_their_month(copied: Workdir) -> None:
    customer = "cus_1rI7CieY3u8myG"
    copied.call("note", "2026-03", "Price rise")
    copied.call("note", "2026-08", "Moved to yearly", "--customer", customer)
    copied.call("note", "2024-01", "Long ago", "--url", "https://example.com/why")
    with site_of(copied.folder) as site:
        overview = site.page("/")
        assert "Price rise" in overview.text
        assert "Moved to yearly" in overview.text
        assert f"/customer/{customer}?currency=usd" in overview.to("/customer/")
        assert "https://example.com/why" in overview.to("https://example.com")
        assert "Price rise" in site.page("/window?window=2026-Q1").text
        assert "Price rise" not in site.page("/window?window=2026-Q2").text
        own = site.page(f"/customer/{customer}").text
        listed = own[own.index("Movements, newest first") :]
        assert listed.index("Moved to yearly") < listed.index("31 Mar 2026")
        assert "Price rise" in own
        assert "Long ago" not in own, "it had not paid yet"
        other = next(
            h for h in site.page("/customers").to("/customer/") if customer not in h
        )
        assert "Moved to yearly" not in site.page(other).text


def test_a_goal_of_crr_has_a_line_where_nrr_s_has(copied: Workdir) -> None:
    copied.configure(
        'timezone = "Europe/Berlin"\n[goals]\nnrr = 1.08\ngrr = 0.93\ncrr = 0.88\n'
    )
    with site_of(copied.folder) as site:
        html = site.get("/").text
    assert html.count('class="goal" x2') == 3
    assert "Above the goal of 88.0%" in html
    page = copied.call("report", "--format", "html", "--currency", "usd")
    assert page.out.count('class="goal" x2') == 3


SPAN = ("--from", "2026-01-01", "--to", "2026-10-31")
KINDS = tuple(MovementKind)


@pytest.mark.parametrize("by", ["plan", "country", "interval", "band", "cohort"])
@pytest.mark.parametrize("currency", ["usd", "eur", "total"])
def test_the_movements_of_each_segment_are_those_it_is_added_up_of(
    total_folder: Path, by: str, currency: str
) -> None:
    """And those of all of them are everybody's, each once."""
    workdir, listed = Workdir(total_folder), []
    asked = (*SPAN, "--currency", currency, "--format", "json")
    for each in workdir.call("movements", "--by", by, *asked).json["segments"]:
        only = ("--segment", f"{by}={each['segment']}")
        rows = workdir.call("movements", *only, *asked).json["movements"]
        listed += rows
        [again] = workdir.call("movements", "--by", by, *only, *asked).json["segments"]
        assert again == each
        if currency != "total":  # where a sum is rounded once, and each of these is
            moved = {f"{kind}_minor": 0 for kind in KINDS}
            for row in rows:
                moved[f"{row['kind']}_minor"] += row["amount_minor"]
            assert moved == {name: each[name] for name in moved}
    whole = workdir.call("movements", *asked).json["movements"]
    assert sorted(map(repr, listed)) == sorted(map(repr, whole))
