"""Every case and random lives give the same rows in SQLite, on DuckDB and on Spark."""

import sqlite3
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from connector.core.dates import instant
from connector.core.figures import SUMMED, reading
from connector.core.model import ContractTerm, Flow, MovementKind
from connector.core.policy import Policy, Rules
from connector.core.windows import Window, WindowKind
from connector.lake import duckdb, parquet
from connector.lake.queries import windows_query
from connector.lake.run import prepared, windows_asked, write_run
from connector.lake.source import sources_in
from connector.lake.tables import DERIVED, FIGURES
from connector.metrics.retention import measure
from connector.store.mirror.exports import MirrorRow
from tests.billing.calendar_ import DAY
from tests.support.lakes import (
    ZONE,
    Rows,
    Told,
    booked,
    export,
    mirrored,
    rows_in,
    rows_of,
    told_by_fixtures,
    told_by_lives,
    write_whole,
)
from tests.support.policies import POLICIES

LIVES = 40


class Both(NamedTuple):
    """What SQLite has of all accounts, and a folder of all their objects."""

    rows: Rows
    folder: Path
    rules: Rules


@pytest.fixture(scope="module", params=POLICIES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Both:
    policy, folder = POLICIES[request.param], tmp_path_factory.mktemp("accounts")
    told = [*told_by_fixtures(), *told_by_lives(LIVES)]
    until_s = max(at_s for each in told for _, at_s in each.looks) + 40 * DAY
    found: dict[str, list[tuple[object, ...]]] = {}
    shown: dict[str, list[MirrorRow]] = {}
    merge: dict[str, str] = {}
    for each in told:
        merge |= each.merge
        with booked(each, until_s, policy) as connection:
            for table, rows in rows_in(connection).items():
                found.setdefault(table, []).extend(rows)
            for kind, objects in mirrored(connection).items():
                shown.setdefault(kind, []).extend(objects)
    export(shown, folder, until_s)
    rules = Rules(policy=policy, zone=ZoneInfo(ZONE), code_version="t", merge=merge)
    in_order = {table: sorted(rows, key=repr) for table, rows in found.items()}
    return Both(in_order, folder, rules)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Accounts as they are seen once, as whole objects."""
    folder = tmp_path_factory.mktemp("whole")
    told = [*told_by_fixtures(), *told_by_lives(LIVES)]
    until_s = max(at_s for each in told for _, at_s in each.looks) + 40 * DAY
    once = [Told([(each.looks[-1][0], until_s)], {}) for each in told]
    found: dict[str, list[parquet.Row]] = {}
    for each in once:
        with booked(each, until_s, Policy()) as connection:
            for table, rows in rows_in(connection).items():
                found.setdefault(table, []).extend(rows)
    write_whole(once, folder, until_s)
    rules = Rules(policy=Policy(), zone=ZoneInfo(ZONE), code_version="t")
    in_order = {table: sorted(rows, key=repr) for table, rows in found.items()}
    return Both(in_order, folder, rules)


def test_whole_objects_give_what_a_first_sync_of_them_does(
    whole: Both, tmp_path: Path
) -> None:
    place = run(whole, tmp_path, processes=2)
    found = rows_of(place)
    for table, rows in whole.rows.items():
        assert found[table] == rows, table
    shapes = {shape for (shape,) in parquet.read(place / "windows", ["source_shape"])}
    assert shapes == {"objects"}


def run(both: Both, out: Path, processes: int = 1) -> Path:
    given = prepared(sources_in(both.folder), both.rules)
    fill = partial(duckdb.fill, given, processes)
    return write_run(out, given, "duckdb", instant(0), fill)


@pytest.fixture(scope="module")
def made(both: Both, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(both, tmp_path_factory.mktemp("runs"))


def test_duckdb_derives_what_sqlite_does(both: Both, made: Path) -> None:
    found = rows_of(made)
    assert len(found["movements"]) > 500
    for table, rows in both.rows.items():
        assert rows or table == "not_counted"
        assert found[table] == rows, table


def test_it_does_not_matter_how_many_processes_derive(
    both: Both, made: Path, tmp_path: Path
) -> None:
    assert rows_of(run(both, tmp_path, processes=2)) == rows_of(made)


def figures(run: Path) -> list[parquet.Row]:
    return sorted(parquet.read(run / "windows", FIGURES))


def test_the_one_sql_file_says_the_same_on_sqlite(both: Both, made: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        for table, places in {"movements": 7, "terms": 6}.items():
            columns = ", ".join(DERIVED[table])
            connection.execute(f"CREATE TABLE {table} ({columns})")
            values = ", ".join("?" * places)
            connection.executemany(
                f"INSERT INTO {table} VALUES ({values})",  # noqa: S608
                both.rows[table],
            )
        connection.execute("CREATE TABLE asked (kind, first_day, end_day, month)")
        first = min(date.fromisoformat(row[2]) for row in both.rows["movements"])
        connection.executemany(
            "INSERT INTO asked VALUES (?, ?, ?, ?)",
            [
                (kind, str(start), str(end), month)
                for kind, start, end, month in windows_asked(first, last_day(both))
            ],
        )
        rows = connection.execute(windows_query()).fetchall()
    days = date.fromisoformat
    in_days = sorted((a, b, days(c), days(d), *rest) for a, b, c, d, *rest in rows)
    assert in_days == figures(made)


def last_day(both: Both) -> date:
    return prepared(sources_in(both.folder), both.rules).last_day


def test_the_one_sql_file_says_what_the_one_formula_says(
    both: Both, made: Path
) -> None:
    keys: dict[str, int] = {}
    flows: dict[str, list[Flow]] = {}
    terms: dict[str, list[ContractTerm]] = {}
    for who, code, day, kind, minor, *_ in both.rows["movements"]:
        key = keys.setdefault(who, len(keys))
        flow = Flow(key, date.fromisoformat(day), MovementKind(kind), minor)
        flows.setdefault(code, []).append(flow)
    for who, code, subscription, day, before, after in sorted(both.rows["terms"]):
        term = ContractTerm(
            *(date.fromisoformat(day), code, keys[who]),
            *(f"{subscription} of {who}", before, after),
        )
        terms.setdefault(code, []).append(term)
    wanted = list(
        dict.fromkeys(
            Window(WindowKind(str(kind)), start, end)
            for _, kind, start, end, *_ in figures(made)
        )
    )
    counted = {
        (code, *window): sums
        for code, own in flows.items()
        for window, sums in zip(
            wanted,
            map(SUMS, measure(own, wanted, terms=terms.get(code, []))),
            strict=True,
        )
        if any(sums)
    }
    assert counted == {tuple(row[:4]): row[4:] for row in figures(made) if any(row[4:])}


SUMS = reading(SUMMED)
