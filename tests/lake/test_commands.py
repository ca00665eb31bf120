"""The commands of docs/lake.md and docs/scale.md on the demo, as a user runs them."""

import json
import shutil
from datetime import date, timedelta
from typing import Any

import pytest

from tests.support.commands import Ran, Workdir
from tests.support.documents import commands
from tests.support.synced import settled_demo

CONFIG = 'timezone = "Europe/Berlin"\n'
REPORTS = (
    "report",
    "report --window quarter",
    "report --window year --arr",
    "report --window month --from 2024-01 --to 2026-06 --currency eur",
    *(
        f"report --by {kind}"
        for kind in (
            "plan",
            "product",
            "interval",
            "country",
            "cohort",
            "band",
            "currency",
        )
    ),
    "report --by product --window quarter --from 2025-01",
    "report --segment interval=year --by plan",
    "report --segment country=DE --window month --from 2025-11 --arr",
)
OF_NOW = {"generated_at", "moment"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """The demo's ledger, and what the commands of the pages have made beside it."""
    folder = tmp_path_factory.mktemp("lake")
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    workdir = Workdir(folder).configure(CONFIG)
    for page in ("docs/lake.md", "docs/scale.md"):
        for words in commands(page):
            if words[0] != "demo" and "spark" not in words:
                ran = workdir.run(*words)
                assert ran.code == 0, (words, ran.err)
    return workdir


def told(workdir: Workdir, text: str, *more: str) -> Any:
    ran = workdir.call(*text.split(), *more, "--format", "json")
    return {key: value for key, value in ran.json.items() if key not in OF_NOW}


@pytest.mark.parametrize("text", REPORTS)
def test_a_report_of_the_lake_is_the_ledgers(workdir: Workdir, text: str) -> None:
    assert told(workdir, text, "--lake", "lake") == told(workdir, text)
    csv = [*text.split(), "--format", "csv"]
    of_lake, of_ledger = workdir.call(*csv, "--lake", "lake"), workdir.call(*csv)
    assert of_lake.out == of_ledger.out


def test_all_currencies_in_one_are_the_ledgers(workdir: Workdir) -> None:
    days = (date(2023, 10, 1) + timedelta(days=n) for n in range(1_200))
    rates = [f"{day},usd,0.{80 + day.month}" for day in days]
    (workdir.folder / "rates.csv").write_text("\n".join(["date,currency,rate", *rates]))
    text = f'{CONFIG}[reporting]\ncurrency = "eur"\nrates = "rates.csv"\n'
    workdir.configure(text)
    try:
        for asked in (
            "report --currency total",
            "report --currency total --by country",
        ):
            found = told(workdir, asked, "--lake", "lake")
            assert found["total"]["windows"]
            assert found == told(workdir, asked)
        assert told(workdir, "report", "--lake", "lake")["total"] is None
    finally:
        workdir.configure(CONFIG)


def test_a_run_of_before_is_not_read_as_if_nobody_had_a_plan(workdir: Workdir) -> None:
    [first, *_] = sorted((workdir.folder / "lake").glob("run-*"))
    older = workdir.folder / "older" / first.name
    shutil.copytree(first, older)
    shutil.rmtree(older / "plans")
    assert workdir.call("report", "--lake", "older").code == 0
    ran = workdir.call("report", "--lake", "older", "--by", "plan")
    assert (ran.code, "kept no plans" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("asked", "instead"),
    [
        ("--causes", "components/"),
        ("--policy stripe:default", "stripe-nrr lake"),
        ("--format html", "--format json or csv"),
        ("--as-of 2020-06-01", "the oldest is of"),
    ],
)
def test_what_a_run_does_not_hold_is_refused_with_what_to_do_instead(
    workdir: Workdir, asked: str, instead: str
) -> None:
    ran = workdir.call("report", "--lake", "lake", *asked.split())
    assert (ran.code, ran.out) == (1 if "--as-of" in asked else 2, "")
    assert instead in ran.err


def test_the_newest_run_is_read_and_each_says_what_it_is(workdir: Workdir) -> None:
    [first, *_] = sorted((workdir.folder / "lake").iterdir())
    older = first.with_name("run-20200101T000000Z")
    shutil.copytree(first, older)
    (older / "windows" / "part-0.parquet").unlink()
    run = json.loads((older / "run.json").read_text())
    began = {**run, "started_at": "2020-01-01T00:00:00Z"}
    (older / "run.json").write_text(json.dumps(began))
    assert told(workdir, "report", "--lake", "lake")["currencies"]
    assert not told(workdir, "report", "--lake", f"lake/{older.name}")["currencies"]
    as_of = ("report", "--lake", "lake", "--as-of")
    assert not told(workdir, *as_of, "2020-01-01")["currencies"]
    assert told(workdir, *as_of, "2999-01-01")["currencies"]
    shutil.rmtree(older)


def test_what_a_run_says_of_itself(workdir: Workdir) -> None:
    said = told(workdir, "lake mirror other")
    assert (said["schema"], said["engine"], said["failed"]) == (1, "duckdb", {})
    assert said["policy"]["timezone"] == "Europe/Berlin"
    assert said["rows"]["movements"] == len(movements(workdir))


def movements(workdir: Workdir) -> list[Any]:
    found: list[Any] = workdir.call("movements", "--format", "json").json["movements"]
    return found


def test_a_mirror_is_replaced_as_a_whole_and_nothing_else_is(workdir: Workdir) -> None:
    asked = ("export", "--what", "mirror", "-o")
    stray = workdir.folder / "mirror" / "invoices" / "part-9.parquet"
    stray.write_bytes(b"")
    assert workdir.call(*asked, "mirror").code == 0
    assert not stray.exists()
    ran = workdir.call(*asked, ".")
    assert (ran.code, "was not written by" in ran.err) == (1, True)
    assert not list(workdir.folder.glob(".*draft*"))


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
def test_a_run_that_fails_leaves_nothing(
    workdir: Workdir, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    mirror = workdir.folder / "broken"
    shutil.copytree(workdir.folder / "mirror", mirror, dirs_exist_ok=True)
    (mirror / "events" / "part-0.parquet").write_bytes(b"Dear diary")
    ran: Ran = workdir.run("lake", "broken", "nothing", "--engine", engine)
    assert ran.code == 1
    assert "cannot be read" in ran.err or "JAVA_GATEWAY_EXITED" in ran.err
    assert not list((workdir.folder / "nothing").iterdir())
    shutil.rmtree(mirror)


def test_a_history_that_breaks_is_named_and_all_others_are_derived(
    workdir: Workdir,
) -> None:
    from connector.lake import parquet  # noqa: PLC0415
    from connector.lake.source import COLUMNS  # noqa: PLC0415

    mirror = workdir.folder / "spoiled"
    shutil.copytree(workdir.folder / "mirror", mirror)
    place = mirror / "subscriptions" / "part-0.parquet"
    [(key, customer, at, body), *rest] = parquet.read(place.parent, COLUMNS)
    early = body.replace('"start_date":', '"start_date":-1000000000000000,"was":')
    parquet.write(place, COLUMNS, [(key, customer, at, early), *rest])
    ran = workdir.run("lake", "spoiled", "spoiled-lake")
    assert (ran.code, customer in ran.out) == (1, True)
    assert "1 customer could not be derived" in ran.err
    said = told(workdir, "report", "--lake", "spoiled-lake")
    assert said["refused"][0]["customer"] == customer


def test_a_folder_of_folders_is_several_accounts(workdir: Workdir) -> None:
    """An id in two of them is two customers."""
    for name in ("de", "uk"):
        shutil.copytree(workdir.folder / "mirror", workdir.folder / "many" / name)
    ran = workdir.call("lake", "many", "many-lake", "--format", "json")
    assert ran.code == 0, ran.err
    alone = told(workdir, "report", "--window", "month", "--lake", "lake")
    both = told(workdir, "report", "--window", "month", "--lake", "many-lake")
    for one, two in zip(alone["currencies"], both["currencies"], strict=True):
        for window, doubled in zip(one["windows"], two["windows"], strict=True):
            closing_minor = window["waterfall"]["closing_minor"]
            assert doubled["waterfall"]["closing_minor"] == 2 * closing_minor
            assert doubled["retention"]["nrr"] == window["retention"]["nrr"]
