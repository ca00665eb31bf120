"""``python -m tests.billing.demo`` writes fixtures/demo/: a business, three years long.

The seed is fixed, so the files come out the same. ``expected_mrr.json`` is the engine's
own truth: the closing MRR of each month, dated by what the objects show.
"""

import gzip
import heapq
import json
import random
import sys
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.billing.account import Account
from tests.billing.calendar_ import DAY, instant
from tests.billing.demo_life import Life
from tests.billing.demo_names import company
from tests.billing.demo_shop import Shop, open_shop
from tests.billing.state import Json
from tests.billing.stripe_mrr import COUPON_SETTINGS
from tests.billing.truth import Step

FOLDER = Path(__file__).parents[2] / "fixtures" / "demo"
SEED = 20261120
NOW = "2026-11-02T06:00:00Z"
ZONE = "Europe/Berlin"
OPENED = "2023-11-02T09:00:00Z"
CUSTOMERS = 340
EURO_EVERY = 7  # of so many customers one pays in euro
LABEL = "Werkbank, project management for craft businesses (invented)"
README = """\
An invented business: three years of Stripe objects, and its MRR as their maker knows it.
Made by `python -m tests.billing.demo`; newest first, one JSON object a line.
"""

Steps = dict[tuple[str, str], list[Step]]


def arrivals() -> list[int]:
    """When customers come: a trickle, then more and more, on working hours."""
    rng = random.Random(f"{SEED} arrivals")
    first, last = instant(OPENED) + DAY, instant(NOW) - 3 * DAY
    span = last - first
    found = []
    for n in range(CUSTOMERS):
        share = (n + rng.random()) / CUSTOMERS
        # The inverse of "twice as many a month at the end as at the start".
        position = share * (1.45 - 0.45 * share)
        day = int(first + span * position) // DAY
        found.append(day * DAY + int((7 + 11 * rng.random()) * 3_600))
    return sorted(found)


def one_life(account: Account, shop: Shop, n: int, taken: set[str]) -> Iterator[int]:
    """Customer ``n`` has its own dice, so that no other life depends on it."""
    rng = random.Random(f"{SEED} {n}")
    currency = "eur" if n % EURO_EVERY == 3 else "usd"
    name, email, trade, country = company(rng, currency, taken)
    customer = account.add_customer(
        name, email=email, country=country, metadata={"trade": trade}
    )
    yield from Life(account, shop, customer, rng).live(currency)


@cache
def played() -> Account:
    """The whole business, from its first day to now."""
    end = instant(NOW)
    account = Account(
        instant(OPENED),
        seed=SEED,
        events_from=end - 30 * DAY,
        coupon_settings=COUPON_SETTINGS,
    )
    shop = open_shop(account)
    taken: set[str] = set()
    waiting = [
        (at, n, one_life(account, shop, n, taken)) for n, at in enumerate(arrivals())
    ]
    heapq.heapify(waiting)
    while waiting:
        at, n, life = heapq.heappop(waiting)
        if at > end:
            break
        account.advance(at)
        wakes = next(life, None)
        if wakes is not None:
            heapq.heappush(waiting, (max(wakes, at), n, life))
    account.advance(end)
    return account


def month_starts() -> list[tuple[str, int]]:
    """(month, the instant at which the next one starts in the zone)."""
    found = []
    for count in range(2023 * 12 + 10, 2026 * 12 + 10):
        year, month0 = divmod(count, 12)
        following, next0 = divmod(count + 1, 12)
        ends = datetime(following, next0 + 1, 1, tzinfo=ZoneInfo(ZONE))
        found.append((f"{year}-{month0 + 1:02d}", int(ends.timestamp())))
    return found


def mrr_before(steps: list[Step], instant_: int) -> int:
    return next((s.mrr_minor for s in reversed(steps) if s.at < instant_), 0)


def closing_mrr(by_grain: Steps) -> dict[str, dict[str, int]]:
    """Currency → month → MRR at the month's end, in minor units."""
    return {
        currency: {
            month: sum(
                mrr_before(steps, ends)
                for (_, paid_in), steps in by_grain.items()
                if paid_in == currency
            )
            for month, ends in month_starts()
        }
        for currency in sorted({currency for _, currency in by_grain})
    }


def retention(by_grain: Steps, currency: str) -> tuple[Fraction, Fraction]:
    """NRR and GRR of the last 12 whole months."""
    ends = dict(month_starts())
    opening = closing = kept = 0
    for (_, paid_in), steps in by_grain.items():
        if paid_in != currency:
            continue
        before = mrr_before(steps, ends["2025-10"])
        after = mrr_before(steps, ends["2026-10"])
        if before:
            opening += before
            closing += after
            kept += min(before, after)
    return Fraction(closing, opening), Fraction(kept, opening)


def written(made: object) -> bytes:
    return (json.dumps(made, ensure_ascii=False, indent=1) + "\n").encode()


def lines_of(objects: list[Json]) -> bytes:
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    return "".join(encode(one) + "\n" for one in objects).encode()


def files(account: Account) -> dict[str, bytes]:
    """File name → content; lists are not compressed yet."""
    about = {"now": NOW, "timezone": ZONE, "label": LABEL, "seed": SEED}
    found = {
        f"{kind}.jsonl.gz": lines_of(objects)
        for kind, objects in account.snapshot().items()
    }
    return found | {
        "account.json": written(about),
        "expected_mrr.json": written(closing_mrr(account.evidenced_mrr())),
        "README": README.encode(),
    }


def packed(name: str, content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0) if name.endswith(".gz") else content


def figures(account: Account) -> Iterator[str]:
    """What the run prints."""
    true = account.true_mrr()
    for currency, months in closing_mrr(true).items():
        nrr, grr = (
            f"{float(100 * ratio):.2f} %" for ratio in retention(true, currency)
        )
        paying = sum(
            steps[-1].mrr_minor > 0
            for (_, paid_in), steps in true.items()
            if paid_in == currency and steps
        )
        yield (
            f"{currency}: MRR {months['2026-10'] / 100:,.2f}, {paying} paying, "
            f"trailing 12 months NRR {nrr}, GRR {grr}"
        )
    kinds = {kind: len(objects) for kind, objects in account.snapshot().items()}
    yield ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def main() -> None:
    account = played()
    FOLDER.mkdir(parents=True, exist_ok=True)
    size = 0
    for name, content in files(account).items():
        size += (FOLDER / name).write_bytes(packed(name, content))
    sys.stdout.write("\n".join(figures(account)) + f"\n{size:,} bytes in {FOLDER}\n")


if __name__ == "__main__":
    main()
