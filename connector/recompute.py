"""Dirty customers → mirror → timeline → movements → ledger.

A scheduled run, a webhook and a full recompute are this one function. Interrupted
anywhere, it leaves whole customers done and the others marked.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from connector import agreements, mirror, positions, posting, refusals, window_sums
from connector.customers import Named, ids, keys_of
from connector.database import (
    commits_of_others,
    put_setting,
    setting,
    transaction,
)
from connector.derivation import Derived, derive
from connector.errors import RulesDiffer
from connector.histories import histories, profiles, rows_of
from connector.history import Catalogue
from connector.model import Flow, Refusal
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
AT_ONCE = 10_000  # customers whose sums are counted together
# Between transactions: without it nobody else would ever get to write.
GIVE_WAY_S = 0.002


class Recomputed(NamedTuple):
    customers: int
    movements: int
    retractions: int
    refusals: list[Refusal]


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
) -> Recomputed:
    """Derive every dirty customer, or those of ``only``, and settle the ledger.

    Others may do the same meanwhile: whoever comes second finds a customer unmarked and
    leaves it. ``progress`` is told how many of how many are done, after each transaction.
    Raises ``RulesDiffer`` once the rules are no longer the ones in force.
    """
    now_s = int(now.timestamp())
    if only is None:
        with transaction(connection):
            mirror.mark_due(connection, now_s)
        waiting = rules.affected(mirror.dirty(connection))
    else:
        waiting = rules.affected(mirror.still_dirty(connection, only))
    start = RunStart(
        started_at=now,
        cause=cause,
        code_version=rules.code_version,
        policy=rules.as_json(),
    )
    run = Run(connection, start)
    total = Posted(0, 0)
    done = 0
    make_whole(connection)
    shared = _Shared(connection)
    for first in range(0, len(waiting), BATCH):
        batch = waiting[first : first + BATCH]
        with transaction(connection):
            check_rules(connection, rules)
            ours = _ids(rules, _not_yet_derived(connection, rules, batch))
            known = histories(rows_of(connection, ours), shared.catalogue())
            posted = _settle(connection, run, derive(known, rules, now_s))
            total = Posted(*map(sum, zip(total, posted, strict=True)))
        done += len(batch)
        if done < len(waiting):
            time.sleep(GIVE_WAY_S)
        progress(done, len(waiting))
    if only is None and is_adopting(connection):
        with transaction(connection):
            put_setting(connection, ADOPTING, "")
    return Recomputed(done, *total, refusals.known(connection))


class _Shared:
    """The catalogue, read again whenever another process may have changed it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._read_at: int | None = None
        self._catalogue = Catalogue()

    def catalogue(self) -> Catalogue:
        """Asked for inside the transaction that derives by it."""
        version = commits_of_others(self._connection)
        if version != self._read_at:
            self._catalogue = mirror.catalogue(self._connection)
            self._read_at = version
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
        every = list(ids(connection))
        for first in range(0, len(every), AT_ONCE):  # sums add up, memory does not
            some = every[first : first + AT_ONCE]
            accounts = (_account(connection, key) for key in some)
            window_sums.replace(connection, [], accounts)
        put_setting(connection, window_sums.WHOLE, window_sums.FORMAT)


def _account(connection: sqlite3.Connection, key: int) -> Account:
    flows = positions.flows_of(connection, key)
    return Account(tuple(flows), tuple(agreements.terms_of(connection, key)))


def _ids(rules: Rules, customers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Merged into another customer, one has nothing of its own."""
    return {c: () if c in rules.merge else (c, *rules.also(c)) for c in customers}


def _settle(
    connection: sqlite3.Connection, run: Run, derived: Sequence[Derived]
) -> Posted:
    """Make the ledger, and what is kept beside it, say what was derived."""
    customers = [each.customer for each in derived]
    known = profiles(connection, customers)
    named = {c: Named(p.label, p.country) for c, p in known.items()}
    keys = keys_of(connection, {c: named.get(c, Named()) for c in customers})
    stood = [_account(connection, keys[each.customer]) for each in derived]
    booked = {keys[each.customer]: each.movements for each in derived}
    posted = posting.settle_all(connection, run, booked)
    stands = []
    for each in derived:
        account = _as_account(keys[each.customer], each)
        agreements.put(connection, keys[each.customer], account.terms, each.plans)
        refusals.put(connection, each.customer, each.refusals)
        mirror.clear(connection, each.customer, each.next_s)
        stands.append(account)
    changed = [pair for pair in zip(stood, stands, strict=True) if pair[0] != pair[1]]
    window_sums.replace(connection, [b for b, _ in changed], [a for _, a in changed])
    return posted


def _as_account(key: int, derived: Derived) -> Account:
    flows = [
        (m.currency, Flow(key, m.day, m.kind, m.amount_minor))
        for m in derived.movements
    ]
    ended = [term._replace(customer=key) for term in derived.terms]
    return Account(tuple(sorted(flows)), tuple(ended))
