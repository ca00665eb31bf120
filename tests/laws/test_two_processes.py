"""A sync and a server on one ledger: neither undoes what the other has done."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.core.dates import instant
from connector.core.errors import RulesDiffer
from connector.core.model import Movement
from connector.pipeline.policy_change import adopt
from connector.pipeline.recompute import BATCH, recompute
from connector.store.database import transaction
from connector.store.ledger import queries
from connector.store.ledger.posting import ONE_TICK, LedgerRun
from connector.store.ledger.queries import Wanted
from connector.store.mirror import dirty_customers, objects
from connector.store.mirror.catalogue import read_catalogue
from connector.store.opening import open_database
from connector.stripe_api.objects import Price, Product
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, add_months
from tests.pipeline.test_recompute import IGNORING, RULES
from tests.support.books import NOON, lived, settle_one
from tests.support.ledgers import empty_ledger
from tests.support.simulator import SimulatedAccount
from tests.support.synced import OPENED, Wire, demo_now_s, walk, walked_demo


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The demo's mirror, in a file, not yet derived: more than one batch."""
    with (
        walked_demo() as memory,
        closing(sqlite3.connect(tmp_path / "ledger.db")) as file,
    ):
        memory.backup(file)
    return tmp_path / "ledger.db"


@pytest.fixture
def one(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(path)) as connection:
        yield connection


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(path)) as connection:
        yield connection


alone_or_not = pytest.mark.parametrize("workers", [1, 2])  # that derive for the one


def live(connection: sqlite3.Connection) -> list[Movement]:
    return list(queries.movements(connection))


def moves(movements: list[Movement]) -> list[tuple[object, ...]]:
    """Without the words, which stay as they were first posted."""
    return [
        (m.customer, m.day, m.kind, m.before_minor, m.after_minor) for m in movements
    ]


def quiet() -> list[Movement]:
    with walked_demo() as connection:
        recompute(connection, RULES, cause="sync", now=instant(demo_now_s()))
        return live(connection)


@alone_or_not
def test_both_derive_everybody_and_each_is_posted_once(
    one: sqlite3.Connection, other: sqlite3.Connection, workers: int
) -> None:
    """While one is between its batches, the other derives all that is left."""
    now = instant(demo_now_s())

    def between(done: int, _: int) -> None:
        if done == BATCH:
            recompute(other, RULES, cause="webhook", now=now)

    done = recompute(
        one, RULES, cause="sync", now=now, progress=between, workers=workers
    )
    assert live(one) == quiet()
    assert done.retractions == 0
    causes = [cause for (cause,) in one.execute("SELECT cause FROM runs ORDER BY id")]
    assert causes == ["sync", "webhook"]


@alone_or_not
def test_a_catalogue_that_changes_between_two_batches_is_read_again(
    one: sqlite3.Connection, other: sqlite3.Connection, workers: int
) -> None:
    """Else the first process would undo what the second has derived by it."""
    now = instant(demo_now_s())

    def unpriced(connection: sqlite3.Connection) -> None:
        """No price recurs any more, so that nothing has an MRR."""
        rows = connection.execute("SELECT id FROM stripe_prices").fetchall()
        prices = [Price(id=key, currency="usd") for (key,) in rows]
        with transaction(connection):
            objects.put(connection, "prices", prices, 1 << 60)
            dirty_customers.mark_all(connection)

    def between(done: int, _: int) -> None:
        if done == BATCH:
            unpriced(other)

    recompute(one, RULES, cause="sync", now=now, progress=between, workers=workers)
    recompute(one, RULES, cause="sync", now=now)
    with walked_demo() as alone:
        unpriced(alone)
        recompute(alone, RULES, cause="sync", now=now)
        assert moves(live(one)) == moves(live(alone)) != moves(quiet())


def test_who_was_derived_meanwhile_is_not_derived_by_an_older_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A discount that has run out since the sync began stays run out."""
    monkeypatch.setattr("connector.pipeline.recompute.BATCH", 1)
    acc = Account(OPENED)
    price = acc.add_price(acc.add_product("Plan"), 1_000)
    spring = acc.add_coupon("SPRING", percent_off=50, duration="repeating", months=3)
    for _ in range(2):
        acc.subscribe(acc.add_customer(), price, coupon=spring)
    early_s, late_s = OPENED + DAY, add_months(OPENED, 3)
    path = tmp_path / "ledger.db"
    with (
        closing(open_database(path, create=True)) as one,
        closing(open_database(path)) as other,
    ):
        walk(one, Wire(SimulatedAccount(acc.snapshot()), early_s))

        def between(_done: int, _whole: int) -> None:
            recompute(other, RULES, cause="webhook", now=instant(late_s))

        now = instant(early_s)
        done = recompute(one, RULES, cause="sync", now=now, progress=between)
        assert done.retractions == 0
        assert [m.after_minor for m in live(one)] == [500, 500, 1_000, 1_000]


# --- rules ---


def test_rules_that_another_process_puts_in_force_stop_the_first(
    one: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    now = instant(demo_now_s())
    adopt(one, RULES)

    def between(done: int, _: int) -> None:
        if done == BATCH:
            assert adopt(other, IGNORING) is not None

    with pytest.raises(RulesDiffer):
        recompute(one, RULES, cause="sync", now=now, progress=between)
    recompute(other, IGNORING, cause="policy change", now=now)
    with walked_demo() as alone:
        recompute(alone, IGNORING, cause="sync", now=now)
        assert live(one) == live(alone)


def test_the_same_rules_adopted_twice_mark_nobody_twice(
    one: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    adopt(one, RULES)
    recompute(one, RULES, cause="sync", now=instant(demo_now_s()))
    assert adopt(other, RULES) is None
    assert dirty_customers.dirty(one) == []


# --- what a past moment shows ---


def test_the_newest_copy_wins_whoever_writes_last() -> None:
    """The sync's page was asked for before the webhook's object, and stored after it."""
    fresh, stale = Product(id="prod_1", name="new"), Product(id="prod_1", name="old")
    with empty_ledger() as db, transaction(db):
        objects.put(db, "products", [fresh], 9)
        objects.put(db, "products", [stale], 5)
        assert read_catalogue(db).products == {"prod_1": fresh}


@given(
    turns=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["50", "50 90", "70", "."])),
        min_size=1,
        max_size=12,
    ),
    started=st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
)
def test_every_past_moment_shows_one_state_of_the_ledger(
    turns: list[tuple[str, str]], started: tuple[int, int]
) -> None:
    """Two runs correct each other in turns; as of any moment no day counts twice."""
    with empty_ledger() as db:
        runs = {
            name: LedgerRun(
                db,
                NOON + timedelta(minutes=minutes),
                "sync",
                code_version="test",
                policy="{}",
            )
            for name, minutes in zip("ab", started, strict=True)
        }
        states: list[list[Movement]] = []
        for name, life in turns:
            with transaction(db):
                settle_one(db, runs[name], "cus_1", lived("cus_1", life))
            states.append(live(db))
        stamps = [at for (at,) in db.execute("SELECT started_at FROM runs ORDER BY id")]
        assert stamps == sorted(stamps)
        for at in stamps:
            moment = datetime.fromisoformat(at)
            shown = list(queries.movements(db, Wanted(as_of=moment)))
            assert shown in states
            before = list(queries.movements(db, Wanted(as_of=moment - ONE_TICK)))
            assert before in [[], *states]
