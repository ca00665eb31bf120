"""A report as it would be under a preset is that of a ledger that counts so."""

from datetime import UTC, datetime

import pytest

from connector import reports
from connector.config import Config
from connector.core.policy import policy_of
from connector.core.presets import PRESETS, preset_texts
from connector.reports.ledger import Ledger
from connector.reports.model import Report
from tests.support.ledgers import settle
from tests.support.synced import demo_now_s, settled_demo, walked_demo

ASKED = reports.ReportRequest()
NOW = datetime.fromtimestamp(demo_now_s(), UTC)


@pytest.mark.parametrize("name", [*PRESETS][:4])
def test_it_is_the_report_of_a_ledger_under_that_policy(name: str) -> None:
    with settled_demo() as connection:
        ledger = Ledger(connection, Config(), NOW)
        before = connection.serialize()
        told: list[int] = []
        with reports.under_preset(
            ledger, name, lambda done, _: told.append(done)
        ) as it:
            found = reports.make_report(it, ASKED)
            texts = {**ledger.rules_in_force, **preset_texts(name)}
            assert it.state().rules == texts
        assert connection.serialize() == before
    assert told or preset_texts(name).items() <= ledger.rules_in_force.items()
    with walked_demo() as connection:
        settle(connection, demo_now_s(), texts["timezone"], policy_of(texts))
        ledger = Ledger(connection, Config(), NOW)
        assert found.parts == reports.make_report(ledger, ASKED).parts


def test_repeating_coupons_that_are_ignored_raise_mrr() -> None:
    """$55.00 a month of the demo's are off by such a coupon at the end of January 2026."""
    asked = reports.ReportRequest(currency="usd")
    with settled_demo() as connection:
        ledger = Ledger(connection, Config(), NOW)
        ours = closings(reports.make_report(ledger, asked))
        with reports.under_preset(ledger, "stripe:default") as other:
            theirs = closings(reports.make_report(other, asked))
    changed = {day: theirs[day] - ours[day] for day in ours if theirs[day] != ours[day]}
    assert changed["2026-02-01"] == 5_500


def closings(found: Report) -> dict[str, int]:
    return {
        row.measured.window.end.isoformat(): row.measured.waterfall.closing_minor
        for part in found.parts
        for row in part.rows
        if row.measured.window.kind == "month"
    }
