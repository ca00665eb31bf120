"""Every window's NRR and GRR, against sums over what the billing engine knows.

The engine's steps are turned into ratios here, in the plainest way there is; the
connector gets there through Stripe's objects, movements and the ledger.
"""

import json
from collections.abc import Sequence
from datetime import date, timedelta
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
ENDS = ("opening", "closing")


class PaidFrom(NamedTuple):
    day: date
    amount_minor: int


@cache
def truth(currency: str) -> dict[str, list[PaidFrom]]:
    """What each customer of the demo paid, from which day on, as its maker knows."""
    zone = ZoneInfo(ZONE)
    return {
        customer: [PaidFrom(local_day(step.at, zone), step.mrr_minor) for step in steps]
        for (customer, of), steps in played().evidenced_mrr().items()
        if of == currency
    }


def balance_minor(paid: Sequence[PaidFrom], day: date) -> int:
    """What was paid at the very beginning of ``day``."""
    before = [each for each in paid if each.day < day]
    return before[-1].amount_minor if before else 0


def ends_minor(currency: str, start: date, end: date) -> list[tuple[int, int]]:
    """What each customer paid at the two ends of a window."""
    own = truth(currency).values()
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


# --- what was accepted: fixtures/output/reports ---


def accepted(name: str) -> Any:
    return json.loads((FIXTURES / "output" / "reports" / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "months"),
    [("report", 1), ("report-quarters", 1), ("report-years-arr", 12)],
)
def test_accepted_windows_are_what_the_demo_s_maker_knows(
    name: str, months: int
) -> None:
    """Opening, closing, NRR and GRR, in MRR or (its 12 months) ARR."""
    currencies = accepted(name)["currencies"]
    assert [own["currency"] for own in currencies] == ["usd", "eur"]
    for own in currencies:
        assert len(own["windows"]) >= 3
        for window in own["windows"]:
            days = date.fromisoformat(window["from"]), date.fromisoformat(window["to"])
            ends = ends_minor(own["currency"], *days)
            sums = [months * sum(each) for each in zip(*ends, strict=True)]
            waterfall = window["waterfall"]
            assert [waterfall[f"{end}_minor"] for end in ENDS] == sums, days
            exact = ratios(own["currency"], *days)
            rounded = [ratio and float(round(ratio, 6)) for ratio in exact]
            told = window["retention"]
            assert [told["nrr"], told["grr"]] == rounded, days


def test_accepted_movements_are_what_the_demo_s_maker_knows() -> None:
    """Each customer's MRR before and after each day of October 2026 that changed it."""
    october = [date(2026, 10, number) for number in range(1, 32)]
    changed = [
        (day.isoformat(), customer, currency, before, after)
        for currency in ("usd", "eur")
        for customer, paid in truth(currency).items()
        for day in october
        for before in [balance_minor(paid, day)]
        for after in [balance_minor(paid, day + timedelta(days=1))]
        if before != after
    ]
    keys = ("day", "customer", "currency", "before_minor", "after_minor")
    told = [tuple(m[key] for key in keys) for m in accepted("movements")["movements"]]
    assert sorted(told) == sorted(changed)
