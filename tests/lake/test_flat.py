"""Tables of today's state: what can be told from them is told, and labelled."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb as engine
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from connector.core.dates import instant
from connector.lake import duckdb, parquet
from connector.lake.reading import read_sums
from connector.lake.run import newest, prepared, write_run
from connector.lake.source import MANIFEST, sources_in
from connector.render.report.footnotes import policy_sentence
from tests.support.broken_lakes import RULES
from tests.support.documents import code_blocks
from tests.support.lakes import rows_of, told_by_lives, write_whole

BORN = datetime(2025, 1, 10, 9, tzinfo=UTC)
MANIFEST_TEXT = '{"schema": 1, "shape": "flat", "known_until": "2025-06-20T00:00:00Z"}'
DAY_MS = pa.timestamp("us", tz="UTC")


def at(month: int, day: int) -> datetime:
    return datetime(2025, month, day, 9, tzinfo=UTC)


def line(
    key: str, invoice: str, start: datetime, end: datetime, amount: int, **given: Any
) -> dict[str, Any]:
    """A row of invoice_line_items: sub_1's item, unless told otherwise."""
    return {
        "id": key,
        "invoice_id": invoice,
        "subscription": "sub_1",
        "subscription_item_id": "si_1",
        "invoice_item_id": None,
        "source_type": "subscription",
        "amount": amount,
        "currency": "usd",
        "quantity": amount // 1000,
        "period_start": start,
        "period_end": end,
        "price_id": "price_1",
        "proration": False,
        **given,
    }


def invoice(key: str, day: datetime) -> dict[str, Any]:
    return {
        "id": key,
        "customer_id": "cus_1",
        "subscription_id": "sub_1",
        "status": "paid",
        "currency": "usd",
        "created": day,
    }


# Two seats from January, three from March, gone on 10 June.
TABLES: Mapping[str, list[dict[str, Any]]] = {
    "prices": [
        {
            "id": "price_1",
            "created": BORN,
            "currency": "usd",
            "product_id": "prod_1",
            "unit_amount": 1000,
            "recurring_interval": "month",
            "recurring_interval_count": 1,
            "recurring_usage_type": "licensed",
        }
    ],
    "products": [{"id": "prod_1", "name": "Team", "created": BORN}],
    "subscriptions": [
        {
            "id": "sub_1",
            "customer_id": "cus_1",
            "status": "canceled",
            "created": BORN,
            "start_date": BORN,
            "ended_at": at(6, 10),
            "canceled_at": at(6, 1),
            "cancel_at_period_end": True,
            "discount_coupon_id": None,
        }
    ],
    "subscription_items": [
        {
            "id": "si_1",
            "subscription_id": "sub_1",
            "created": BORN,
            "quantity": 3,
            "price_id": "price_1",
            "price_currency": "usd",
            "price_unit_amount": 1000,
            "price_recurring_interval": "month",
            "price_recurring_interval_count": 1,
        }
    ],
    "invoices": [invoice(f"in_{month}", at(month, 10)) for month in range(1, 6)],
    "invoice_line_items": [
        line(
            *(f"il_{month}", f"in_{month}", at(month, 10), at(month + 1, 10)),
            2000 if month < 3 else 3000,
        )
        for month in range(1, 6)
    ],
}


def lay_out(folder: Path, tables: Mapping[str, Iterable[Any]] = TABLES) -> Path:
    for name, rows in tables.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(list(rows)), folder / name / "a.parquet")
    (folder / MANIFEST).write_text(MANIFEST_TEXT, encoding="utf-8")
    return folder


def run(folder: Path, out: Path) -> Path:
    given = prepared(sources_in(folder), RULES)
    return write_run(out, given, "duckdb", instant(0), partial(duckdb.fill, given, 1))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return run(lay_out(tmp_path / "flat"), tmp_path / "out")


def test_what_lines_and_items_show_is_told(made: Path) -> None:
    names = ("customer", "day", "kind", "amount_minor")
    assert sorted(parquet.read(made / "movements", names)) == [
        ("cus_1", date(2025, 1, 10), "new", 2000),
        ("cus_1", date(2025, 3, 10), "expansion", 1000),
        ("cus_1", date(2025, 6, 10), "churn", -3000),
    ]
    assert not list(parquet.read(made / "refusals", ["customer"]))


def test_every_figure_says_of_what_it_is_made(made: Path) -> None:
    shapes = {it for (it,) in parquet.read(made / "windows", ["source_shape"])}
    assert shapes == {"flat"}
    sums = read_sums(newest(made))
    assert sums.rules["source_shape"] == "flat"
    assert "flat tables of today's state" in policy_sentence(sums.rules)


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    some = {name: rows for name, rows in TABLES.items() if name != "invoice_line_items"}
    with pytest.raises(Exception, match="no Parquet of invoice_line_items"):
        run(lay_out(tmp_path / "flat", some), tmp_path / "out")


def test_objects_that_were_spread_over_columns_are_put_together_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Airbyte has them: a column a field, what is nested as JSON in a text."""
    monkeypatch.chdir(tmp_path)
    [reshape] = [it.text for it in code_blocks("docs/lake.md") if it.language == "sql"]
    told = told_by_lives(3)
    until_s = max(at_s for each in told for _, at_s in each.looks)
    write_whole(told, Path("stripe"), until_s)
    before = run(Path("stripe"), Path("before"))
    bodies = [json.loads(it) for (it,) in parquet.read(INVOICES, ["_raw_data"])]
    spread = [
        {
            k: json.dumps(it) if isinstance(it, dict | list) else it
            for k, it in x.items()
        }
        for x in bodies
    ]
    Path("airbyte/invoices").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(spread), "airbyte/invoices/a.parquet")
    (INVOICES / "part-0.parquet").unlink()
    with engine.connect() as connection:
        connection.execute(reshape)
    assert rows_of(run(Path("stripe"), Path("after"))) == rows_of(before)


INVOICES = Path("stripe/invoices")
