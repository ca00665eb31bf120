"""The ledgers of several accounts, opened at one moment each and read as one."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cached_property
from types import MappingProxyType

from msgspec.structs import replace

from connector.accounts.everybody import Everybody
from connector.accounts.joining import Joining
from connector.config import Config
from connector.core.account import NOBODY
from connector.core.errors import (
    LedgerUnusable,
    NothingFound,
    OtherAccount,
    RulesDiffer,
)
from connector.core.invoiced import OutsideMrr
from connector.core.language import message
from connector.core.policy import differences
from connector.reports.ledger import Ledger, LedgerPart, open_ledger
from connector.reports.ledger_facts import AddedAccounts, LedgerState, Missing
from connector.store.account import ledger_account
from connector.store.database import put_setting, setting
from connector.store.joined.database import joined_database, room_for, sources
from connector.store.ledger import rollups, unvalued
from connector.store.mirror import event_feed

# What is the file's own, and so the same for all of its accounts.
OF_THE_FILE = ("merge", "companies")


@contextmanager
def open_accounts(
    config: Config, accounts: Sequence[Config], now: datetime, *, mixed: bool = False
) -> Iterator[Ledger]:
    """The ledger of one account, or those of several in one, as ``added_up`` has them."""
    room_for(len(accounts))
    with ExitStack() as stack:
        for each in accounts:
            check_there(each)
        parts = [stack.enter_context(open_ledger(each, now)) for each in accounts]
        yield stack.enter_context(added_up(config, parts, mixed=mixed))


def check_there(account: Config) -> None:
    """Raise ``LedgerUnusable``, which names the account, where it has no ledger."""
    if account.name and not account.database.is_file():
        raise LedgerUnusable(
            f"account {account.name} has no ledger: there is none at {account.database}",
            fix=f"run `stripe-nrr sync --account {account.name}` to make one",
        )


@contextmanager
def added_up(
    config: Config, ledgers: Sequence[Ledger], *, mixed: bool = False
) -> Iterator[Ledger]:
    """Open ledgers as one; of one, it itself.

    ``config`` is what the file says of all of them. Raises ``RulesDiffer`` where they
    are derived under different rules, unless these may be ``mixed``: then the first
    one's are told, with those that are others beside them. Of one account twice, or of
    live and test mode, there is no sum whatever is asked.
    """
    if len(ledgers) == 1:
        yield ledgers[0]
        return
    parts = {each.config.name: each for each in ledgers}
    unlike = check_adding_up(parts, mixed=mixed)
    with joined_database() as target:
        placed = sources((name, it.connection) for name, it in parts.items())
        everybody = Everybody(placed, config.merge)
        now = ledgers[0].now
        ledger = LedgerOfAccounts(target, config, now, parts, everybody)
        ledger.unlike = unlike
        target.mirrors = [each.connection for each in placed]
        _put_facts(target, ledger)
        Joining(target, everybody).put_sums()
        yield ledger


def check_adding_up(parts: Mapping[str, Ledger], *, mixed: bool) -> Sequence[str]:
    """Where their rules differ, in words; raises as ``added_up`` does. Reads settings."""
    _check_synced(parts)
    _check_apart(parts)
    unlike = _unlike(parts)
    if unlike and not mixed:
        raise RulesDiffer(
            f"these ledgers do not add up: {'; '.join(unlike)}",
            fix="run `stripe-nrr recompute`, where the configuration says the same "
            "for all; or choose some with --account, or add them up as they are "
            "with --mixed",
        )
    return unlike


def _check_synced(parts: Mapping[str, Ledger]) -> None:
    for name, part in parts.items():
        if event_feed.last_synced_us(part.connection) is None:
            raise NothingFound(
                f"the ledger of account {name} is empty: no sync has finished yet",
                fix=f"run `stripe-nrr sync --account {name}`, or choose others with "
                "--account",
            )


def _check_apart(parts: Mapping[str, Ledger]) -> None:
    """Raise ``OtherAccount`` where two are of one account, or of two modes."""
    of: dict[str, str] = {}
    modes: dict[bool, str] = {}
    for name, part in parts.items():
        whose = ledger_account(part.connection) or NOBODY
        if whose.id is not None and of.setdefault(whose.id, name) != name:
            raise OtherAccount(
                f"{of[whose.id]} and {name} are both {whose.id}: it would count twice",
                fix=CHOOSE,
            )
        if whose.livemode is not None:
            modes.setdefault(whose.livemode, name)
    if len(modes) > 1:
        raise OtherAccount(
            f"{modes[True]} is of live mode and {modes[False]} of test mode, whose money "
            "is none: they do not add up",
            fix=CHOOSE,
        )


CHOOSE = "choose those that belong together with --account"


def _unlike(parts: Mapping[str, Ledger]) -> list[str]:
    """Where rules are not those of the first account, in words."""
    (first, own), *others = (
        (name, {k: v for k, v in part.rules_in_force.items() if k not in OF_THE_FILE})
        for name, part in parts.items()
    )
    return [
        message(f"{first} and {name} ({', '.join(differences(own, other))})")
        for name, other in others
        if other != own
    ]


def _put_facts(target: sqlite3.Connection, ledger: "LedgerOfAccounts") -> None:
    """What is known of all of them is what is known of each."""
    connections = [part.connection for part in ledger.accounts.values()]
    for name in ("derivation", "invoice_lines", rollups.WHOLE, "demo_now"):
        values = {setting(each, name) for each in connections}
        if len(values) == 1 and (value := values.pop()) is not None:
            put_setting(target, name, value)
    if any(setting(each, "adopting") for each in connections):
        put_setting(target, "adopting", "some account's")
    known = [event_feed.last_synced_us(each) for each in connections]
    event_feed.events_were_read(target, min(us for us in known if us is not None))
    for part in ledger.parts:
        unvalued.add(
            target,
            [
                replace(it, customer=part.called(it.customer))
                for it in unvalued.known(part.ledger.connection)
            ],
        )


class LedgerOfAccounts(Ledger):
    """Several accounts' as one. ``unlike`` says where their rules differ."""

    unlike: Sequence[str] = ()

    def __init__(
        self,
        connection: sqlite3.Connection,
        config: Config,
        now: datetime,
        accounts: Mapping[str, Ledger],
        everybody: Everybody,
    ) -> None:
        super().__init__(connection, config, now)
        self.accounts = MappingProxyType(accounts)
        self._everybody = everybody

    @property
    def moment(self) -> datetime:
        return min(each.moment for each in self.accounts.values())

    @cached_property
    def rules_in_force(self) -> dict[str, str]:
        return next(iter(self.accounts.values())).rules_in_force

    @property
    def has_other_rules(self) -> bool:
        return any(each.has_other_rules for each in self.accounts.values())

    @cached_property
    def parts(self) -> Sequence[LedgerPart]:
        by_account = {each.account: each for each in self._everybody.sources}
        return [
            LedgerPart(ledger, *self._everybody.renaming(by_account[name]))
            for name, ledger in self.accounts.items()
        ]

    def state(self, as_of: datetime | None = None) -> LedgerState:
        """What is known of all of them: until the earliest day that one knows."""
        states = [each.state(as_of) for each in self.accounts.values()]
        weakest = min(states, key=lambda each: (each.today, each.at))
        zones = dict.fromkeys(each.timezone for each in states)
        return weakest._replace(timezone=", ".join(zones), account=None)

    def added(self, as_of: datetime | None = None) -> AddedAccounts:
        days = {name: each.state(as_of).today for name, each in self.accounts.items()}
        last = max(days.values())
        behind = tuple(name for name, day in days.items() if day < last)
        return AddedAccounts(tuple(self.accounts), behind, tuple(self.unlike))

    def missing(self) -> Missing:
        """Of all of them, with the names of those that lack anything."""
        found = {name: each.missing() for name, each in self.accounts.items()}
        lacking = {name: each for name, each in found.items() if any(each)}
        if not lacking:
            return Missing()
        return Missing(
            is_first_sync=any(each.is_first_sync for each in lacking.values()),
            customers=sum(each.customers for each in lacking.values()),
            behind=sum(each.behind for each in lacking.values()),
            refused=sum(each.refused for each in lacking.values()),
            refused_customers=sum(each.refused_customers for each in lacking.values()),
            accounts=tuple(lacking),
        )

    def outside(self, currency: str | None = None) -> tuple[OutsideMrr, ...]:
        found = (
            replace(it, customer=part.called(it.customer))
            for part in self.parts
            for it in part.ledger.outside(currency)
        )
        return tuple(sorted(found, key=lambda x: (-x.monthly_minor, x.customer)))
