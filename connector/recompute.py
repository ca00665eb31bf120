"""Dirty customers → mirror → timeline → movements → ledger.

A scheduled run, a webhook and a full recompute are this one function. Interrupted
anywhere, it leaves whole customers done and the others marked. So does a history that
nobody foresaw: its customer stays marked, and is named.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from connector import agreements, mirror, positions, posting, refusals, window_sums
from connector.customers import Named, ids, keys_of
from connector.database import (
    put_setting,
    setting,
    transaction,
)
from connector.derivation import Derived, derive
from connector.errors import RulesDiffer
from connector.histories import Rows, histories, profile, rows_of
from connector.history import Catalogue
from connector.model import Flow, Movement, Term
from connector.poison import set_aside
from connector.posting import Posted, Run, RunStart
from connector.rules import Rules, differences
from connector.sums import Account

# The setting that tells which change of the rules is not derived for everybody yet.
ADOPTING = "adopting"
# Raise it when a rule of the derivation changes: every ledger is then derived anew.
DERIVATION = "1"
# Customers a transaction: a commit costs as much as deriving a few, and a webhook that
# comes meanwhile waits for the end of it.
BATCH = 25
# Customers counted at a time where nobody else is waiting for them.
MANY = 1_000
# Between transactions: without it nobody else would ever get to write.
GIVE_WAY_S = 0.002


class Recomputed(NamedTuple):
    """``failed``: whose history could not be derived, and why; these stay marked."""

    customers: int
    movements: int
    retractions: int
    failed: Mapping[str, str] = MappingProxyType({})


def adopt(connection: sqlite3.Connection, rules: Rules) -> str | None:
    """Put the rules in force; mark everybody where they are not the ones before.

    Returns what changed, in words, or None. Also where it changed before and not
    everybody is derived by it yet, so that what is left belongs to the same cause.
    """
    wanted = _as_settings(rules)
    if _in_force(connection) == wanted:
        return setting(connection, ADOPTING) or None
    with transaction(connection):
        before = _in_force(connection)  # another process may have been here just now
        if before == wanted:
            return setting(connection, ADOPTING) or None
        for name, value in wanted.items():
            put_setting(connection, name, value)
        mirror.mark_all(connection)
        told = _told(before["rules"], wanted["rules"])
        put_setting(connection, ADOPTING, told)
    return told or None


def _told(before: str | None, wanted: str) -> str:
    """What has changed, in words; "" where there were no rules before."""
    if before is None:
        return ""
    if before == wanted:
        return "this version derives some histories differently"
    was, now = json.loads(before), json.loads(wanted)
    return "policy change: " + ", ".join(differences(was, now))


def is_adopting(connection: sqlite3.Connection) -> bool:
    """Whether a change of the rules is not derived for everybody yet."""
    return bool(setting(connection, ADOPTING))


def _as_settings(rules: Rules) -> dict[str, str]:
    return {"rules": rules.as_json(), "derivation": DERIVATION}


def _in_force(connection: sqlite3.Connection) -> dict[str, str | None]:
    return {name: setting(connection, name) for name in ("rules", "derivation")}


def check_rules(connection: sqlite3.Connection, rules: Rules) -> None:
    """``RulesDiffer`` where the ledger is derived under other rules than these."""
    in_force = _in_force(connection)
    if in_force["rules"] is not None and in_force != _as_settings(rules):
        raise RulesDiffer(
            "the ledger is derived under other rules than this configuration's, or by "
            "another version of stripe-nrr",
            fix="give every process the same config.toml and version, "
            "then run `stripe-nrr recompute`",
        )


def recompute(
    connection: sqlite3.Connection,
    rules: Rules,
    *,
    cause: str,
    now: datetime,
    only: Iterable[str] | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    shared: "Shared | None" = None,
) -> Recomputed:
    """Derive every dirty customer, or those of ``only``, and settle the ledger.

    Others may do the same meanwhile: whoever comes second finds a customer unmarked and
    leaves it. ``progress`` is told how many of how many are done, after each transaction.
    ``shared`` spares reading the catalogue, where it is the same as at the last call.
    Raises ``RulesDiffer`` once the rules are no longer the ones in force. A change of
    rules counts as derived though some customers could not be: they would hold up all.
    """
    now_s = int(now.timestamp())
    waiting = _waiting(connection, rules, only, now_s)
    start = RunStart(
        started_at=now,
        cause=cause,
        code_version=rules.code_version,
        policy=rules.as_json(),
    )
    run = Run(connection, start)
    total = Posted(0, 0)
    done = 0
    failed: dict[str, str] = {}
    make_whole(connection)
    shared = shared or Shared()

    def settle(batch: Sequence[str]) -> None:
        nonlocal run, total
        trial = copy(run)  # a run that begins in a transaction that fails never began
        with transaction(connection):
            check_rules(connection, rules)
            ours = _ids(rules, _not_yet_derived(connection, rules, batch))
            rows = rows_of(connection, ours)
            known = histories(rows, shared.catalogue(connection))
            posted = _settle(
                connection, trial, derive(known, rules, now_s), _named(rows)
            )
        run = trial
        total = Posted(*map(sum, zip(total, posted, strict=True)))

    for first in range(0, len(waiting), BATCH):
        batch = waiting[first : first + BATCH]
        failed |= set_aside(batch, settle)
        done += len(batch)
        if done < len(waiting):
            time.sleep(GIVE_WAY_S)
        progress(done, len(waiting))
    if only is None and is_adopting(connection):
        with transaction(connection):
            put_setting(connection, ADOPTING, "")
    return Recomputed(done - len(failed), *total, failed)


def _waiting(
    connection: sqlite3.Connection,
    rules: Rules,
    only: Iterable[str] | None,
    now_s: int,
) -> list[str]:
    """Who is to be derived; marked, also those who are for another's sake.

    Else the mark would be gone with the other's, should it come to nothing.
    """
    if only is not None and not rules.merge:
        return sorted(mirror.still_dirty(connection, only))
    with transaction(connection):
        if only is None:
            mirror.mark_due(connection, now_s)
            marked = mirror.dirty(connection)
        else:
            marked = list(mirror.still_dirty(connection, only))
        waiting = rules.affected(marked)
        mirror.mark(connection, waiting)
    return waiting


class Shared:
    """The catalogue as last read, for one recompute after the other."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._catalogue = Catalogue()

    def catalogue(self, connection: sqlite3.Connection) -> Catalogue:
        """As it is now; asked for inside the transaction that derives by it."""
        version = mirror.catalogue_version(connection)
        if version != self._version:
            self._catalogue = mirror.catalogue(connection)
            self._version = version
        return self._catalogue


def _not_yet_derived(
    connection: sqlite3.Connection, rules: Rules, customers: Sequence[str]
) -> list[str]:
    """Those still marked, and any into whom others are merged.

    What marks the latter may be a mark on one of those, and already gone.
    """
    marked = mirror.still_dirty(connection, customers)
    return [each for each in customers if each in marked or rules.also(each)]


def make_whole(connection: sqlite3.Connection) -> None:
    """Count the standard windows' sums, where they were not kept from the beginning."""
    if setting(connection, window_sums.WHOLE) == window_sums.FORMAT:
        return
    with transaction(connection):
        window_sums.clear(connection)
        keys = list(ids(connection))
        for first in range(0, len(keys), MANY):
            some = keys[first : first + MANY]
            window_sums.replace(
                connection, [], [_booked(connection, key) for key in some]
            )
        put_setting(connection, window_sums.WHOLE, window_sums.FORMAT)


def _booked(connection: sqlite3.Connection, key: int) -> Account:
    flows = positions.flows_of(connection, key)
    return Account(tuple(flows), tuple(agreements.terms_of(connection, key)))


def _ids(rules: Rules, customers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Merged into another customer, one has nothing of its own."""
    return {c: () if c in rules.merge else (c, *rules.also(c)) for c in customers}


def _named(rows: Rows) -> dict[str, Named]:
    """How each customer is shown, as its own object says."""
    found = {customer: profile(rows, customer) for customer in rows.customers}
    return {
        customer: Named() if itself is None else Named(itself.label, itself.country)
        for customer, itself in found.items()
    }


def _settle(
    connection: sqlite3.Connection,
    run: Run,
    derived: Sequence[Derived],
    named: Mapping[str, Named],
) -> Posted:
    """Make the ledger, and what is kept beside it, say what was derived."""
    keys = keys_of(connection, named)
    standing = posting.standing(connection, list(keys.values()))
    total = Posted(0, 0)
    changed = []
    for each in derived:
        key = keys[each.customer]
        terms = agreements.terms_of(connection, key)
        before = _account(key, [movement for _, movement in standing[key]], terms)
        ended = [term._replace(customer=key) for term in each.terms]
        after = _account(key, each.movements, ended)
        posted = posting.settle_against(
            connection, run, key, standing[key], each.movements
        )
        total = Posted(*map(sum, zip(total, posted, strict=True)))
        if before.terms != after.terms:
            agreements.put_terms(connection, key, ended)
        agreements.put_plans(connection, key, each.plans)
        refusals.put(connection, each.customer, each.refusals)
        mirror.clear(connection, each.customer, each.next_s)
        if before != after:
            changed.append((before, after))
    window_sums.replace(connection, [b for b, _ in changed], [a for _, a in changed])
    return total


def _account(key: int, movements: Iterable[Movement], terms: Iterable[Term]) -> Account:
    flows = [(m.currency, Flow(key, m.day, m.kind, m.amount_minor)) for m in movements]
    return Account(tuple(sorted(flows)), tuple(terms))
