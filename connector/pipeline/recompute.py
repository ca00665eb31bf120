"""Dirty customers → mirror → timeline → movements → ledger.

A scheduled run, a webhook and a full recompute are this one function. Interrupted
anywhere, it leaves whole customers done and the others marked. So does a history that
nobody foresaw: its customer stays marked, and is named.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import takewhile
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

from connector.core.dates import local_day
from connector.core.policy import Rules
from connector.mrr.companies import Companies
from connector.mrr.derive import Derived, derive
from connector.mrr.history import Catalogue
from connector.pipeline.policy_change import adopted, check_rules
from connector.pipeline.process_pool import DerivationTask, deriving
from connector.pipeline.quarantine import set_aside
from connector.pipeline.settling import (
    hold,
    make_whole,
    not_yet_derived,
    settle,
    whole,
    with_company,
)
from connector.store.database import (
    commits_of_others,
    file_of,
    put_setting,
    setting,
    transaction,
    version,
)
from connector.store.ledger import columns
from connector.store.ledger.posting import LedgerRun, PostedCounts
from connector.store.mirror import (
    catalogue,
    companies,
    customer_accounts,
    dirty_customers,
    event_feed,
)
from connector.store.mirror.histories import histories, rows_of

# Customers at a time: a commit, and the windows' sums, cost as much as deriving a few. As
# many are derived in one transaction as this is thought to take: a webhook that comes
# meanwhile waits for the end of it.
BATCH = 50
HOLD_S = 0.04
# Customers from which on processes of their own derive faster than they take to start,
# and how many of these help: more would wait for the one that settles.
MUCH = 2_000
MOST = 4
# Between transactions: without it nobody else would ever get to write.
GIVE_WAY_S = 0.002
KNOWN_UNTIL = "known_until"


class Recomputed(NamedTuple):
    """``failed``: whose history could not be derived, and why; these stay marked."""

    customers: int
    movements: int
    retractions: int
    failed: Mapping[str, str] = MappingProxyType({})


def recompute(
    connection: sqlite3.Connection,
    rules: Rules,
    *,
    cause: str,
    now: datetime,
    only: Iterable[str] | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    shared: "SharedCatalogue | None" = None,
    workers: int | None = 1,
) -> Recomputed:
    """Derive every dirty customer, or those of ``only``, and settle the ledger.

    Others may do the same meanwhile: whoever comes second finds a customer unmarked and
    leaves it. ``progress`` is told how many of how many are done, after each transaction.
    ``shared`` spares reading the catalogue, where it is the same as at the last call.
    ``workers`` is how many processes derive, 1 being this one alone; None: as many as
    help, for a program whose main module may be imported again by each.
    Raises ``RulesDiffer`` once the rules are no longer the ones in force. A change of
    rules counts as derived though some customers could not be: they would hold up all.
    """
    now_s = int(now.timestamp())
    waiting = _waiting(connection, rules, only, now_s)
    make_whole(connection)
    run = LedgerRun(connection, now, cause, rules.code_version, rules.as_json())
    work = _Recompute(connection, rules, now_s, shared or SharedCatalogue(), run)
    done = 0
    failed: dict[str, str] = {}
    batches = [waiting[n : n + BATCH] for n in range(0, len(waiting), BATCH)]
    with _derived_ahead(work, batches, workers) as ahead:
        for batch in batches:
            derived = work.if_unchanged(next(ahead, None))
            for part in [batch] if derived is not None else work.parts(batch):
                failed |= set_aside(part, partial(work.settle, derived=derived))
                done += len(part)
                if done < len(waiting):
                    time.sleep(GIVE_WAY_S)
                progress(done, len(waiting))
    if only is None:
        adopted(connection)
        _keep_known_until(connection, rules)
        columns.pack(connection)
    return Recomputed(done - len(failed), *work.posted, failed)


def _keep_known_until(connection: sqlite3.Connection, rules: Rules) -> None:
    """For the SQL views, which know no time zones: the last day that is known."""
    known_us = event_feed.last_synced_us(connection)
    if known_us is None:
        return
    day = str(local_day(known_us // 1_000_000, rules.zone))
    if setting(connection, KNOWN_UNTIL) != day:
        with transaction(connection):
            put_setting(connection, KNOWN_UNTIL, day)


@dataclass(slots=True)
class _Recompute:
    """A recompute under way: what it works with, and what it has posted.

    ``version`` (``commits_of_others``) is that of the state that is derived ahead.
    ``pace_s`` is what a customer took who was derived in a transaction, the last time.
    """

    connection: sqlite3.Connection
    rules: Rules
    now_s: int
    shared: "SharedCatalogue"
    run: LedgerRun
    posted: PostedCounts = field(default_factory=PostedCounts)
    version: int | None = None
    pace_s: float = 0.001

    def if_unchanged(self, derived: list[Derived] | None) -> list[Derived] | None:
        """What was derived ahead, unless somebody else has committed since."""
        is_unchanged = self.version == commits_of_others(self.connection)
        return derived if is_unchanged else None

    def parts(self, batch: Sequence[str]) -> Iterator[Sequence[str]]:
        """A transaction's customers each, about as many as take ``HOLD_S``."""
        while batch:
            count = max(1, ceil(len(batch) * self.pace_s / HOLD_S))
            size = ceil(len(batch) / count)
            yield batch[:size]
            batch = batch[size:]

    def settle(self, names: Sequence[str], derived: list[Derived] | None) -> None:
        """Derive and settle those who are still marked, in one transaction.

        ``derived`` is what another process has derived ahead; None: nothing.
        """
        connection = self.connection
        run = copy(self.run)  # one that begins in a transaction that fails never began
        with transaction(connection):
            began_s = time.monotonic()
            check_rules(connection, self.rules)
            known = self.shared.companies(connection, self.rules)
            waiting = not_yet_derived(connection, known, names)
            fitting = whole(connection, known, waiting)
            ours = with_company(connection, known, fitting)
            ahead = self.if_unchanged(derived)
            found = self._derived(ours) if ahead is None else ahead
            still = [each for each in found if each.customer in ours]
            posted = settle(connection, run, still)
            held = sorted({*waiting} - {*fitting})
            hold(connection, known, held, self.rules.zone)
        if ahead is None:
            self.pace_s = (time.monotonic() - began_s) / len(names)
        self.run = run
        self.posted = self.posted.plus(posted)

    def _derived(self, customers: Iterable[str]) -> list[Derived]:
        grouped = self.shared.companies(self.connection, self.rules)
        rows = rows_of(self.connection, {c: grouped.parts(c) for c in customers})
        known = histories(rows, self.shared.catalogue(self.connection))
        return derive(known, self.rules, self.now_s)


def _waiting(
    connection: sqlite3.Connection,
    rules: Rules,
    only: Iterable[str] | None,
    now_s: int,
) -> list[str]:
    """Who is to be derived; marked, also those who are for another's sake.

    Else the mark would be gone with the other's, should it come to nothing. Those of one
    company follow it.
    """
    is_joined = rules.joins_customers or customer_accounts.customers(connection)
    if only is not None and not is_joined:
        return sorted(dirty_customers.still_dirty(connection, only))
    with transaction(connection):
        check_rules(connection, rules)
        if only is None:
            dirty_customers.mark_due(connection, now_s)
            marked = dirty_customers.dirty(connection)
        else:
            marked = list(dirty_customers.still_dirty(connection, only))
        moved = companies.regroup(connection, rules, marked)
        known = companies.companies(connection, rules.merge)
        waiting = known.affected([*marked, *moved])
        dirty_customers.mark(connection, waiting)
    return sorted(waiting, key=lambda each: (known.of(each), known.is_another(each)))


class SharedCatalogue:
    """The catalogue and the companies as last read, for one recompute after the other."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._catalogue = Catalogue()
        self._grouped_by: tuple[int, Mapping[str, str]] | None = None
        self._companies = Companies({})

    def companies(self, connection: sqlite3.Connection, rules: Rules) -> Companies:
        """Who is counted under whom now, asked for as the catalogue is."""
        wanted = version(connection, companies.VERSION), rules.merge
        if wanted != self._grouped_by:
            self._companies = companies.companies(connection, rules.merge)
            self._grouped_by = wanted
        return self._companies

    def catalogue(self, connection: sqlite3.Connection) -> Catalogue:
        """As it is now; asked for inside the transaction that derives by it."""
        wanted = version(connection, catalogue.VERSION)
        if wanted != self._version:
            self._catalogue = catalogue.read_catalogue(connection)
            self._version = wanted
        return self._catalogue


@contextmanager
def _derived_ahead(
    work: _Recompute, batches: Sequence[Sequence[str]], workers: int | None
) -> Iterator[Iterator[list[Derived] | None]]:
    """What other processes derive of each batch before its transaction begins.

    Once somebody else has committed, nothing more is derived ahead.
    """
    connection, rules = work.connection, work.rules
    if workers is None:
        is_much = len(batches) * BATCH >= MUCH
        workers = min(_cores(), MOST) if is_much else 1
    path = file_of(connection) if workers > 1 else None
    if path is None:
        yield iter(())
        return
    with transaction(connection):
        task = DerivationTask(
            path, rules, work.shared.catalogue(connection), work.now_s
        )
        work.version = commits_of_others(connection)

    def unchanged(_: object) -> bool:
        return commits_of_others(connection) == work.version

    known = work.shared.companies(connection, rules)
    asked = (
        {c: known.parts(c) for c in batch} for batch in takewhile(unchanged, batches)
    )
    with deriving(task, workers) as derive_all:
        yield derive_all(asked)


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
