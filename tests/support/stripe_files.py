"""``python -m tests.support.stripe_files`` writes fixtures/reconcile/.

The demo business in a file as Stripe hands it out: a year of *MRR per subscriber per
month*, of an account whose owner had churn count when it is asked for.
"""

import sys

from tests.billing import demo
from tests.billing.stripe_mrr import (
    StripeSettings,
    by_month,
    stripe_mrr,
    subscriber_months_csv,
)
from tests.support.folders import FIXTURES

SETTINGS = StripeSettings(churn_when_requested=True)
FIRST, LAST = "2025-11", "2026-10"
PATH = FIXTURES / "reconcile" / "mrr_per_subscriber.csv"


def text() -> str:
    account = demo.played()
    months = by_month(stripe_mrr(account, SETTINGS), account.now, demo.ZONE)
    year = {
        grain: {name: n for name, n in own.items() if FIRST <= name <= LAST}
        for grain, own in months.items()
    }
    return subscriber_months_csv(
        {grain: own for grain, own in year.items() if any(own.values())}
    )


def main() -> None:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{PATH.stat().st_size:,} bytes in {PATH}\n")


if __name__ == "__main__":
    main()
