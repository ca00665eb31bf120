"""Several customers are one company: its figures, how it comes about, and how it ends."""

import random
import sqlite3
from collections.abc import Iterator
from datetime import date

import pytest
from msgspec.structs import replace

from connector.config import Config
from connector.core.dates import instant
from connector.core.policy import NO_COMPANIES, CompanyRule
from connector.metrics.invariants import Finding
from connector.mrr.companies import Companies, resolved
from connector.pipeline.recompute import recompute
from connector.reports.check import check_ledger
from connector.reports.closings.closed_months import figures_to_close
from connector.reports.closings.restatements import restated_windows
from connector.reports.ledger import Ledger
from connector.store.database import transaction
from connector.store.ledger import coverage, queries
from connector.store.mirror import customer_accounts, dirty_customers, unfit_objects
from connector.store.months import closings
from connector.stripe_api.objects import Customer
from connector.stripe_api.unfit import UnfitObject
from tests.pipeline.test_recompute import RULES
from tests.support.companies import KEY, added_up, belong, booked
from tests.support.ledgers import Known, empty_ledger, settle
from tests.support.synced import SEEN, Wire, demo_now_s, shop, walk, walked_demo

BY_KEY = CompanyRule(key=KEY)
S = 1_000_000


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """The shop's mirror, not yet derived."""
    with empty_ledger() as connection:
        walk(connection, Wire(shop(), SEEN))
        yield connection


def names(db: sqlite3.Connection) -> list[str]:
    return [c for (c,) in db.execute("SELECT id FROM stripe_customers ORDER BY id")]


def found_wrong(db: sqlite3.Connection) -> list[Finding]:
    ledger = Ledger(db, Config(company=f"metadata:{KEY}"), instant(demo_now_s()))
    return check_ledger(ledger).findings


def seen(db: sqlite3.Connection, later_s: int, rule: CompanyRule = BY_KEY) -> Known:
    return settle(db, SEEN + later_s, company=rule)


# --- whose is whose ---


@pytest.mark.parametrize(
    ("named", "merge", "expected"),
    [
        ({"a": "Acme", "b": "Acme"}, {}, {"a": "Acme", "b": "Acme"}),
        ({"a": "b"}, {}, {"a": "b"}),
        ({"a": "a"}, {}, {}),
        ({"a": "b", "b": "Acme"}, {}, {"a": "Acme", "b": "Acme"}),
        ({"a": "b", "b": "a"}, {}, {"b": "a"}),
        ({"c": "b", "b": "a", "a": "b"}, {}, {"b": "a", "c": "a"}),
        ({"a": "old"}, {"old": "new"}, {"a": "new"}),
        ({"old": "Acme"}, {"old": "new"}, {}),
        ({"new": "Acme", "a": "old"}, {"old": "new"}, {"new": "Acme", "a": "Acme"}),
    ],
    ids=[
        "two customers of one name are one",
        "a company may be a customer itself",
        "who names itself is itself",
        "a company's company counts",
        "of a circle the smallest id counts",
        "also of who leads into a circle",
        "a company that moved to another id is that one",
        "an id that was left has no company of its own",
        "both together",
    ],
)
def test_under_whom_customers_are_counted(
    named: dict[str, str], merge: dict[str, str], expected: dict[str, str]
) -> None:
    assert resolved(named, merge) == expected


def test_a_company_has_its_customers_in_all_of_their_ids() -> None:
    known = Companies({"old": "b"}, {"b": "Acme", "a": "Acme"})
    assert known.parts("Acme") == (("Acme",), ("a",), ("b", "old"))
    assert known.parts("b") == known.parts("old") == ()
    assert known.affected(["old", "x"]) == ["Acme", "old", "x"]


# --- what is booked ---


def test_a_move_from_one_customer_to_another_neither_leaves_nor_comes(
    db: sqlite3.Connection,
) -> None:
    """Of everybody in one company only the first movement in a currency is new."""
    alone = seen(db, 0, NO_COMPANIES).movements
    belong(db, dict.fromkeys(names(db), "Acme"), (SEEN + 1) * S)
    found = seen(db, 2).movements
    assert booked(found) == added_up(alone, dict.fromkeys(names(db), "Acme"))
    assert {m.customer for m in found} == {"Acme"}
    assert [m.kind.value for m in found].count("new") == len(
        {m.currency for m in found}
    )
    items = {(p.subscription, p.item) for m in alone for p in m.components}
    assert {(p.subscription, p.item) for m in found for p in m.components} == items
    runs = db.execute("SELECT cause FROM runs ORDER BY id").fetchall()
    assert runs == [("sync",), ("sync",)]


def test_a_company_that_is_named_by_an_account_is_that_account_s_customer(
    db: sqlite3.Connection,
) -> None:
    """As soon as any object has said whose Account it is, and not before."""
    alone = seen(db, 0, NO_COMPANIES).movements
    parent, part, *_ = names(db)
    belong(db, {part: "acct_1Parent"}, (SEEN + 1) * S)
    apart = seen(db, 2).movements
    assert booked(apart) == added_up(alone, {part: "acct_1Parent"})
    shown = Customer(id=parent, created=SEEN, customer_account="acct_1Parent")
    with transaction(db):
        assert customer_accounts.learn(db, [shown])
    known = seen(db, 4).movements
    assert booked(known) == added_up(alone, {part: parent})
    assert found_wrong(db) == []


def test_taking_the_key_away_restores_every_movement(db: sqlite3.Connection) -> None:
    alone = seen(db, 0, NO_COMPANIES)
    before = instant(SEEN + 1)
    belong(db, dict.fromkeys(names(db)[:4], "Acme"), (SEEN + 2) * S)
    assert seen(db, 3).movements != alone.movements
    assert seen(db, 4, NO_COMPANIES) == alone
    was = queries.movements(db, queries.Wanted(as_of=before))
    assert list(was) == alone.movements
    assert db.execute("SELECT * FROM companies").fetchall() == []
    assert not found_wrong(db)


def test_pairs_of_a_file_go_before_metadata(db: sqlite3.Connection) -> None:
    alone = seen(db, 0, NO_COMPANIES).movements
    one, two, *_ = names(db)
    belong(db, {one: "Acme", two: "Acme"}, (SEEN + 1) * S)
    both = CompanyRule(key=KEY, pairs={two: "Other"})
    found = seen(db, 2, both).movements
    assert booked(found) == added_up(alone, {one: "Acme", two: "Other"})


def test_a_company_that_is_a_customer_keeps_its_id(db: sqlite3.Connection) -> None:
    alone = seen(db, 0, NO_COMPANIES).movements
    one, two, three, *_ = names(db)
    belong(db, {one: three, two: one}, (SEEN + 1) * S)
    found = seen(db, 2).movements
    assert booked(found) == added_up(alone, {one: three, two: three})


def test_one_customer_that_moves_derives_two_companies_and_nobody_else(
    db: sqlite3.Connection,
) -> None:
    one, two, three, *_ = names(db)
    belong(db, {one: "Acme", two: "Acme", three: "Other"}, (SEEN + 1) * S)
    seen(db, 2)
    belong(db, {two: "Other"}, (SEEN + 3) * S)
    rules = replace(RULES, company=BY_KEY)
    done = recompute(db, rules, cause="webhook", now=instant(SEEN + 4), only=[two])
    assert done.customers == 3  # itself, the one before, the one now
    assert not dirty_customers.dirty(db)


def test_a_closed_month_stays_as_it_was_closed_and_the_difference_is_told(
    db: sqlite3.Connection,
) -> None:
    seen(db, 0, NO_COMPANIES)
    month = date(2025, 1, 1)
    at = instant(SEEN + 1)
    with transaction(db):
        closings.close(
            db,
            month,
            figures_to_close(db, month),
            policy=RULES.settings(),
            code_version="1",
            now=at,
        )
    reported = closings.reported(db, "usd", None)
    belong(db, dict.fromkeys(names(db), "Acme"), (SEEN + 2) * S)
    seen(db, 3)
    assert closings.reported(db, "usd", None) == reported
    ledger = Ledger(db, Config(company=f"metadata:{KEY}"), instant(SEEN + 4))
    told = restated_windows(ledger).windows
    assert {each.now.window.end for each in told} == {date(2025, 2, 1)}
    assert not found_wrong(db)


def test_what_is_set_aside_of_one_customer_keeps_its_whole_company(
    db: sqlite3.Connection,
) -> None:
    """Else the others' MRR would be in no figure."""
    alone = seen(db, 0, NO_COMPANIES).movements
    invoiced = coverage.sums(db)
    one, two, *_ = names(db)
    belong(db, {one: "Acme", two: "Acme"}, (SEEN + 1) * S)
    with transaction(db):
        wrong = UnfitObject(id=one, customer=one, field="discount", value="odd")
        unfit_objects.put(db, "customers", wrong, (SEEN + 2) * S)
    assert seen(db, 3).movements == alone
    assert coverage.sums(db) == invoiced
    assert [each.rule for each in found_wrong(db)] == ["not valued"]
    belong(db, {one: "Acme"}, (SEEN + 4) * S)
    with transaction(db):
        unfit_objects.fits(db, "customers", [one], (SEEN + 5) * S)
    found = seen(db, 6).movements
    assert booked(found) == added_up(alone, {one: "Acme", two: "Acme"})
    assert coverage.sums(db) == invoiced


# --- against addition alone ---


def test_companies_drawn_at_random_are_what_addition_says() -> None:
    """The demo's customers in companies of about five, and all of them drawn anew."""
    drawn = random.Random(18)
    with walked_demo() as db:
        now_s = demo_now_s()
        alone = settle(db, now_s, "Europe/Berlin").movements
        everybody = names(db)
        company_of: dict[str, str] = {}
        for turn in range(1, 6):
            some = drawn.sample(everybody, len(everybody) // turn)
            moved = {c: f"company {drawn.randrange(len(everybody) // 5)}" for c in some}
            company_of |= moved
            belong(db, moved, (now_s + turn) * S)
            found = settle(db, now_s + turn, "Europe/Berlin", company=BY_KEY).movements
            assert booked(found) == added_up(alone, company_of)
        assert not found_wrong(db)
        restored = settle(db, now_s + 9, "Europe/Berlin").movements
        assert restored == alone
