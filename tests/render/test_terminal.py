"""Tables on a terminal of any width: no figure and no id is cut, and nothing is lost."""

import re
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from connector.render.table import Cell, Money, Table
from connector.render.terminal import FittedTable, console

names = st.text("abcdefgh Ünß世", min_size=1, max_size=30)
minors = st.integers(-(10**10), 10**10)
rows = st.lists(
    st.tuples(names, st.lists(minors, min_size=5, max_size=5)), min_size=1, max_size=4
)


def printed(found: FittedTable, width: int) -> str:
    out = console(width=width)
    with out.capture() as captured:
        out.print(found)
    return captured.get()


def table(told: list[tuple[str, list[int]]]) -> Table:
    cells: list[list[Cell]] = [
        [date(2026, 10, 1), name, *(Money(minor, "eur", signed=True) for minor in own)]
        for name, own in told
    ]
    heads = ("Day", "Customer", "Opening", "New", "Churn", "Closing", "NRR")
    return Table(heads, cells, frozenset(range(2, 7)))


@given(told=rows, width=st.integers(50, 160))
def test_every_figure_is_whole_at_any_width(
    told: list[tuple[str, list[int]]], width: int
) -> None:
    found = table(told)
    text = printed(FittedTable(found, "en_US", unwrapped=(0,)), width)
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    words = text.split()
    for row in found.texts("en_US"):
        assert set(row[2:]) <= set(words)
    for head in found.heads[1:]:
        assert head in words
    letters = "".join(re.sub(r"\s", "", name) for name, _ in told)
    assert not set(letters) - set(text)


def test_columns_to_spare_go_only_where_the_others_fit_then_and_it_is_said() -> None:
    found = table([("Alba", [1_000_00, 2_00, 3_00, 4_00, 5_00])])
    fitted = FittedTable(found, "en_US", unwrapped=(0,), spare=("Opening",))
    wide, narrow, narrowest = (printed(fitted, width) for width in (90, 62, 40))
    assert "+€1,000.00" in wide
    assert "Left out" not in wide
    assert "+€1,000.00" not in narrow
    assert "Left out, as there is no room: Opening." in " ".join(narrow.split())
    assert "+€1,000.00" in narrowest
    assert "Left out" not in narrowest
    assert narrowest.count("2026-10-01") > 1  # each block begins with the first column
