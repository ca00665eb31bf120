"""Customers in companies, drawn anew at random again and again, beside addition alone:
`python -m tests.benchmarks.companies`.

Printed: what deriving them costs each time, and whether every movement is what the
customers' own ones add up to; at last, without the key, whether all is as it began.
"""

import argparse
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from connector.core.policy import NO_COMPANIES, CompanyRule
from connector.store.ledger import queries
from connector.store.opening import open_database
from tests.benchmarks.many_customers import NOW_S, fill
from tests.support.companies import KEY, added_up, belong, booked
from tests.support.ledgers import settle

S = 1_000_000
TOLD_AFTER = 10  # times


def _opened(folder: str) -> sqlite3.Connection:
    """In a file: what is booked anew so often is more than memory holds of a ledger."""
    return open_database(Path(folder) / "ledger.db", create=True)


def main(customers: int, companies: int, times: int, moved: int) -> bool:
    drawn = random.Random(18)
    with TemporaryDirectory() as folder, closing(_opened(folder)) as db:
        fill(db, customers)
        alone = settle(db, NOW_S).movements
        everybody = [
            c for (c,) in db.execute("SELECT id FROM stripe_customers ORDER BY id")
        ]
        rule, company_of, spent_s = CompanyRule(key=KEY), dict[str, str](), 0.0
        is_right = True
        for turn in range(1, times + 1):
            some = everybody if turn == 1 else drawn.sample(everybody, moved)
            now = {c: f"company {drawn.randrange(companies)}" for c in some}
            company_of |= now
            belong(db, now, (NOW_S + turn) * S)
            before = time.process_time()
            settle_s = NOW_S + turn
            found = settle(db, settle_s, company=rule).movements
            spent_s += time.process_time() - before
            is_right &= booked(found) == added_up(alone, company_of)
            if not turn % TOLD_AFTER:
                right = "right" if is_right else "WRONG"
                print(f"{turn}: {spent_s / turn:.2f} CPU s each, {right}", flush=True)
        restored = settle(db, NOW_S + times + 1, company=NO_COMPANIES).movements
        is_right &= restored == alone == list(queries.movements(db))
    print(
        f"{customers:,} customers in {companies:,} companies, {times} times, "
        f"{moved:,} moved each: {spent_s / times:.2f} CPU s each with all of them read, "
        f"{'every movement as added up' if is_right else 'WRONG'}"
    )
    return is_right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--companies", type=int, default=2_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--moved", type=int, default=1_000)
    raise SystemExit(not main(**vars(parser.parse_args())))
