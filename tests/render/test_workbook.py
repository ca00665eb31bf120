"""The workbook: its formulas give the report's figures, and follow a change of cells."""

import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl  # type: ignore[import-untyped]
import pytest

from connector import reports
from connector.config import Config
from connector.render.workbook.cells import fitting, money_format, signed
from connector.render.workbook.window import FIRST
from connector.render.workbook.workbook import to_xlsx
from tests.support.books import key_of, lived, post
from tests.support.commands import Workdir
from tests.support.ledgers import empty_ledger
from tests.support.sheets import calculated, column, needs_libreoffice, read

SHEETS = ("Summary", "Window", "Movements", "Cohorts", "At risk", "Coverage")
RATIOS = {"nrr": "C4", "grr": "D4", "crr": "E4"}
PARTS = {
    "opening_minor": "C6",
    "new_minor": "D6",
    "reactivation_minor": "E6",
    "expansion_minor": "F6",
    "contraction_minor": "G6",
    "churn_minor": "H6",
    "closing_minor": "J6",
}
TAKEN = ("contraction_minor", "churn_minor")
ASKED = ("--window", "trailing-12", "--to")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    folder = tmp_path_factory.mktemp("demo") / "kept"
    assert Workdir(folder.parent).call("demo", "--keep", str(folder)).code == 0
    return Workdir(folder)


@pytest.fixture(scope="module")
def path(demo: Workdir) -> Path:
    found = demo.folder / "nrr.xlsx"
    assert demo.call("report", "--format", "xlsx", "-o", str(found)).code == 0
    return found


@pytest.fixture(scope="module")
def told(demo: Workdir) -> dict[str, Any]:
    """The headline of each currency, by the sheet that has it by customer."""
    report = demo.call("report", "--format", "json").json
    sheets = ["Window"]
    sheets += [f"Window {x['currency'].upper()}" for x in report["currencies"][1:]]
    return {
        sheet: next(x for x in part["windows"] if x["complete"])
        for sheet, part in zip(sheets, report["currencies"], strict=True)
    }


def holds(book: Any, told: dict[str, Any]) -> None:
    for name, window in told.items():
        sheet = book[name]
        for ratio, cell in RATIOS.items():
            assert f"{sheet[cell].value:.6f}" == f"{window['retention'][ratio]:.6f}"
        for part, cell in PARTS.items():
            sign = -1 if part in TAKEN else 1
            expected = sign * Decimal(window["waterfall"][part]) / 100
            assert round(Decimal(sheet[cell].value), 2) == expected
        assert sheet["K6"].value == 0


def test_what_the_file_carries_is_the_report(path: Path, told: dict[str, Any]) -> None:
    holds(read(path), told)


@needs_libreoffice
def test_what_is_calculated_anew_is_the_report(
    path: Path, told: dict[str, Any]
) -> None:
    book = calculated(path)
    holds(book, told)
    carried = read(path)
    for name in told:
        for letter in "FGH":
            pairs = zip(
                column(book[name], letter, FIRST),
                column(carried[name], letter, FIRST),
                strict=True,
            )
            assert all((a or 0) == pytest.approx(b or 0) or a == b for a, b in pairs)
    assert book["Summary"]["B4"].value == pytest.approx(book["Window"]["C4"].value)


@needs_libreoffice
@pytest.mark.parametrize("cell", ["D", "E"])
def test_ratios_follow_a_cell_that_is_changed(path: Path, cell: str) -> None:
    """By hand: Σe ÷ Σs, Σ min(s, e) ÷ Σs and the customers who stayed."""
    sheet = read(path)["Window"]
    opening = column(sheet, "D", FIRST)
    row = FIRST + next(n for n, value in enumerate(opening) if value)

    def change(book: Any) -> None:
        book["Window"][f"{cell}{row}"] = 0 if cell == "E" else 1234.5

    found = calculated(path, change)["Window"]
    pairs = [
        (Decimal(str(s)), Decimal(str(e)))
        for s, e in zip(
            column(found, "D", FIRST), column(found, "E", FIRST), strict=True
        )
        if s
    ]
    base = sum(s for s, _ in pairs)
    hand = (
        sum(e for _, e in pairs) / base,
        sum(min(pair) for pair in pairs) / base,
        Decimal(sum(e > 0 for _, e in pairs)) / len(pairs),
    )
    for ratio, at in zip(hand, RATIOS.values(), strict=True):
        assert f"{found[at].value:.6f}" == f"{ratio:.6f}"
    assert found["C4"].value != sheet["C4"].value
    assert found["K6"].value == 0  # the waterfall still adds up


def test_each_sheet_is_there_and_ready_to_print(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    assert [name for name in book.sheetnames if "Window " not in name] == [
        *SHEETS,
        "What counts",
    ]
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.page_setup.fitToHeight == 0
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
    for name in ("Window", "Movements", "At risk", "What counts"):
        assert book[name].freeze_panes
        assert book[name].auto_filter.ref
        assert book[name].print_title_rows
    with zipfile.ZipFile(path) as file:
        charts = [name for name in file.namelist() if "/charts/chart" in name]
    assert len(charts) == 4  # two a currency


def test_days_and_amounts_are_no_texts(path: Path) -> None:
    sheet = read(path)["Movements"]
    day, *_, before, after, change, _ = next(sheet.iter_rows(min_row=3))
    assert isinstance(day.value, datetime)
    assert before.value + change.value == pytest.approx(after.value)
    assert "$" in change.number_format


def test_what_counts_can_be_checked(path: Path) -> None:
    rows = read(path)["What counts"].iter_rows(values_only=True)
    told = {row[0]: row[1] for row in rows}
    assert told["Command"] == "stripe-nrr report --format xlsx -o nrr.xlsx"
    assert isinstance(told["Known until"], datetime)
    assert told["past_due"] == "counts"


# Whatever a customer is called


HOSTILE = {
    "a formula": "=cmd|'/c calc'!A1",
    "a sum": "@SUM(1)",
    "a number": "0123",
    "a link": "https://example.com/x",
    "an escape of Excel's": "_x0041_",
    "a control": "a\x1b[31m\x00b",
    "very long": "x" * 40_000,
    "very long, in two units": "😀" * 20_000,
}


def workbook(
    lives: dict[str, tuple[str, str]], currency: str = "usd", **asked: Any
) -> bytes:
    """Of customers by label: an id and a life, in months from 2024 on."""
    with empty_ledger() as connection:
        for label, (key, life) in lives.items():
            post(connection, lived(key, life, currency))
            key_of(connection, key, label)
        config, now = Config(zone=ZoneInfo("UTC")), datetime(2025, 6, 15, tzinfo=UTC)
        ledger = reports.Ledger(connection, config, now)
        request = reports.ReportRequest(**asked)
        return to_xlsx(reports.make_workbook(ledger, request), "stripe-nrr report")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_name_is_a_text(name: str) -> None:
    made = workbook({name: ("cus_1", "50 " * 18), "B": ("cus_2", "20 " * 18)})
    sheet = openpyxl.load_workbook(io.BytesIO(made))["Window"]
    cells = {sheet[f"B{n}"].value: sheet[f"A{n}"] for n in (FIRST, FIRST + 1)}
    found = cells["cus_1"]
    assert found.data_type == "s"
    assert found.hyperlink is None
    assert len(found.value.encode("utf-16-le")) // 2 <= 32_767
    assert not any(x < " " for x in found.value)
    assert found.value[:4] in (name[:4], name[:1] + "\\x1")
    if name.startswith(("=", "@")):
        assert found.quotePrefix  # a text also when it is edited


def test_what_is_too_long_is_cut_at_a_character() -> None:
    assert fitting("short") == "short"
    assert fitting("😀" * 20_000) == "😀" * 16_383 + "…"


@pytest.mark.parametrize(
    ("currency", "locale", "expected"),
    [
        ("usd", "en_US", '"$"#,##0.00'),
        ("eur", "de_DE", '#,##0.00"\N{NO-BREAK SPACE}€"'),
        ("jpy", "en_US", '"¥"#,##0'),
        ("kwd", "en_US", '"KWD"#,##0.000'),
    ],
)
def test_amounts_are_written_as_their_currency_is(
    currency: str, locale: str, expected: str
) -> None:
    assert money_format(currency, locale) == f'{expected};-{expected};"–"'
    assert signed(money_format(currency, locale)).startswith(f"+{expected};-")


def test_yen_have_no_decimals() -> None:
    made = workbook({"A": ("cus_1", "5000 " * 18)}, "jpy")
    cell = openpyxl.load_workbook(io.BytesIO(made))["Window"][f"D{FIRST}"]
    assert cell.value == 5000
    assert "0.0" not in cell.number_format


def test_a_year_is_twelve_times_a_month() -> None:
    lives = {"A": ("cus_1", "50 " * 18)}
    month, year = (
        openpyxl.load_workbook(io.BytesIO(made))["Window"][f"E{FIRST}"].value
        for made in (workbook(lives), workbook(lives, arr=True))
    )
    assert year == month * 12


def test_nobody_yet() -> None:
    with zipfile.ZipFile(io.BytesIO(workbook({"A": ("cus_1", "0 0 50")}))) as file:
        assert file.testzip() is None


def test_it_needs_a_file(demo: Workdir) -> None:
    found = demo.call("report", "--format", "xlsx")
    assert found.code == 2
    assert "-o nrr.xlsx" in found.err


def test_it_is_of_all_customers(demo: Workdir) -> None:
    asked = ("report", "--format", "xlsx", "-o", "x.xlsx", "--segment", "interval=year")
    assert demo.call(*asked).code == 2
