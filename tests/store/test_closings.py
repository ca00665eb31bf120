"""Closed months: recorded once, readable for ever, restated line by line."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.figures import Retention, Waterfall, WindowFigures
from connector.core.kept.months import Closing
from connector.core.windows import WindowKind
from connector.metrics.invariants import restated_findings
from connector.metrics.retention import measure
from connector.reports.closings.closed_months import measured_again
from connector.reports.closings.restatements import lines, since
from connector.store.database import transaction
from connector.store.ledger import mrr_changes, queries
from connector.store.ledger.as_of import policy_as_of, stamp
from connector.store.ledger.posting import LedgerRun
from connector.store.months import closings
from connector.store.months.closings import ReportedFigures
from tests.support import books
from tests.support.books import NOON, lived, moved, post, settle_one
from tests.support.ledgers import empty_ledger

JAN, FEB, MAR = (date(2024, month, 1) for month in (1, 2, 3))
HOUR = timedelta(hours=1)
Told = tuple[Waterfall, Retention]
POLICY = {"churn": "ended"}


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def close(db: sqlite3.Connection, month: date, at: datetime = NOON) -> Closing:
    return books.close(db, month, POLICY, at, "test")


def as_of(
    db: sqlite3.Connection, moment: datetime | None, like: ReportedFigures
) -> Told:
    """A closed window as the ledger has it at a moment."""
    flows = queries.flows(db, like.currency, moment)
    [found] = measure(flows, [like.measured.window])
    return told(found)


def told(measured: WindowFigures) -> Told:
    return measured.waterfall, measured.retention


def test_every_window_that_ends_with_the_month_is_kept(db: sqlite3.Connection) -> None:
    post(db, [*lived("cus_1", "50 90 0"), *lived("cus_2", "70", "eur")])
    close(db, MAR)
    kept = [(f.currency, f.measured.window.kind) for _, f in closings.figures(db)]
    ending = [WindowKind.MONTH, WindowKind.QUARTER, WindowKind.TRAILING_12]
    assert kept == [(currency, kind) for currency in ("eur", "usd") for kind in ending]
    close(db, date(2024, 12, 1))
    december = [f.measured.window for m, f in closings.figures(db) if m.month == 12]
    assert {window.kind for window in december} == set(WindowKind)
    assert {window.end for window in december} == {date(2025, 1, 1)}


def test_a_closing_says_what_it_was_made_from(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50 90"), at=NOON)
    close(db, FEB, NOON + HOUR)
    [closed] = closings.known(db)
    assert closed == Closing(
        id=1, month=FEB, closed_at=NOON + HOUR, code_version="test", policy=POLICY
    )
    [position] = db.execute("SELECT run, movement FROM closings")
    assert position == (1, 2)
    assert policy_as_of(db, NOON + HOUR) == '{"churn": "ended"}'
    assert policy_as_of(db, NOON) == "{}"


def test_as_of_a_closing_its_own_policy_was_in_force(db: sqlite3.Connection) -> None:
    """Also where nothing was posted under it, and where the clock stood still."""
    post(db, lived("cus_1", "50 90"), at=NOON)
    close(db, FEB, NOON)
    assert policy_as_of(db, NOON) == '{"churn": "ended"}'


@pytest.mark.parametrize(
    ("table", "column"),
    [("closings", "month"), ("closed_figures", "currency"), ("withdrawals", "reason")],
)
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE {0} SET {1} = '2024-09'", id="editing"),
        pytest.param("DELETE FROM {0}", id="deleting"),
        pytest.param("REPLACE INTO {0} SELECT * FROM {0}", id="closing again"),
    ],
)
def test_what_was_reported_is_never_changed(
    db: sqlite3.Connection, table: str, column: str, statement: str
) -> None:
    post(db, lived("cus_1", "50 90"))
    closed = close(db, FEB)
    with transaction(db):
        closings.withdraw(db, closed, "of another account", NOON + HOUR)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement.format(table, column))


def test_a_run_that_outlives_a_closing_goes_on_as_another(
    db: sqlite3.Connection,
) -> None:
    """Half of it counts in the month as reported, the other half as a correction."""
    run = LedgerRun(db, NOON, "sync", code_version="1", policy="{}")
    for customer, closes_first in (("cus_1", False), ("cus_2", True)):
        if closes_first:
            close(db, FEB, NOON + HOUR)
        with transaction(db):
            settle_one(db, run, customer, lived(customer, "50 90"))
    runs = db.execute("SELECT id, started_at FROM runs ORDER BY id").fetchall()
    assert [number for number, _ in runs] == [1, 2]
    assert runs[1][1] > stamp(NOON + HOUR)
    [(_, reported), *_] = closings.figures(db)
    assert reported.measured.waterfall.closing_minor == 90
    assert as_of(db, NOON + HOUR, reported) == told(reported.measured)
    assert as_of(db, None, reported)[0].closing_minor == 180


def test_a_clock_that_went_back_changes_no_closed_month(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50 90"), at=NOON)
    closed = close(db, FEB, NOON - HOUR)
    assert closed.closed_at == NOON, "what was posted counts"
    post(db, lived("cus_1", "50 70"), at=NOON - 2 * HOUR)
    for _, reported in closings.figures(db):
        assert as_of(db, closed.closed_at, reported) == told(reported.measured)


def test_the_table_refuses_what_would_be_dated_before_a_closing(
    db: sqlite3.Connection,
) -> None:
    post(db, lived("cus_1", "50 90"), at=NOON)
    close(db, FEB, NOON)
    with pytest.raises(sqlite3.IntegrityError, match="closed since this run began"):
        db.execute("INSERT INTO retractions VALUES (1, 1, 'from outside')")


def test_the_check_finds_figures_changed_from_outside(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50 90"))
    close(db, FEB)
    assert restated_findings(measured_again(db)) == []
    db.execute("DROP TRIGGER closed_figures_are_never_edited")
    db.execute("UPDATE closed_figures SET churn_minor = 1 WHERE kind = 'month'")
    [found] = restated_findings(measured_again(db))
    assert found.subject == "usd month 2024-02-01 to 2024-03-01"


# --- laws ---

mrr = st.lists(st.sampled_from(["0", "1", "2", "3", "."]), min_size=1, max_size=5)
Lives = Mapping[str, Sequence[str]]
lives = st.fixed_dictionaries({"cus_1": mrr, "cus_2": mrr})
corrections = st.lists(lives, max_size=3)


def booked(db: sqlite3.Connection, state: Lives, at: datetime) -> None:
    movements = [
        m for name, cells in state.items() for m in lived(name, " ".join(cells))
    ]
    post(db, movements, at=at, customers=list(state))


@given(first=lives, later=corrections)
def test_as_of_its_closing_a_month_is_as_reported(
    first: Lives, later: list[Lives]
) -> None:
    """After any corrections, and closings of other months between them."""
    months = [JAN, FEB, MAR, date(2024, 4, 1)]
    with empty_ledger() as db:
        booked(db, first, NOON)
        close(db, months[0], NOON)
        for month, correction in zip(months[1:], later, strict=False):
            booked(db, correction, NOON)  # a clock that stands still
            close(db, month, NOON)
        closed = {each.month: each.closed_at for each in closings.known(db)}
        for month, reported in closings.figures(db):
            assert as_of(db, closed[month], reported) == told(reported.measured)


@given(first=lives, later=corrections)
def test_lines_add_up_to_what_was_restated(first: Lives, later: list[Lives]) -> None:
    """Until a window's end to its closing MRR, until its beginning to its opening's."""
    with empty_ledger() as db:
        booked(db, first, NOON)
        close(db, FEB, NOON)
        for number, correction in enumerate(later):
            booked(db, correction, NOON + number * HOUR)
        found = lines(mrr_changes.changes(db, NOON, date(2025, 1, 1)))
        for _, reported in closings.figures(db):
            window, then, *_ = reported.measured
            now, _ = as_of(db, None, reported)
            by_end = since(found, NOON, reported.currency, window.end)
            by_start = since(found, NOON, reported.currency, window.start)
            assert (
                sum(line.amount_minor for line in by_end)
                == now.closing_minor - then.closing_minor
            )
            assert (
                sum(line.amount_minor for line in by_start)
                == now.opening_minor - then.opening_minor
            )


def test_a_line_tells_the_day_as_it_was_and_is(db: sqlite3.Connection) -> None:
    post(db, [*lived("cus_1", "50 90"), *lived("cus_2", "70")], at=NOON)
    close(db, FEB, NOON)
    post(
        db, lived("cus_1", "50 80"), at=NOON + HOUR, cause="manual", customers=["cus_2"]
    )
    found = lines(mrr_changes.changes(db, NOON, MAR))
    found_of = [(x.customer, f"{x.day:%m-%d}", x.amount_minor, x.reason) for x in found]
    assert found_of == [
        ("cus_1", "02-15", -10, "now from 50 to 80"),
        ("cus_2", "01-15", -70, "no evidence for it any more"),
    ]
    assert {line.run.cause for line in found} == {"manual"}
    assert found[1].now is None
    assert found[0].now is not None
    assert found[0].now.components[0].evidence


def test_a_window_is_restated_by_its_own_days_only(db: sqlite3.Connection) -> None:
    """What happened on the first day of March is no part of February."""
    post(db, lived("cus_1", "50"), at=NOON)
    close(db, FEB, NOON)
    post(db, moved("cus_1", {date(2024, 1, 15): 50, MAR: 90}), at=NOON)
    found = lines(mrr_changes.changes(db, NOON, date(2025, 1, 1)))
    assert [line.day for line in found] == [MAR]
    assert since(found, NOON, "usd", MAR) == []
    assert since(found, NOON, "eur", date(2024, 4, 1)) == []


def test_better_evidence_is_no_restatement(db: sqlite3.Connection) -> None:
    day = date(2024, 1, 15)
    post(db, moved("cus_1", {day: 50}, seen="in_1"), at=NOON)
    close(db, JAN, NOON)
    post(db, moved("cus_1", {day: 50}, seen="in_2"), at=NOON)
    changes = list(mrr_changes.changes(db, NOON, MAR))
    assert [change.was_posted for change in changes] == [False, True]
    assert lines(changes) == []
