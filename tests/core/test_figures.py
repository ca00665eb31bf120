"""The figures of a window by name: all of them, and where they are kept."""

from datetime import date

import pytest

from connector.core.figures import (
    FIGURES,
    SUMMED,
    TERMS,
    Renewals,
    Retention,
    Waterfall,
    WindowFigures,
    reading,
    window_figures,
)
from connector.core.windows import Window, WindowKind
from tests.support.ledgers import empty_ledger

WINDOW = Window(WindowKind.MONTH, date(2024, 1, 1), date(2024, 2, 1))


def numbered(
    figures: type[Waterfall | Retention | Renewals], first: int
) -> dict[str, int]:
    return {name: first + n for n, name in enumerate(figures.__struct_fields__)}


ALL = WindowFigures(
    WINDOW,
    Waterfall(**numbered(Waterfall, 100)),
    Retention(**numbered(Retention, 200)),
    300,
    Renewals(**numbered(Renewals, 400)),
)


def test_every_figure_has_a_name_and_is_found_by_it() -> None:
    told = dict(zip(FIGURES, reading(FIGURES)(ALL), strict=True))
    assert len(set(told.values())) == len(FIGURES) == 20
    assert told["opening_minor"] == ALL.waterfall.opening_minor
    assert told["base_opening_minor"] == ALL.retention.opening_minor
    assert told["terms_renewed"] == 401
    assert window_figures(WINDOW, told) == ALL


def test_without_those_of_terms_renewals_are_not_known() -> None:
    names = [name for name in FIGURES if not name.startswith(TERMS)]
    told = dict(zip(names, reading(names)(ALL), strict=True))
    assert window_figures(WINDOW, told) == ALL._replace(renewals=None)


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ("window_sums", set(SUMMED)),
        ("closed_figures", {n for n in FIGURES if not n.startswith(TERMS)}),
    ],
)
def test_a_table_has_a_column_for_each_figure_that_it_keeps(
    table: str, kept: set[str]
) -> None:
    with empty_ledger() as connection:
        rows = connection.execute("SELECT name FROM pragma_table_info(?)", [table])
        columns = {name for (name,) in rows}
    days = {"month", "currency", "kind", "start", "end", "first_day", "end_day"}
    days |= {"closing"}  # whose figures they are
    assert columns - days == kept
