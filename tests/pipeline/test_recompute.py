"""Deriving who is marked: whole customers, once, at the right time, under a known cause."""

import json
import multiprocessing
import os
import resource
import sqlite3
import statistics
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from connector.core.dates import instant, local_day
from connector.core.model import Movement
from connector.core.policy import Policy, Rules
from connector.mrr.history import Catalogue
from connector.pipeline import process_pool
from connector.pipeline.policy_change import adopt
from connector.pipeline.process_pool import DerivationTask
from connector.pipeline.recompute import BATCH, Recomputed, recompute
from connector.store.database import file_of, put_setting, transaction
from connector.store.ledger import customers as ledger_customers
from connector.store.ledger import queries, unvalued
from connector.store.ledger.as_of import policy_as_of
from connector.store.ledger.queries import Wanted
from connector.store.mirror import dirty_customers, objects
from connector.store.opening import open_database
from connector.stripe_api.decoding import decode
from connector.stripe_api.objects import Price
from tests.billing.account import Account
from tests.billing.calendar_ import DAY, add_months
from tests.support.broken_lakes import killing
from tests.support.ledgers import empty_ledger
from tests.support.simulator import SimulatedAccount
from tests.support.synced import (
    OPENED,
    SEEN,
    Wire,
    demo_now_s,
    shop,
    synced_shop,
    walk,
    walked_demo,
)

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")


def rules(zone: ZoneInfo = UTC, version: str = "of the tests", **policy: Any) -> Rules:
    return Rules(policy=Policy(**policy), zone=zone, code_version=version)


RULES = rules()
IGNORING = rules(repeating_subtracted=False)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """The shop's mirror, not yet derived."""
    with empty_ledger() as connection:
        walk(connection, Wire(shop(), SEEN))
        yield connection


def derive(
    db: sqlite3.Connection,
    at_s: int = SEEN,
    rules: Rules = RULES,
    cause: str = "sync",
) -> Recomputed:
    return recompute(db, rules, cause=cause, now=instant(at_s))


def live(db: sqlite3.Connection, customer: str | None = None) -> list[Movement]:
    return list(queries.movements(db, Wanted(customer=customer)))


def runs(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return db.execute("SELECT cause, code_version FROM runs ORDER BY id").fetchall()


# --- once ---


def test_everybody_marked_is_derived(db: sqlite3.Connection) -> None:
    done = derive(db)
    assert done == Recomputed(6, len(synced_shop().movements), 0)
    assert live(db) == synced_shop().movements
    assert dirty_customers.dirty(db) == []
    assert runs(db) == [("sync", "of the tests")]


def test_nobody_marked_is_nothing_done(db: sqlite3.Connection) -> None:
    derive(db)
    assert derive(db, SEEN + 1) == Recomputed(0, 0, 0)
    assert len(runs(db)) == 1


def test_deriving_everybody_again_posts_nothing(db: sqlite3.Connection) -> None:
    derive(db)
    with transaction(db):
        dirty_customers.mark_all(db)
    assert derive(db, SEEN + 1, cause="manual") == Recomputed(6, 0, 0)
    assert runs(db) == [("sync", "of the tests")]


@settings(max_examples=20)
@given(st.permutations(sorted(it["id"] for it in shop().objects["customers"])))
def test_the_order_of_customers_does_not_matter(order: list[str]) -> None:
    with empty_ledger() as db:
        walk(db, Wire(shop(), SEEN))
        with transaction(db):
            db.execute("DELETE FROM dirty_customers")
        for customer in order:
            with transaction(db):
                db.execute("INSERT INTO dirty_customers VALUES (?)", [customer])
            derive(db)
        assert live(db) == synced_shop().movements


def test_label_and_country_come_along(db: sqlite3.Connection) -> None:
    derive(db)
    assert sorted(ledger_customers.labels(db).values()) == sorted(
        it["name"] for it in shop().objects["customers"]
    )


# --- in several processes ---


@contextmanager
def walked_file(folder: Path) -> Iterator[sqlite3.Connection]:
    """The demo's mirror in a file, not yet derived."""
    folder.mkdir(exist_ok=True)
    with (
        walked_demo() as memory,
        closing(sqlite3.connect(folder / "ledger.db", isolation_level=None)) as file,
    ):
        memory.backup(file)
        file.execute("PRAGMA journal_mode = WAL")
        yield file


def outcome(
    workers: int, folder: Path, between: Callable[[int, int], None] = lambda *_: None
) -> tuple[object, ...]:
    """All that deriving the demo leaves behind, where three of its objects are odd."""
    with walked_file(folder) as db:
        db.execute("DELETE FROM stripe_prices WHERE rowid = 1")
        db.execute("UPDATE stripe_invoices SET body = x'5b5d' WHERE rowid = 2000")
        db.execute(  # too much to be handed over by a process
            "UPDATE stripe_subscriptions SET body = CAST(replace(CAST(body AS TEXT),"
            ' \'"quantity":\', \'"quantity":9000000000000000000,"was":\') AS BLOB)'
            " WHERE rowid = 100"
        )
        now = instant(demo_now_s())
        done = recompute(
            db, RULES, cause="sync", now=now, workers=workers, progress=between
        )
        rows = [db.execute(f"SELECT * FROM {table}").fetchall() for table in DERIVED]  # noqa: S608
        return done, rows, dirty_customers.dirty(db)


DERIVED = (
    *("runs", "customers", "movements", "components", "retractions"),
    *("due_customers", "refusals", "terms", "plans", "window_sums"),
)


def test_it_does_not_matter_how_many_processes_derive(tmp_path: Path) -> None:
    alone = outcome(1, tmp_path / "1")
    assert outcome(2, tmp_path / "2") == alone
    assert outcome(3, tmp_path / "3") == alone


def test_what_is_too_much_to_ask_a_process_is_derived_by_who_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else both could wait for the other to listen: of a customer with many old ids."""
    ids = tuple(f"cus_{number:020}" for number in range(500))
    merged = {customer: [[customer, *ids]] for customer in EVERYBODY[:1]}
    assert len(msgspec.msgpack.encode(merged)) > process_pool.MOST_BYTES
    alone = outcome(1, tmp_path / "1")
    monkeypatch.setattr(process_pool, "MOST_BYTES", 900)  # too little for most batches
    assert outcome(2, tmp_path / "2") == alone


def test_processes_that_are_killed_are_done_without(tmp_path: Path) -> None:
    killed = []

    def between(done: int, _: int) -> None:
        if done == BATCH:
            for worker in multiprocessing.active_children():
                worker.kill()
                killed.append(worker.pid)

    assert outcome(2, tmp_path / "2", between) == outcome(1, tmp_path / "1")
    assert len(killed) == 2


def test_processes_that_are_killed_at_once_are_done_without(tmp_path: Path) -> None:
    """Whoever asked does not wait for what nobody will read, however much it is."""
    prices = {f"price_{n}": Price(id=f"price_{n}") for n in range(20_000)}
    task = DerivationTask(
        tmp_path / "none.db", RULES, Catalogue(prices=prices), until_s=0
    )
    for which in (0, 1):
        with killing(which), process_pool.deriving(task, 2) as derive_all:
            assert list(derive_all([{"cus_1": ["cus_1"]}])) == []
    assert multiprocessing.active_children() == []


@contextmanager
def no_file_to_spare() -> Iterator[None]:
    """Whoever wants to open something is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in taken:
            os.close(number)


def test_where_there_can_be_no_processes_it_derives_alone(tmp_path: Path) -> None:
    with walked_file(tmp_path) as db:
        dirty_customers.dirty(db)  # by now SQLite has opened all its files
        with no_file_to_spare():
            done = recompute(
                db, RULES, cause="sync", now=instant(demo_now_s()), workers=2
            )
        assert dirty_customers.dirty(db) == []
        assert done.movements == len(live(db)) > 0


# --- a time that comes though nothing changes ---


def test_a_coupon_that_runs_out_is_posted_when_its_time_has_come() -> None:
    acc = Account(OPENED)
    price = acc.add_price(acc.add_product("Plan"), 1_000)
    spring = acc.add_coupon("SPRING", percent_off=50, duration="repeating", months=3)
    acc.subscribe(acc.add_customer(), price, coupon=spring)
    acc.advance(OPENED + DAY)
    ends_s = add_months(OPENED, 3)
    with empty_ledger() as db:
        walk(db, Wire(SimulatedAccount(acc.snapshot()), OPENED + DAY))
        derive(db, OPENED + DAY)
        assert [m.after_minor for m in live(db)] == [500]
        assert derive(db, ends_s - 1) == Recomputed(0, 0, 0)
        assert derive(db, ends_s) == Recomputed(1, 1, 0)
        [_, grown] = live(db)
        assert (grown.kind, grown.after_minor) == ("expansion", 1_000)
        assert grown.day == local_day(ends_s, UTC)
        assert derive(db, ends_s + 400 * DAY) == Recomputed(0, 0, 0)


# --- refusals ---


def test_what_cannot_be_valued_is_named_and_the_others_are_not_touched(
    db: sqlite3.Connection,
) -> None:
    odd = shop().objects["subscriptions"][0]
    [item] = odd["items"]["data"]
    price = item["price"]["id"]
    broken = Price(id=price, currency="usd")  # recurs no more
    with transaction(db):
        objects.put(db, "prices", [broken], (SEEN + 1) * 1_000_000)
    derive(db)
    found = unvalued.known(db)
    assert {(r.object_id, r.field, r.value) for r in found} == {
        (price, "recurring", "None")
    }
    refused = {r.customer for r in found}
    assert odd["customer"] in refused
    others = [m for m in synced_shop().movements if m.customer not in refused]
    assert [m for m in live(db) if m.customer not in refused] == others
    assert others


def test_a_refusal_is_lifted_once_its_reason_is_gone(db: sqlite3.Connection) -> None:
    [(price, text)] = db.execute(
        "SELECT id, body FROM stripe_prices LIMIT 1"
    ).fetchall()
    whole = decode(text, Price)
    with transaction(db):
        objects.put(db, "prices", [Price(id=price)], (SEEN + 1) * 1_000_000)
    derive(db)
    assert unvalued.known(db)
    with transaction(db):
        objects.put(db, "prices", [whole], (SEEN + 2) * 1_000_000)
    derive(db)
    assert unvalued.known(db) == []
    assert live(db) == synced_shop().movements


# --- histories that nobody foresaw ---

TOO_EARLY_S = -(10**15)  # no calendar reaches so far
POISONS = [
    pytest.param(TOO_EARLY_S, id="a moment that nobody foresaw"),
    pytest.param("once", id="a body that nobody can read"),
]
EVERYBODY = sorted(it["id"] for it in shop().objects["customers"])
Bodies = list[tuple[bytes, str]]


def poison(db: sqlite3.Connection, customers: Iterable[str], start: object) -> Bodies:
    """Spoil what is kept of their subscriptions; return what was there, as rows."""
    whole = db.execute(
        "SELECT body, id FROM stripe_subscriptions WHERE customer IN"
        " (SELECT value FROM json_each(?))",
        [json.dumps(list(customers))],
    ).fetchall()
    for text, key in whole:
        body = json.loads(text)
        row = [json.dumps({**body, "start_date": start}).encode(), key]
        db.execute("UPDATE stripe_subscriptions SET body = ? WHERE id = ?", row)
    return whole


def cure(db: sqlite3.Connection, whole: Bodies) -> None:
    """As a version of the program does that foresees them."""
    db.executemany("UPDATE stripe_subscriptions SET body = ? WHERE id = ?", whole)


@pytest.mark.parametrize("what", POISONS)
@settings(max_examples=15)
@given(spoiled=st.sets(st.sampled_from(EVERYBODY), min_size=1))
def test_who_cannot_be_derived_is_named_and_holds_up_nobody(
    what: object, spoiled: set[str]
) -> None:
    with empty_ledger() as db:
        walk(db, Wire(shop(), SEEN))
        whole = poison(db, spoiled, what)
        done = derive(db)
        others = [m for m in synced_shop().movements if m.customer not in spoiled]
        assert done.failed.keys() == spoiled
        assert done[:2] == (len(EVERYBODY) - len(spoiled), len(others))
        assert live(db) == others
        assert set(dirty_customers.dirty(db)) == spoiled
        assert derive(db, SEEN + 1).failed == done.failed
        cure(db, whole)
        assert derive(db, SEEN + 2).failed == {}
        assert live(db) == synced_shop().movements
        assert dirty_customers.dirty(db) == []
        assert set(runs(db)) == {("sync", "of the tests")}


def test_one_of_many_costs_its_batch_no_run_of_its_own() -> None:
    """What was begun for a batch that failed has never been."""
    with walked_demo() as quiet:
        derive(quiet, demo_now_s())
        expected = live(quiet)
    with walked_demo() as db:
        spoiled = dirty_customers.dirty(db)[0]
        poison(db, [spoiled], TOO_EARLY_S)
        assert derive(db, demo_now_s()).failed.keys() == {spoiled}
        assert live(db) == [m for m in expected if m.customer != spoiled]
        assert len(runs(db)) == 1


def test_a_merged_history_that_fails_stays_marked(db: sqlite3.Connection) -> None:
    """The mark that it was derived for is its former id's, and is gone."""
    merged = replace(RULES, merge={EVERYBODY[0]: EVERYBODY[1]})
    derive(db, rules=merged)
    expected = live(db)
    whole = poison(db, EVERYBODY[:1], "once")
    dirty_customers.mark(db, EVERYBODY[:1])
    assert derive(db, SEEN + 1, merged).failed.keys() == {EVERYBODY[1]}
    assert dirty_customers.dirty(db) == [EVERYBODY[1]]
    assert live(db) == expected
    cure(db, whole)
    assert derive(db, SEEN + 2, merged).failed == {}
    assert live(db) == expected


def test_a_change_of_policy_waits_for_nobody_who_cannot_be_derived(
    db: sqlite3.Connection,
) -> None:
    adopt(db, RULES)
    derive(db)
    poison(db, EVERYBODY[:1], "once")
    assert adopt(db, IGNORING) is not None
    assert derive(db, SEEN + 1, IGNORING).failed.keys() == {EVERYBODY[0]}
    assert adopt(db, IGNORING) is None
    assert dirty_customers.dirty(db) == EVERYBODY[:1]


def test_a_full_disk_is_nobody_s_own_fault(db: sqlite3.Connection) -> None:
    [used] = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {used}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        derive(db)


# --- interruptions ---


@pytest.mark.parametrize(
    ("hold_s", "customers"),
    [
        pytest.param(3_600.0, BATCH, id="however many they are"),
        pytest.param(1e-9, 1, id="none waits for two"),
    ],
)
def test_progress_is_told_after_each_transaction_which_then_stands(
    monkeypatch: pytest.MonkeyPatch, hold_s: float, customers: int
) -> None:
    monkeypatch.setattr("connector.pipeline.recompute.HOLD_S", hold_s)
    told: list[tuple[int, int, int]] = []

    with walked_demo() as demo:
        now = instant(demo_now_s())

        def tell(done: int, whole: int) -> None:
            told.append((done, whole, len(dirty_customers.dirty(demo))))

        recompute(demo, RULES, cause="sync", now=now, progress=tell)
    after_each = [*range(customers, 340, customers), 340]
    assert told == [(done, 340, 340 - done) for done in after_each]


def test_who_writes_meanwhile_waits_for_one_transaction_only(tmp_path: Path) -> None:
    """As a webhook does, whose event is kept before it is answered.

    Counted in transactions that ended meanwhile, as a rule: on a machine that does other
    things, too, who waits may miss the moment.
    """
    ended: list[int] = []
    waited_for: list[int] = []
    is_over = threading.Event()

    def write(path: Path) -> None:
        with closing(open_database(path)) as other:
            while not is_over.wait(0.02):
                before = len(ended)
                with transaction(other):
                    waited_for.append(len(ended) - before)

    with walked_file(tmp_path / "shop") as db:
        path = file_of(db)
        assert path is not None
        writer = threading.Thread(target=write, args=(path,))
        writer.start()
        try:
            now = instant(demo_now_s())
            recompute(
                db,
                RULES,
                cause="sync",
                now=now,
                progress=lambda done, _whole: ended.append(done),
            )
        finally:
            is_over.set()
            writer.join()
    assert statistics.median(waited_for) <= 1


class Stopped(Exception):
    pass


def test_a_recompute_that_was_stopped_leaves_whole_customers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connector.pipeline.recompute.HOLD_S", 3_600.0)

    def stop(_done: int, _whole: int) -> None:
        raise Stopped

    with walked_demo() as quiet:
        derive(quiet, demo_now_s())
        expected = live(quiet)
    with walked_demo() as db:
        with pytest.raises(Stopped):
            recompute(db, RULES, cause="sync", now=instant(demo_now_s()), progress=stop)
        waiting = set(dirty_customers.dirty(db))
        assert len(waiting) == 340 - BATCH
        assert live(db) == [m for m in expected if m.customer not in waiting]
        derive(db, demo_now_s())
        assert live(db) == expected


@settings(max_examples=40)
@given(st.integers(1, 4_000))
def test_power_that_fails_anywhere_loses_nothing(steps: int) -> None:
    """SQLite is interrupted after so many of its own instructions."""
    with empty_ledger() as db:
        walk(db, Wire(shop(), SEEN))
        left = iter(range(steps))
        db.set_progress_handler(lambda: next(left, None) is None, 10)
        with suppress(sqlite3.OperationalError):
            derive(db)
        db.set_progress_handler(None, 0)
        assert not db.in_transaction
        waiting = set(dirty_customers.dirty(db))
        expected = synced_shop().movements
        assert live(db) == [m for m in expected if m.customer not in waiting]
        derive(db)
        assert live(db) == expected
        assert dirty_customers.dirty(db) == []
        assert runs(db) == [("sync", "of the tests")]


# --- rules ---


def test_the_first_rules_are_adopted_without_a_word(db: sqlite3.Connection) -> None:
    assert adopt(db, RULES) is None
    derive(db)
    assert adopt(db, RULES) is None
    assert dirty_customers.dirty(db) == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param(
            IGNORING,
            "policy change: repeating_coupon subtracted → ignored",
            id="another switch",
        ),
        pytest.param(
            rules(BERLIN),
            "policy change: timezone UTC → Europe/Berlin",
            id="another time zone",
        ),
        pytest.param(
            rules(past_due_days=30, churn_when_requested=True),
            "policy change: past_due counts → after_days:30, churn ended → requested",
            id="two at once",
        ),
    ],
)
def test_other_rules_mark_everybody_and_say_what_changed(
    db: sqlite3.Connection, wanted: Rules, said: str
) -> None:
    adopt(db, RULES)
    derive(db)
    assert adopt(db, wanted) == said
    assert len(dirty_customers.dirty(db)) == 6
    assert adopt(db, wanted) == said  # until everybody is derived by it
    recompute(db, wanted, cause="policy change", now=instant(SEEN))
    assert adopt(db, wanted) is None


def test_a_newer_derivation_marks_everybody(db: sqlite3.Connection) -> None:
    adopt(db, RULES)
    derive(db)
    put_setting(db, "derivation", "0")
    assert adopt(db, RULES) == "this version derives some histories differently"
    assert len(dirty_customers.dirty(db)) == 6


def test_another_version_of_the_program_alone_marks_nobody(
    db: sqlite3.Connection,
) -> None:
    adopt(db, RULES)
    derive(db)
    adopt(db, rules(version="newer"))
    assert dirty_customers.dirty(db) == []


def test_a_policy_change_is_a_run_of_its_own_and_can_be_read_before_it(
    db: sqlite3.Connection,
) -> None:
    adopt(db, RULES)
    derive(db)
    before = live(db)
    adopt(db, IGNORING)
    derive(db, SEEN + 60, IGNORING, cause="policy change")
    assert [cause for cause, _ in runs(db)] == ["sync", "policy change"]
    # "Saves" pays half for three months, "Late" still does: both whole from the start.
    [saves, late] = [m for m in live(db) if m not in before]
    assert [saves.after_minor, late.after_minor] == [1_000, 825]
    assert list(queries.movements(db, Wanted(as_of=instant(SEEN)))) == before
    policy = policy_as_of(db, instant(SEEN))
    assert policy is not None
    assert '"repeating_coupon": "subtracted"' in policy


def test_going_back_to_the_old_policy_restores_the_old_figures(
    db: sqlite3.Connection,
) -> None:
    for hour, wanted in enumerate((RULES, IGNORING, RULES)):
        adopt(db, wanted)
        derive(db, SEEN + hour * 3_600, wanted)
    assert live(db) == synced_shop().movements
