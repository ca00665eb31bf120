"""Exports: flat tables of the demo's ledger, the same in CSV and Parquet."""

import csv
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from connector.cli.app import stripe_nrr
from connector.store.ledger import balances, queries
from connector.store.ledger.exports import EXPORTS
from tests.support.synced import settled_demo

PAGE = Path(__file__).parents[2] / "docs" / "figures-for-programs.md"
TODAY = date(2026, 11, 2)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("exports")
    with settled_demo() as connection:
        connection.execute("VACUUM INTO ?", [str(folder / "stripe-nrr.db")])
    (folder / "config.toml").write_text('timezone = "Europe/Berlin"\n')
    with chdir(folder):
        yield folder


def exported(what: str, form: str) -> Path:
    command = ["export", "--what", what, "--format", form, "-o", f"{what}.{form}"]
    stripe_nrr.main(command, prog_name="stripe-nrr", standalone_mode=False)
    return Path(f"{what}.{form}")


@pytest.mark.parametrize("what", EXPORTS)
def test_csv_and_parquet_say_the_same(workdir: Path, what: str) -> None:
    with exported(what, "csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = parquet.read_table(exported(what, "parquet"))
    assert table.column_names == list(EXPORTS[what].columns)
    assert rows
    as_texts = [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in table.to_pylist()
    ]
    assert as_texts == rows
    assert not list(workdir.glob(".*draft*"))


@pytest.mark.parametrize("what", EXPORTS)
def test_every_row_has_the_columns_and_types_it_promises(what: str) -> None:
    chosen = EXPORTS[what]
    with settled_demo() as connection:
        for row in chosen.rows(connection, TODAY):
            for value, of in zip(row, chosen.columns.values(), strict=True):
                assert value is None or type(value) is of


def rows(connection: sqlite3.Connection, what: str) -> list[dict[str, Any]]:
    chosen = EXPORTS[what]
    found = chosen.rows(connection, TODAY)
    return [dict(zip(chosen.columns, row, strict=True)) for row in found]


def test_components_add_up_to_movements_and_these_to_customers() -> None:
    with settled_demo() as connection:
        parts: dict[int, int] = {}
        for part in rows(connection, "components"):
            parts[part["movement"]] = (
                parts.get(part["movement"], 0) + part["amount_minor"]
            )
        moved = rows(connection, "movements")
        assert parts == {each["movement"]: each["amount_minor"] for each in moved}
        total = sum(each["amount_minor"] for each in moved)
        assert sum(each["mrr_minor"] for each in rows(connection, "customers")) == total


def test_mrr_of_each_month_is_everybody_s() -> None:
    with settled_demo() as connection:
        by_month: dict[tuple[str, date], int] = {}
        for row in rows(connection, "mrr"):
            key = (row["currency"], row["month"])
            by_month[key] = by_month.get(key, 0) + row["mrr_minor"]
        months = connection.execute("SELECT * FROM mrr_by_month").fetchall()
        assert months
        for currency, month, mrr_minor, _ in months:
            assert by_month[currency, date.fromisoformat(f"{month}-01")] == mrr_minor
        last = {
            c: m for (c, month), m in by_month.items() if month == TODAY.replace(day=1)
        }
        for currency in queries.currencies(connection):
            paying = balances.balances(connection, currency, date.max)
            assert last[currency] == sum(paying.values())


@pytest.mark.parametrize("what", ["movements", "components", "mrr"])
def test_rows_of_the_running_month_are_marked(what: str) -> None:
    with settled_demo() as connection:
        found = rows(connection, what)
    day = "month" if what == "mrr" else "day"
    marked = {f"{row[day]:%Y-%m}": row["complete"] for row in found}
    assert marked.pop("2026-11") == 0
    assert set(marked.values()) == {1}


def test_the_running_month_s_mrr_is_marked_in_its_view() -> None:
    with settled_demo() as connection:
        marked = dict(connection.execute("SELECT month, complete FROM mrr_by_month"))
    assert marked.pop("2026-11") == 0
    assert set(marked.values()) == {1}


def test_csv_is_printed_without_a_file(
    workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", "--what", "customers"]
    stripe_nrr.main(command, prog_name="stripe-nrr", standalone_mode=False)
    assert capsys.readouterr().out == exported("customers", "csv").read_text()
    assert workdir.is_dir()


# --- the recipe for datasette ---

[RECIPE] = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
QUERIES = json.loads(RECIPE)["databases"]["stripe-nrr"]["queries"]
ASKED = {
    "retention": "currency=usd",
    "mrr": "currency=eur",
    "losses": "since=2026-10-01",
}


@pytest.mark.parametrize("name", QUERIES)
def test_datasette_answers_the_recipe_s_queries(workdir: Path, name: str) -> None:
    """The real datasette, as the page tells to start it, asked for one page."""
    (workdir / "metadata.json").write_text(RECIPE)
    path = f"/stripe-nrr/{name}.json?_shape=array&{ASKED[name]}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "datasette", "stripe-nrr.db"),
            *("-m", "metadata.json", "--get", path),
        ],
        cwd=workdir,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found
    if name == "retention":
        october = next(row for row in found if row["month"] == "2026-10")
        assert (october["nrr"], october["grr"]) == (106.6, 89.3)
    elif name == "losses":
        assert all(row["amount_minor"] < 0 and row["causes"] for row in found)
