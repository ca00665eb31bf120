"""NRR and GRR are worked out in one place, and every form shows that result.

A new form (a page, an export, a metric for a monitor) is a row of ``FORMS``.
"""

import ast
import csv
import io
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from connector import config
from connector.core.dates import add_months, local_day
from connector.core.money import format_ratio, ratio_number
from connector.core.windows import Window, WindowKind, name_of, windows
from connector.metrics.contributions import Ratio, between
from connector.metrics.published_formulas import FormulaMetric, side_by_side
from connector.metrics.retention import balances
from connector.metrics.rollups import CustomerBooks, differences, figures_of
from connector.metrics.wide.columns import columns_of_flows
from connector.metrics.wide.formula_inputs import window_inputs
from connector.render.page.page import to_html
from connector.render.report.csv_form import to_csv
from connector.render.report.json_form import to_json
from connector.render.report.tables import to_markdown
from connector.render.report.terminal import report_view
from connector.render.terminal import console
from connector.reports.ledger import Ledger
from connector.reports.model import Report
from connector.reports.page import make_page
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import queries, rollups
from connector.webhooks.headlines import headlines
from connector.webhooks.health import unreadable
from connector.webhooks.prometheus import ServerMetrics
from tests.store.test_ledger import Books, books, written
from tests.support.books import post
from tests.support.ledgers import empty_ledger, settle
from tests.support.pages import parsed
from tests.support.source import PACKAGE, calls, modules, texts
from tests.support.synced import demo_now_s, walked_demo

Place = tuple[str, WindowKind, str]  # currency, kind, the window's name
Pair = tuple[object, object]  # NRR and GRR as a form writes them
Told = Mapping[Place, Pair]
Exact = Mapping[Place, tuple[Fraction | None, Fraction | None]]


class Span(NamedTuple):
    """The months that are asked for, and a moment after them."""

    first: date
    last: date
    now: datetime


SETTINGS = config.parse('timezone = "Europe/Berlin"', {})


# --- the definition, in the plainest way there is ---


def defined(db: sqlite3.Connection, span: Span) -> Exact:
    """Σe ÷ Σs and Σ min(s, e) ÷ Σs of every window, from the movements alone."""
    moved: dict[str, list[tuple[str, date, int]]] = {}
    for each in queries.movements(db):
        place = (each.customer, each.day, each.amount_minor)
        moved.setdefault(each.currency, []).append(place)
    return {
        (currency, window.kind, name_of(window)): _ratios(own, window)
        for currency, own in moved.items()
        for window in asked(span)
    }


def asked(span: Span) -> list[Window]:
    return [w for kind in WindowKind for w in windows(kind, span.first, span.last)]


def _ratios(
    moved: Sequence[tuple[str, date, int]], window: Window
) -> tuple[Fraction | None, Fraction | None]:
    def paid(customer: str, day: date) -> int:
        return sum(n for who, when, n in moved if who == customer and when < day)

    customers = sorted({who for who, _, _ in moved})
    pairs = [(paid(c, window.start), paid(c, window.end)) for c in customers]
    s = sum(start for start, _ in pairs)
    if s == 0:
        return None, None
    e = sum(end for start, end in pairs if start)
    kept = sum(min(start, end) for start, end in pairs)
    return Fraction(e, s), Fraction(kept, s)


# --- the forms ---


def reports(db: sqlite3.Connection, span: Span) -> Iterator[tuple[WindowKind, Report]]:
    for kind in WindowKind:
        wanted = ReportRequest(kind, span.first, span.last)
        yield kind, make_report(Ledger(db, SETTINGS, span.now), wanted)


def in_json(db: sqlite3.Connection, span: Span) -> Told:
    return {
        (part["currency"], kind, name_of(window)): (kept["nrr"], kept["grr"])
        for kind, report in reports(db, span)
        for part in to_json(report)["currencies"]
        for told in part["windows"]
        for window, kept in [(_window(told), told["retention"])]
    }


def _window(told: Mapping[str, str]) -> Window:
    first, end = (date.fromisoformat(told[name]) for name in ("from", "to"))
    return Window(WindowKind(told["window"]), first, end)


def in_csv(db: sqlite3.Connection, span: Span) -> Told:
    return {
        (row["currency"], kind, name_of(_window(row))): (row["nrr"], row["grr"])
        for kind, report in reports(db, span)
        for row in csv.DictReader(io.StringIO(to_csv(report)))
    }


def in_markdown(db: sqlite3.Connection, span: Span) -> Told:
    found: dict[Place, Pair] = {}
    for kind, report in reports(db, span):
        currency = ""
        for line in to_markdown(report, "en_US").splitlines():
            currency = _title(line) or currency
            cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
            if currency and len(cells) > 4 and cells[0] and cells[0][0] != "-":
                place = (currency, kind, cells[0])
                found.setdefault(place, (cells[-3], cells[-2]))  # of the first table
    return found


def in_text(db: sqlite3.Connection, span: Span) -> Told:
    found: dict[Place, Pair] = {}
    for kind, report in reports(db, span):
        currency = ""
        out = console(width=220)
        with out.capture() as captured:
            out.print(report_view(report, "en_US"))
        names = [name_of(window) for window in asked(span) if window.kind is kind]
        for line in captured.get().splitlines():
            currency = _title(line) or currency
            words = line.split()
            for name in names:
                if line.strip().startswith(f"{name} ") and len(words) > 8:
                    place = (currency, kind, name)
                    found.setdefault(
                        place, (words[-3], words[-2])
                    )  # of the first table
    return found


def _title(line: str) -> str:
    """The currency, where a line begins its part of a report."""
    title = re.search(r"Recurring revenue.*\b([A-Z]{3})$", line.strip())
    return title[1].lower() if title else ""


def in_page(db: sqlite3.Connection, span: Span) -> Told:
    """The tables behind a page's charts; nothing before a currency's first customer."""
    found: dict[Place, Pair] = {}
    for kind in (WindowKind.MONTH, WindowKind.QUARTER, WindowKind.YEAR):
        wanted = ReportRequest(kind, span.first, span.last, trend=True)
        page = parsed(to_html(make_page(Ledger(db, SETTINGS, span.now), wanted)))
        for part in page.all("section", class_="part"):
            currency = part.attributes["id"]
            lines, bars = (
                figures.all("table")[0].rows()
                for figures in part.all("details", class_="numbers")
                if figures.all("summary")[0].text in BEHIND
            )
            for told, name, prefix in (
                (lines, WindowKind.TRAILING_12, "12 months to "),
                (bars, kind, ""),
            ):
                nrr, grr = (told[0].index(each) for each in ("NRR", "GRR"))
                for row in told[1:]:
                    place = (currency, name, prefix + row[0].rstrip(" *"))
                    found[place] = (row[nrr], row[grr])
    return found


BEHIND = ("The numbers behind these two charts", "The numbers behind this chart")


def in_views(db: sqlite3.Connection, span: Span) -> Told:
    """The views go on to the last month with a movement."""
    found: dict[Place, Pair] = {}
    views = {
        "nrr_by_month": WindowKind.MONTH,
        "nrr_trailing_12": WindowKind.TRAILING_12,
    }
    for view, kind in views.items():
        rows = db.execute(f"SELECT currency, month, nrr, grr FROM {view}")  # noqa: S608
        for currency, month, nrr, grr in rows:
            day = date.fromisoformat(f"{month}-01")
            if span.first <= day <= span.last:
                [window] = windows(kind, day, day)
                found[currency, kind, name_of(window)] = (nrr, grr)
    return found


def in_window_sums(db: sqlite3.Connection, span: Span) -> Told:
    """The sums that a derivation keeps; here of movements that were posted as well."""
    if not Ledger(db, SETTINGS, span.now).is_whole:
        posted = [
            (c, flow) for c in queries.currencies(db) for flow in queries.flows(db, c)
        ]
        rollups.clear(db)
        rollups.add(db, differences([], [CustomerBooks(tuple(posted))]))
    return {
        (currency, kept.window.kind, name_of(kept.window)): (
            kept.retention.nrr,
            kept.retention.grr,
        )
        for currency in rollups.currencies(db)
        for kept in figures_of(rollups.deltas(db, currency, asked(span)), asked(span))
    }


def in_exposition(db: sqlite3.Connection, span: Span) -> Told:
    """What a monitor is told of the trailing windows; nothing where there is no ratio."""
    found: dict[Place, Pair] = {}
    pulse = unreadable(sqlite3.Error())
    for window in asked(span):
        if window.kind is not WindowKind.TRAILING_12:
            continue
        last = add_months(window.end, -1)
        wanted = ReportRequest(window.kind, last, last)
        figures = headlines(make_report(Ledger(db, SETTINGS, span.now), wanted))
        text = ServerMetrics().exposition(pulse, figures).decode()
        for currency in queries.currencies(db):
            pair = [
                _sample(text, f'trailing_12_{name}_ratio{{currency="{currency}"}}')
                for name in ("nrr", "grr")
            ]
            found[currency, window.kind, name_of(window)] = (pair[0], pair[1])
    return found


def _sample(text: str, series: str) -> float | None:
    told = re.search(rf"^stripe_nrr_{re.escape(series)} (.+)$", text, re.MULTILINE)
    return float(told[1]) if told else None


def in_drift(db: sqlite3.Connection, span: Span) -> Told:
    found: dict[Place, Pair] = {}
    for currency in queries.currencies(db):
        flows = list(queries.flows(db, currency))
        for window in asked(span):
            told = side_by_side(
                window_inputs(currency, [columns_of_flows(flows)], window)
            )
            ours = {t.formula.metric: t.ratio for t in told if t.is_ours}
            place = (currency, window.kind, name_of(window))
            found[place] = (ours[FormulaMetric.NRR], ours[FormulaMetric.GRR])
    return found


def in_contributions(db: sqlite3.Connection, span: Span) -> Told:
    """The opening and what its customers added or took, as ``explain --window`` tells."""
    found: dict[Place, Pair] = {}
    for currency in queries.currencies(db):
        flows = list(queries.flows(db, currency))
        for window in asked(span):
            opening = sum(f.amount_minor for f in flows if f.day < window.start)
            pair = [
                Fraction(opening + sum(each.amount_minor for each in moved), opening)
                if opening
                else None
                for ratio in Ratio
                for start, end in [balances(flows, [window.start, window.end])]
                for moved in [between(start, end, ratio)]
            ]
            found[currency, window.kind, name_of(window)] = (pair[0], pair[1])
    return found


def exactly(ratio: Fraction | None) -> Fraction | None:
    return ratio


def as_float(ratio: Fraction | None) -> float | None:
    return None if ratio is None else float(ratio)


def six_decimals(ratio: Fraction | None) -> str:
    number = ratio_number(ratio)
    return "" if number is None else f"{number:.6f}"


class Form(NamedTuple):
    """How a form is read, and how it writes a ratio. ``is_whole``: every window is in."""

    name: str
    read: Callable[[sqlite3.Connection, Span], Told]
    write: Callable[[Fraction | None], object]
    is_whole: bool = True


FORMS = [
    Form("report as JSON", in_json, ratio_number),
    Form("report as CSV", in_csv, six_decimals),
    Form("report as Markdown", in_markdown, format_ratio),
    Form("report as text", in_text, format_ratio),
    Form("report as HTML", in_page, format_ratio, is_whole=False),
    Form("SQL views", in_views, as_float, is_whole=False),
    Form("sums of windows", in_window_sums, exactly),
    Form("Prometheus metrics", in_exposition, as_float, is_whole=False),
    Form("drift, its first lines", in_drift, exactly),
    Form("explain --window", in_contributions, exactly),
]


def check(form: Form, exact: Exact, db: sqlite3.Connection, span: Span) -> None:
    told = form.read(db, span)
    expected = {
        place: (form.write(nrr), form.write(grr)) for place, (nrr, grr) in exact.items()
    }
    if form.is_whole:
        assert told.keys() == expected.keys()
    assert told == {place: expected[place] for place in told}


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[sqlite3.Connection, Span, Exact]]:
    with walked_demo() as db:
        settle(db, demo_now_s(), "Europe/Berlin")
        now = datetime.fromtimestamp(demo_now_s(), UTC)
        last = add_months(local_day(demo_now_s(), UTC), -1)
        span = Span(add_months(last, -11), last, now)
        yield db, span, defined(db, span)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_every_form_shows_the_one_result_of_the_demo(
    form: Form, demo: tuple[sqlite3.Connection, Span, Exact]
) -> None:
    db, span, exact = demo
    assert len(form.read(db, span)) > 20
    check(form, exact, db, span)


SPAN = Span(date(2024, 1, 1), date(2024, 4, 1), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@settings(max_examples=30)
@given(told=books)
def test_every_form_shows_the_one_result_of_any_ledger(form: Form, told: Books) -> None:
    with empty_ledger() as db:
        post(db, written(told))
        if queries.currencies(db):
            check(form, defined(db, SPAN), db, SPAN)


# --- and nobody else divides ---

OPENING = re.compile(r"opening|start_minor|start_mrr|\bbase\b")


def divisors(module: str) -> Iterator[tuple[str, str]]:
    """Each division in a room: the function it stands in, and what it divides by."""
    for function in ast.walk(modules()[module]):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.BinOp) and isinstance(
                node.op, ast.Div | ast.FloorDiv
            ):
                yield function.name, ast.unparse(node.right)
            elif (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "Fraction"
                and len(node.args) == 2
            ):
                yield function.name, ast.unparse(node.args[1])


def test_one_function_divides_by_an_opening_mrr() -> None:
    found = {
        (module, function)
        for module in modules()
        for function, divisor in divisors(module)
        if OPENING.search(divisor)
    }
    assert found == {("core.figures", "of_opening")}


def test_one_room_defines_the_ratios_and_one_more_in_sql() -> None:
    defining = {
        module
        for module in modules()
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.FunctionDef) and node.name in ("nrr", "grr", "crr")
    }
    assert defining == {"core.figures"}
    named = re.compile(r"\bAS nrr\b")
    assert not any(named.search(text) for module in modules() for text in texts(module))
    naming = {
        str(file.parent.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.sql")
        if named.search(file.read_text(encoding="utf-8"))
    }
    assert naming == {"store/migrations"}


def test_four_rooms_make_what_the_ratios_are_taken_of() -> None:
    """One works it out, one adds it up of kept sums, one converts it into one currency.

    The fourth reads back what was reported of a closed month.
    """
    makers = {m for m in modules() if "Retention" in calls(m)}
    assert makers == {"metrics.retention", "metrics.currency_total", "core.figures"}
    from_names = {m for m in modules() if "window_figures" in calls(m)}
    assert from_names == {"metrics.rollups", "store.months.closings"}
