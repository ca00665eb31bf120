"""Dirty customers → mirror → timeline → movements → ledger.

A scheduled run, a webhook and a full recompute are this one function. Interrupted
anywhere, it leaves whole customers done and the others marked.
"""

import json
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from connector import ledger, mirror, refusals
from connector.database import put_setting, setting, transaction
from connector.history import Catalogue, History
from connector.ledger import Posted, Run, RunStart
from connector.model import Refusal
from connector.movements import movements
from connector.rules import Rules, differences
from connector.timeline import timeline

# Raise it when a rule of the derivation changes: every ledger is then derived anew.
DERIVATION = "1"
BATCH = 200  # customers a transaction: a commit costs as much as deriving a few


class Recomputed(NamedTuple):
    customers: int
    movements: int
    retractions: int
    refusals: list[Refusal]


def adopt(connection: sqlite3.Connection, rules: Rules) -> str | None:
    """Put the rules in force; mark everybody where they are not the ones before.

    Returns what changed, in words, or None.
    """
    wanted = {"rules": rules.as_json(), "derivation": DERIVATION}
    before = {name: setting(connection, name) for name in wanted}
    if before == wanted:
        return None
    with transaction(connection):
        for name, value in wanted.items():
            put_setting(connection, name, value)
        mirror.mark_all(connection)
    if before["rules"] is None:
        return None
    if before["rules"] == wanted["rules"]:
        return "this version derives some histories differently"
    was, now = json.loads(before["rules"]), json.loads(wanted["rules"])
    return "policy change: " + ", ".join(differences(was, now))


def recompute(
    connection: sqlite3.Connection,
    rules: Rules,
    *,
    cause: str,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Recomputed:
    """Derive every dirty customer and settle the ledger.

    ``progress`` is told how many of how many are done, after each transaction.
    """
    now_s = int(now.timestamp())
    with transaction(connection):
        mirror.mark_due(connection, now_s)
    waiting = rules.affected(mirror.dirty(connection))
    start = RunStart(
        started_at=now,
        cause=cause,
        code_version=rules.code_version,
        policy=rules.as_json(),
    )
    run = Run(connection, start)
    total = Posted(0, 0)
    done = 0
    shared = mirror.catalogue(connection) if waiting else Catalogue()
    for first in range(0, len(waiting), BATCH):
        batch = waiting[first : first + BATCH]
        with transaction(connection):
            for customer in batch:
                posted = _settle(connection, rules, run, customer, shared, now_s)
                total = Posted(*map(sum, zip(total, posted, strict=True)))
        done += len(batch)
        progress(done, len(waiting))
    return Recomputed(done, *total, refusals.known(connection))


def _settle(
    connection: sqlite3.Connection,
    rules: Rules,
    run: Run,
    customer: str,
    shared: Catalogue,
    now_s: int,
) -> Posted:
    history = History(customer=customer)
    if customer not in rules.merge:
        former = rules.also(customer)
        history = mirror.history(connection, customer, shared, former)
    derived = timeline(history, rules.policy, now_s)
    booked = movements(customer, derived.steps, rules.zone)
    profile = mirror.profile(connection, customer)
    label = profile.label if profile is not None else None
    country = profile.country if profile is not None else None
    key = ledger.key_of(connection, customer, label, country)
    posted = ledger.settle(connection, run, key, booked)
    refusals.put(connection, customer, derived.refusals)
    mirror.clear(connection, customer, derived.next_s)
    return posted
