"""One customer's rows stay together, whatever there are of them and of processes."""

import json
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from connector.core.dates import instant
from connector.lake import duckdb, parquet
from connector.lake.run import prepared, write_run
from connector.lake.source import COLUMNS, sources_in
from tests.support.broken_lakes import RULES, lay_out

SUBSCRIPTION = """{"id": "sub_1", "customer": "cus_1", "status": "active",
    "currency": "usd", "created": 1767225600, "start_date": 1767225600,
    "items": {"data": [{"id": "si_1", "quantity": 1, "price": {"id": "price_1",
        "currency": "usd", "unit_amount": 900, "recurring": {"interval": "month"}}}]}}"""
MANY = 3 * duckdb.BATCH + 1


@pytest.mark.parametrize("processes", [1, 3])
def test_a_customer_of_many_rows_is_one_history_in_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = lay_out()
    (folder / "events").mkdir()
    events = (
        (key, "cus_1", 0, json.dumps({"id": key, "type": "x", "created": n}))
        for n in range(MANY)
        for key in [f"evt_{n}"]
    )
    parquet.write(folder / "events" / "part-0.parquet", COLUMNS, events)
    others = [
        (f"sub_{n}", f"cus_{n}", 0, SUBSCRIPTION.replace("_1", f"_{n}"))
        for n in range(1, 40)
    ]
    parquet.write(folder / "subscriptions" / "part-0.parquet", COLUMNS, others)
    given = prepared(sources_in(folder), RULES)
    fill = partial(duckdb.fill, given, processes)
    place = write_run(Path("lake"), given, "duckdb", instant(0), fill)
    names = ("customer", "day", "kind", "amount_minor")
    told = sorted(parquet.read(place / "movements", names))
    first = date(2026, 1, 1)
    assert told == sorted((f"cus_{n}", first, "new", 900) for n in range(1, 40))
    assert not list(parquet.read(place / "refusals", ["customer"]))
    assert len(list((place / "movements").iterdir())) == processes
