"""Webhook events received: durable, each once, with what has become of them.

An event waits until every object it names is in the mirror and its customers are
derived. One that fails by itself is tried again after growing pauses, and is dead after
``TRIES``; one that only Stripe's absence holds up waits without being counted.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from connector.core.account import NOBODY, StripeIdentity
from connector.store.database import make_durable, scalar, scalars
from connector.stripe_api.events import NamedObject

SECOND_US = 1_000_000
TRIES = 8
PAUSES_S = (1, 5, 30, 120, 600, 1_800, 3_600)  # between the tries: two hours in all
# While Stripe is away: a quarter of the time it has been waiting already.
ABSENCE_S = (1, 60)
# Stripe repeats an event for three days; events themselves last for 30.
KEPT_US = 35 * 86_400 * SECOND_US


class ReceivedEvent(NamedTuple):
    """An event, and what it names; no ``names`` where it is of no use here.

    ``origin`` is whose it is, as far as it says; it is not kept.
    """

    event: str
    type: str
    names: tuple[NamedObject, ...]
    origin: StripeIdentity = NOBODY


class WaitingEvent(NamedTuple):
    number: int
    event: str
    type: str
    names: tuple[NamedObject, ...]
    received_us: int
    tries: int


def prepare_to_keep(connection: sqlite3.Connection) -> None:
    """Let a commit return only once it would survive the loss of power.

    Where another connection writes, it says so at once: the caller looks again itself.
    Moving the log into the file is left to others: nobody waits here for more than a
    commit.
    """
    make_durable(connection)
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def keep(
    connection: sqlite3.Connection, arrived: Iterable[ReceivedEvent], now_us: int
) -> list[bool]:
    """Keep events, in the caller's transaction; for each, whether it is a new one."""
    return [
        connection.execute(
            "INSERT INTO inbox (event, type, names, received_us, due_us)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (event) DO NOTHING",
            [each.event, each.type, json.dumps(each.names), now_us, now_us],
        ).rowcount
        == 1
        for each in arrived
    ]


def rehearse(connection: sqlite3.Connection, now_us: int) -> None:
    """Write as an event is written, and leave nothing: in the caller's transaction."""
    nobody = ReceivedEvent("", "", ())
    keep(connection, [nobody], now_us)
    connection.execute("DELETE FROM inbox WHERE event = ?", [nobody.event])


def due(connection: sqlite3.Connection, now_us: int, limit: int) -> list[WaitingEvent]:
    """Those whose time has come, who has waited longest for it first."""
    rows = connection.execute(
        "SELECT number, event, type, names, received_us, tries FROM inbox"
        " WHERE state = 'waiting' AND due_us <= ? ORDER BY due_us, number LIMIT ?",
        [now_us, limit],
    ).fetchall()
    return [
        WaitingEvent(number, event, kind, _names(names), *rest)
        for number, event, kind, names, *rest in rows
    ]


def done(connection: sqlite3.Connection, event: WaitingEvent, now_us: int) -> None:
    connection.execute(
        "UPDATE inbox SET state = 'done', settled_us = ?, error = NULL"
        " WHERE number = ? AND state = 'waiting'",
        [now_us, event.number],
    )


def failed(
    connection: sqlite3.Connection, event: WaitingEvent, error: str, now_us: int
) -> bool:
    """Count a try that ended in an error of the event's own; True where it is dead now."""
    tries = event.tries + 1
    dead = tries >= TRIES
    pause_s = 0 if dead else PAUSES_S[tries - 1]
    connection.execute(
        "UPDATE inbox SET state = ?, tries = ?, due_us = ?, settled_us = ?, error = ?"
        " WHERE number = ? AND state = 'waiting'",
        [
            "dead" if dead else "waiting",
            tries,
            now_us + pause_s * SECOND_US,
            now_us if dead else None,
            error,
            event.number,
        ],
    )
    return dead


def put_off(
    connection: sqlite3.Connection, event: WaitingEvent, error: str, now_us: int
) -> None:
    """Try later, for a reason that is not the event's: Stripe does not answer."""
    waited_s = (now_us - event.received_us) // SECOND_US
    pause_s = min(max(waited_s // 4, ABSENCE_S[0]), ABSENCE_S[1])
    connection.execute(
        "UPDATE inbox SET due_us = ?, error = ? WHERE number = ? AND state = 'waiting'",
        [now_us + pause_s * SECOND_US, error, event.number],
    )


class InboxDepth(NamedTuple):
    """How full the inbox is. ``oldest_us`` is when the oldest untried event arrived."""

    waiting: int  # of them…
    failing: int  # …have been tried and will be again
    dead: int
    oldest_us: int | None


def depth(connection: sqlite3.Connection) -> InboxDepth:
    waiting, failing, oldest_us = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE tries > 0),"
        " min(received_us) FILTER (WHERE tries = 0)"
        " FROM inbox WHERE state = 'waiting'"
    ).fetchone()
    dead = scalar(connection, "SELECT count(*) FROM inbox WHERE state = 'dead'")
    return InboxDepth(waiting, failing, dead, oldest_us)


class TroubledEvent(NamedTuple):
    """An event that is dead, or has failed and waits for its next try."""

    event: str
    type: str
    names: tuple[NamedObject, ...]
    state: str
    tries: int
    received_us: int
    due_us: int
    error: str


def troubled(connection: sqlite3.Connection) -> list[TroubledEvent]:
    """What has failed or been put off, in order of arrival."""
    rows = connection.execute(
        "SELECT event, type, names, state, tries, received_us, due_us, error FROM inbox"
        " WHERE state <> 'done' AND error IS NOT NULL ORDER BY number"
    ).fetchall()
    return [
        TroubledEvent(event, kind, _names(names), *rest)
        for event, kind, names, *rest in rows
    ]


def _names(text: str) -> tuple[NamedObject, ...]:
    return tuple(NamedObject(*each) for each in json.loads(text))


def retry(
    connection: sqlite3.Connection, now_us: int, events: Sequence[str] = ()
) -> list[str]:
    """Let dead events, or these alone, be tried again as if new; return which are."""
    query = "SELECT event FROM inbox WHERE state = 'dead' ORDER BY number"
    dead = scalars(connection, query)
    chosen = [event for event in dead if not events or event in events]
    connection.executemany(
        "UPDATE inbox SET state = 'waiting', tries = 0, due_us = ?, settled_us = NULL"
        " WHERE event = ?",
        [(now_us, event) for event in chosen],
    )
    return chosen


def erase(connection: sqlite3.Connection, customer: str) -> bool:
    """Whether an error spoke of this customer, or of an object of its: it is gone."""
    erased = connection.execute(_ERASE, [customer])
    return erased.rowcount > 0


_ERASE = """
    UPDATE inbox SET error = 'not shown any more' WHERE error <> 'not shown any more'
    AND EXISTS (SELECT 1 FROM json_each(names) WHERE json_extract(value, '$[1]') IN (
        SELECT ?1 UNION SELECT id FROM set_aside_by_customer WHERE customer = ?1
        UNION SELECT id FROM stripe_subscriptions WHERE customer = ?1
        UNION SELECT id FROM stripe_invoices WHERE customer = ?1
        UNION SELECT id FROM stripe_invoice_items WHERE customer = ?1))
"""


def prune(connection: sqlite3.Connection, now_us: int) -> int:
    """Forget what was done longer ago than Stripe would repeat it; return how many."""
    return connection.execute(
        "DELETE FROM inbox WHERE state = 'done' AND settled_us < ?", [now_us - KEPT_US]
    ).rowcount
