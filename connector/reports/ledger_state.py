"""Until when the ledger knows anything, under which rules, in which currencies."""

import json
import sqlite3
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import click

from connector.config import Config, rules_of
from connector.core.dates import instant, local_day
from connector.core.errors import NothingFound
from connector.store.database import setting
from connector.store.ledger import queries, rollups
from connector.store.mirror import sync_state


class LedgerState(NamedTuple):
    """Until when the ledger knows anything, and under which rules."""

    at: datetime
    today: date
    synced_at: datetime | None
    timezone: str
    policy: dict[str, str]

    @property
    def rules(self) -> dict[str, str]:
        """The policy and the time zone, as the ledger's settings have them."""
        return {**self.policy, "timezone": self.timezone}


def ledger_state(
    connection: sqlite3.Connection,
    config: Config,
    now: datetime,
    as_of: datetime | None = None,
) -> LedgerState:
    """The ledger's last known day is that of the last sync, or of ``as_of`` before it."""
    rules = rules_in_force(connection, config)
    past = queries.policy_as_of(connection, as_of) if as_of is not None else None
    rules = json.loads(past) if past is not None else rules
    synced_us = sync_state.last_synced_us(connection)
    synced_at = instant(synced_us // 1_000_000) if synced_us is not None else None
    known_at = min(t for t in (now, as_of, synced_at) if t is not None)
    timezone = rules.pop("timezone")
    today = local_day(int(known_at.timestamp()), ZoneInfo(timezone))
    return LedgerState(known_at, today, synced_at, timezone, rules)


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether the sums of the standard windows can be relied on."""
    return setting(connection, rollups.WHOLE) == rollups.FORMAT


def rules_in_force(connection: sqlite3.Connection, config: Config) -> dict[str, str]:
    """The policy and zone the ledger was derived with; a warning if config differs."""
    wanted = rules_of(config).settings()
    stored = setting(connection, "rules")
    if stored is None:
        return wanted
    in_force: dict[str, str] = json.loads(stored)
    if in_force != wanted:
        click.echo(
            "warning: the configuration asks for another policy or time zone than the "
            "ledger has\n  fix: run `stripe-nrr recompute`; until then the ledger's "
            "own are shown",
            err=True,
        )
    return in_force


def currencies_asked(
    connection: sqlite3.Connection,
    asked: str | None,
    as_of: datetime | None,
    synced_at: datetime | None,
) -> list[str]:
    is_known = as_of is None and is_whole(connection)
    found = (
        rollups.currencies(connection)
        if is_known
        else queries.currencies(connection, as_of)
    )
    if not found and synced_at is None:
        raise NothingFound(
            "the ledger is empty: no sync has finished yet", fix="run `stripe-nrr sync`"
        )
    if asked is None:
        return found
    if asked.lower() not in found:
        known = ", ".join(found) or "none"
        raise NothingFound(
            f"there is no currency {asked!r} in the ledger",
            fix=f"choose one of these: {known}",
        )
    return [asked.lower()]
