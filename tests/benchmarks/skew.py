"""``python -m tests.benchmarks.skew``: what deriving one customer costs, by its size.

Lines a CPU second of one who has many subscriptions, or one that is billed for many
items, for many days, or whose seats change all the time. ``--lines`` is the largest.
"""

import argparse
import time
from zoneinfo import ZoneInfo

from connector.core.policy import Policy, Rules
from connector.mrr.derive import derive
from connector.mrr.history import History
from tests.benchmarks.measure import machine
from tests.support.large_histories import LARGE

RULES = Rules(policy=Policy(), zone=ZoneInfo("Europe/Berlin"), code_version="benchmark")


def cpu_s(history: History) -> float:
    began_s = time.process_time()
    derive([history], RULES, 2**31)
    return time.process_time() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    largest = parser.parse_args().lines
    print(machine())
    print(f"{'':22}{'lines':>10}{'CPU s':>9}{'lines/CPU s':>14}")
    for name, large in LARGE.items():
        for lines in (largest // 100, largest // 10, largest):
            spent_s = cpu_s(large(lines))
            rate = lines / spent_s
            print(f"{name:22}{lines:10,}{spent_s:9.2f}{rate:14,.0f}", flush=True)


if __name__ == "__main__":
    main()
