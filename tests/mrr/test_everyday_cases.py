"""Everyday billing: each folder of ``fixtures/`` against the movements beside it.

``python -m tests.support.cases.everyday`` writes the Stripe objects, ``pytest --accept``
the movements.
"""

import json
from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from connector.core.dates import local_day
from tests.billing.calendar_ import instant
from tests.support import folders
from tests.support.cases import everyday
from tests.support.cases.everyday import CASES, Shop
from tests.support.folders import known

Case = Callable[[], Shop]
every_case = pytest.mark.parametrize("case", CASES, ids=folders.name)


@every_case
def test_the_connector_books(case: Case, request: pytest.FixtureRequest) -> None:
    folder = folders.place(case)
    text = folders.booked(folders.derived(case))
    if request.config.getoption("--accept"):
        (folder / "expected.txt").write_text(text)
    assert text == (folder / "expected.txt").read_text()
    assert "refused" not in text


@every_case
def test_the_billing_engine_agrees(case: Case) -> None:
    """The expected days and amounts are the engine's, which never saw the connector."""
    shop = everyday.played(case)
    utc = ZoneInfo("UTC")
    closing = {local_day(step.at, utc): step.mrr_minor for step in shop.steps}
    changed: dict[date, int] = {}
    before = 0
    for day, after in closing.items():
        if after != before:
            changed[day] = after
        before = after
    expected = (folders.place(case) / "expected.txt").read_text()
    booked = folders.mrr_booked(expected)
    assert {mrr.day: mrr.amount_minor for mrr in booked} == changed
    assert len(booked) == len(changed)


def test_a_change_dated_back_is_not_undone_by_what_was_seen_before() -> None:
    """Asked for on 10 March as of 1 March (``proration_date``), and seen on the 5th."""
    shop = Shop("2026-01-15T12:00:00")
    sub = shop.sells(12_000, "year", seats=2)
    shop.on("2026-03-05")
    shop.look()
    shop.on("2026-03-10")
    asked_at, dated_at = shop.now, instant("2026-03-01T12:00:00")
    shop.change_quantity(sub.items[0], 5, proration="always_invoice")
    shop.on("2026-06-20")
    shop.look()
    shown = json.dumps(shop.looks).replace(
        f'"start": {asked_at}', f'"start": {dated_at}'
    )
    found = known(json.loads(shown))
    assert [(m.day, m.after_minor) for m in found.movements] == [
        (date(2026, 1, 15), 2_000),
        (date(2026, 3, 1), 5_000),
    ]
