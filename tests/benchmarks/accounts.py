"""What it takes to add up many ledgers: `python -m tests.benchmarks.accounts`.

Each ledger has some hundred customers of its own; of the first ten one in ten is of a
company that another one of these has, too. Printed: CPU seconds in all, and milliseconds
a ledger, of the report of the usual windows and of one by account, which reads everybody.
"""

import argparse
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from connector.accounts.ledger import open_accounts
from connector.config import Config
from connector.reports import ReportRequest, make_report
from connector.reports.ledger import Ledger
from tests.support.accounts import NOW, Book, configs, write
from tests.support.books import lived

LIVES = ("50 . 90 . . 40", "30 0 . 30", "90 . . 120 0", "20 . . . 25 . 30")
KINDS = 10  # ledgers that share companies; all others are copies of one without any


def book_of(number: int, customers: int) -> Book:
    paid, company_of = {}, {}
    for each in range(customers):
        name = f"cus_{number}_{each}"
        late = " ".join(["."] * (each % 12))
        paid[name] = lived(name, f"{late} {LIVES[each % len(LIVES)]}".strip())
        if each % 10 == 0 and number < KINDS:
            company_of[name] = f"company {(number + each % 2) % KINDS}-{each // 20}"
    return Book(paid, company_of)


def lay_out(folder: Path, ledgers: int, customers: int) -> list[Config]:
    names = [f"account-{number:04}" for number in range(ledgers)]
    for number, name in enumerate(names):
        path = folder / f"{name}.db"
        if number <= KINDS:
            write(path, [book_of(number, customers)])
        else:
            shutil.copy(folder / f"{names[KINDS]}.db", path)
    return configs(folder, names)


def cost_s(accounts: list[Config], report: Callable[[Ledger], object]) -> float:
    before = time.process_time()
    with open_accounts(Config(), accounts, NOW) as ledger:
        report(ledger)
    return time.process_time() - before


def main(ledgers: int = 1_000, customers: int = 100) -> list[tuple[str, float]]:
    by = ReportRequest(by="account")
    with TemporaryDirectory() as text:
        accounts = lay_out(Path(text), ledgers, customers)
        cost_s(accounts[:2], make_report)  # imports
        found = [
            ("the usual windows", cost_s(accounts, make_report)),
            ("by account", cost_s(accounts, lambda ledger: make_report(ledger, by))),
        ]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(f"{ledgers:,} ledgers of {customers} customers each; peak {peak_mb:,.0f} MB")
    for name, cpu_s in found:
        print(f"{name:<20}{cpu_s:8.2f} CPU s{1_000 * cpu_s / ledgers:8.2f} ms a ledger")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=1_000)
    parser.add_argument("--customers", type=int, default=100)
    main(**vars(parser.parse_args()))
