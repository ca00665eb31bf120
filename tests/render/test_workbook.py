"""The workbook: its formulas give the report's figures, and follow a change of cells."""

import io
import sys
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl  # type: ignore[import-untyped]
import pytest

from connector import reports
from connector.config import Config
from connector.core.errors import MissingExtra
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
RATE_MONTHS = [
    f"{year}-{month:02}" for year in (2023, 2024, 2025, 2026) for month in range(1, 13)
]
DAY = timedelta(days=1)
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
    return headlines(demo)


def headlines(demo: Workdir, *words: str) -> dict[str, Any]:
    """The headline of each currency, by the sheet that has it by customer."""
    report = demo.call("report", *words, "--format", "json").json
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


@needs_libreoffice
def test_in_german_it_calculates_the_same(
    demo: Workdir, told: dict[str, Any], tmp_path: Path
) -> None:
    """Kinds are words of the formulas, so these are translated with the rows."""
    own = (demo.folder / "config.toml").read_text()
    (demo.folder / "de.toml").write_text(f'{own}\n[reporting]\nlanguage = "de"\n')
    found = tmp_path / "nrr.xlsx"
    asked = ("report", "--format", "xlsx", "-o", str(found))
    assert demo.call("--config", "de.toml", *asked).code == 0
    book = calculated(found)
    german = {name.replace("Window", "Zeitraum"): x for name, x in told.items()}
    holds(book, german)


# What a configuration and a reader add


@pytest.fixture(scope="module")
def whole(demo: Workdir) -> Path:
    """With a total, segments, a note and goals."""
    days = [f"{month}-{day:02}" for month in RATE_MONTHS for day in range(1, 29)]
    rates = "".join(f"{x},usd,{0.95 if x < '2026-02' else 0.9}\n" for x in days)
    (demo.folder / "rates.csv").write_text(f"date,currency,rate\n{rates}")
    own = (demo.folder / "config.toml").read_text()
    (demo.folder / "total.toml").write_text(
        f'{own}\n[reporting]\ncurrency = "eur"\nrates = "rates.csv"\n'
        "[goals]\nnrr = 1.20\n"
    )
    assert demo.call("note", "2026-03", "=price rise").code == 0
    found = demo.folder / "total.xlsx"
    asked = ("report", "--by", "interval", "--format", "xlsx", "-o", str(found))
    assert demo.call("--config", "total.toml", *asked).code == 0
    return found


@needs_libreoffice
def test_the_total_s_sheet_is_the_total(demo: Workdir, whole: Path) -> None:
    """Calculated anew; amounts of a total need not be whole minor units."""
    asked = ("report", "--currency", "total", "--format", "json")
    report = demo.call("--config", "total.toml", *asked).json
    window = next(x for x in report["total"]["windows"] if x["complete"])
    book = calculated(whole)
    assert [name for name in book.sheetnames if name.startswith("Window")] == [
        *("Window", "Window USD", "Window EUR")
    ]
    sheet = book["Window"]
    for ratio, cell in RATIOS.items():
        assert f"{sheet[cell].value:.6f}" == f"{window['retention'][ratio]:.6f}"
    flow = window["waterfall"]
    for part, cell in {**PARTS, "fx_minor": "I6"}.items():
        sign = -1 if part in TAKEN else 1
        assert sheet[cell].value == pytest.approx(sign * flow[part] / 100, abs=0.011)
    assert sheet["K6"].value == 0


def test_a_segment_is_a_row_of_each_window(demo: Workdir, whole: Path) -> None:
    asked = ("report", "--by", "interval", "--format", "json")
    report = demo.call("--config", "total.toml", *asked).json
    rows = [*read(whole)["Segments"].iter_rows(values_only=True)]
    told, nrr = [], 0
    for row in rows:
        nrr = row.index("NRR") if "NRR" in row else nrr  # a total has a column of FX
        if row[1] in ("month", "year") and isinstance(row[nrr], float):
            told.append((row[0], row[1], f"{row[nrr]:.6f}"))
    expected = [
        (f"12 months to {last}", each["segment"], f"{each['retention']['nrr']:.6f}")
        for part in [report["total"], *report["currencies"]]
        for window in part["windows"]
        for last in [f"{date.fromisoformat(window['to']) - DAY:%b %Y}"]
        for each in window["segments"]
    ]
    assert len(expected) == 6
    assert [each for each in told if each in expected] == expected


def test_a_note_and_a_goal_are_on_the_first_sheet(whole: Path) -> None:
    cells = [cell for [cell] in read(whole)["Summary"].iter_rows(max_col=1)]
    told = [cell.value for cell in cells if cell.value]
    assert any(str(text).startswith("Mar 2026: =price rise") for text in told)
    assert sum("is below the goal of 120.0%" in str(text) for text in told) == 3


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


def test_a_command_that_its_column_is_too_narrow_for_takes_more_lines(
    path: Path,
) -> None:
    sheet = openpyxl.load_workbook(path)["What counts"]
    rows = {row[0].value: row[1] for row in sheet.iter_rows()}
    later, command = rows["Later"], rows["Command"]
    assert later.alignment.wrap_text, "or the words beside it would hide its moment"
    assert sheet.row_dimensions[later.row].height > 30, "two lines"
    assert not command.alignment.wrap_text


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
        with TemporaryDirectory() as folder:
            made = reports.make_workbook(ledger, request)
            return to_xlsx(made, "stripe-nrr report", folder)


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


def test_with_a_segment_it_is_of_these_customers_alone(
    demo: Workdir, tmp_path: Path
) -> None:
    segments = ("--segment", "interval=month", "--segment", "country=US")
    only = ("--currency", "usd", *segments)
    made = tmp_path / "some.xlsx"
    assert demo.call("report", *only, "--format", "xlsx", "-o", str(made)).code == 0
    book, told = read(made), headlines(demo, *only)
    holds(book, told)
    assert {"Cohorts", "Coverage"}.isdisjoint(book.sheetnames), "which are of all"
    rows = book["What counts"].iter_rows(values_only=True)
    facts = {row[0]: row[1] for row in rows}
    assert facts["Customers"] == "only interval month and country US"
    assert (
        facts["Command"]
        == f"stripe-nrr report {' '.join(only)} --format xlsx -o nrr.xlsx"
    )
    last = date.fromisoformat(told["Window"]["to"]) - DAY
    span = ("--from", told["Window"]["from"], "--to", str(last))
    moved = demo.call("movements", *only, *span, "--format", "json").json["movements"]
    listed = [x for x in column(book["Movements"], "C", 3) if x is not None]
    assert listed == [each["customer"] for each in moved]


def test_without_its_library_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(MissingExtra) as found:
        workbook({"A": ("cus_1", "50 " * 18)})
    assert "stripe-nrr[xlsx]" in found.value.fix
