"""Every window's NRR and GRR, against sums over what the billing engine knows.

The engine's steps are turned into ratios here, in the plainest way there is; the
connector gets there through Stripe's objects, movements and the ledger.
"""

import json
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from connector.core.dates import local_day
from connector.core.model import Flow, Movement
from connector.core.windows import WindowKind, windows
from connector.metrics.retention import measure
from tests.billing.demo import played
from tests.support.folders import FIXTURES
from tests.support.ledgers import seen_once

ZONE = "Europe/Berlin"
FIRST, LAST = date(2023, 11, 1), date(2026, 10, 1)


class PaidFrom(NamedTuple):
    day: date
    amount_minor: int


@cache
def truth(currency: str) -> list[list[PaidFrom]]:
    """What each customer of the demo paid, from which day on, as its maker knows."""
    zone = ZoneInfo(ZONE)
    return [
        [PaidFrom(local_day(step.at, zone), step.mrr_minor) for step in steps]
        for (_, of), steps in played().evidenced_mrr().items()
        if of == currency
    ]


def balance_minor(paid: Sequence[PaidFrom], day: date) -> int:
    """What was paid at the very beginning of ``day``."""
    before = [each for each in paid if each.day < day]
    return before[-1].amount_minor if before else 0


def ends_minor(currency: str, start: date, end: date) -> list[tuple[int, int]]:
    """What each customer paid at the two ends of a window."""
    own = truth(currency)
    return [(balance_minor(paid, start), balance_minor(paid, end)) for paid in own]


def ratios(
    currency: str, start: date, end: date
) -> tuple[Fraction | None, Fraction | None]:
    """NRR and GRR as the definition reads: Σe ÷ Σs, and Σ min(s, e) ÷ Σs."""
    paying = [(s, e) for s, e in ends_minor(currency, start, end) if s > 0]
    opening = sum(s for s, _ in paying)
    if not opening:
        return None, None
    net = Fraction(sum(e for _, e in paying), opening)
    return net, Fraction(sum(min(s, e) for s, e in paying), opening)


def flows(movements: Sequence[Movement], currency: str) -> list[Flow]:
    keys = {c: n for n, c in enumerate(sorted({m.customer for m in movements}))}
    return [
        Flow(keys[m.customer], m.day, m.kind, m.amount_minor)
        for m in movements
        if m.currency == currency
    ]


def test_every_window_of_the_demo_is_what_its_maker_knows() -> None:
    """340 customers over three years, in both currencies, all kinds of windows."""
    account = played()
    known = seen_once(account.snapshot(), account.now, ZONE)
    assert not known.refusals
    for currency in ("usd", "eur"):
        moved = flows(known.movements, currency)
        for kind in WindowKind:
            for found in measure(moved, windows(kind, FIRST, LAST)):
                window = found.window
                expected = ratios(currency, window.start, window.end)
                assert (found.retention.nrr, found.retention.grr) == expected, window


@pytest.mark.parametrize("report", ["report", "report-quarters"])
def test_the_accepted_reports_say_what_the_demo_s_maker_knows(report: str) -> None:
    """Opening, closing, NRR and GRR of each window in fixtures/output/reports."""
    text = (FIXTURES / "output" / "reports" / f"{report}.json").read_text()
    told: dict[str, Any] = json.loads(text)
    assert [own["currency"] for own in told["currencies"]] == ["usd", "eur"]
    for own in told["currencies"]:
        assert len(own["windows"]) >= 3
        for window in own["windows"]:
            days = date.fromisoformat(window["from"]), date.fromisoformat(window["to"])
            ends = ends_minor(own["currency"], *days)
            said = [
                window["waterfall"][f"{end}_minor"] for end in ("opening", "closing")
            ]
            assert said == [sum(s for s, _ in ends), sum(e for _, e in ends)], window
            expected = [
                ratio and float(round(ratio, 6))
                for ratio in ratios(own["currency"], *days)
            ]
            assert [window["retention"][key] for key in ("nrr", "grr")] == expected
