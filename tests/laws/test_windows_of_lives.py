"""Every window's NRR and GRR, against sums over what the billing engine knows.

The engine's steps are turned into ratios here, in the plainest way there is; the
connector gets there through Stripe's objects, movements and the ledger.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from zoneinfo import ZoneInfo

from connector.core.dates import local_day
from connector.core.model import Flow, Movement
from connector.core.windows import WindowKind, windows
from connector.metrics.retention import measure
from tests.billing.demo import played
from tests.billing.truth import Step
from tests.support.ledgers import seen_once

ZONE = "Europe/Berlin"
FIRST, LAST = date(2023, 11, 1), date(2026, 10, 1)
Grain = tuple[str, str]


def balance_minor(steps: Sequence[Step], day: date) -> int:
    """What was paid at the very beginning of ``day``."""
    before = [s for s in steps if local_day(s.at, ZoneInfo(ZONE)) < day]
    return before[-1].mrr_minor if before else 0


def ratios(
    truth: Mapping[Grain, Sequence[Step]], currency: str, start: date, end: date
) -> tuple[Fraction | None, Fraction | None]:
    """NRR and GRR as the definition reads: Σe ÷ Σs, and Σ min(s, e) ÷ Σs."""
    own = [steps for (_, of), steps in truth.items() if of == currency]
    pairs = [(balance_minor(s, start), balance_minor(s, end)) for s in own]
    paying = [(s, e) for s, e in pairs if s > 0]
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
    truth = account.evidenced_mrr()
    known = seen_once(account.snapshot(), account.now, ZONE)
    assert not known.refusals
    for currency in ("usd", "eur"):
        moved = flows(known.movements, currency)
        for kind in WindowKind:
            for found in measure(moved, windows(kind, FIRST, LAST)):
                window = found.window
                expected = ratios(truth, currency, window.start, window.end)
                assert (found.retention.nrr, found.retention.grr) == expected, window
