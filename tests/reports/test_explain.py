"""The explaining commands on the demo: what they print, and that it adds up.

What they print lies in fixtures/output/explained and in docs/why-nrr-differs.md: read it
as a finance person would.
After a change ``pytest --accept`` writes both anew; git shows the difference.
"""

import csv
import io
import re
import shlex
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import pytest

from connector.cli.params import RATIO, WINDOW
from connector.core.policy import Policy
from connector.core.windows import WindowKind
from connector.store.opening import open_database
from tests.support.books import NOON, close, lived, post
from tests.support.commands import Workdir
from tests.support.folders import FIXTURES

GOLDEN = FIXTURES / "output" / "explained"
WALK = FIXTURES.parent / "docs" / "why-nrr-differs.md"
BLOCK = re.compile(r"(?<=```console\n)\$ stripe-nrr (.+)\n(?:[^`]*)(?=```)")
CLOSED = ("2026-08", "2026-09")
MOVED = """
[customers]
merge = {cus_1swLN379etlc4T = "cus_1x25BHUeFtWUVf"}
"""

COMMANDS = {
    "drift": "drift --against 107.5%",
    "compare": "compare --mrr 47156.71 --on 2026-08-31 --currency usd",
    "compare-unexplained": "compare --mrr 50000 --on 2026-08-31",
    "explain-window": "explain --window ..2026-10",
    "explain-window-grr": "explain --window 2026-Q1 --metric grr --currency usd",
    "close": "close 2026-09",
    "restatements": "restatements",
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """The demo's ledger, and its configuration."""
    folder = tmp_path_factory.mktemp("demo")
    ran = Workdir(folder, key=None).run("demo", "--keep", ".")
    assert ran.code == 0, ran.err
    return Workdir(folder, key=None)


@pytest.fixture(scope="module")
def corrected(kept: Workdir, tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """Two months closed, and then two ids found out to be one customer."""
    folder = tmp_path_factory.mktemp("corrected")
    shutil.copytree(kept.folder, folder, dirs_exist_ok=True)
    workdir = Workdir(folder, key=None)
    for month in CLOSED:
        assert workdir.call("close", month).code == 0
    config = folder / "config.toml"
    config.write_text(config.read_text(encoding="utf-8") + MOVED, encoding="utf-8")
    assert workdir.run("recompute").code == 0
    return workdir


PROGRESS = re.compile(r"^.+ after \d+ s\n", re.MULTILINE)  # on a busy machine
SEAL = re.compile(r"Sealed: [0-9a-f]{64}\b")


def printed(kept: Workdir, corrected: Workdir, words: Sequence[str]) -> str:
    workdir = corrected if words[0] in ("restatements", "close") else kept
    ran = workdir.call(*words)
    assert ran.code == 0, ran.err
    assert PROGRESS.sub("", ran.err) == ""
    return SEAL.sub("Sealed: (64 digits)", ran.out)  # of all that the demo books


@pytest.mark.parametrize("name", COMMANDS)
def test_the_demo_is_explained_as_before(
    kept: Workdir, corrected: Workdir, pytestconfig: pytest.Config, name: str
) -> None:
    words = shlex.split(COMMANDS[name])
    told = f"$ stripe-nrr {COMMANDS[name]}\n{printed(kept, corrected, words)}"
    path = GOLDEN / f"{name}.txt"
    if pytestconfig.getoption("--accept"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def test_every_golden_file_is_still_made() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(COMMANDS)


def test_the_walk_through_shows_what_the_demo_really_prints(
    kept: Workdir, corrected: Workdir, pytestconfig: pytest.Config
) -> None:
    text = WALK.read_text(encoding="utf-8")

    def run(block: re.Match[str]) -> str:
        out = printed(kept, corrected, shlex.split(block[1]))
        return f"$ stripe-nrr {block[1]}\n{shortened(out)}"

    now, count = BLOCK.subn(run, text)
    assert count == 4
    if pytestconfig.getoption("--accept"):
        WALK.write_text(now, encoding="utf-8")
        text = now
    assert text == now


def shortened(out: str, lines: int = 22) -> str:
    """As the walk-through shows it: the beginning, and dots for the rest."""
    shown = out.splitlines()
    rest = ["…"] if len(shown) > lines else []
    return "\n".join([*(line.rstrip() for line in shown[:lines]), *rest]) + "\n"


def test_the_figures_in_the_walk_through_are_the_demos(kept: Workdir) -> None:
    """ "107.5 %, this ledger 106.6 %": the sentence before the first block."""
    [said] = re.findall(r"this ledger (\d+\.\d) %", WALK.read_text(encoding="utf-8"))
    told = kept.call("drift", "--currency", "usd", "--format", "json").json
    [first, *_] = told["windows"][0]["formulas"]
    assert f"{first['ratio']:.1%}" == f"{said}%"
    assert first["reported"]


# --- and it adds up ---

USD = ("--currency", "usd", "--format", "json")


def content(workdir: Workdir) -> list[str]:
    """All that is in the ledger."""
    with closing(sqlite3.connect(workdir.ledger)) as connection:
        return list(connection.iterdump())


@pytest.mark.parametrize("metric", ["nrr", "grr"])
@pytest.mark.parametrize("window", ["2026-03", "2026-Q1", "2026", "..2026-03"])
def test_a_window_taken_apart_adds_up_to_the_report(
    kept: Workdir, window: str, metric: str
) -> None:
    asked = ("explain", "--window", window, "--metric", metric)
    [told] = kept.call(*asked, *USD).json["windows"]
    amounts = [each["amount_minor"] for each in told["contributions"]]
    assert told["denominator_minor"] + sum(amounts) == told["numerator_minor"]
    month = "2026-03"  # of each of these windows
    span = ("--window", told["window"], "--from", month, "--to", month)
    [reported] = kept.call("report", *span, *USD).json["currencies"][0]["windows"]
    assert told["ratio"] == reported["retention"][metric]
    assert told["customers"] == reported["retention"]["customers"]
    rows = csv.DictReader(io.StringIO(kept.call(*asked, "--format", "csv").out))
    ours = [Decimal(r["contribution"]) for r in rows if r["currency"] == "usd"]
    assert [int(each * 100) for each in ours] == amounts


def test_the_first_formula_is_the_report_and_the_near_one_is_named(
    kept: Workdir,
) -> None:
    span = ("--window", "quarter", "--from", "2026-01", "--to", "2026-06")
    drifted = kept.call("drift", *span, "--against", "1.07", *USD).json
    reported = kept.call("report", *span, *USD).json["currencies"][0]["windows"]
    assert drifted["against"] == 1.07
    for told, window in zip(drifted["windows"], reported, strict=True):
        ours = {f["metric"]: f["ratio"] for f in told["formulas"] if f["reported"]}
        assert ours["NRR"] == window["retention"]["nrr"]
        assert ours["GRR"] == window["retention"]["grr"]
        assert ours["CRR"] == window["retention"]["crr"]
        for each in told["formulas"]:
            is_near = each["ratio"] is not None and abs(each["ratio"] - 1.07) <= 0.002
            assert each["near"] is is_near


@pytest.mark.parametrize("form", ["markdown", "csv"])
def test_formulas_are_told_in_every_form(kept: Workdir, form: str) -> None:
    out = kept.call("drift", "--currency", "usd", "--format", form).out
    assert "end_mrr" in out
    assert ("| NRR | " in out) is (form == "markdown")


def test_a_comparison_leaves_the_ledger_as_it_is(kept: Workdir) -> None:
    before = kept.ledger.read_bytes(), content(kept)
    asked = ("--mrr", "47,156.71", "--on", "2026-08-31", "--currency", "usd")
    told = kept.call("compare", *asked, "--format", "json").json
    assert (kept.ledger.read_bytes(), content(kept)) == before
    assert told["gap_minor"] == told["theirs_minor"] - told["ours_minor"] == -38_671
    explaining = [e["switches"] for e in told["explanations"] if e["explains"]]
    assert explaining == [{"once_coupon": "subtracted", "churn": "requested"}]
    for each in told["explanations"]:
        assert each["effect_minor"] == each["mrr_minor"] - told["ours_minor"]
        assert each["left_minor"] == told["theirs_minor"] - each["mrr_minor"]


def test_the_same_figure_needs_no_explanation(kept: Workdir) -> None:
    ran = kept.call("compare", "--mrr", "47543.42", "--on", "2026-08-31")
    assert "there is nothing to explain" in ran.out


def test_closing_twice_changes_nothing(corrected: Workdir) -> None:
    before = content(corrected)
    again = corrected.call("close", "2026-09", "--format", "json").json
    assert again["was_closed"]
    assert content(corrected) == before


def test_a_report_shows_both_where_a_closed_month_has_changed(
    corrected: Workdir,
) -> None:
    """As reported beside as restated; as of the closing only the one, unchanged."""
    closed = corrected.call("close", "2026-09", "--format", "json").json
    [was] = [
        each
        for each in closed["figures"]
        if (each["currency"], each["window"]) == ("usd", "month")
    ]
    span = ("--window", "month", "--from", "2026-08", "--to", "2026-09")
    august, september = _windows(corrected.call("report", *span, *USD).json)
    assert "as_reported" not in august, "it is as it was"
    told = september["as_reported"]
    metrics = told.pop("metrics")
    assert metrics["gross_churn"] == pytest.approx(1 - was["retention"]["grr"])
    assert metrics["paying_customers"] > was["retention"]["customers"]
    assert metrics["renewals"] is None, "terms are known as they are now"
    assert told == {name: was[name] for name in told}
    assert september["retention"]["nrr"] > told["retention"]["nrr"]
    tables = {"text": 2, "markdown": 2, "csv": 1}  # a row in each
    for form, count in tables.items():
        out = corrected.call("report", *span, "--format", form).out
        assert out.count("as reported") == count, form
    then = ("--as-of", closed["closed_at"])
    _, past = _windows(corrected.call("report", *span, *then, *USD).json)
    assert past["retention"] == was["retention"]
    assert past["waterfall"] == was["waterfall"]
    assert "as_reported" not in past


def test_what_was_reported_is_told_by_the_year_and_beside_segments(
    corrected: Workdir,
) -> None:
    span = ("--window", "month", "--from", "2026-09", "--to", "2026-09", *USD)
    [monthly] = _windows(corrected.call("report", *span).json)
    [annual] = _windows(corrected.call("report", *span, "--arr").json)
    for figures in ("waterfall", "retention"):
        for name, amount in monthly["as_reported"][figures].items():
            times = 12 if name.endswith("_minor") else 1
            assert annual["as_reported"][figures][name] == amount * times, name
    cut = corrected.call(
        "report", *span[:-2], "--by", "interval", "--format", "text"
    ).out
    assert re.search(r"^ +total .*\n +as reported ", cut, re.MULTILINE)


def _windows(report: Any) -> Any:
    return report["currencies"][0]["windows"]


def test_what_was_reported_can_still_be_taken_apart(corrected: Workdir) -> None:
    closed = corrected.call("close", "2026-09", "--format", "json").json
    then = ("--as-of", closed["closed_at"])
    [told] = corrected.call("explain", "--window", "2026-09", *then, *USD).json[
        "windows"
    ]
    assert told["ratio"] == next(
        each["retention"]["nrr"]
        for each in closed["figures"]
        if (each["currency"], each["window"]) == ("usd", "month")
    )
    left = ("explain", "cus_1swLN379etlc4T", "--format", "json")
    assert [m["kind"] for m in corrected.call(*left, *then).json["movements"]][-1] == (
        "churn"
    )
    assert corrected.call(*left).json["movements"] == []


def test_restatements_add_up_to_the_difference(corrected: Workdir) -> None:
    restated = corrected.call("restatements", "--format", "json").json["restated"]
    assert len(restated) == 3
    for each in restated:
        moved = sum(change["amount_minor"] for change in each["changes"])
        was, now = (each[side]["waterfall"] for side in ("reported", "restated"))
        assert moved == now["closing_minor"] - was["closing_minor"]
        assert all(c["rules"] for c in each["changes"]), "the cause: a changed rule"
    rows = csv.DictReader(
        io.StringIO(corrected.call("restatements", "--format", "csv").out)
    )
    assert len(list(rows)) == sum(len(each["changes"]) for each in restated)


def test_restatements_since_a_day(corrected: Workdir) -> None:
    none = corrected.call("restatements", "--since", "2026-11-03")
    assert (
        none.out
        == "2 months are closed, and none of them has changed since 2026-11-03.\n"
    )
    told = corrected.call("restatements", "--since", "2026-11-02")
    assert told.out == corrected.call("restatements").out


def test_a_currency_that_came_later_is_a_restatement_too(tmp_path: Path) -> None:
    workdir = Workdir(tmp_path, key=None).configure('timezone = "UTC"')
    month = date(2024, 2, 1)
    with closing(open_database(workdir.ledger, create=True)) as connection:
        post(connection, lived("cus_1", "50 90"), at=NOON)
        rules = {**Policy().settings(), "timezone": "UTC"}
        close(connection, month, rules)
        post(connection, lived("cus_2", "70", "eur"), at=NOON)
    restated = workdir.call("restatements", "--format", "json").json["restated"]
    assert {each["currency"] for each in restated} == {"eur"}
    for each in restated:
        assert each["reported"]["waterfall"]["closing_minor"] == 0
        assert each["restated"]["waterfall"]["closing_minor"] == 70


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        pytest.param("1.07", Fraction(107, 100), id="a ratio"),
        pytest.param("107%", Fraction(107, 100), id="per cent"),
        pytest.param("107.5 %", Fraction(215, 200), id="with a space"),
        pytest.param("−3.5%", Fraction(-7, 200), id="below nothing"),
        pytest.param("107", None, id="per cent without the sign"),
        pytest.param("1,07", Fraction(107, 100), id="a comma"),
        pytest.param("a lot", None, id="no number"),
    ],
)
def test_a_ratio_is_read_as_people_write_it(text: str, ratio: Fraction | None) -> None:
    if ratio is not None:
        assert RATIO.convert(text, None, None) == ratio
    else:
        with pytest.raises(click.BadParameter, match="is not a ratio"):
            RATIO.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        pytest.param("2026-03", "month 2026-03-01 2026-04-01", id="a month"),
        pytest.param("2026-Q1", "quarter 2026-01-01 2026-04-01", id="a quarter"),
        pytest.param("2026-q4", "quarter 2026-10-01 2027-01-01", id="in small letters"),
        pytest.param("2026", "year 2026-01-01 2027-01-01", id="a year"),
        pytest.param("..2026-03", "trailing-12 2025-04-01 2026-04-01", id="trailing"),
        pytest.param("2026-Q5", "", id="no such quarter"),
        pytest.param("2026-13", "", id="no such month"),
        pytest.param("0001", "", id="no such year"),
        pytest.param("March", "", id="a word"),
    ],
)
def test_a_window_is_read_as_people_write_it(text: str, window: str) -> None:
    if not window:
        with pytest.raises(click.BadParameter, match="is not a window"):
            WINDOW.convert(text, None, None)
        return
    kind, first, end = WINDOW.convert(text, None, None)
    assert f"{WindowKind(kind)} {first} {end}" == window


def test_a_day_that_is_not_over_is_compared_so_far(kept: Workdir) -> None:
    """The demo's ledger knows the 2 November 2026 until 7 o'clock."""
    for day, is_over in (("2026-11-01", True), ("2026-11-02", False)):
        asked = ("compare", "--mrr", "1", "--on", day)
        assert kept.call(*asked, "--format", "json").json["day_is_over"] is is_over
        assert ("end of the day" in kept.call(*asked).out) is is_over
        assert ("so far: the day is not over" in kept.call(*asked).out) is not is_over
