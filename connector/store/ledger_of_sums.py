"""A ledger in memory that holds sums alone, for reports that read nothing else."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import groupby, islice
from operator import attrgetter

from connector.core.figures import KeptSums
from connector.core.invoiced import CustomerCoverage
from connector.store.account import belong_to
from connector.store.database import open_database, put_setting, transaction
from connector.store.ledger import coverage, rollups, unvalued
from connector.store.ledger.customers import CustomerDisplay, keys_of
from connector.store.mirror.event_feed import events_were_read

TOGETHER = 500  # customers that are looked up at once


@contextmanager
def ledger_of_sums(sums: KeptSums) -> Iterator[sqlite3.Connection]:
    """An open ledger, gone at the end; nobody has a movement in it."""
    with closing(open_database(":memory:", create=True)) as connection:
        with transaction(connection):
            put_setting(connection, "rules", json.dumps(sums.rules))
            put_setting(connection, rollups.WHOLE, rollups.FORMAT)
            events_were_read(connection, int(sums.known_until.timestamp() * 1_000_000))
            if sums.account is not None:
                belong_to(connection, sums.account)
            rollups.add(connection, sums.deltas)
            whose = attrgetter("customer")
            for customer, own in groupby(sorted(sums.refusals), key=whose):
                unvalued.put(connection, customer, own)
            _put_not_counted(connection, sums)
        yield connection


def _put_not_counted(connection: sqlite3.Connection, sums: KeptSums) -> None:
    left = iter(sums.not_counted.items())
    while some := dict(islice(left, TOGETHER)):
        keys = keys_of(connection, dict.fromkeys(some, CustomerDisplay()))
        found = {
            keys[customer]: CustomerCoverage(sums={}, not_counted=tuple(own))
            for customer, own in some.items()
        }
        coverage.put(connection, found)
