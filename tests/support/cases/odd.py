"""``python -m tests.support.cases.odd`` writes fixtures/cases/: odd billing, a folder each.

What the billing engine does not play (``everyday``), told by hand. A case is a
function named for the folder, its docstring the README: a line for what happens and one
for the rule that it shows. ``expected.txt`` is worked out from the rules; ``pytest
--accept`` only writes it down.
"""

from collections.abc import Callable
from importlib import import_module

from tests.support import folders
from tests.support.told import Told

Case = Callable[[], Told]


def _cases() -> list[Case]:
    """The ``CASES`` of every file of odd cases."""
    groups = ("odd_bills", "odd_prices", "odd_customers")
    return [
        case
        for group in groups
        for case in import_module(f"tests.support.cases.{group}").CASES
    ]


CASES = _cases()


def main() -> None:
    for case in CASES:
        folders.write(case, case().looks())


if __name__ == "__main__":
    main()
