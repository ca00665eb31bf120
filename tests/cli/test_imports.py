"""What a command imports: those that only read load nothing heavy."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.books import lived, post
from tests.support.folders import ROOT
from tests.support.ledgers import empty_ledger

HEAVY = (
    *("stripe", "httpx", "tenacity", "asyncio", "sqlite_utils", "rich", "babel"),
    *("starlette", "uvicorn", "prometheus_client", "jinja2", "xlsxwriter"),
    *("pyarrow", "duckdb", "pyspark", "pandas", "mcp", "mcp_types", "pydantic"),
)
RUN = """
import sys
sys.argv = ["stripe-nrr", *sys.argv[1:]]
from connector.cli.app import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with one customer, and a configuration that names it."""
    place = tmp_path_factory.mktemp("ledger")
    with empty_ledger() as connection:
        post(connection, lived("cus_1", "50 90"))
        connection.execute("VACUUM INTO ?", [str(place / "stripe-nrr.db")])
    (place / "config.toml").write_text('timezone = "UTC"')
    return place


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("--help", id="help"),
        pytest.param("report --help", id="help of a command that reads"),
        pytest.param("sync --help", id="help of a command that asks Stripe"),
        pytest.param("report --format json", id="a report as JSON"),
        pytest.param("report --format csv", id="a report as CSV"),
        pytest.param("movements --format json", id="movements as JSON"),
        pytest.param("drift --format json", id="formula drift as JSON"),
        pytest.param("explain --window 2024-03 --format json", id="a window as JSON"),
        pytest.param("restatements --format json", id="restatements as JSON"),
        pytest.param("mcp --help", id="help of what serves assistants"),
        pytest.param("lake --help", id="help of what reads Parquet"),
    ],
)
def test_reading_imports_nothing_heavy(folder: Path, command: str) -> None:
    imported = modules_of(folder, command)
    assert "connector.cli.app" in imported
    assert not imported & set(HEAVY)


def test_a_report_imports_neither_the_derivation_nor_the_way_to_stripe(
    folder: Path,
) -> None:
    imported = modules_of(folder, "report --format json")
    elsewhere = ("connector.mrr", "connector.pipeline", "connector.stripe_api")
    assert [name for name in imported if name.startswith(elsewhere)] == []


EXTRAS = ("pyarrow", "duckdb", "pyspark", "xlsxwriter", "mcp", "mcp_types")


@pytest.mark.parametrize(
    ("command", "own"),
    [
        ("report", ()),
        ("report --format html -o nrr.html", ()),
        ("report --format markdown", ()),
        ("report --format xlsx -o nrr.xlsx", ("xlsxwriter",)),
        ("digest --peek", ()),
        ("at-risk", ()),
        ("churn", ()),
        ("export --what movements -o movements.csv", ()),
        ("export --what mrr --format parquet -o mrr.parquet", ("pyarrow",)),
    ],
)
def test_an_extra_is_imported_by_what_needs_it_alone(
    folder: Path, command: str, own: tuple[str, ...]
) -> None:
    assert modules_of(folder, command) & set(EXTRAS) == set(own)


def modules_of(folder: Path, command: str) -> set[str]:
    """What is imported when a command has run."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command.split()],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())
