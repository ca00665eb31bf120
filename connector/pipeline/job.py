"""The scheduled job: one sync after the other, the ledger settled after each."""

import dataclasses
import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from connector.config import Config, rules_of
from connector.core.dates import instant
from connector.core.errors import Stopped
from connector.core.language import marked, message
from connector.core.policy import Rules
from connector.pipeline.held_ledger import check_kept_once, claim, held_ledger
from connector.pipeline.ingest import Ingest, Progress, since_last
from connector.pipeline.policy_change import adopt, zone_in_force, zone_of
from connector.pipeline.quarantine import underivable
from connector.pipeline.recompute import Recomputed, recompute
from connector.pipeline.status import SyncSummary, read_status, write_status
from connector.pipeline.sync import sync
from connector.pipeline.thread_pool import ThreadPool
from connector.store.database import transaction
from connector.store.ledger import unvalued
from connector.store.mirror import event_feed, freshness
from connector.stripe_api.decoding import StripeAccount

if TYPE_CHECKING:
    from connector.stripe_api.client import StripeApi


log = logging.getLogger(__name__)

LONGEST_BACK_OFF = 8  # times the usual pause
SPREAD = 0.1  # either way, so that many installations do not ask in the same second


def pause_s(every_s: float, failures: int, chance: float) -> float:
    """Seconds to wait after a run; twice as long with each of ``failures`` in a row.

    The first failure waits no longer than usual. ``chance`` lies in [0, 1).
    """
    back_off = min(2.0 ** max(failures - 1, 0), LONGEST_BACK_OFF)
    return every_s * back_off * (1 + SPREAD * (2 * chance - 1))


ANEW = message("deriving every customer anew")


def bring_up_to_date(
    ingest: Ingest,
    rules: Rules,
    *,
    full: bool = False,
    announce: Callable[[str], None] = lambda _text: None,
) -> Recomputed:
    """What was derived; what was met is in ``ingest.met``.

    Rules other than before are applied first, as a run of their own, so that no figure
    changes for two reasons at once; ``announce`` is told in words. Raises ``Stopped``.
    """

    def now() -> datetime:
        return datetime.fromtimestamp(ingest.now_us() / 1_000_000, tz=UTC)

    def derived(done: int, whole: int) -> None:
        ingest.progress(marked("customers derived"), done, whole)
        if ingest.stopping() and done < whole:
            raise Stopped

    settle = partial(
        recompute, ingest.connection, rules, progress=derived, workers=None
    )
    changed = adopt(ingest.connection, rules)
    if changed is not None:
        announce(f"{changed}: {ANEW}")
        cause = "policy change" if changed.startswith("policy") else "manual"
        settle(cause=cause, now=now())
    sync(ingest, full=full)
    return settle(cause="sync", now=now())


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncJob:
    """One sync after the other, over one connection to Stripe.

    ``progress`` shows how far one has come, ``announce`` is told in words why everything
    is derived anew. Each sync is left in the status file, if there is to be one.
    """

    config: Config
    api: "StripeApi"
    stopping: Callable[[], bool]
    now: Callable[[], datetime]
    progress: Callable[[], AbstractContextManager[Progress]]
    announce: Callable[[str], None]

    def run(self, *, full: bool) -> SyncSummary:
        """What one sync did; customers who could not be derived are in ``failed``."""
        began_at = self.now()
        try:
            done = self._synced(began_at, full=full)
        except Stopped:
            raise
        except Exception as error:
            self._leave(began_at, None, str(error))
            raise
        left = underivable(done.failed)
        self._leave(began_at, done, None if left is None else left.problem)
        return done

    def _leave(
        self, began_at: datetime, done: SyncSummary | None, error: str | None
    ) -> None:
        """Bring the status file up to date, if there is to be one."""
        path = self.config.status_file
        if path is not None:
            status = read_status(path).after(began_at, self.now(), done, error)
            write_status(path, status)

    def _synced(self, began_at: datetime, *, full: bool) -> SyncSummary:
        if not self.config.database.exists():
            self.api.probe()  # a wrong key leaves no ledger behind,
            if self.config.zone is None or self.config.ledgers:
                account = self.api.shown_account()
                # Nor does another account's answer, or one that is kept already,
                check_kept_once(self.config, self.api.identity_of(account))
                if self.config.zone is None:
                    zone_of(account)  # and neither does one without a zone
        with (
            held_ledger(self.config.database) as connection,
            self.progress() as progress,
            ThreadPool[Any](self.config.workers) as threads,
        ):
            spent = since_last(lambda: self.api.reads.requests)
            day = began_at.date()
            ingest = Ingest(
                connection=connection,
                source=self.api,
                threads=threads,
                config=self.config,
                now_us=self.api.stripe_us,
                progress=progress,
                stopping=self.stopping,
                count_reads=lambda: event_feed.count_reads(connection, day, spent()),
            )
            return self._summed_up(ingest, began_at, full=full)

    def _rules(self, connection: sqlite3.Connection, account: StripeAccount) -> Rules:
        """What to derive by; a new ledger takes the account's own zone."""
        kept = zone_in_force(connection)
        if self.config.zone is None and kept is None:
            kept = zone_of(account)
            log.info("sync.zone_taken zone=%s", kept.key)
        return rules_of(self.config, kept)

    def _summed_up(
        self, ingest: Ingest, began_at: datetime, *, full: bool
    ) -> SyncSummary:
        connection = ingest.connection
        began_s, before = time.monotonic(), dataclasses.replace(self.api.reads)
        is_first = not freshness.known_subscriptions(connection)
        takes_zone = (
            self.config.zone is None and event_feed.last_synced_us(connection) is None
        )
        try:
            account = self.api.shown_account()
            whose = self.api.identity_of(account)
            if is_first:
                check_kept_once(self.config, whose)
            claim(connection, self.api, whose)
            rules = self._rules(connection, account)
            if is_first and self.api.clock.skew_us is None:
                self.api.probe()  # else the first moments kept would be by our clock
            derived = bring_up_to_date(ingest, rules, full=full, announce=self.announce)
        finally:
            if ingest.met.seen:  # else the key was refused, and nothing was read
                with transaction(connection):
                    ingest.count_reads()
        day, spent = began_at.date(), self.api.reads.since(before)
        month = event_feed.reads_since(connection, day - timedelta(days=29))
        known_us = event_feed.last_synced_us(connection)
        return SyncSummary(
            **asdict(ingest.met),
            **derived._asdict() | {"failed": dict(derived.failed)},
            refused=unvalued.known(connection),
            zone_taken=rules.zone.key if takes_zone else "",
            **dataclasses.asdict(spent),
            requests_in_30_days=month,
            known_until=None if known_us is None else instant(known_us // 1_000_000),
            seconds=round(time.monotonic() - began_s, 1),
        )
