"""What a run writes: a folder of Parquet a table, and how a customer fills them.

Amounts are whole minor units a month, signed; days are days of the reporting zone.
Movements are named as in `movements --format json`. Engines hand over rows of objects as
batches of Arrow, and take the tables' rows as such, or as files.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path

import pyarrow as pa

from connector.core.figures import SUMMED
from connector.core.model import Component, Movement
from connector.lake.derive import LakeDerived
from connector.lake.objects import LakeRow
from connector.lake.parquet import Columns, Row, batch_of, file_of, schema_of
from connector.mrr.derive import Derived

TOGETHER = 10_000  # rows of a table that are held at a time

_NUMBERS = {"position"}
_DAYS = {"day", "since", "first_day", "end_day"}


def _columns(names: str) -> Columns:
    """What is neither a number nor a day is text."""
    return {
        name: date
        if name in _DAYS
        else int
        if name.endswith("_minor") or name in _NUMBERS
        else str
        for name in names.split()
    }


DERIVED: Mapping[str, Columns] = {
    "movements": _columns(
        "customer currency day kind amount_minor before_minor after_minor"
    ),
    "components": _columns(
        "customer currency day position cause amount_minor subscription item price"
        " before after evidence"
    ),
    "terms": _columns("customer currency subscription day before_minor after_minor"),
    "plans": _columns("customer currency day price interval"),
    "profiles": _columns("customer country"),
    "refusals": _columns("customer object_id field value why"),
    "coverage": _columns("customer currency month class amount_minor"),
    "not_counted": _columns(
        "customer currency reason item product monthly_minor since last_invoice"
    ),
}
WINDOWS: Columns = {
    **_columns("currency kind first_day end_day"),
    **dict.fromkeys(SUMMED, int),
    "source_shape": str,
}
FIGURES = tuple(name for name in WINDOWS if name != "source_shape")
ASKED: Columns = _columns("kind first_day end_day month")
# Of all customers: what each price of a plan is of.
SOLD: Columns = _columns("price product")
# Of all tables one beside the other: what a row's table does not have is empty.
WIDE: Columns = {
    "table": str,
    **{name: of for columns in DERIVED.values() for name, of in columns.items()},
}
TableRow = tuple[str, Row]  # the table's name, and its columns in their order


def rows_of(found: LakeDerived) -> Iterator[TableRow]:
    """Every row that a customer has in any table."""
    for it in found.refusals:
        yield (
            "refusals",
            (it.customer, it.object_id, it.field, it.value, found.why),
        )
    if found.derived is not None:
        yield from _movements(found.derived.movements)
        yield from _beside(found.derived)


def _movements(movements: list[Movement]) -> Iterator[TableRow]:
    for each in movements:
        key = (each.customer, each.currency, each.day)
        moved = (each.amount_minor, each.before_minor, each.after_minor)
        yield "movements", (*key, each.kind.value, *moved)
        for position, part in enumerate(each.components):
            yield "components", (*key, position, *_component(part))


def _component(part: Component) -> Row:
    """The evidence is JSON, as the ledger has it."""
    return (
        *(part.cause.value, part.amount_minor, part.subscription, part.item),
        *(part.price, part.before, part.after),
        json.dumps(part.evidence, ensure_ascii=False),
    )


def _beside(known: Derived) -> Iterator[TableRow]:
    for term in known.contract_terms:
        row = (term.subscription, term.day, term.before_minor, term.after_minor)
        yield "terms", (known.customer, term.currency, *row)
    for plan in known.main_prices:
        main = (plan.currency, plan.day, plan.price, plan.interval)
        yield "plans", (known.customer, *main)
    if known.movements:
        yield "profiles", (known.customer, known.country)
    for currency, months in known.coverage.sums.items():
        for month, classes in months.items():
            for name, minor in classes.items():
                yield "coverage", (known.customer, currency, month, str(name), minor)
    for it in known.coverage.not_counted:
        named = (it.currency, it.reason.value, it.item, it.product)
        told = (it.monthly_minor, it.since, it.last_invoice)
        yield "not_counted", (known.customer, *named, *told)


def lake_rows(batches: Iterable[pa.RecordBatch]) -> Iterator[LakeRow]:
    for batch in batches:
        columns = {name: batch.column(name) for name in LakeRow._fields}
        columns["body"] = columns["body"].cast(pa.binary())
        plain = (column.to_pylist() for column in columns.values())
        yield from map(LakeRow._make, zip(*plain, strict=True))


def wide(found: Iterable[LakeDerived]) -> Iterator[pa.RecordBatch]:
    """Every table's rows as rows of one, in the columns of ``WIDE``."""
    schema = schema_of(WIDE)
    rows: list[Row] = []
    for each in found:
        for table, row in rows_of(each):
            spread = {"table": table, **dict(zip(DERIVED[table], row, strict=True))}
            rows.append(tuple(map(spread.get, WIDE)))
        if len(rows) >= TOGETHER:
            yield batch_of(schema, rows)
            rows = []
    if rows:
        yield batch_of(schema, rows)


def write_tables(folder: Path, part: str, found: Iterable[LakeDerived]) -> None:
    """A file of each table, in its folder, with what these customers fill it with."""
    with ExitStack() as stack:
        files = {
            table: stack.enter_context(
                file_of(folder / table / f"{part}.parquet", columns, TOGETHER)
            )
            for table, columns in DERIVED.items()
        }
        for each in found:
            for table, row in rows_of(each):
                files[table](row)
