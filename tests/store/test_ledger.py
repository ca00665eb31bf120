"""The ledger: append-only, settled once, readable as of any moment, with honest views."""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.core.errors import LedgerConflict, LedgerUnusable
from connector.core.figures import WindowFigures
from connector.core.model import CustomerName, Movement, MovementKind
from connector.core.windows import WindowKind, windows
from connector.metrics.retention import measure
from connector.store.database import put_setting, transaction
from connector.store.ledger import customers, queries
from connector.store.ledger.as_of import policy_as_of
from connector.store.ledger.posting import PostedCounts
from connector.store.ledger.queries import Wanted
from tests.support.books import NOON, key_of, lived, moved, movement, post
from tests.support.ledgers import empty_ledger

HOUR = timedelta(hours=1)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def live(
    db: sqlite3.Connection, as_of: datetime | None = None, **wanted: Any
) -> list[Movement]:
    return list(queries.movements(db, Wanted(as_of=as_of, **wanted)))


def count(db: sqlite3.Connection, table: str) -> int:
    [found] = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(found)


# --- append-only ---

LEDGER = ("runs", "movements", "components", "retractions")


@pytest.mark.parametrize("table", LEDGER)
@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE {} SET {} = {}", id="editing"),
        pytest.param("DELETE FROM {}", id="deleting"),
        pytest.param("REPLACE INTO {0} SELECT * FROM {0}", id="replacing"),
        pytest.param(
            "INSERT INTO {0} SELECT * FROM {0} WHERE true"
            " ON CONFLICT DO UPDATE SET {1} = 1",
            id="inserting over",
        ),
    ],
)
def test_the_books_are_never_changed(
    db: sqlite3.Connection, table: str, statement: str
) -> None:
    post(db, lived("cus_1", "50 90"))
    post(db, lived("cus_1", "50 80"))
    [column] = db.execute(f"SELECT name FROM pragma_table_info('{table}')").fetchone()  # noqa: S608
    with pytest.raises(sqlite3.IntegrityError, match=r"append-only|stands on this day"):
        db.execute(statement.format(table, column, column))


# --- the tables refuse what the types refuse ---

GOOD = {
    "movements": {
        "id": 9,
        "customer": 1,
        "currency": "usd",
        "day": "2025-03-31",
        "kind": "expansion",
        "amount_minor": 40,
        "before_minor": 50,
        "after_minor": 90,
        "run": 1,
    },
    "components": {
        "movement": 1,
        "position": 7,
        "cause": "plan",
        "amount_minor": 40,
        "subscription": "sub_1",
        "item": "si_1",
        "price": "price_1",
        "before": "",
        "after": "",
        "evidence": "[]",
    },
    "runs": {
        "id": 9,
        "started_at": "2026-01-01T12:00:00.000000+00:00",
        "cause": "sync",
        "code_version": "test",
        "policy": "{}",
    },
    "retractions": {"movement": 1, "run": 1, "reason": "a typo"},
}


def insert(db: sqlite3.Connection, table: str, **changed: object) -> None:
    row = GOOD[table] | changed
    marks = ", ".join(f":{name}" for name in row)
    db.execute(f"INSERT INTO {table} VALUES ({marks})", row)  # noqa: S608


@pytest.mark.parametrize("table", GOOD)
def test_a_good_row_is_taken(db: sqlite3.Connection, table: str) -> None:
    post(db, lived("cus_1", "50"))
    insert(db, table)


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        pytest.param("movements", {"amount_minor": 41}, id="before + amount ≠ after"),
        pytest.param(
            "movements", {"amount_minor": 0, "after_minor": 50}, id="no change at all"
        ),
        pytest.param(
            "movements",
            {"kind": "churn", "amount_minor": -60, "after_minor": -10},
            id="an MRR below 0",
        ),
        pytest.param("movements", {"kind": "new"}, id="new from something"),
        pytest.param(
            "movements",
            {"before_minor": 0, "after_minor": 40},
            id="expansion from nothing",
        ),
        pytest.param("movements", {"kind": "contraction"}, id="contraction upwards"),
        pytest.param(
            "movements",
            {"kind": "contraction", "amount_minor": -50, "after_minor": 0},
            id="contraction to nothing",
        ),
        pytest.param(
            "movements",
            {"kind": "churn", "amount_minor": -10, "after_minor": 40},
            id="churn to something",
        ),
        pytest.param("movements", {"kind": "upsell"}, id="a kind nobody knows"),
        pytest.param("movements", {"currency": "dollars"}, id="no currency code"),
        pytest.param("movements", {"day": "31.03.2025"}, id="a day written otherwise"),
        pytest.param("movements", {"amount_minor": 40.5}, id="half a cent"),
        pytest.param("movements", {"customer": 77}, id="a customer nobody knows"),
        pytest.param("movements", {"run": 77}, id="a run nobody knows"),
        pytest.param("movements", {"day": "2024-01-15"}, id="a day that is taken"),
        pytest.param("components", {"amount_minor": 0}, id="a part of nothing"),
        pytest.param("components", {"cause": "magic"}, id="a cause nobody knows"),
        pytest.param("components", {"evidence": "trust me"}, id="evidence not as JSON"),
        pytest.param("components", {"movement": 77}, id="a part of no movement"),
        pytest.param("runs", {"cause": "boredom"}, id="a run for no reason"),
        pytest.param("runs", {"policy": "strict"}, id="a policy not as JSON"),
        pytest.param(
            "retractions", {"movement": 77}, id="taking back what is not there"
        ),
    ],
)
def test_an_impossible_row_is_refused(
    db: sqlite3.Connection, table: str, changed: dict[str, object]
) -> None:
    post(db, lived("cus_1", "50"))
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, table, **changed)


def test_a_movement_is_taken_back_once(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50"))
    insert(db, "retractions")
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, "retractions")
    insert(db, "movements", day="2024-01-15")  # its day is free again


# --- settling ---


def test_what_is_posted_is_read_back_whole(db: sqlite3.Connection) -> None:
    booked = lived("cus_1", "50 90 70 0 40")
    assert post(db, booked) == PostedCounts(5, 0)
    assert live(db) == booked


def test_settling_twice_is_settling_once(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50 90"))
    assert post(db, lived("cus_1", "50 90")) == PostedCounts(0, 0)
    assert [count(db, table) for table in LEDGER] == [1, 2, 2, 0]


def test_a_run_without_a_posting_leaves_no_row(db: sqlite3.Connection) -> None:
    post(db, [], customers=["cus_1"])
    assert count(db, "runs") == 0


@pytest.mark.parametrize(
    ("before", "after", "reasons"),
    [
        pytest.param(
            lived("cus_1", "50 90"),
            lived("cus_1", "50 80"),
            ["now from 50 to 80"],
            id="another amount",
        ),
        pytest.param(
            lived("cus_1", "50 90"),
            lived("cus_1", "50 . 90"),
            ["no evidence for it any more"],
            id="another day",
        ),
        pytest.param(
            lived("cus_1", "50 90"),
            [],
            ["no evidence for it any more"] * 2,
            id="nothing any more",
        ),
        pytest.param(
            lived("cus_1", ". . 50"),
            lived("cus_1", "50 0 50"),
            ["kind"],
            id="an earlier life, so that new becomes a return",
        ),
        pytest.param(
            moved("cus_1", {date(2024, 1, 1): 50}, seen="sub_1"),
            moved("cus_1", {date(2024, 1, 1): 50}, seen="in_1"),
            ["better evidence"],
            id="the same with other evidence",
        ),
        pytest.param(
            lived("cus_1", "50"), lived("cus_1", "50 90"), [], id="only something new"
        ),
    ],
)
def test_what_is_derived_otherwise_is_taken_back_and_posted_anew(
    db: sqlite3.Connection,
    before: list[Movement],
    after: list[Movement],
    reasons: list[str],
) -> None:
    post(db, before)
    post(db, after, at=NOON + HOUR, customers=["cus_1"])
    assert live(db) == after
    rows = db.execute(
        "SELECT reason, run FROM retractions ORDER BY movement"
    ).fetchall()
    assert [reason for reason, _ in rows] == reasons
    assert {run for _, run in rows} <= {2}
    kept = [each for each in before if each in after]
    assert count(db, "movements") == len(before) + len(after) - len(kept)


def test_other_words_for_the_same_are_not_posted_again(db: sqlite3.Connection) -> None:
    """A product's new unit label must not restate every movement that counts it."""
    [booked] = lived("cus_1", "50")
    [part] = booked.components
    proof = tuple(each._replace(summary="said otherwise") for each in part.evidence)
    reworded = replace(part, after="50 seats", evidence=proof)
    post(db, [booked])
    assert post(db, [replace(booked, components=(reworded,))]) == PostedCounts(0, 0)
    assert live(db) == [booked]


def test_one_run_covers_all_its_customers(db: sqlite3.Connection) -> None:
    post(db, [*lived("cus_1", "50"), *lived("cus_2", "60")], cause="policy change")
    rows = db.execute("SELECT id, cause, started_at FROM runs").fetchall()
    assert rows == [(1, "policy change", "2026-01-01T12:00:00.000000+00:00")]


def test_currencies_are_kept_apart(db: sqlite3.Connection) -> None:
    booked = [*lived("cus_1", "50"), *lived("cus_1", "70 80", "eur")]
    post(db, booked)
    assert sorted(live(db), key=str) == sorted(booked, key=str)
    post(db, lived("cus_1", "50"))
    assert live(db) == lived("cus_1", "50")


def test_what_the_tables_refuse_is_a_conflict_that_posts_nothing(
    db: sqlite3.Connection,
) -> None:
    fine, odd = lived("cus_1", "50"), lived("cus_1", ". 60", "")
    with pytest.raises(LedgerConflict) as raised:
        post(db, [*fine, *odd])
    assert raised.value.problem.startswith("cus_1 2024-02-15 :")
    assert live(db) == []
    assert count(db, "runs") == 0


def test_a_row_changed_from_outside_is_named(db: sqlite3.Connection) -> None:
    post(db, lived("cus_1", "50"))
    db.execute("DROP TRIGGER components_are_never_edited")
    db.execute("UPDATE components SET amount_minor = 49")
    with pytest.raises(LedgerUnusable) as raised:
        live(db)
    assert raised.value.problem == (
        "movement 1 (cus_1 2024-01-15 usd) is 50, but its components add up to 49: "
        "the file was changed from outside"
    )


# --- as of a moment ---


def test_before_a_restatement_the_old_figures_are_read(db: sqlite3.Connection) -> None:
    first, second = lived("cus_1", "50 90"), lived("cus_1", "50 80")
    post(db, first, at=NOON, policy='{"once": "old"}')
    post(db, second, at=NOON + HOUR, policy='{"once": "new"}')
    before, between = NOON - HOUR, NOON + HOUR / 2
    assert live(db, before) == []
    assert live(db, NOON) == live(db, between) == first
    assert live(db, NOON + HOUR) == live(db) == second
    amounts = [flow.amount_minor for flow in queries.flows(db, "usd", between)]
    assert amounts == [50, 40]
    assert queries.currencies(db, before) == []
    assert policy_as_of(db, before) is None
    assert policy_as_of(db, between) == '{"once": "old"}'
    assert policy_as_of(db, None) == '{"once": "new"}'


# Few days and amounts on purpose: equal neighbours, zeros and clashes are the rules.
DAYS = [
    date(2023, 11, 30),
    date(2023, 12, 1),
    date(2023, 12, 31),
    date(2024, 1, 1),
    date(2024, 2, 29),
    date(2024, 3, 15),
    date(2024, 11, 30),
    date(2024, 12, 1),
    date(2025, 2, 28),
]
mrr = st.dictionaries(st.sampled_from(DAYS), st.integers(0, 3), max_size=6)
books = st.dictionaries(
    st.tuples(
        st.sampled_from(["cus_1", "cus_2", "cus_3"]), st.sampled_from(["usd", "eur"])
    ),
    mrr,
    max_size=5,
)
Books = Mapping[tuple[str, str], Mapping[date, int]]


def written(told: Books) -> list[Movement]:
    every = [m for (who, cur), own in told.items() for m in moved(who, own, cur)]
    return sorted(every, key=lambda m: (m.day, m.customer, m.currency))


@given(st.lists(books, min_size=1, max_size=4))
def test_the_ledger_can_be_read_as_it_was_at_any_time(states: list[Books]) -> None:
    with empty_ledger() as db:
        for hour, state in enumerate(states):
            everybody = ["cus_1", "cus_2", "cus_3"]
            post(db, written(state), at=NOON + hour * HOUR, customers=everybody)
        for hour, state in enumerate(states):
            assert live(db, NOON + hour * HOUR) == written(state)
        assert live(db) == written(states[-1])


@given(first=books, last=books)
def test_one_live_movement_a_day(first: Books, last: Books) -> None:
    with empty_ledger() as db:
        for state in (first, last, first, last):
            post(db, written(state), customers=["cus_1", "cus_2", "cus_3"])
        places = [(m.customer, m.currency, m.day) for m in live(db)]
        assert len(places) == len(set(places))


# --- reading a part ---


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param({}, "1jan 2jan 1feb 1mar 2mar", id="everything, by day"),
        pytest.param({"customer": "cus_2"}, "2jan 2mar", id="one customer"),
        pytest.param({"customer": "cus_9"}, "", id="a customer nobody knows"),
        pytest.param(
            {"start": date(2024, 2, 15)}, "1feb 1mar 2mar", id="from a day, which is in"
        ),
        pytest.param(
            {"end": date(2024, 2, 15)}, "1jan 2jan", id="to a day, which is out"
        ),
        pytest.param({"kind": MovementKind.CHURN}, "2mar", id="a kind"),
        pytest.param({"currency": "eur"}, "2jan 2mar", id="a currency"),
    ],
)
def test_a_part_of_the_ledger(
    db: sqlite3.Connection, wanted: dict[str, Any], expected: str
) -> None:
    post(db, [*lived("cus_1", "50 90 70"), *lived("cus_2", "60 . 0", "eur")])
    found = [f"{m.customer[-1]}{m.day:%b}".lower() for m in live(db, **wanted)]
    assert " ".join(found) == expected


def test_the_busiest_currency_comes_first(db: sqlite3.Connection) -> None:
    post(db, [*lived("cus_1", "50", "eur"), *lived("cus_2", "1 2", "usd")])
    assert queries.currencies(db) == ["usd", "eur"]


def test_a_customer_is_found_by_id_or_by_a_part_of_the_label(
    db: sqlite3.Connection,
) -> None:
    key_of(db, "cus_1", "Ada's Engines", "GB")
    key_of(db, "cus_2", "Babbage & Ada", None)
    key_of(db, "cus_3", None, None)
    assert customers.find_customer(db, "cus_3") == [CustomerName("cus_3", None)]
    assert [a.id for a in customers.find_customer(db, "ada")] == ["cus_1", "cus_2"]
    assert customers.find_customer(db, "nobody") == []
    assert customers.labels(db)["cus_3"] == "cus_3"


def test_a_customer_keeps_its_key_when_its_label_changes(
    db: sqlite3.Connection,
) -> None:
    key = key_of(db, "cus_1", "Ada", "GB")
    assert key_of(db, "cus_1", "Ada Lovelace", "GB") == key
    assert customers.labels(db) == {"cus_1": "Ada Lovelace"}
    assert key_of(db, "cus_1", None, None) == key
    assert customers.labels(db) == {"cus_1": "cus_1"}


# --- the views agree with the code ---


@given(old=books, new=books)
def test_the_views_of_mrr_agree_with_the_movements(old: Books, new: Books) -> None:
    with empty_ledger() as db:
        post(db, written(old))
        post(db, written(new), customers=["cus_1", "cus_2", "cus_3"])
        by_day: dict[tuple[str, str], int] = {}
        by_month: dict[tuple[str, str], int] = {}
        balance = {"usd": 0, "eur": 0}
        for each in written(new):
            balance[each.currency] += each.amount_minor
            by_day[each.currency, f"{each.day}"] = balance[each.currency]
            by_month[each.currency, f"{each.day:%Y-%m}"] = balance[each.currency]
        assert _view(db, "mrr_by_day") == by_day
        assert _view(db, "mrr_by_month") == by_month
        assert count(db, "live_movements") == len(written(new))


def _view(db: sqlite3.Connection, name: str) -> dict[tuple[str, str], int]:
    rows = db.execute(f"SELECT * FROM {name}")  # noqa: S608
    return {(currency, when): mrr_minor for currency, when, mrr_minor, *_ in rows}


@pytest.mark.parametrize(
    ("view", "kind"),
    [
        pytest.param("nrr_by_month", WindowKind.MONTH, id="of each month"),
        pytest.param("nrr_trailing_12", WindowKind.TRAILING_12, id="of twelve months"),
    ],
)
@given(old=books, new=books, known_until=st.dates(date(2023, 12, 1), date(2024, 7, 1)))
def test_the_views_of_retention_agree_with_the_code(
    view: str, kind: WindowKind, old: Books, new: Books, known_until: date
) -> None:
    with empty_ledger() as db:
        post(db, written(old))
        post(db, written(new), customers=["cus_1", "cus_2", "cus_3"])
        expected = {}
        last = max((m.day for m in written(new)), default=date.min)
        with transaction(db):
            put_setting(db, "known_until", str(known_until))
        for currency in ("usd", "eur"):
            flows = list(queries.flows(db, currency))
            if flows:
                asked = windows(kind, min(flow.day for flow in flows), last)
                for measured in measure(flows, asked):
                    row = _row(measured)
                    is_over = measured.window.end <= known_until
                    expected[currency, row[0]] = (*row[1:], is_over)
        rows = db.execute(f"SELECT * FROM {view}").fetchall()  # noqa: S608
        assert {(row[0], row[1]): tuple(row[2:]) for row in rows} == expected


def _row(measured: WindowFigures) -> tuple[Any, ...]:
    """As the view writes it: the month the window ends with, and its figures."""
    last_day = measured.window.end - timedelta(days=1)
    kept = measured.retention
    ratios = (kept.nrr, kept.grr, kept.crr)
    amounts = (kept.customers, kept.opening_minor, kept.closing_minor)
    return (f"{last_day:%Y-%m}", *amounts, *map(_number, ratios))


def _number(ratio: Fraction | None) -> float | None:
    return None if ratio is None else float(ratio)


def test_an_impossible_movement_cannot_be_made() -> None:
    """The same rules as the tables', in the type."""
    with pytest.raises(AssertionError):
        movement("cus_1", date(2024, 1, 1), MovementKind.CHURN, 0, 50)
