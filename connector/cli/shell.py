"""What every command shares: the configuration, the clock, the ledger's file."""

import gc
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connector.cli.stderr import warn
from connector.core.errors import UsageFault
from connector.core.language import DEFAULT, speak

if TYPE_CHECKING:
    from connector.config import Config
    from connector.reports.ledger import Ledger
    from connector.reports.ledger_facts import LedgerFacts


class Shell:
    """What every command shares: the configuration, the clock, the ledger's file.

    ``asked`` are the accounts that --account names, all where it names none. ``of`` is
    the same shell for one of them; ``stop`` is set where the process is asked to end.
    """

    def __init__(
        self,
        config_path: Path | None,
        verbosity: int,
        log_format: str = "text",
        asked: Sequence[str] = (),
    ) -> None:
        self.is_for_programs = False  # what is asked for: then it is in English
        self.facts: LedgerFacts | None = None  # of the ledger that was read last
        self.config_path = config_path
        self._verbosity = verbosity
        self.log_format = log_format
        self.asked = tuple(asked)
        self.adds_up = False  # several accounts as one, where not told otherwise
        self.is_mixed = False  # also where their rules differ
        self.stop = threading.Event()
        self.is_alone = True  # else this is one of several that are taken in turn

    @cached_property
    def config(self) -> "Config":
        """The configuration of the one account that there is, or that is asked for.

        As it was at the start; ``read_config`` reads it anew.
        """
        return self.read_config()

    @cached_property
    def accounts(self) -> "tuple[Config, ...]":
        """The configuration of each account that is asked for."""
        from connector.config import accounts_of

        return accounts_of(self.shared, self.asked)

    @cached_property
    def shared(self) -> "Config":
        """What the file says of all accounts: no one's ledger, key or zone."""
        from connector.config import load

        config = load(self.config_path, os.environ, user_folder())
        speak(DEFAULT if self.is_for_programs else config.language)
        return config

    def read_config(self) -> "Config":
        """The account's configuration as it is now."""
        self.__dict__.pop("shared", None)
        self.__dict__.pop("accounts", None)
        if len(self.accounts) == 1:
            return self.accounts[0]
        if self.adds_up:
            return self.shared
        names = ", ".join(each.name for each in self.accounts)
        raise UsageFault(
            f"this is of one account, and there are {len(self.accounts)}: {names}",
            fix=f"say which: --account {self.accounts[0].name}",
        )

    @property
    def chosen(self) -> list[str]:
        """The options that say which accounts, as any command takes them."""
        names = [word for name in self.asked for word in ("--account", name)]
        return [*names, *(["--mixed"] if self.is_mixed else [])]

    def of(self, account: "Config") -> "Shell":
        """This shell, for one account."""
        one = copy(self)
        one.asked = (account.name,) if account.name else ()
        one.is_alone = len(self.accounts) == 1
        one.__dict__ |= {"config": account, "accounts": (account,)}
        return one

    def log_to_stderr(self) -> None:
        """For commands that do something worth following; reading ones say it all."""
        from connector.cli.logs import log_to_stderr

        log_to_stderr(self._verbosity, self.log_format)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def ledger(self) -> AbstractContextManager[sqlite3.Connection]:
        """The existing ledger's file."""
        from connector.store.opening import open_database

        return closing(open_database(self.config.database))

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The existing ledger in one transaction, which is on the disk at its end."""
        from connector.store.database import make_durable, transaction

        with self.ledger() as connection:
            make_durable(connection)
            with transaction(connection):
                yield connection

    @contextmanager
    def reading(self, *, tells_outside: bool = True) -> "Iterator[Ledger]":
        """The existing ledger as it is now; says where it was derived otherwise.

        And, unless the command tells of it itself, what recurs and is in no figure.
        Without looking for cycles, of which a million rows have none: a tenth faster.
        """
        with self._opened() as ledger, _uncollected():
            warn_of_other_rules(ledger)
            self.facts = ledger.facts()
            if tells_outside:
                _warn_of_outside(ledger)
            yield ledger

    def _opened(self) -> AbstractContextManager["Ledger"]:
        if self.adds_up and len(self.accounts) > 1:
            from connector.accounts.ledger import open_accounts

            of = self.shared, self.accounts
            return open_accounts(*of, self.now(), mixed=self.is_mixed)
        from connector.reports.ledger import open_ledger

        return open_ledger(self.config, self.now())


def user_folder() -> Path:
    """Where a user's own configuration lies."""
    return Path(click.get_app_dir("stripe-nrr"))


@contextmanager
def _uncollected() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def warn_of_other_rules(ledger: "Ledger") -> None:
    """Say where the configuration asks for others than the ledger is derived by."""
    if ledger.has_other_rules:
        warn(
            "the configuration asks for another policy or time zone than the ledger has",
            "run `stripe-nrr recompute`; until then the ledger's own are shown",
        )


def warn_of_underived(failed: Mapping[str, str]) -> None:
    """Say who stands as it was, as its history broke the derivation."""
    if failed:
        from connector.pipeline.quarantine import underivable

        error = underivable(failed)
        assert error is not None
        warn(error.problem, error.fix)


def _warn_of_outside(ledger: "Ledger") -> None:
    outside = ledger.outside()
    if outside:
        from connector.render.report.missing import outside_sentence

        sentence = outside_sentence(outside, ledger.config.locale)
        if sentence is not None:
            warn(sentence, "`stripe-nrr coverage` names it, and says what can be done")
