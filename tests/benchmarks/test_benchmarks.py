"""The benchmark runs, says all that it promises, and what it times did its whole work."""

import json
import operator
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.account import INVOICES_EACH, Account
from tests.benchmarks.dashboard import PAGES
from tests.benchmarks.reconcile import FORMS
from tests.benchmarks.report import REPORTS
from tests.benchmarks.server import Shelf, answer, shelves
from tests.benchmarks.sync import SUBSCRIPTIONS

ROOT = Path(__file__).parents[2]
SMALL = SUBSCRIPTIONS // 100
NOW_S = 1_795_219_200  # 2026-11-21


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the small benchmark prints, and where it leaves its ledgers."""
    folder = tmp_path_factory.mktemp("benchmark")
    command = ["-m", "tests.benchmarks.sync", "--small", "--keep", str(folder)]
    ran = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, check=True
    )
    assert not ran.stderr
    return ran.stdout.decode(), folder


ROWS = {
    "(a) stripe-nrr, walk only": 3,
    "(a) stripe-nrr sync: walk + derivation": 3,
    "(b) stripe auto-paging → sqlite-utils upserts": 3,
    "(c) floor: httpx → msgspec → executemany": 3,
    "(a) walk ÷ (c)": 1,
    "(a) walk + derivation ÷ (c)": 1,
    "(b) ÷ (a) walk": 1,
    "(b) ÷ (a) walk + derivation": 1,
    "8 workers, at most 25 requests/s": 6,
    "32 workers, at most 100 requests/s": 6,
    "first": 3,
    "second": 3,
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_shows_what_was_measured(kept: tuple[str, Path], row: str) -> None:
    shown = [line for line in kept[0].splitlines() if line.startswith(f"{row}  ")]
    assert len(shown) == 1
    cells = re.split(r"\s{2,}", shown[0].removeprefix(row).strip())
    numbers = [
        float(cell.rstrip("%").replace(",", "")) for cell in cells if _is_number(cell)
    ]
    assert len(numbers) >= ROWS[row]
    assert min(numbers) > 0


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[\d,.]+%?", cell) is not None


def test_it_names_the_machine_and_the_memory_of_each_size(
    kept: tuple[str, Path],
) -> None:
    assert re.search(r"\d+ cores, .*Python 3\.\d+\.\d+, SQLite 3\.\d+", kept[0])
    rows = re.findall(r"^[\d,]+ +[\d.]+ +< 250 +[\d.]+$", kept[0], re.MULTILINE)
    assert len(rows) == 2


@pytest.mark.parametrize("ledger", ["walk", "sync", "latency/8 workers", "large/sync"])
def test_every_object_was_copied(kept: tuple[str, Path], ledger: str) -> None:
    size = SMALL * 4 if ledger.startswith("large") else SMALL
    wanted = {
        "invoices": INVOICES_EACH * size,
        "subscriptions": size,
        "customers": size,
    }
    path = kept[1] / ledger / "stripe-nrr.db"
    with closing(sqlite3.connect(path)) as connection:
        for kind, count in wanted.items():
            assert _count(connection, f"stripe_{kind}") == count


def test_every_customer_was_derived(kept: tuple[str, Path]) -> None:
    """Its bills are such that nothing has to be refused: the derivation has its work."""
    with closing(sqlite3.connect(kept[1] / "sync" / "stripe-nrr.db")) as connection:
        assert _count(connection, "dirty_customers") == 0
        assert _count(connection, "refusals") == 0
        assert _count(connection, "movements WHERE kind = 'new'") == SMALL


def _count(connection: sqlite3.Connection, rows: str) -> int:
    query = f"SELECT count(*) FROM {rows}"  # noqa: S608
    return int(connection.execute(query).fetchone()[0])


# --- the server ---


@cache
def lists() -> dict[str, Shelf]:
    return shelves(Account(40, NOW_S))


def asked(target: str) -> tuple[int, Any]:
    status, body = answer(lists(), target)
    return status, json.loads(body)


COMPARED: dict[str, Callable[[int, int], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}


@pytest.mark.parametrize(
    ("low", "high"), [("gte", "lt"), ("gt", "lte"), ("gt", "lt"), ("gte", "lte")]
)
def test_pages_show_each_object_of_a_range_once(low: str, high: str) -> None:
    ages, ids = lists()["invoices"].ages, lists()["invoices"].ids
    from_s, to_s = -ages[120], -ages[30]
    wanted = [
        key
        for key, age in zip(ids, ages, strict=True)
        if COMPARED[low](-age, from_s) and COMPARED[high](-age, to_s)
    ]
    shown: list[str] = []
    path = f"/v1/invoices?limit=17&created[{low}]={from_s}&created[{high}]={to_s}"
    has_more = True
    while has_more:
        after = f"&starting_after={shown[-1]}" if shown else ""
        _, page = asked(path + after)
        shown += [thing["id"] for thing in page["data"]]
        has_more = page["has_more"]
    assert shown == wanted


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/v1/invoices?starting_after=in_gone", 400),
        ("/v1/invoices/in_gone", 404),
    ],
)
def test_what_is_not_there_is_missing(target: str, status: int) -> None:
    shown = asked(target)
    assert (shown[0], shown[1]["error"]["code"]) == (status, "resource_missing")


def test_a_cursor_outside_its_range_is_missing() -> None:
    shelf = lists()["invoices"]
    target = f"/v1/invoices?created[lt]={-shelf.ages[0]}&starting_after={shelf.ids[0]}"
    assert asked(target)[0] == 400


def test_an_object_is_shown_by_its_id_as_in_its_list() -> None:
    _, page = asked("/v1/subscriptions?status=all&limit=1")
    assert asked(f"/v1/subscriptions/{page['data'][0]['id']}") == (200, page["data"][0])


def test_filters_choose_among_lists() -> None:
    def count(target: str) -> int:
        return len(asked(f"{target}&limit=100")[1]["data"])

    assert count("/v1/subscriptions?status=all") == 40
    assert 0 < count("/v1/subscriptions?") < 40
    assert count("/v1/prices?active=true") == 9
    assert count("/v1/prices?active=false") == 3
    assert count("/v1/events?types[]=price.created") == 0
    assert count("/v1/events?types[]=invoice.paid") > 0


def test_the_benchmark_of_the_dashboard_names_every_page(tmp_path: Path) -> None:
    command = ["-m", "tests.benchmarks.dashboard", "--small", "--keep", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert not ran.stderr
    rows = [re.split(r"\s{2,}", line) for line in ran.stdout.splitlines()]
    assert [row[0] for row in rows if row[0] in PAGES] == list(PAGES)


def test_the_benchmark_of_reports_names_every_report(tmp_path: Path) -> None:
    """On a small ledger, which checks whole: the sums are those of its movements."""
    command = ["-m", "tests.benchmarks.report", "--small", "--keep", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert not ran.stderr
    for name in REPORTS:
        [row] = [
            line for line in ran.stdout.splitlines() if line.startswith(f"{name}  ")
        ]
        numbers = [float(cell) for cell in row.removeprefix(name).split()]
        assert len(numbers) == 5
        assert min(numbers) > 0
    checked = subprocess.run(
        [sys.executable, "-m", "connector", "check"],
        cwd=tmp_path / "1000",
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {line.partition(":")[0] for line in checked.stdout.splitlines()[:-1]}
    assert found <= {"evidence"}, "made-up movements prove nothing, but add up"


def test_the_benchmark_of_reconcile_names_every_form() -> None:
    """Each row is of a file in which somebody lacks, and none is unexplained."""
    command = ["-m", "tests.benchmarks.reconcile", "--small"]
    ran = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, check=True
    )
    told = ran.stdout.decode()
    assert all(name in told for name in (*FORMS, "the worst of 16 settings"))
    found = re.search(r"largest peak (\d+) MB, of (\d+) MB", told)
    assert found is not None
    assert 0 < int(found[1]) < int(found[2])
