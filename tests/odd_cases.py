"""``python -m tests.odd_cases`` writes fixtures/<case>/: odd billing, a folder each.

What the billing engine does not play (``tests.cases``), told by hand. A case is a
function named for the folder, its docstring the README: a line for what happens and one
for the rule that it shows. ``expected.txt`` is worked out from the rules; ``pytest
--accept`` only writes it down.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from tests import folders
from tests.told import Told

Case = Callable[[], Told]


def _cases() -> list[Case]:
    """The ``CASES`` of every file of odd cases."""
    rooms = ("tests.odd_bills", "tests.odd_prices", "tests.odd_customers")
    return [
        case
        for room in rooms
        if find_spec(room) is not None
        for case in import_module(room).CASES
    ]


CASES = _cases()


def main() -> None:
    for case in CASES:
        folders.write(case, case().looks())


if __name__ == "__main__":
    main()
