"""Each check finds the fault that was planted for it, and nothing in an honest ledger."""

import sqlite3
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import force_setattr, replace

from connector.core.figures import Retention, Waterfall, WindowFigures
from connector.core.model import Flow, Movement, MovementKind, Refusal
from connector.core.windows import Window, WindowKind
from connector.metrics import invariants
from connector.metrics.invariants import (
    Finding,
    every_window,
    movement_findings,
    refusal_findings,
    window_findings,
)
from connector.metrics.retention import measure
from connector.store.ledger import queries
from tests.support.books import lived, movement, post
from tests.support.ledgers import empty_ledger, settle
from tests.support.synced import demo_now_s, walked_demo

TODAY = date(2024, 7, 20)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def found(db: sqlite3.Connection, today: date = TODAY) -> list[Finding]:
    findings = movement_findings(queries.movements_by_customer(db))
    for currency in queries.currencies(db):
        flows = list(queries.flows(db, currency))
        findings += of_flows(currency, flows, today)
    return findings


def of_flows(currency: str, flows: list[Flow], today: date = TODAY) -> list[Finding]:
    asked = every_window(min(flow.day for flow in flows), today)
    return window_findings(currency, measure(flows, asked))


# --- honest ledgers ---

cell = st.sampled_from(["0", "1", "2", "3", "."])
books = st.dictionaries(
    st.sampled_from(["cus_1", "cus_2", "cus_3"]),
    st.lists(cell, min_size=1, max_size=16).map(" ".join),
    max_size=3,
)


@given(dollars=books, euros=books)
def test_an_honest_ledger_gives_no_finding(
    dollars: dict[str, str], euros: dict[str, str]
) -> None:
    with empty_ledger() as db:
        told = [m for who, own in dollars.items() for m in lived(who, own)]
        told += [m for who, own in euros.items() for m in lived(who, own, "eur")]
        post(db, sorted(told, key=lambda m: m.customer))
        assert found(db) == []


def test_the_demo_gives_no_finding() -> None:
    with walked_demo() as db:
        settle(db, demo_now_s(), "Europe/Berlin")
        assert found(db, date(2026, 11, 2)) == []


# --- planted in the file ---


def plant(db: sqlite3.Connection, table: str, *values: object) -> None:
    """A row that every constraint lets pass."""
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608


PROOF = '[["invoice", "in_1", 1, ""]]'


def plant_movement(
    db: sqlite3.Connection, day: str, kind: str, before: int, after: int
) -> None:
    row = (9, 1, "usd", day, kind, after - before, before, after, 1)
    plant(db, "movements", *row)
    part = (9, 0, "plan", after - before, "sub_1", "si_1", "price_1", "", "", PROOF)
    plant(db, "components", *part)


def test_a_movement_that_does_not_go_on_where_the_last_stopped(
    db: sqlite3.Connection,
) -> None:
    post(db, lived("cus_1", "50 90"))
    plant_movement(db, "2024-03-01", "expansion", 70, 80)
    assert found(db)[0] == Finding(
        "movements add up",
        "cus_1 2024-03-01 usd",
        "starts from 70, but the movements before it add up to 90",
    )


def test_a_movement_that_is_missing(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50 90 70"))
    db.execute("INSERT INTO retractions VALUES (2, 1, 'planted')")
    rules = [finding.rule for finding in found(db)]
    assert rules[0] == "movements add up"
    assert set(rules) == {"movements add up"}


def test_a_second_movement_called_new(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50 0"))
    plant_movement(db, "2024-03-01", "new", 0, 80)
    assert found(db) == [
        Finding(
            "kinds", "cus_1 2024-03-01 usd", "is booked as new, but is reactivation"
        )
    ]


def test_a_first_movement_that_is_not_new(db: sqlite3.Connection) -> None:
    post(db, [movement("cus_1", date(2024, 1, 1), MovementKind.REACTIVATION, 0, 50)])
    [finding] = found(db)
    assert finding.what == "is booked as reactivation, but is new"


def test_a_component_without_evidence(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50"))
    db.execute("DROP TRIGGER components_are_never_edited")
    db.execute("UPDATE components SET evidence = '[]'")
    assert found(db) == [
        Finding("evidence", "cus_1 2024-01-15 usd", "a component names no evidence")
    ]


def test_a_movement_without_a_component() -> None:
    """The type and the reading of the ledger refuse it too: three nets for one fish."""
    [booked] = lived("cus_1", "50")
    assert movement_findings([doctored(booked, components=())]) == [
        Finding(
            "components add up",
            "cus_1 2024-01-15 usd",
            "components add up to 0, not 50",
        )
    ]


def doctored(booked: Movement, **fields: Any) -> Movement:
    """A copy changed behind the back of the type's own assertions."""
    copy = replace(booked)
    for name, value in fields.items():
        force_setattr(copy, name, value)
    return copy


# --- planted in the figures ---

FEBRUARY = Window(WindowKind.MONTH, date(2024, 2, 1), date(2024, 3, 1))
FLOW = Waterfall(
    opening_minor=100,
    new_minor=10,
    reactivation_minor=5,
    expansion_minor=20,
    contraction_minor=8,
    churn_minor=7,
    fx_minor=0,
    closing_minor=120,
)
KEPT = Retention(
    customers=4,
    kept=3,
    opening_minor=100,
    expansion_minor=20,
    contraction_minor=8,
    churn_minor=7,
    closing_minor=105,
)
NAME = "usd month 2024-02-01 to 2024-03-01"


def of_window(flow: Waterfall = FLOW, kept: Retention = KEPT) -> list[Finding]:
    measured = WindowFigures(FEBRUARY, flow, kept)
    return [f for check in invariants.WINDOW_CHECKS for f in check("usd", measured)]


def test_honest_figures_give_no_finding() -> None:
    assert of_window() == []


def test_figures_of_nobody_give_no_finding() -> None:
    none = Retention(
        customers=0,
        kept=0,
        opening_minor=0,
        expansion_minor=0,
        contraction_minor=0,
        churn_minor=0,
        closing_minor=0,
    )
    nothing = replace(FLOW, opening_minor=0, closing_minor=20)
    assert of_window(nothing, none) == []


@pytest.mark.parametrize(
    ("flow", "kept", "finding"),
    [
        pytest.param(
            replace(FLOW, closing_minor=121),
            KEPT,
            Finding("waterfall", NAME, "adds up to 120, but closes at 121"),
            id="a waterfall that does not close",
        ),
        pytest.param(
            FLOW,
            replace(KEPT, churn_minor=93),
            Finding("ratios", NAME, "GRR -1/100, NRR 21/20"),
            id="a GRR below nothing",
        ),
        pytest.param(
            FLOW,
            replace(KEPT, contraction_minor=-8, closing_minor=121),
            Finding("ratios", NAME, "GRR 101/100, NRR 121/100"),
            id="a GRR above one",
        ),
        pytest.param(
            FLOW,
            replace(KEPT, closing_minor=80),
            Finding("ratios", NAME, "GRR 17/20, NRR 4/5"),
            id="a GRR above the NRR",
        ),
        pytest.param(
            replace(FLOW, opening_minor=90, closing_minor=110),
            KEPT,
            Finding("opening", NAME, "the waterfall opens at 90, its customers at 100"),
            id="an opening that is not its customers'",
        ),
    ],
)
def test_a_planted_figure_is_found(
    flow: Waterfall, kept: Retention, finding: Finding
) -> None:
    assert of_window(flow, kept) == [finding]


def test_every_check_of_windows_runs_on_every_window(db: sqlite3.Connection) -> None:
    """Movements that add up in no currency break the figures of every later window."""
    post(db, lived("cus_1", "50"))
    flows = [*queries.flows(db, "usd")]
    upside_down = [flow._replace(kind=MovementKind.CHURN) for flow in flows]
    subjects = {f.subject for f in of_flows("usd", upside_down)}
    assert subjects == {
        "usd month 2024-01-01 to 2024-02-01",
        "usd quarter 2024-01-01 to 2024-04-01",
        "usd year 2024-01-01 to 2025-01-01",
        *(
            f"usd trailing-12 {start} to {end}"
            for start, end in (
                ("2023-02-01", "2024-02-01"),
                ("2023-03-01", "2024-03-01"),
                ("2023-04-01", "2024-04-01"),
                ("2023-05-01", "2024-05-01"),
                ("2023-06-01", "2024-06-01"),
                ("2023-07-01", "2024-07-01"),
                ("2023-08-01", "2024-08-01"),
            )
        ),
    }


# --- what could not be valued ---


def test_refusals_are_findings() -> None:
    refusal = Refusal(customer="cus_1", object_id="si_1", field="price", value="None")
    assert refusal_findings([refusal]) == [
        Finding("not valued", "cus_1 si_1", "price is None")
    ]
    assert refusal_findings([]) == []
