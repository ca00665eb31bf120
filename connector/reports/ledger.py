"""An open ledger, as reports read it: what it knows, until when, under which rules."""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from connector import __version__
from connector.config import Config, rules_of
from connector.core.dates import add_months, day_end_s, instant, local_day
from connector.core.errors import NothingFound, UsageFault
from connector.core.invoiced import OutsideMrr
from connector.core.policy import Rules, policy_of, zone_in
from connector.reports.ledger_facts import (
    NOTHING_MISSING,
    ONE_ACCOUNT,
    AddedAccounts,
    LedgerFacts,
    LedgerState,
    Missing,
)
from connector.store.account import ledger_account
from connector.store.database import moment, setting, snapshot
from connector.store.ledger import coverage, queries, rollups, unvalued
from connector.store.ledger.as_of import policy_as_of, run_times
from connector.store.mirror import dirty_customers, event_feed
from connector.store.read_only import check_unchanged, open_to_read

if TYPE_CHECKING:
    from connector.mrr.companies import Companies

TOTAL = "total"  # what all currencies in the reporting one are asked for by


def is_total(currency: str | None) -> bool:
    return currency is not None and currency.lower() == TOTAL


class LedgerPart(NamedTuple):
    """An account's ledger, which has the mirror that the whole one is made from.

    ``called`` says what a customer's id there is in the whole, ``own`` the other way
    round; None: nobody of that account.
    """

    ledger: "Ledger"
    called: Callable[[str], str]
    own: Callable[[str], str | None]


def _same(customer: str) -> str:
    return customer


class Ledger:
    """A ledger to read from: its file, the configuration, and the moment it is."""

    def __init__(
        self, connection: sqlite3.Connection, config: Config, now: datetime
    ) -> None:
        self.connection, self.config, self.now = connection, config, now

    @property
    def moment(self) -> datetime:
        return moment(self.connection, self.now)

    @property
    def is_whole(self) -> bool:
        """Whether the sums of the standard windows can be relied on."""
        return setting(self.connection, rollups.WHOLE) == rollups.FORMAT

    @cached_property
    def rules_in_force(self) -> dict[str, str]:
        """The policy and zone that the ledger was derived with."""
        stored = setting(self.connection, "rules")
        if stored is None:
            return self.rules_asked_for.settings()
        rules: dict[str, str] = json.loads(stored)
        return rules

    @property
    def rules_asked_for(self) -> Rules:
        """The configuration's, in the ledger's zone where it names none."""
        return rules_of(self.config, zone_in(setting(self.connection, "rules")))

    @property
    def has_other_rules(self) -> bool:
        """Whether the configuration asks for others than the ledger's."""
        return self.rules_in_force != self.rules_asked_for.settings()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.rules_in_force["timezone"])

    @property
    def rules(self) -> Rules:
        """Policy and zone in force, with the customers that the configuration merges."""
        return Rules(
            policy=policy_of(self.rules_in_force),
            zone=self.zone,
            code_version=__version__,
            merge=self.config.merge,
            company=self.config.company_rule,
        )

    @property
    def parts(self) -> Sequence[LedgerPart]:
        """Whose mirrors its figures come from: its own, or each account's."""
        return [LedgerPart(self, _same, _same)]

    @property
    def is_of_several(self) -> bool:
        return len(self.parts) > 1

    def added(self, _as_of: datetime | None = None) -> AddedAccounts:
        return ONE_ACCOUNT

    @cached_property
    def companies(self) -> "Companies":
        """Under which id each customer is counted."""
        from connector.store.mirror.companies import companies

        return companies(self.connection, self.config.merge)

    def state(self, as_of: datetime | None = None) -> LedgerState:
        """Its last known day is that of the last sync, or of ``as_of`` before it."""
        past = as_of and policy_as_of(self.connection, as_of)
        rules = json.loads(past) if past else dict(self.rules_in_force)
        synced_us = event_feed.last_synced_us(self.connection)
        synced_at = instant(synced_us // 1_000_000) if synced_us is not None else None
        known_at = min(t for t in (self.moment, as_of, synced_at) if t is not None)
        timezone = rules.pop("timezone")
        today = local_day(int(known_at.timestamp()), ZoneInfo(timezone))
        account = ledger_account(self.connection)
        return LedgerState(known_at, today, synced_at, timezone, rules, account)

    def outside(self, currency: str | None = None) -> tuple[OutsideMrr, ...]:
        """Recurring money that is in no figure, by customer, the largest first."""
        accepted = set(self.config.accepted)
        accepted |= {new for old, new in self.config.merge.items() if old in accepted}
        found = coverage.outside_mrr(self.connection, accepted)
        asked = None if currency is None or is_total(currency) else currency.lower()
        return tuple(x for x in found if asked in (None, x.currency))

    def missing(self) -> Missing:
        """What the figures lack now; of a past moment only what was refused is known."""
        behind = dirty_customers.behind(self.connection)
        never = dirty_customers.never_derived(self.connection) if behind else 0
        refused = unvalued.known(self.connection)
        return Missing(
            is_first_sync=event_feed.is_first_sync_unfinished(self.connection),
            customers=never,
            behind=behind - never,
            refused=len(refused),
            refused_customers=len({refusal.customer for refusal in refused} - {""}),
        )

    def end_s(self, month: date) -> int:
        """The first second after a month, in the reporting zone."""
        return day_end_s(add_months(month, 1) - timedelta(days=1), self.zone)

    def facts(self, as_of: datetime | None = None) -> LedgerFacts:
        """As it is now; of a past moment, what was missing then is not known."""
        state = self.state(as_of)
        if as_of is not None:
            state, missing = state._replace(synced_at=None), NOTHING_MISSING
        else:
            missing = self.missing()
        known = self.moment, state.synced_at, state.today
        return LedgerFacts(*known, missing, self.added(as_of), self.begins_at(as_of))

    def begins_at(self, as_of: datetime | None) -> datetime | None:
        """When the first run began, where nothing was booked by that moment."""
        if as_of is None or not self._run_times:
            return None
        first = min(self._run_times)
        return first.astimezone(self.zone) if as_of < first else None

    @cached_property
    def _run_times(self) -> Sequence[datetime]:
        """The first and the newest run's, of each account."""
        found = (run_times(each.ledger.connection) for each in self.parts)
        return [moment for pair in found if pair is not None for moment in pair]

    @property
    def newest(self) -> datetime:
        """Now, or the newest run where another machine's clock is ahead."""
        return max((self.now, *self._run_times))

    def require_begun(self, day: date, asked: str) -> None:
        """Raise ``UsageFault`` where ``asked`` is of a day that has not begun."""
        if day > self.newest.astimezone(self.zone).date():
            raise UsageFault(
                f"{asked} is in the future, of which nothing is known yet",
                fix="give today or an earlier day",
            )

    def require_known(
        self, day: date, asked: str, as_of: datetime | None = None
    ) -> None:
        """Raise ``UsageFault`` where ``asked`` is of a day that the ledger cannot know."""
        today = self.state(as_of).today
        if day > today:
            raise UsageFault(
                f"{asked} is after {today}, the last day that the ledger knows",
                fix="give an earlier one, or run `stripe-nrr sync`",
            )

    def currencies(
        self, asked: str | None = None, as_of: datetime | None = None
    ) -> list[str]:
        """The one asked for, else (or of the total) all, the largest first.

        Raises ``NothingFound`` where the one asked for is not there, or no sync has
        finished.
        """
        if as_of is None and self.is_whole:
            found = rollups.currencies(self.connection)
        else:
            found = queries.currencies(self.connection, as_of)
        if not found and event_feed.last_synced_us(self.connection) is None:
            raise NothingFound(
                "the ledger is empty: no sync has finished yet",
                fix="run `stripe-nrr sync`",
            )
        if asked is None or is_total(asked):
            return found
        if asked.lower() not in found:
            known = ", ".join(found) or "none"
            raise NothingFound(
                f"there is no currency {asked!r} in the ledger",
                fix=f"choose one of these: {known}",
            )
        return [asked.lower()]


NAMED = 3


def some_of(names: Collection[str]) -> str:
    """The first of them by name, and how many more."""
    shown = sorted(names)[:NAMED]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


@contextmanager
def open_ledger(config: Config, now: datetime) -> Iterator[Ledger]:
    """The configured ledger as it is now, whatever is committed meanwhile."""
    with closing(open_to_read(config.database)) as connection, snapshot(connection):
        yield Ledger(connection, config, now)
        check_unchanged(connection)
