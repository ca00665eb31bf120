"""``python -m tests.support.cases.odd`` writes fixtures/cases/: odd billing, a folder each.

What the billing engine does not play (``everyday``), told by hand. A case is a
function named for the folder, its docstring the README: a line for what happens and one
for the rule that it shows. Beside it in ``CASES`` stands its MRR, worked out by hand from
its prices and the rules; ``pytest --accept`` writes down ``expected.txt``, whose amounts
must be the same.

    "2025-01-15 1000, 2025-02-15 eur 900"   $10 from 15 January on, €9 from 15 February
    "2025-01-15 cus_new 0"                  nothing more: of cus_new, not of cus_1
"""

from collections.abc import Callable, Mapping
from datetime import date

from tests.support import folders
from tests.support.cases import (
    odd_bills,
    odd_customers,
    odd_discounts,
    odd_prices,
    odd_times,
)
from tests.support.folders import MrrFrom
from tests.support.told import Told

Case = Callable[[], Told]
CASES: Mapping[Case, str] = {
    **odd_bills.CASES,
    **odd_prices.CASES,
    **odd_discounts.CASES,
    **odd_customers.CASES,
    **odd_times.CASES,
}


def worked_out(case: Case) -> list[MrrFrom]:
    """What the hand says of a case, in the order of days."""
    return sorted(_mrr_from(cell) for cell in CASES[case].split(", ") if cell)


def _mrr_from(cell: str) -> MrrFrom:
    day, *whose, amount_minor = cell.split()
    customers = [word for word in whose if word.startswith("cus_")] or ["cus_1"]
    currencies = [word for word in whose if word not in customers] or ["usd"]
    [customer], [currency] = customers, currencies
    return MrrFrom(date.fromisoformat(day), customer, currency, int(amount_minor))


def main() -> None:
    for case in CASES:
        folders.write(case, case().looks())


if __name__ == "__main__":
    main()
