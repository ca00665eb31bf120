"""One headline in every form: the last trailing-12 window that is over."""

import re
import sqlite3
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.dates import add_months
from connector.core.errors import UsageFault
from connector.core.money import format_ratio
from connector.core.windows import Window, WindowKind
from connector.render.page.page import to_html
from connector.render.report.csv_form import to_csv
from connector.render.report.json_form import to_json
from connector.render.report.tables import to_markdown
from connector.render.report.terminal import report_view
from connector.render.terminal import console
from connector.reports import (
    WindowRequest,
    explain_customer,
    explain_window,
    formula_drift,
)
from connector.reports.ledger import Ledger
from connector.reports.page import make_page
from connector.reports.report import ReportRequest, make_report
from connector.store.ledger import customers
from connector.store.mirror.walks import begin_walk, finish_walk
from connector.webhooks.headlines import headlines
from tests.metrics.test_one_formula import SETTINGS
from tests.store.test_ledger import Books, books, written
from tests.support.books import lived, post
from tests.support.commands import Workdir
from tests.support.ledgers import empty_ledger
from tests.support.synced import demo_now, settled_demo


def known_until(connection: sqlite3.Connection, at: datetime) -> None:
    """Let the last sync have been at this moment."""
    at_us = int(at.timestamp()) * 1_000_000
    finish_walk(connection, begin_walk(connection, at_us), at_us)


def test_every_form_has_the_same_headline_and_tells_what_runs_apart(
    tmp_path: Path,
) -> None:
    with settled_demo() as connection:
        ledger = Ledger(connection, SETTINGS, demo_now())
        report = make_report(ledger)
        page = to_html(make_page(ledger, ReportRequest(trend=True)))
        exposed = headlines(make_report(ledger, ReportRequest(WindowKind.TRAILING_12)))
        drift = {each.currency: each for each in formula_drift(ledger)}
    demo = Workdir(tmp_path).call("demo").out
    october = Window(WindowKind.TRAILING_12, date(2025, 11, 1), date(2026, 11, 1))
    for part, figures in zip(report.currencies, exposed, strict=True):
        assert part.headline is not None
        assert part.headline.measured.window == october
        ratio = part.headline.measured.retention.nrr
        assert figures.nrr == ratio == drift[part.currency].kept.nrr
        assert drift[part.currency].window == october
        assert f"<b>{format_ratio(ratio)}</b>" in page
        assert f"│ {format_ratio(ratio)} " in demo
        assert {each.ratio for each in part.assessments if each.metric == "nrr"} == {
            ratio
        }
        assert part.so_far is not None
        assert part.so_far.measured.retention.nrr != ratio


def test_a_window_that_the_ledger_cannot_know_is_refused() -> None:
    with settled_demo() as connection:
        ledger = Ledger(connection, SETTINGS, demo_now())
        later, name = date(2027, 5, 1), min(customers.labels(connection))
        window = Window(WindowKind.MONTH, later, add_months(later, 1))
        for ask in (
            lambda: make_report(ledger, ReportRequest(last=later)),
            lambda: make_report(ledger, ReportRequest(last=later, trend=True)),
            lambda: formula_drift(ledger, last=later),
            lambda: explain_window(ledger, WindowRequest(window)),
            lambda: explain_customer(ledger, name, date(2030, 8, 31)),
        ):
            with pytest.raises(UsageFault, match="2026-11-02, the last day"):
                ask()


def test_a_young_account_is_told_when_its_first_year_ends() -> None:
    """100.00 in February, 130.00 of it in June: 130 %, and no year yet."""
    with empty_ledger() as connection:
        post(connection, lived("cus_1", "100 100 100 100 130 130"))
        known_until(connection, datetime(2024, 8, 2, tzinfo=UTC))
        report = make_report(
            Ledger(connection, SETTINGS, datetime(2024, 8, 2, tzinfo=UTC))
        )
    [part] = report.currencies
    assert part.headline is not None
    assert part.headline.measured.retention.nrr is None
    young = part.first_year
    assert young is not None
    assert young.kept is not None
    assert (young.since, young.months, young.ends_on) == (
        *(date(2024, 2, 1), 6),
        date(2025, 1, 31),
    )
    assert young.kept.nrr == Fraction(13, 10)
    told = to_json(report)["currencies"][0]["first_year"]
    assert (told["ends_on"], told["nrr"]) == ("2025-01-31", 1.3)
    said = "The first twelve months end on 31 Jan 2025. In the 6 months since Feb 2024"
    assert said in to_markdown(report, "en_US")


STAR = re.compile(r"^\W*((?:12 months to )?[A-Z][a-z]{2} 20\d\d)( \*)?(?= )")


@given(told=books, days=st.integers(0, 900), late=st.integers(0, 100))
def test_no_ratio_of_a_window_that_is_not_over_is_without_its_mark(
    told: Books, days: int, late: int
) -> None:
    known = datetime(2023, 11, 3, 12, tzinfo=UTC) + timedelta(days=days)
    with empty_ledger() as connection:
        post(connection, written(told))
        known_until(connection, known)
        ledger = Ledger(connection, SETTINGS, known + timedelta(days=late))
        report = make_report(ledger)
    today = report.today
    for part in report.currencies:
        for row in part.rows:
            window = row.measured.window
            assert window.start <= today
            assert row.is_over == row.complete == (window.end <= today)
        assert part.headline is None or part.headline.is_over
    running = f"{today:%b %Y}"
    out = console(width=220)
    with out.capture() as captured:
        out.print(report_view(report, "en_US"))
    for form in (captured.get(), to_markdown(report, "en_US")):
        found = [m for line in form.splitlines() if (m := STAR.match(line))]
        assert {m[1].removeprefix("12 months to ") for m in found if m[2]} <= {running}
        assert running not in {
            m[1].removeprefix("12 months to ") for m in found if not m[2]
        }
    for line in to_csv(report).splitlines()[1:]:
        _, _, _, end, complete, *_ = line.split(",")
        assert complete == str(date.fromisoformat(end) <= today).lower()
