"""docs/recipes.md, run as it stands there, and the columns that docs/schema tells of."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import pytest
import yaml  # type: ignore[import-untyped]
from pyarrow import parquet

from connector.store.ledger.exports import EXPORTS
from tests.support.commands import Workdir
from tests.support.documents import code_blocks, commands, rows, section
from tests.support.folders import ROOT
from tests.support.synced import settled_demo

PAGE = "docs/recipes.md"
LEDGER = "docs/schema/ledger.md"
BLOCKS = {
    language: [each.text for each in code_blocks(PAGE) if each.language == language]
    for language in ("sql", "yaml", "python")
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """With the exports that the page makes."""
    folder = tmp_path_factory.mktemp("demo")
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    workdir = Workdir(folder, key=None).configure('timezone = "Europe/Berlin"\n')
    made = [*commands(PAGE)]
    assert len(made) == len(EXPORTS)
    for words in made:
        assert workdir.call(*words).code == 0
    return workdir


def trailing(demo: Workdir) -> dict[tuple[str, str], tuple[float, float]]:
    """NRR and GRR as the report has them, by currency and last month."""
    asked = ("report", "--window", "trailing-12", "--from", "2024-11")
    told = demo.call(*asked, "--format", "json").json
    return {
        (part["currency"], each["to"]): (
            each["retention"]["nrr"],
            each["retention"]["grr"],
        )
        for part in told["currencies"]
        for each in part["windows"]
        if each["complete"] and each["retention"]["nrr"] is not None
    }


def test_duckdb_gives_the_report_s_figures(
    demo: Workdir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo.folder)
    with duckdb.connect() as connection:
        found = connection.execute(BLOCKS["sql"][0]).fetchall()
    ours = sorted(trailing(demo).values())
    theirs = sorted((round(nrr, 6), round(grr, 6)) for _, _, nrr, grr in found)
    assert len(ours) > 20
    assert ours == theirs


@pytest.fixture(scope="module")
def ledger(demo: Workdir) -> Iterator[sqlite3.Connection]:
    with closing(
        sqlite3.connect(f"file:{demo.ledger}?mode=ro", uri=True)
    ) as connection:
        yield connection


def test_a_bi_tool_s_queries_give_the_report_s_figures(
    demo: Workdir, ledger: sqlite3.Connection
) -> None:
    _, retention, moved = BLOCKS["sql"]
    found = ledger.execute(retention).fetchall()
    expected = sorted(
        (round(100 * x, 1), round(100 * y, 1)) for x, y in trailing(demo).values()
    )
    assert sorted((nrr, grr) for *_, nrr, grr in found if nrr) == expected
    asked = "report --window month --from 2026-06 --to 2026-06 --format json"
    flow = demo.call(*asked.split()).json
    [usd] = [x for x in flow["currencies"] if x["currency"] == "usd"]
    [window] = usd["windows"]
    told = {
        kind: amount
        for currency, month, kind, _, amount in ledger.execute(moved)
        if (currency, month) == ("usd", "2026-06")
    }
    for kind in ("new", "reactivation", "expansion", "contraction", "churn"):
        minor = window["waterfall"][f"{kind}_minor"]
        assert abs(round(told.get(kind, 0) * 100)) == minor


def test_dbt_s_sources_are_the_exports(demo: Workdir) -> None:
    [text] = BLOCKS["yaml"]
    [source] = yaml.safe_load(text)["sources"]
    place = source["meta"]["external_location"]
    assert {each["name"] for each in source["tables"]} == set(EXPORTS)
    for table in source["tables"]:
        path = demo.folder / place.format(name=table["name"])
        found = parquet.read_table(path)
        assert [each["name"] for each in table["columns"]] == found.column_names
        for column in table["columns"]:
            for test in column.get("data_tests", ()):
                holds(test, found.column(column["name"]).to_pylist())


def holds(test: Any, values: list[Any]) -> None:
    """As dbt runs these tests."""
    match test:
        case "unique":
            assert len(set(values)) == len(values)
        case "not_null":
            assert None not in values
        case {"accepted_values": {"arguments": {"values": allowed}}}:
            assert set(values) <= set(allowed)
        case _:
            raise AssertionError(test)


def test_the_notebook_s_lines_give_the_report_s_figures(demo: Workdir) -> None:
    [program] = BLOCKS["python"]
    assert len([line for line in program.splitlines() if line]) <= 12
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{program}",
        ],
        cwd=demo.folder,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    told = re.findall(r"[\d.]+", done.stdout)
    report = demo.call("report", "--currency", "usd", "--format", "json").json
    [usd] = report["currencies"]
    kept = next(x["retention"] for x in usd["windows"] if x["complete"])
    assert told == [
        f"{100 * kept['nrr']:.1f}",
        f"{100 * kept['grr']:.1f}",
        str(kept["customers"]),
    ]


# The ledger's columns


def told_columns() -> dict[str, list[str]]:
    heads = re.findall(r"^## (\w+)$", (ROOT / LEDGER).read_text("utf-8"), re.MULTILINE)
    return {
        name: [row[0].strip("`") for row in rows(section(LEDGER, f"## {name}"))]
        for name in heads
    }


@pytest.mark.parametrize("name", told_columns())
def test_the_columns_are_those_of_the_ledger(
    ledger: sqlite3.Connection, name: str
) -> None:
    found = ledger.execute("SELECT name FROM pragma_table_info(?)", [name]).fetchall()
    assert told_columns()[name] == [column for [column] in found]


def test_every_view_is_told_of(ledger: sqlite3.Connection) -> None:
    query = "SELECT name FROM sqlite_master WHERE type = 'view'"
    own = {"set_aside_by_customer"}  # for this program alone
    assert {name for [name] in ledger.execute(query)} - own <= set(told_columns())
