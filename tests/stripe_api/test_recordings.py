"""Stripe's own answers, as recorded: they read, and are worth what a person works out."""

import gzip
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connector.core.policy import Policy
from connector.mrr.history import Catalogue, History, SubscriptionVersion
from connector.mrr.movements import movements
from connector.mrr.timeline import timeline
from connector.stripe_api.decoding import body, decode
from connector.stripe_api.invoices import Invoice
from connector.stripe_api.objects import Subscription

FOLDER = Path(__file__).parents[2] / "fixtures" / "recordings" / "stripe"

# Worked out by hand from the price, the interval and the quantity that each shows.
WORTH_MINOR = {
    "sub_JGwCm9P8YH7raV": [25000],  # 10 × $25.00 a month
    "sub_JyYHeOGrefvt99": [2500],
    "sub_JGue3TrPL7VtUo": [1000],
    "sub_1TGnErQK2ZHS99RkHpVN5MOi": [1000],
    "sub_JGwHsv5GcPsajD": [0],  # incomplete: the card wanted more
    "sub_JGwBraLAeKhC2T": [2500],
    "sub_1SRzqVKXBGcbgpbZq3nWwEUD": [25000],
    "sub_1SRzqCKXBGcbgpbZ9C2XUF1a": [2500],
    "sub_1SS01XKXBGcbgpbZyJCfKFLG": [2500],
    "sub_1NheflKXBGcbgpbZgIrXIQJB": [2500],
    "sub_1SRzqtKXBGcbgpbZ8kne01Xe": [2500, 2083],  # $25.00 a month, then $250.00 a year
    "sub_1SRzr7KXBGcbgpbZCos42qlc": [1000],
    "sub_1SRzpbKXBGcbgpbZA7KDmmI5": [1000],
    "sub_1TGnF3KXBGcbgpbZ9Jnx79C5": [0],  # incomplete
    "sub_1SRzoYKXBGcbgpbZrH1YIafp": [1900],
    "sub_1SRznJKXBGcbgpbZTYwc12pA": [1000],
    "sub_1SRzpuKXBGcbgpbZkUPP6yqS": [2500],
    "sub_1SRzodKXBGcbgpbZj3MaOGor": [1000],
    "sub_1TGnFJKXBGcbgpbZqZC2HAM0": [0],  # on trial
    "sub_1Pgc6rB7WZ01zgkWNy0Cn5nw": [0],  # a package of 1,592,560,163, rounded down
}


def recordings(kind: str) -> list[Any]:
    path = FOLDER / "subscriptions_and_invoices.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    told = [json.loads(line) for line in lines]
    found = [each for each in told if each["object"]["object"] == kind]
    assert found
    return [
        pytest.param(
            each["object"], id=f"{each['object']['id']} {each['version']} #{number}"
        )
        for number, each in enumerate(found)
    ]


def worth_minor(shown: Subscription) -> int:
    """The MRR of a subscription of which nothing else is known, shortly after."""
    seen_s = shown.started_at + 3_600
    history = History(
        customer=str(shown.customer),
        versions={shown.id: (SubscriptionVersion(seen_s, shown),)},
        catalogue=Catalogue(),
    )
    derived = timeline(history, Policy(), seen_s)
    booked = movements(history.customer, derived.steps, ZoneInfo("UTC"))
    assert derived.refusals == ()
    return booked[-1].after_minor if booked else 0


def read(recorded: dict[str, Any]) -> Subscription:
    """As recorded, but going on: the specification's sample ends as it begins."""
    return decode(json.dumps({**recorded, "ended_at": None}).encode(), Subscription)


@pytest.mark.parametrize("recorded", recordings("subscription"))
def test_a_recorded_subscription_is_worth(recorded: dict[str, Any]) -> None:
    shown = read(recorded)
    assert worth_minor(shown) in WORTH_MINOR[shown.id]


def test_every_worth_is_met() -> None:
    """The swap to a yearly price is among the recordings, and nothing is left over."""
    met: dict[str, set[int]] = {}
    for param in recordings("subscription"):
        shown = read(*param.values)
        met.setdefault(shown.id, set()).add(worth_minor(shown))
    assert met == {key: set(worth) for key, worth in WORTH_MINOR.items()}


@pytest.mark.parametrize("recorded", recordings("invoice"))
def test_a_recorded_invoice_reads_and_keeps_what_matters(
    recorded: dict[str, Any],
) -> None:
    invoice = decode(json.dumps(recorded).encode(), Invoice)
    assert decode(body(invoice), Invoice) == invoice, "the trimmed copy says the same"
    amounts = [line["amount"] for line in recorded["lines"]["data"]]
    assert [line.amount for line in invoice.lines.data] == amounts
