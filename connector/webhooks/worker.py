"""The thread that empties the inbox, as long as the process lives.

It sleeps until an event is committed, waits a moment for its neighbours, and takes them
together. What stands in its way is looked at again each second.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Self

from connector.core.account import NOBODY
from connector.core.errors import ConfigError, NothingFound, RulesDiffer, UsageFault
from connector.core.policy import Rules
from connector.pipeline.quarantine import in_words
from connector.store import inbox
from connector.store.account import ledger_account
from connector.store.database import checkpoint, transaction
from connector.store.opening import open_database
from connector.webhooks.account_guard import AccountGuard
from connector.webhooks.apply_events import BATCH, EventBatch, apply_events, hindrance

log = logging.getLogger(__name__)

GATHER_S = 0.02  # an upgrade is several events within a moment
LOOK_S = 1.0  # for what no commit of ours announces: a pause that ends, a retry by hand
PRUNE_S = 3_600.0
FAILED_S = 10.0
FINISHING_S = 5.0  # for the batch in hand, once the process is to end


@dataclass(slots=True)
class Worker:
    """The running thread. Use it as a context manager: leaving it ends the batch first.

    ``rules`` reads the configuration anew; it is asked where the ledger's rules have
    changed. ``guard`` is told whose the ledger is. ``hindered`` says why nothing is done,
    ``failure`` what nobody foresaw and is tried again; else they are None.
    """

    path: Path
    rules: Callable[[sqlite3.Connection], Rules]
    guard: AccountGuard = field(default_factory=AccountGuard)
    hindered: str | None = None
    failure: str | None = None
    _stop: Event = field(init=False, default_factory=Event)
    _wake: Event = field(init=False, default_factory=Event)
    _thread: Thread = field(init=False)
    _end_s: float = field(init=False, default=0.0)

    def start(self, work: EventBatch) -> Self:
        run = copy_context().run  # whose its lines are, where there are several
        self._thread = Thread(
            target=run, args=[self._run, work], name="worker", daemon=True
        )
        self._thread.start()
        return self

    def __enter__(self) -> Self:
        return self

    def end(self) -> None:
        """It takes no other batch; whoever leaves it does not wait for long from now on."""
        self._end_s = self._end_s or time.monotonic() + FINISHING_S
        self._stop.set()
        self._wake.set()

    def __exit__(self, *_: object) -> None:
        self.end()
        self._thread.join(max(0.0, self._end_s - time.monotonic()))
        if self._thread.is_alive():  # held up by Stripe; its events stay in the inbox
            log.warning("worker.left_behind")

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def wake(self) -> None:
        """There is something in the inbox."""
        self._wake.set()

    def stopping(self) -> bool:
        return self._stop.is_set()

    def sleep(self, wait_s: float) -> None:
        """A wait that ends early when the process is to end."""
        self._stop.wait(wait_s)

    def _run(self, work: EventBatch) -> None:
        rules: Rules | None = None
        pruned_s = 0.0
        with closing(open_database(self.path)) as connection:
            while not self._stop.is_set():
                self._wake.clear()
                taken = 0
                try:
                    rules = self._cleared(connection, rules)
                    if rules is not None and self.hindered is None:
                        taken = apply_events(connection, rules, work)
                    checkpoint(connection)
                    if time.monotonic() - pruned_s > PRUNE_S:
                        pruned_s = time.monotonic()
                        with transaction(connection):
                            inbox.prune(connection, work.now_us())
                    self.failure = None
                except RulesDiffer:
                    continue  # which `_cleared` explains
                except sqlite3.OperationalError as error:
                    log.warning("worker.database %s", error)
                except Exception as error:
                    # To end would be to end again at the next start: events stay.
                    log.exception("worker.failed")
                    self.failure = in_words(error)
                    self._stop.wait(FAILED_S)
                if taken < BATCH and self._wake.wait(LOOK_S):
                    self._stop.wait(GATHER_S)

    def _cleared(
        self, connection: sqlite3.Connection, rules: Rules | None
    ) -> Rules | None:
        """The rules to derive by; ``hindered`` says whether that may be done."""
        self.guard.ledger = ledger_account(connection) or NOBODY
        why = None if rules is None else hindrance(connection, rules)
        if rules is None or why is not None:
            try:
                rules = self.rules(connection)
                why = hindrance(connection, rules)
            except (ConfigError, NothingFound, UsageFault) as error:
                why = f"{error.problem}: {error.fix}"
        why = why or self.guard.hindrance()
        if why is not None and why != self.hindered:
            log.warning("worker.hindered %s", why)
        self.hindered = why
        return rules
