"""The inbox as a store: each event once, tried so often, at these times."""

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.store import inbox
from connector.store.database import transaction
from connector.store.inbox import (
    KEPT_US,
    PAUSES_S,
    SECOND_US,
    TRIES,
    InboxDepth,
    ReceivedEvent,
)
from connector.stripe_api.events import NamedObject
from tests.support.ledgers import empty_ledger

NOW_US = 1_790_000_000 * SECOND_US


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with empty_ledger() as connection:
        yield connection


def arrived(*events: str) -> list[ReceivedEvent]:
    return [
        ReceivedEvent(each, "invoice.paid", (NamedObject("invoices", "in_1"),))
        for each in events
    ]


def due(db: sqlite3.Connection, now_us: int = NOW_US, limit: int = 100) -> list[str]:
    return [each.event for each in inbox.due(db, now_us, limit)]


def states(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT event, state FROM inbox").fetchall())


def test_an_event_is_kept_once(db: sqlite3.Connection) -> None:
    assert inbox.keep(db, arrived("evt_1", "evt_2", "evt_1"), NOW_US) == [
        True,
        True,
        False,
    ]
    assert inbox.keep(db, arrived("evt_2"), NOW_US + 1) == [False]
    assert due(db) == ["evt_1", "evt_2"]


def test_events_come_in_order_and_no_more_than_asked(db: sqlite3.Connection) -> None:
    inbox.keep(db, arrived("evt_2", "evt_1", "evt_3"), NOW_US)
    assert due(db, limit=2) == ["evt_2", "evt_1"]
    assert due(db, NOW_US - 1) == []


def test_what_is_done_waits_no_more_and_stays_done(db: sqlite3.Connection) -> None:
    inbox.keep(db, arrived("evt_1"), NOW_US)
    [event] = inbox.due(db, NOW_US, 1)
    inbox.done(db, event, NOW_US)
    assert due(db) == []
    assert inbox.keep(db, arrived("evt_1"), NOW_US + 1) == [False]
    assert not inbox.failed(db, event, "too late", NOW_US)  # of a second process
    assert states(db) == {"evt_1": "done"}


def test_an_event_dies_after_eight_tries_with_growing_pauses(
    db: sqlite3.Connection,
) -> None:
    inbox.keep(db, arrived("evt_1"), NOW_US)
    now_us = NOW_US
    for number, pause_s in enumerate(PAUSES_S, start=1):
        [event] = inbox.due(db, now_us, 1)
        assert event.tries == number - 1
        assert not inbox.failed(db, event, f"error {number}", now_us)
        assert due(db, now_us + pause_s * SECOND_US - 1) == []
        now_us += pause_s * SECOND_US
    assert list(PAUSES_S) == sorted(set(PAUSES_S))
    assert len(PAUSES_S) == TRIES - 1
    [event] = inbox.due(db, now_us, 1)
    assert inbox.failed(db, event, "the last", now_us)
    assert states(db) == {"evt_1": "dead"}
    [told] = inbox.troubled(db)
    assert (told.tries, told.error, told.state) == (8, "the last", "dead")
    assert inbox.depth(db) == InboxDepth(0, 0, 1, None)


def test_who_is_put_off_is_not_counted_and_waits_longer_each_time(
    db: sqlite3.Connection,
) -> None:
    inbox.keep(db, arrived("evt_1"), NOW_US)
    now_us, pauses_s = NOW_US, []
    for _ in range(40):
        [event] = inbox.due(db, now_us, 1)
        inbox.put_off(db, event, "Stripe is away", now_us)
        [told] = inbox.troubled(db)
        pauses_s.append((told.due_us - now_us) // SECOND_US)
        now_us = told.due_us
    assert pauses_s[0] == 1
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[-1] == 60
    assert inbox.depth(db) == InboxDepth(1, 0, 0, NOW_US)


@pytest.mark.parametrize(
    ("asked", "again"),
    [
        pytest.param((), ["evt_1", "evt_2"], id="all"),
        pytest.param(("evt_2",), ["evt_2"], id="one"),
        pytest.param(("evt_3",), [], id="one that is not dead"),
        pytest.param(("evt_9",), [], id="one that never came"),
    ],
)
def test_the_dead_can_be_tried_again_as_if_new(
    db: sqlite3.Connection, asked: tuple[str, ...], again: list[str]
) -> None:
    inbox.keep(db, arrived("evt_1", "evt_2", "evt_3"), NOW_US)
    db.execute(
        "UPDATE inbox SET state = 'dead', tries = 8, error = 'x', settled_us = 1"
        " WHERE event <> 'evt_3'"
    )
    assert inbox.retry(db, NOW_US, asked) == again
    assert due(db) == sorted({"evt_3", *again})
    assert all(each.tries == 0 for each in inbox.due(db, NOW_US, 9))


def test_what_was_done_35_days_ago_is_forgotten_and_nothing_else(
    db: sqlite3.Connection,
) -> None:
    inbox.keep(db, arrived("old", "young", "waiting", "dead"), NOW_US)
    rows = {each.event: each for each in inbox.due(db, NOW_US, 9)}
    inbox.done(db, rows["old"], NOW_US)
    inbox.done(db, rows["young"], NOW_US + 1)
    db.execute("UPDATE inbox SET state = 'dead', settled_us = 1 WHERE event = 'dead'")
    assert inbox.prune(db, NOW_US + KEPT_US) == 0
    assert inbox.prune(db, NOW_US + KEPT_US + 1) == 1
    assert states(db) == {"young": "done", "waiting": "waiting", "dead": "dead"}


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["keep", "fail", "done"])),
        max_size=30,
    )
)
def test_no_event_is_ever_lost_or_twice(steps: list[tuple[str, str]]) -> None:
    """Whatever happens to it, an event that was kept is one row."""
    with empty_ledger() as db:
        kept: set[str] = set()
        for event, step in steps:
            with transaction(db):
                rows = {e.event: e for e in inbox.due(db, NOW_US * 2, 9)}
                if step == "keep":
                    assert inbox.keep(db, arrived(event), NOW_US) == [event not in kept]
                    kept.add(event)
                elif event in rows and step == "fail":
                    inbox.failed(db, rows[event], "x", NOW_US)
                elif event in rows:
                    inbox.done(db, rows[event], NOW_US)
        assert states(db).keys() == kept
